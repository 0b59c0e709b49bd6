//! Attributes in lists: those without a column of their own, and those of events and links.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, ArrayValue};
use tempo_traceql::columns::{Column, Part, Rows, Selection, Values};

use super::arrays::Texts;
use super::leaf::Leaf;
use crate::schema::value::{self, ValueError, ValueKind};

/// Where the values of a key are.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The row of each value, ascending.
    rows: Vec<u32>,
    /// The event or link of each value within its row.
    entries: Vec<u32>,
    /// Its place in the leaves.
    elements: Vec<u32>,
    /// Whether the attributes are those of events or links.
    nested: bool,
}

impl Places {
    /// The places of `key` in the selected rows; `None` when `keys` is no leaf of an attribute list.
    pub(super) fn of(key: &str, keys: &Leaf, selection: Selection<'_>) -> Option<Self> {
        let texts = Texts::new(&keys.values)?;
        let codes: Vec<i32> = (0..)
            .zip(texts.dictionary())
            .filter(|(_, text)| *text == key)
            .map(|(code, _)| code)
            .collect();
        let mut found = Self {
            nested: keys.offsets.len() > 1,
            ..Self::default()
        };
        if codes.is_empty() {
            return Some(found);
        }
        let mut owners = Owners::new(keys, selection)?;
        for (place, code) in texts.keys().values().iter().enumerate() {
            if codes.contains(code)
                && let Some((row, entry)) = owners.of(place as u32)
            {
                found.rows.push(row);
                found.entries.push(entry);
                found.elements.push(place as u32);
            }
        }
        Some(found)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The column of the values; `None` when the leaves are not those of an attribute list.
    pub(super) fn column(&self, kinds: &Leaf, values: &Leaf) -> Option<Result<Column, ValueError>> {
        let (kinds, texts) = (Texts::new(&kinds.values)?, Texts::new(&values.values)?);
        let mut parts = Parts::default();
        for (index, place) in self.elements.iter().enumerate() {
            let kind = ValueKind::parse(kinds.get(*place as usize)?)?;
            let code = texts.code(*place as usize)?;
            if let Err(error) = parts.add(index, kind, code, &texts) {
                return Some(Err(error));
            }
        }
        Some(Ok(self.with_rows(parts, &texts)))
    }

    fn with_rows(&self, parts: Parts, texts: &Texts) -> Column {
        let part = |((_, array), collected): (PartKey, Collected)| {
            let pick = |of: &[u32]| -> Vec<u32> {
                collected
                    .indexes
                    .iter()
                    .filter_map(|index| of.get(*index).copied())
                    .collect()
            };
            let rows = pick(&self.rows);
            Part {
                rows: if self.nested {
                    Rows::Entries {
                        rows,
                        entries: pick(&self.entries),
                    }
                } else {
                    Rows::Sparse(rows)
                },
                values: collected.values.finish(texts),
                array,
            }
        };
        Column {
            parts: parts.0.into_iter().map(part).collect(),
        }
    }
}

/// Whom places in the innermost list belong to, asked in ascending order.
struct Owners<'a> {
    offsets: &'a [i32],
    /// Events or links of rows, where the list is theirs.
    outer: Option<&'a [i32]>,
    selection: Selection<'a>,
    owner: usize,
    row: usize,
    selected: usize,
}

impl<'a> Owners<'a> {
    fn new(leaf: &'a Leaf, selection: Selection<'a>) -> Option<Self> {
        let (offsets, outer) = match leaf.offsets.as_slice() {
            [offsets] => (offsets, None),
            [outer, offsets] => (offsets, Some(&outer[..])),
            _ => return None,
        };
        Some(Self {
            offsets: &offsets[..],
            outer,
            selection,
            owner: 0,
            row: 0,
            selected: 0,
        })
    }

    /// Row and event (link) of a place; `None` where the row is not selected.
    fn of(&mut self, place: u32) -> Option<(u32, u32)> {
        let end = |offsets: &[i32], list: usize| offsets.get(list + 1).copied();
        while end(self.offsets, self.owner)? <= place as i32 {
            self.owner += 1;
        }
        let (row, entry) = match self.outer {
            None => (self.owner, 0),
            Some(outer) => {
                while end(outer, self.row)? <= self.owner as i32 {
                    self.row += 1;
                }
                (self.row, self.owner.checked_sub(*outer.get(self.row)? as usize)?)
            }
        };
        self.is_selected(row as u32).then_some((row as u32, entry as u32))
    }

