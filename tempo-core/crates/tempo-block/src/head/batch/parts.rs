//! Values of one attribute, gathered by type into the parts of a column.

use std::sync::Arc;

use tempo_model::view::{self, ValueView};
use tempo_traceql::columns::{Column, Dictionary, Part, Rows, Values};

use super::dictionary::Chain;
use crate::schema::ValueKind;
use crate::schema::value::text_of;

/// Whom a value belongs to: the row, and which of its events or links.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owned {
    pub(super) row: u32,
    pub(super) entry: u32,
}

/// Values of one type.
#[derive(Debug, Default)]
pub(super) struct Typed<T> {
    rows: Vec<u32>,
    entries: Vec<u32>,
    values: Vec<T>,
}

impl<T> Typed<T> {
    pub(super) fn push(&mut self, owned: Owned, value: T) {
        self.rows.push(owned.row);
        self.entries.push(owned.entry);
        self.values.push(value);
    }

    fn push_all(&mut self, owned: Owned, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.push(owned, value));
    }

    fn part(self, kind: PartKind, values: impl FnOnce(Vec<T>) -> Values) -> Option<Part> {
        let rows = if kind.with_entries {
            Rows::Entries {
                rows: self.rows,
                entries: self.entries,
            }
        } else {
            Rows::Sparse(self.rows)
        };
        (!self.values.is_empty()).then(|| Part {
            rows,
            values: values(self.values),
            array: kind.array,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct PartKind {
    array: bool,
    with_entries: bool,
}

/// Values of all types.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) ints: Typed<i64>,
    pub(super) floats: Typed<f64>,
    pub(super) bools: Typed<bool>,
    /// Codes of `dictionary`.
    pub(super) strings: Typed<u32>,
    pub(super) dictionary: Chain,
}

impl Group {
    /// Adds the elements of a value; codes are moved up by `first_code`.
    pub(super) fn push(&mut self, owned: Owned, elements: &Elements, first_code: u32) {
        match elements {
            Elements::Int(values) => self.ints.push_all(owned, values.iter().copied()),
            Elements::Float(values) => self.floats.push_all(owned, values.iter().copied()),
            Elements::Bool(values) => self.bools.push_all(owned, values.iter().copied()),
            Elements::String(codes) => {
                let moved = codes.iter().map(|code| first_code + code);
                self.strings.push_all(owned, moved);
            }
        }
    }

    fn parts(self, kind: PartKind) -> impl Iterator<Item = Part> {
        let dictionary: Arc<dyn Dictionary> = self.dictionary.into_dictionary();
        let parts = [
            self.ints.part(kind, Values::Int),
            self.floats.part(kind, Values::Float),
            self.bools.part(kind, Values::Bool),
            self.strings
                .part(kind, |codes| Values::String { codes, dictionary }),
        ];
        parts.into_iter().flatten()
    }
}

/// The parts of a column.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) single: Group,
    pub(super) arrays: Group,
}

impl Parts {
    /// The column; with which event or link each value belongs to, if wanted.
    pub(super) fn into_column(self, with_entries: bool) -> Column {
        let single = PartKind {
            array: false,
            with_entries,
        };
        let arrays = PartKind {
            array: true,
            with_entries,
        };
        Column {
            parts: self
                .single
                .parts(single)
                .chain(self.arrays.parts(arrays))
                .collect(),
        }
    }
}

/// A value, or the elements of an array, of a type that TraceQL knows.
#[derive(Debug)]
pub(super) enum Elements {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    /// Places in a list of texts.
    String(Vec<u32>),
}

impl Elements {
    /// The elements of a value, its texts added to `texts`; `None` if TraceQL has no type for it.
    pub(super) fn of(value: ValueView<'_>, texts: &mut Vec<String>) -> Option<Self> {
        match value {
            ValueView::Array(array) => {
                let elements: Vec<ValueView<'_>> =
                    view::array_values(array).collect::<Result<_, _>>().ok()?;
                Self::of_one_type(&elements, texts)
            }
            single => Self::of_one_type(&[single], texts),
        }
    }

    fn of_one_type(values: &[ValueView<'_>], texts: &mut Vec<String>) -> Option<Self> {
        let kind = ValueKind::of(values.first()?);
        if !values.iter().all(|value| ValueKind::of(value) == kind) {
            return None;
        }
        let values = values.iter();
        Some(match kind {
            ValueKind::Int => Self::Int(values.filter_map(as_int).collect()),
            ValueKind::Double => Self::Float(values.filter_map(as_float).collect()),
            ValueKind::Bool => Self::Bool(values.filter_map(as_bool).collect()),
            ValueKind::String => {
                let first = texts.len() as u32;
                texts.extend(values.filter_map(as_text));
                Self::String((first..texts.len() as u32).collect())
            }
            ValueKind::Bytes | ValueKind::Array | ValueKind::KeyValueList | ValueKind::Empty => return None,
        })
    }
}

fn as_int(value: &ValueView<'_>) -> Option<i64> {
    match value {
        ValueView::Int(value) => Some(*value),
        _ => None,
    }
}

fn as_float(value: &ValueView<'_>) -> Option<f64> {
    match value {
        ValueView::Double(value) => Some(*value),
        _ => None,
    }
}

fn as_bool(value: &ValueView<'_>) -> Option<bool> {
    match value {
        ValueView::Bool(value) => Some(*value),
        _ => None,
    }
}

fn as_text(value: &ValueView<'_>) -> Option<String> {
    match value {
        ValueView::String(value) => Some(text_of(value).into_owned()),
        _ => None,
    }
}
