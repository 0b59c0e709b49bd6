//! Decoded leaves as columns for the evaluator: which rows have a value, and the values. `None` is for leaves of other
//! types than the format's.

use arrow::array::{Array, ArrowPrimitiveType};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, UInt64Type};
use tempo_traceql::columns::{Column, Field, Part, Rows, Selection, Values};

use super::arrays::{Texts, binary, booleans, fixed, numbers};
use super::leaf::Leaf;
use crate::head::right_aligned;
use crate::schema::ValueKind;

/// A column of one part.
pub(super) fn column(rows: Rows, values: Values) -> Column {
    Column {
        parts: vec![Part {
            rows,
            values,
            array: false,
        }],
    }
}

/// The column of a field that has a leaf to itself.
pub(super) fn of_field(field: &Field, leaf: &Leaf, selection: Selection<'_>) -> Option<Column> {
    if matches!(
        field,
        Field::EventName | Field::EventTimeSinceStart | Field::LinkTraceId | Field::LinkSpanId
    ) {
        return of_entries(field, leaf, selection);
    }
    let chosen = Chosen::new(selection, leaf.values.nulls());
    let values = match field {
        Field::Start => Values::Int(
            chosen.map(numbers::<UInt64Type>(&leaf.values)?.values(), |start| {
                start as i64
            }),
        ),
        Field::Duration => {
            Values::Duration(chosen.map(numbers::<Int64Type>(&leaf.values)?.values(), |nanos| nanos))
        }
        Field::Status => return statuses(leaf, selection),
        Field::Kind => Values::Kind(chosen.map(numbers::<Int32Type>(&leaf.values)?.values(), small)),
        Field::SpanId => Values::SpanId(span_ids(leaf, &chosen)?),
        _ => texts(&Texts::new(&leaf.values)?, &chosen),
    };
    Some(column(chosen.rows, values))
}

/// The column of an attribute's values of one type.
pub(super) fn of_attribute(kind: ValueKind, leaf: &Leaf, selection: Selection<'_>) -> Option<Column> {
    let chosen = Chosen::new(selection, leaf.values.nulls());
    let values = match kind {
        ValueKind::Int => {
            Values::Int(chosen.map(numbers::<Int64Type>(&leaf.values)?.values(), |number| number))
        }
        ValueKind::Double => {
            Values::Float(chosen.map(numbers::<Float64Type>(&leaf.values)?.values(), |number| number))
        }
        ValueKind::Bool => {
            let values = booleans(&leaf.values)?.values();
            Values::Bool(chosen.each(leaf.values.len(), |row| values.value(row)))
        }
        _ => texts(&Texts::new(&leaf.values)?, &chosen),
    };
    Some(column(chosen.rows, values))
}

/// A span without a status is unset.
fn statuses(leaf: &Leaf, selection: Selection<'_>) -> Option<Column> {
    let codes = numbers::<Int32Type>(&leaf.values)?;
    let chosen = Chosen::new(selection, None);
    let status = |row| {
        if codes.is_valid(row) {
            small(codes.value(row))
        } else {
            0
        }
    };
    let values = Values::Status(chosen.each(codes.len(), status));
    Some(column(chosen.rows, values))
}

/// A code of OTLP; those that cannot be one count as unset.
fn small(code: i32) -> u8 {
    u8::try_from(code).unwrap_or_default()
}

fn span_ids(leaf: &Leaf, chosen: &Chosen) -> Option<Vec<[u8; 8]>> {
    let ids = fixed(&leaf.values)?;
    let (ids, rest) = ids.value_data().as_chunks::<8>();
    (rest.is_empty() && ids.len() == leaf.values.len()).then(|| chosen.map(ids, |id| id))
}

fn texts(texts: &Texts, chosen: &Chosen) -> Values {
    Values::String {
        codes: chosen.map(texts.keys().values(), |key| key as u32),
        dictionary: texts.shared_dictionary(),
    }
}

