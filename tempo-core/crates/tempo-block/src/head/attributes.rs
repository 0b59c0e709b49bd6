//! Attributes as columns: one for each key and type, filled value by value.

pub(crate) mod column;

use std::borrow::Cow;

use tempo_model::proto::common::KeyValue;
use tempo_model::validate;
use tempo_model::view::{AttributeView, ValueView};
use tempo_model::wire::WireError;

pub(crate) use column::Column;

use super::intern::Interner;
use crate::schema::ValueKind;

/// The end of a text that was cut.
const MARK: &str = "…";

/// How long keys and texts may be, and how many were longer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// In bytes; 0 is no limit.
    pub(super) max_bytes: usize,
    /// Keys and texts that were cut.
    pub(super) truncated: usize,
}

impl Limit {
    /// No limit.
    pub(super) fn none() -> Self {
        Self {
            max_bytes: 0,
            truncated: 0,
        }
    }

    /// Hands an attribute to `take` with its key, and its value if it is text, within the limit.
    pub(super) fn cut<T>(
        &mut self,
        attribute: &AttributeView<'_>,
        take: impl FnOnce(AttributeView<'_>) -> T,
    ) -> T {
        let key = &self.cut_text(attribute.key);
        match attribute.value {
            ValueView::String(text) => take(AttributeView {
                key,
                value: ValueView::String(&self.cut_text(text)),
            }),
            value => take(AttributeView { key, value }),
        }
    }

    /// As much of a text as the limit allows, whole characters, and [`MARK`] at the end of one that was cut.
    fn cut_text<'a>(&mut self, text: &'a [u8]) -> Cow<'a, [u8]> {
        if self.max_bytes == 0 || text.len() <= self.max_bytes {
            return Cow::Borrowed(text);
        }
        self.truncated += 1;
        let room = self.max_bytes.saturating_sub(MARK.len());
        let is_boundary = |at: &usize| text.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
        let end = (0..=room).rev().find(is_boundary);
        let kept = text.get(..end.unwrap_or_default()).unwrap_or_default();
        Cow::Owned([kept, MARK.as_bytes()].concat())
    }
}

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
pub(crate) struct Successors([u32; 2]);

impl Default for Successors {
    fn default() -> Self {
        Self([NONE; 2])
    }
}

impl AttributeTable {
    /// Adds an owner's attributes.
    pub(super) fn push(
        &mut self,
        owner: u32,
        attributes: &[AttributeView<'_>],
        limit: &mut Limit,
    ) -> Result<(), WireError> {
        self.previous = None;
        for attribute in attributes {
            limit.cut(attribute, |attribute| self.push_one(owner, attribute))?;
        }
        Ok(())
    }

    fn push_one(&mut self, owner: u32, attribute: AttributeView<'_>) -> Result<(), WireError> {
        if let ValueView::Array(_) | ValueView::KeyValueList(_) = attribute.value {
            validate::value(attribute.value)?;
        }
        let kind = ValueKind::of(&attribute.value);
        let index = match self.predicted(attribute.key, kind) {
            Some(index) => index,
            None => self.look_up(attribute.key, kind),
        };
        self.previous = Some(index);
        if let Some(column) = self.columns.get_mut(index as usize) {
            column.push(owner, attribute.value);
        }
        Ok(())
    }

    /// Adds what the first `owners` of `other` have; here they are numbered from `base`.
    pub(super) fn extend(&mut self, other: &Self, base: u32, owners: u32) {
        for (key, column) in other.columns() {
            let index = self.index_of(key.as_bytes(), column.kind);
            if let Some(own) = self.columns.get_mut(index as usize) {
                own.extend(column, base, owners);
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
        let index = self.index_of(key, kind);
        if let Some(Successors(successors)) = self.successors() {
            *successors = [index, successors[0]];
        }
        index
    }

    /// The column of a key and a type, which is made if there is none.
    pub(crate) fn index_of(&mut self, key: &[u8], kind: ValueKind) -> u32 {
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
        *place
    }

    /// A column by its index.
    pub(crate) fn column_mut(&mut self, index: u32) -> Option<&mut Column> {
        self.columns.get_mut(index as usize)
    }

    /// The columns in no particular order.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        let key = |column: &Column| self.keys.words().text(column.key);
        self.columns
            .iter()
            .filter(|column| !column.owners.is_empty())
            .map(move |column| (key(column), column))
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

    /// How many columns there are.
    pub(super) fn count(&self) -> usize {
        self.columns.len()
    }

    /// Gives back what only a growing table needs.
    pub(super) fn seal(&mut self) {
        self.by_key = Vec::new();
        self.columns.shrink_to_fit();
        self.keys.seal();
        self.columns.iter_mut().for_each(Column::seal);
    }

    pub(super) fn memory(&self) -> usize {
        let columns = self.columns.iter().map(Column::memory);
        columns.sum::<usize>() + self.keys.memory() + self.by_key.len() * 4 * ValueKind::ALL.len()
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
        let mut limit = Limit {
            max_bytes: 0,
            truncated: 0,
        };
        for (owner, attributes) in [(0, &one[..]), (1, &other[..]), (3, &one[..])] {
            table.push(owner, attributes, &mut limit).unwrap();
        }
        let of_one = table.of_owner(0);
        assert_eq!(of_one, table.of_owner(3));
        assert_eq!(of_one.len(), 3);
        assert_eq!(table.of_owner(1).len(), 2);
        assert!(table.of_owner(2).is_empty());
        let repeated = |key: &str, kind| {
            let mut columns = table.columns();
            let found = columns.find(|(name, column)| *name == key && column.kind == kind);
            found.unwrap().1.has_repeated_owner
        };
        assert!(repeated("a", ValueKind::Int));
        assert!(!repeated("b", ValueKind::String));
    }
}
