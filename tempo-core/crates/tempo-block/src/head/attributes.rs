//! Attributes as columns: one for each key and type, filled value by value.

use std::sync::Arc;

use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_model::view::{AttributeView, ValueView};

use super::intern::{Coded, Interner, Words};
use crate::schema::ValueKind;
use crate::schema::value;

/// No column.
const NONE: u32 = u32::MAX;

/// The attributes of owners: of spans, events or links of a segment, which are numbered.
#[derive(Debug, Clone, Default)]
pub(crate) struct AttributeTable {
    columns: Vec<Column>,
    keys: Interner,
    /// For each key, the column of each type.
    by_key: Vec<[u32; ValueKind::ALL.len()]>,
    /// Which columns came first in a list lately, as [`Column::next`].
    first: Successors,
    previous: Option<u32>,
}

/// The columns that came next lately, the latest first. Lists of attributes have few orders, so guessing by the column
/// before spares nearly all look-ups.
#[derive(Debug, Clone, Copy)]
struct Successors([u32; 2]);

impl Default for Successors {
    fn default() -> Self {
        Self([NONE; 2])
    }
}

/// The values of one type under one key. An owner that has the key twice has two entries.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    key: u32,
    pub(crate) kind: ValueKind,
    /// The owner of each value, ascending.
    pub(crate) owners: Vec<u32>,
    pub(crate) values: ColumnValues,
    next: Successors,
    pub(crate) has_repeated_owner: bool,
}

/// Values of a column.
#[derive(Debug, Clone)]
pub(crate) enum ColumnValues {
    Int(Vec<i64>),
    Double(Vec<f64>),
    Bool(Vec<bool>),
    /// Texts; the bytes of bytes; the encoded messages of arrays and key-value lists.
    Coded(Coded),
    Empty,
}

impl AttributeTable {
    /// Adds an owner's attributes.
    pub(crate) fn push(&mut self, owner: u32, attributes: &[AttributeView<'_>]) {
        self.previous = None;
        for attribute in attributes {
            let kind = ValueKind::of(&attribute.value);
            let index = match self.predicted(attribute.key, kind) {
                Some(index) => index,
                None => self.look_up(attribute.key, kind),
            };
            self.previous = Some(index);
            if let Some(column) = self.columns.get_mut(index as usize) {
                column.push(owner, attribute.value);
            }
        }
    }

    fn successors(&mut self) -> Option<&mut Successors> {
        match self.previous {
            None => Some(&mut self.first),
            Some(index) => self
                .columns
                .get_mut(index as usize)
                .map(|column| &mut column.next),
        }
    }

    fn predicted(&mut self, key: &[u8], kind: ValueKind) -> Option<u32> {
        let Successors(candidates) = *self.successors()?;
        candidates.into_iter().find(|index| {
            let column = self.columns.get(*index as usize);
            column
                .is_some_and(|column| column.kind == kind && self.keys.words().bytes(column.key) == Some(key))
        })
    }

    fn look_up(&mut self, key: &[u8], kind: ValueKind) -> u32 {
        let key = self.keys.text(key);
        if key as usize == self.by_key.len() {
            self.by_key.push([NONE; ValueKind::ALL.len()]);
        }
        let new = self.columns.len() as u32;
        let place = self.by_key.get_mut(key as usize);
        let Some(place) = place.and_then(|kinds| kinds.get_mut(kind as usize)) else {
            return NONE;
        };
        if *place == NONE {
            *place = new;
            self.columns.push(Column::new(key, kind));
        }
        let index = *place;
        if let Some(Successors(successors)) = self.successors() {
            *successors = [index, successors[0]];
        }
        index
    }

    /// The columns in no particular order.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        let key = |column: &Column| self.keys.words().text(column.key);
        self.columns
            .iter()
            .filter(|column| !column.owners.is_empty())
            .map(move |column| (key(column), column))
    }

    /// The column of a key and a type.
    pub(crate) fn column(&self, key: &str, kind: ValueKind) -> Option<&Column> {
        self.columns()
            .find(|(name, column)| column.kind == kind && *name == key)
            .map(|(_, column)| column)
    }

    /// The attributes of an owner; those of one key and type are in their order.
    pub(crate) fn of_owner(&self, owner: u32) -> Vec<KeyValue> {
        let mut found = Vec::new();
        for (key, column) in self.columns() {
            let entries = column.entries_of(owner);
            found.extend(entries.map(|index| KeyValue {
                key: key.to_owned(),
                value: Some(column.value(index)),
            }));
        }
        found
    }

    pub(crate) fn seal(&mut self) {
        self.by_key = Vec::new();
        self.keys.seal();
        self.columns.iter_mut().for_each(Column::seal);
    }

    pub(crate) fn memory(&self) -> usize {
        let columns = self.columns.iter().map(Column::memory);
        columns.sum::<usize>() + self.keys.memory() + self.by_key.len() * 4 * ValueKind::ALL.len()
    }
}

