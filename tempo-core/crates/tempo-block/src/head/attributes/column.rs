//! The values of one type under one key.

use std::ops::Range;
use std::sync::Arc;

use tempo_model::proto::common::AnyValue;
use tempo_model::view::ValueView;

use super::Successors;
use crate::head::intern::{Coded, Words};
use crate::schema::ValueKind;
use crate::schema::value;

/// The values of one type under one key. An owner that has the key twice has two entries.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(super) key: u32,
    pub(crate) kind: ValueKind,
    /// The owner of each value, ascending.
    pub(crate) owners: Vec<u32>,
    pub(crate) values: ColumnValues,
    /// Columns that came next in a list lately.
    pub(super) next: Successors,
    /// Whether some owner has the key twice with this type.
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

impl Column {
    pub(super) fn new(key: u32, kind: ValueKind) -> Self {
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

    pub(crate) fn push(&mut self, owner: u32, value: ValueView<'_>) {
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

    /// Adds what the first `owners` of `other`, a column of the same type, have; here they are numbered from `base`.
    pub(super) fn extend(&mut self, other: &Self, base: u32, owners: u32) {
        let count = other.owners.partition_point(|owner| *owner < owners);
        let added = other.owners.iter().take(count);
        self.owners.extend(added.map(|owner| base + owner));
        self.has_repeated_owner |= other.has_repeated_owner;
        match (&mut self.values, &other.values) {
            (ColumnValues::Int(own), ColumnValues::Int(other)) => own.extend(other.iter().take(count)),
            (ColumnValues::Double(own), ColumnValues::Double(other)) => own.extend(other.iter().take(count)),
            (ColumnValues::Bool(own), ColumnValues::Bool(other)) => own.extend(other.iter().take(count)),
            (ColumnValues::Coded(own), ColumnValues::Coded(other)) => own.extend(other, count),
            _ => {}
        }
    }

    /// Which entries are an owner's.
    pub(crate) fn entries_of(&self, owner: u32) -> Range<usize> {
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
    pub(super) fn value(&self, index: usize) -> AnyValue {
        // Nested values were walked to their ends when the record was validated.
        value::owned(self.view(index)).unwrap_or_default()
    }

    pub(super) fn seal(&mut self) {
        self.owners.shrink_to_fit();
        match &mut self.values {
            ColumnValues::Int(values) => values.shrink_to_fit(),
            ColumnValues::Double(values) => values.shrink_to_fit(),
            ColumnValues::Bool(values) => values.shrink_to_fit(),
            ColumnValues::Coded(values) => values.seal(),
            ColumnValues::Empty => {}
        }
    }

    pub(super) fn memory(&self) -> usize {
        let values = match &self.values {
            ColumnValues::Int(values) => 8 * values.capacity(),
            ColumnValues::Double(values) => 8 * values.capacity(),
            ColumnValues::Bool(values) => values.capacity(),
            ColumnValues::Coded(values) => values.memory(),
            ColumnValues::Empty => 0,
        };
        size_of::<Self>() + 4 * self.owners.capacity() + values
    }
}