    fn is_selected(&mut self, row: u32) -> bool {
        let Selection::Rows(rows) = self.selection else {
            return true;
        };
        while rows.get(self.selected).is_some_and(|selected| *selected < row) {
            self.selected += 1;
        }
        rows.get(self.selected) == Some(&row)
    }
}

/// The type of a part, and whether its values are elements of arrays.
type PartKey = (ValueKind, bool);

/// Values by part.
#[derive(Default)]
struct Parts(BTreeMap<PartKey, Collected>);

/// Values of one type, with their indexes in [`Places`].
struct Collected {
    indexes: Vec<usize>,
    values: CollectedValues,
}

enum CollectedValues {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    /// Codes of the leaf's own dictionary.
    Codes(Vec<u32>),
    /// Elements of arrays.
    Texts(Vec<String>),
}

impl Parts {
    /// Adds the value of a text form. Values that TraceQL has no type for are left out.
    fn add(&mut self, index: usize, kind: ValueKind, code: u32, texts: &Texts) -> Result<(), ValueError> {
        if kind == ValueKind::String {
            if let CollectedValues::Codes(codes) = self.part(index, (kind, false)) {
                codes.push(code);
            }
            return Ok(());
        }
        let text = texts.text(code).unwrap_or_default();
        match value::from_text(kind, text)?.value {
            Some(Value::ArrayValue(array)) => self.add_array(index, array),
            Some(single) => self.add_value(index, single, false),
            None => {}
        }
        Ok(())
    }

    fn add_array(&mut self, index: usize, array: ArrayValue) {
        let kind = |element: &AnyValue| element.value.as_ref().map(std::mem::discriminant);
        let first = array.values.first().map(kind);
        if array.values.iter().any(|element| Some(kind(element)) != first) {
            return;
        }
        for element in array.values.into_iter().filter_map(|element| element.value) {
            self.add_value(index, element, true);
        }
    }

    fn add_value(&mut self, index: usize, value: Value, array: bool) {
        let kind = match value {
            Value::IntValue(_) => ValueKind::Int,
            Value::DoubleValue(_) => ValueKind::Double,
            Value::BoolValue(_) => ValueKind::Bool,
            Value::StringValue(_) => ValueKind::String,
            Value::BytesValue(_) | Value::ArrayValue(_) | Value::KvlistValue(_) => return,
        };
        match (self.part(index, (kind, array)), value) {
            (CollectedValues::Int(values), Value::IntValue(number)) => values.push(number),
            (CollectedValues::Float(values), Value::DoubleValue(number)) => values.push(number),
            (CollectedValues::Bool(values), Value::BoolValue(truth)) => values.push(truth),
            (CollectedValues::Texts(values), Value::StringValue(text)) => values.push(text),
            _ => {}
        }
    }

    /// The values of a part, to which one of `index` is about to be added.
    fn part(&mut self, index: usize, key: PartKey) -> &mut CollectedValues {
        let empty = || Collected {
            indexes: Vec::new(),
            values: match key {
                (ValueKind::Int, _) => CollectedValues::Int(Vec::new()),
                (ValueKind::Double, _) => CollectedValues::Float(Vec::new()),
                (ValueKind::Bool, _) => CollectedValues::Bool(Vec::new()),
                (_, true) => CollectedValues::Texts(Vec::new()),
                (_, false) => CollectedValues::Codes(Vec::new()),
            },
        };
        let part = self.0.entry(key).or_insert_with(empty);
        part.indexes.push(index);
        &mut part.values
    }
}

impl CollectedValues {
    fn finish(self, texts: &Texts) -> Values {
        match self {
            Self::Int(values) => Values::Int(values),
            Self::Float(values) => Values::Float(values),
            Self::Bool(values) => Values::Bool(values),
            Self::Codes(codes) => Values::String {
                codes,
                dictionary: texts.shared_dictionary(),
            },
            Self::Texts(texts) => Values::String {
                codes: (0..texts.len() as u32).collect(),
                dictionary: Arc::new(texts),
            },
        }
    }
}