impl Column {
    fn new(key: u32, kind: ValueKind) -> Self {
        let values = match kind {
            ValueKind::Int => ColumnValues::Int(Vec::new()),
            ValueKind::Double => ColumnValues::Double(Vec::new()),
            ValueKind::Bool => ColumnValues::Bool(Vec::new()),
            ValueKind::Empty => ColumnValues::Empty,
            ValueKind::String | ValueKind::Bytes | ValueKind::Array | ValueKind::KeyValueList => {
                ColumnValues::Coded(Coded::default())
            }
        };
        Self {
            key,
            kind,
            owners: Vec::new(),
            values,
            next: Successors::default(),
            has_repeated_owner: false,
        }
    }

    fn push(&mut self, owner: u32, value: ValueView<'_>) {
        match (&mut self.values, value) {
            (ColumnValues::Int(values), ValueView::Int(value)) => values.push(value),
            (ColumnValues::Double(values), ValueView::Double(value)) => values.push(value),
            (ColumnValues::Bool(values), ValueView::Bool(value)) => values.push(value),
            (ColumnValues::Coded(values), ValueView::String(text)) => values.push_text(text),
            (
                ColumnValues::Coded(values),
                ValueView::Bytes(bytes) | ValueView::Array(bytes) | ValueView::KeyValueList(bytes),
            ) => values.push_bytes(bytes),
            (ColumnValues::Empty, ValueView::Empty) => {}
            // A column is looked up by the value's type.
            _ => return,
        }
        self.has_repeated_owner |= self.owners.last() == Some(&owner);
        self.owners.push(owner);
    }

    /// Which entries are an owner's.
    pub(crate) fn entries_of(&self, owner: u32) -> std::ops::Range<usize> {
        let start = self.owners.partition_point(|other| *other < owner);
        let rest = self.owners.get(start..).unwrap_or_default();
        start..start + rest.iter().take_while(|other| **other == owner).count()
    }

    /// The words of a coded column.
    pub(crate) fn words(&self) -> Option<&Arc<Words>> {
        match &self.values {
            ColumnValues::Coded(coded) => Some(coded.interner.words()),
            _ => None,
        }
    }

    /// The value of an entry, borrowed.
    pub(crate) fn view(&self, index: usize) -> ValueView<'_> {
        match &self.values {
            ColumnValues::Int(values) => values.get(index).copied().map(ValueView::Int),
            ColumnValues::Double(values) => values.get(index).copied().map(ValueView::Double),
            ColumnValues::Bool(values) => values.get(index).copied().map(ValueView::Bool),
            ColumnValues::Coded(values) => Some(self.coded_view(values.bytes(index))),
            ColumnValues::Empty => None,
        }
        .unwrap_or_default()
    }

    /// The value that coded bytes stand for.
    pub(crate) fn coded_view<'a>(&self, bytes: &'a [u8]) -> ValueView<'a> {
        match self.kind {
            ValueKind::Bytes => ValueView::Bytes(bytes),
            ValueKind::Array => ValueView::Array(bytes),
            ValueKind::KeyValueList => ValueView::KeyValueList(bytes),
            _ => ValueView::String(bytes),
        }
    }

    /// The value of an entry.
    fn value(&self, index: usize) -> AnyValue {
        // Nested values were walked to their ends when the record was validated.
        value::owned(self.view(index)).unwrap_or(AnyValue { value: None::<Value> })
    }

    fn seal(&mut self) {
        self.owners.shrink_to_fit();
        match &mut self.values {
            ColumnValues::Int(values) => values.shrink_to_fit(),
            ColumnValues::Double(values) => values.shrink_to_fit(),
            ColumnValues::Bool(values) => values.shrink_to_fit(),
            ColumnValues::Coded(values) => {
                values.codes.shrink_to_fit();
                values.interner.seal();
            }
            ColumnValues::Empty => {}
        }
    }

    fn memory(&self) -> usize {
        let values = match &self.values {
            ColumnValues::Int(values) => 8 * values.len(),
            ColumnValues::Double(values) => 8 * values.len(),
            ColumnValues::Bool(values) => values.len(),
            ColumnValues::Coded(values) => values.memory(),
            ColumnValues::Empty => 0,
        };
        size_of::<Self>() + 4 * self.owners.len() + values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute<'a>(key: &'a str, value: ValueView<'a>) -> AttributeView<'a> {
        AttributeView {
            key: key.as_bytes(),
            value,
        }
    }

    #[test]
    fn owners_get_back_what_they_pushed_whatever_the_order() {
        let mut table = AttributeTable::default();
        let one = [
            attribute("a", ValueView::Int(1)),
            attribute("b", ValueView::String(b"x")),
            attribute("a", ValueView::Int(2)),
        ];
        let other = [
            attribute("b", ValueView::String(b"y")),
            attribute("a", ValueView::Bool(true)),
        ];
        table.push(0, &one);
        table.push(1, &other);
        table.push(3, &one);
        let of_one = table.of_owner(0);
        assert_eq!(of_one, table.of_owner(3));
        assert_eq!(of_one.len(), 3);
        assert_eq!(table.of_owner(1).len(), 2);
        assert!(table.of_owner(2).is_empty());
        assert!(table.column("a", ValueKind::Int).unwrap().has_repeated_owner);
        assert!(!table.column("b", ValueKind::String).unwrap().has_repeated_owner);
    }
}