/// One value for each event or link.
fn of_entries(field: &Field, leaf: &Leaf, selection: Selection<'_>) -> Option<Column> {
    let offsets = leaf.offsets.first()?;
    let mut rows = Vec::new();
    let mut places = Vec::new();
    let mut add = |row: u32| {
        let bounds = offsets.get(row as usize).zip(offsets.get(row as usize + 1));
        for place in bounds.map_or(0..0, |(start, end)| *start..*end) {
            rows.push(row);
            places.push(place as u32);
        }
    };
    match selection {
        Selection::All => (0..offsets.len().saturating_sub(1) as u32).for_each(&mut add),
        Selection::Rows(rows) => rows.iter().copied().for_each(&mut add),
    }
    let chosen = Chosen {
        rows: Rows::Sparse(rows),
        indexes: Some(places),
    };
    let values = match field {
        Field::EventTimeSinceStart => {
            Values::Duration(chosen.map(numbers::<Int64Type>(&leaf.values)?.values(), |nanos| nanos))
        }
        Field::LinkTraceId => Values::TraceId(ids(leaf, &chosen)?),
        Field::LinkSpanId => Values::SpanId(ids(leaf, &chosen)?),
        _ => texts(&Texts::new(&leaf.values)?, &chosen),
    };
    Some(column(chosen.rows, values))
}

/// Ids of links, which may be of any length.
fn ids<const N: usize>(leaf: &Leaf, chosen: &Chosen) -> Option<Vec<[u8; N]>> {
    let ids = binary(&leaf.values)?;
    let id = |place: &u32| {
        let place = *place as usize;
        right_aligned(if place < ids.len() { ids.value(place) } else { &[] })
    };
    Some(chosen.indexes.iter().flatten().map(id).collect())
}

/// The values of a leaf that are wanted and there.
struct Chosen {
    rows: Rows,
    /// Their places in the leaf; `None` is all of them.
    indexes: Option<Vec<u32>>,
}

impl Chosen {
    fn new(selection: Selection<'_>, nulls: Option<&NullBuffer>) -> Self {
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        match (selection, nulls) {
            (Selection::All, None) => Self {
                rows: Rows::Dense,
                indexes: None,
            },
            (Selection::Rows(rows), None) => Self {
                rows: Rows::Dense,
                indexes: Some(rows.to_vec()),
            },
            (Selection::All, Some(nulls)) => {
                let mut rows = Vec::with_capacity(nulls.len() - nulls.null_count());
                for (start, end) in nulls.valid_slices() {
                    rows.extend(start as u32..end as u32);
                }
                Self::sparse(rows)
            }
            (Selection::Rows(rows), Some(nulls)) => {
                let is_there = |row: &u32| (*row as usize) < nulls.len() && nulls.is_valid(*row as usize);
                Self::sparse(rows.iter().copied().filter(is_there).collect())
            }
        }
    }

    fn sparse(rows: Vec<u32>) -> Self {
        Self {
            rows: Rows::Sparse(rows.clone()),
            indexes: Some(rows),
        }
    }

    /// The chosen ones of `values`.
    fn map<T: Copy, U: Default>(&self, values: &[T], make: impl Fn(T) -> U) -> Vec<U> {
        match &self.indexes {
            None => values.iter().copied().map(make).collect(),
            Some(indexes) => {
                let value = |index: &u32| values.get(*index as usize).copied();
                indexes
                    .iter()
                    .map(|index| value(index).map(&make).unwrap_or_default())
                    .collect()
            }
        }
    }

    /// `make` of the chosen ones of `count` places.
    fn each<U: Default>(&self, count: usize, make: impl Fn(usize) -> U) -> Vec<U> {
        let checked = |place: usize| if place < count { make(place) } else { U::default() };
        match &self.indexes {
            None => (0..count).map(make).collect(),
            Some(indexes) => indexes.iter().map(|index| checked(*index as usize)).collect(),
        }
    }
}

/// The values of a leaf of numbers, dense.
pub(super) fn all<T: ArrowPrimitiveType>(leaf: &Leaf) -> Option<&[T::Native]> {
    let array = numbers::<T>(&leaf.values)?;
    (array.null_count() == 0).then(|| &array.values()[..])
}
