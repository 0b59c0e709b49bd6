//! Attributes of spans, resources, scopes, events and links.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use arrow::array::{Array, BooleanArray, PrimitiveArray};
use arrow::datatypes::{Float64Type, Int64Type};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_traceql::ast::Scope;

use super::segment::NOWHERE;
use super::{Broken, Decoded, broken};
use crate::head::attributes::AttributeTable;
use crate::head::attributes::column::{Column, ColumnValues};
use crate::head::intern::Coded;
use crate::read::parquet::arrays::{Texts, booleans, numbers};
use crate::read::parquet::file::LeafNumber;
use crate::read::parquet::leaf::Leaf;
use crate::schema::{ValueKind, value};

/// Attributes of a scope that has columns.
pub(super) struct Attributes<'a> {
    columns: Vec<(&'a str, AttributeValues<'a>)>,
    list: AttributeList<'a>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(decoded: &'a Decoded<'_>, scope: Scope) -> Result<Self, Broken> {
        let mut columns = Vec::new();
        for (place, column) in decoded.layout.file.contents.columns.iter().enumerate() {
            if column.scope == scope
                && let Some((leaf, kind)) = decoded.layout.column_at(place)
            {
                let leaf = decoded.leaves.get(&leaf);
                let values = leaf.and_then(|leaf| AttributeValues::new(kind, leaf));
                columns.push((column.key.as_str(), values.ok_or_else(|| broken(&column.name()))?));
            }
        }
        Ok(Self {
            columns,
            list: AttributeList::new(decoded, scope)?,
        })
    }

    /// The attributes of a row.
    pub(super) fn of(&self, row: usize) -> Result<Vec<KeyValue>, Broken> {
        let columns = self.columns.iter();
        let in_columns = columns.filter_map(|(key, values)| Some(key_value(key, values.get(row)?)));
        let mut attributes: Vec<KeyValue> = in_columns.collect();
        self.list.add(row, &mut attributes)?;
        Ok(attributes)
    }

    /// Adds the attributes of rows that have a place, as those of owners of that number.
    pub(super) fn fill(&self, places: &[u32], table: &mut AttributeTable) -> Result<(), Broken> {
        for (key, values) in &self.columns {
            let index = table.index_of(key.as_bytes(), values.kind());
            if let Some(column) = table.column_mut(index) {
                values.fill(places, column);
            }
        }
        self.list.fill(places, table)
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

/// The values of an attribute column.
enum AttributeValues<'a> {
    Text(Texts),
    Int(&'a PrimitiveArray<Int64Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Bool(&'a BooleanArray),
}

impl<'a> AttributeValues<'a> {
    fn new(kind: ValueKind, leaf: &'a Leaf) -> Option<Self> {
        Some(match kind {
            ValueKind::Int => Self::Int(numbers(&leaf.values)?),
            ValueKind::Double => Self::Double(numbers(&leaf.values)?),
            ValueKind::Bool => Self::Bool(booleans(&leaf.values)?),
            _ => Self::Text(Texts::new(&leaf.values)?),
        })
    }

    fn kind(&self) -> ValueKind {
        match self {
            Self::Text(_) => ValueKind::String,
            Self::Int(_) => ValueKind::Int,
            Self::Double(_) => ValueKind::Double,
            Self::Bool(_) => ValueKind::Bool,
        }
    }

    /// Fills a column of the same type that is empty yet.
    fn fill(&self, places: &[u32], column: &mut Column) {
        let (owners, values) = match self {
            Self::Text(texts) => {
                let (owners, codes) = taken(texts.keys(), places, |row| texts.keys().value(row) as u32);
                (owners, ColumnValues::Coded(Coded::of(texts.dictionary(), codes)))
            }
            Self::Int(values) => {
                let (owners, values) = taken(values, places, |row| values.value(row));
                (owners, ColumnValues::Int(values))
            }
            Self::Double(values) => {
                let (owners, values) = taken(values, places, |row| values.value(row));
                (owners, ColumnValues::Double(values))
            }
            Self::Bool(values) => {
                let (owners, values) = taken(values, places, |row| values.value(row));
                (owners, ColumnValues::Bool(values))
            }
        };
        column.owners = owners;
        column.values = values;
    }

    fn get(&self, row: usize) -> Option<Value> {
        Some(match self {
            Self::Text(texts) => Value::StringValue(texts.get(row)?.to_owned()),
            Self::Int(values) if values.is_valid(row) => Value::IntValue(values.value(row)),
            Self::Double(values) if values.is_valid(row) => Value::DoubleValue(values.value(row)),
            Self::Bool(values) if values.is_valid(row) => Value::BoolValue(values.value(row)),
            _ => return None,
        })
    }
}

