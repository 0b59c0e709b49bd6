//! Attributes of spans, resources, scopes, events and links.

use std::ops::Range;

use arrow::array::{Array, BooleanArray, PrimitiveArray};
use arrow::datatypes::{Float64Type, Int64Type};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_traceql::ast::Scope;

use super::{Broken, Decoded, broken};
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

/// Attributes in text form; `None` where nobody has any.
pub(super) struct AttributeList<'a>(Option<ListColumns<'a>>);

struct ListColumns<'a> {
    offsets: &'a [i32],
    keys: Texts,
    kinds: Texts,
    values: Texts,
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
            let kind = columns.kinds.get(place).and_then(ValueKind::parse);
            let (Some(key), Some(kind), Some(text)) =
                (columns.keys.get(place), kind, columns.values.get(place))
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
}

/// The places of the elements of a list.
pub(super) fn elements(offsets: &[i32], owner: usize) -> Range<usize> {
    let bounds = offsets.get(owner).zip(offsets.get(owner + 1));
    bounds.map_or(0..0, |(start, end)| *start as usize..*end as usize)
}