/// The places of rows that have a value and a place, and those values.
fn taken<T>(array: &dyn Array, places: &[u32], value: impl Fn(usize) -> T) -> (Vec<u32>, Vec<T>) {
    let mut taken = (Vec::new(), Vec::new());
    let mut take = |row: usize| {
        if let Some(place) = places.get(row).filter(|place| **place != NOWHERE) {
            taken.0.push(*place);
            taken.1.push(value(row));
        }
    };
    match array.nulls() {
        Some(nulls) => nulls.valid_indices().for_each(&mut take),
        None => (0..array.len()).for_each(&mut take),
    }
    taken
}

/// Attributes in text form; `None` where nobody has any.
pub(super) struct AttributeList<'a>(Option<ListColumns<'a>>);

struct ListColumns<'a> {
    offsets: &'a [i32],
    keys: Texts,
    kinds: Texts,
    values: Texts,
}

impl ListColumns<'_> {
    fn key_and_kind(&self, place: usize) -> Option<(&str, ValueKind)> {
        let kind = self.kinds.get(place).and_then(ValueKind::parse)?;
        Some((self.keys.get(place)?, kind))
    }
}

impl<'a> AttributeList<'a> {
    /// The list of a scope; of events and links, owners are numbered through all rows.
    pub(super) fn new(decoded: &'a Decoded<'_>, scope: Scope) -> Result<Self, Broken> {
        let Some(list) = decoded.layout.list(scope) else {
            return Ok(Self(None));
        };
        let broken = || broken(&format!("attributes of {}", scope.name()));
        let leaf = |leaf: LeafNumber| decoded.leaves.get(&leaf).ok_or_else(broken);
        let texts = |number: LeafNumber| Texts::new(&leaf(number)?.values).ok_or_else(broken);
        Ok(Self(Some(ListColumns {
            offsets: leaf(list.key)?.offsets.last().ok_or_else(broken)?,
            keys: texts(list.key)?,
            kinds: texts(list.kind)?,
            values: texts(list.value)?,
        })))
    }

    /// The attributes of an owner.
    pub(super) fn of(&self, owner: usize) -> Result<Vec<KeyValue>, Broken> {
        let mut attributes = Vec::new();
        self.add(owner, &mut attributes)?;
        Ok(attributes)
    }

    fn add(&self, owner: usize, attributes: &mut Vec<KeyValue>) -> Result<(), Broken> {
        let Some(columns) = &self.0 else {
            return Ok(());
        };
        for place in elements(columns.offsets, owner) {
            let (Some((key, kind)), Some(text)) = (columns.key_and_kind(place), columns.values.get(place))
            else {
                return Err(broken("a list of attributes"));
            };
            attributes.push(KeyValue {
                key: key.to_owned(),
                value: Some(value::from_text(kind, text)?),
            });
        }
        Ok(())
    }

    /// Adds the attributes of owners that have a place, as those of owners of that number.
    pub(super) fn fill(&self, places: &[u32], table: &mut AttributeTable) -> Result<(), Broken> {
        let Some(columns) = &self.0 else {
            return Ok(());
        };
        let broken = || broken("a list of attributes");
        // By the codes of key and type: the type, and the column in the table.
        let mut known: HashMap<(u32, u32), (ValueKind, u32)> = HashMap::new();
        let kept = places.iter().enumerate().filter(|(_, place)| **place != NOWHERE);
        for (owner, place) in kept {
            for element in elements(columns.offsets, owner) {
                let codes = columns.keys.code(element).zip(columns.kinds.code(element));
                let (kind, index) = match known.entry(codes.ok_or_else(broken)?) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        let (key, kind) = columns.key_and_kind(element).ok_or_else(broken)?;
                        *new.insert((kind, table.index_of(key.as_bytes(), kind)))
                    }
                };
                let text = columns.values.get(element).ok_or_else(broken)?;
                if let Some(column) = table.column_mut(index) {
                    value::with_view(kind, text, |view| column.push(*place, view))?;
                }
            }
        }
        Ok(())
    }
}

/// The places of the elements of a list.
pub(super) fn elements(offsets: &[i32], owner: usize) -> Range<usize> {
    let bounds = offsets.get(owner).zip(offsets.get(owner + 1));
    bounds.map_or(0..0, |(start, end)| *start as usize..*end as usize)
}
