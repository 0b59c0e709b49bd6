//! Whether a row group may have a span that satisfies a condition: by minimum and maximum of its columns, and by the
//! dictionary pages of those that are loaded.

use std::sync::Arc;

use arrow::array::StringArray;
use memchr::memmem;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use tempo_traceql::ast::{Attribute, Intrinsic, Operator, Scope, Static};
use tempo_traceql::columns::{Condition, Dictionary, Field};
use tempo_traceql::text::TextTest;

use super::arrays::TextDictionary;
use super::file::{LeafNumber, is_all_dictionary};
use super::flat::Words;
use super::row_group::ParquetRowGroup;
use crate::schema::ValueKind;

/// Whether a span of the row group may satisfy the condition.
pub(super) fn may_match(group: &ParquetRowGroup, condition: &Condition) -> bool {
    match &condition.attribute {
        Attribute::Scoped(scope, key) => attribute(group, *scope, key, condition),
        Attribute::Unscoped(key) => [Scope::Span, Scope::Resource]
            .into_iter()
            .any(|scope| attribute(group, scope, key, condition)),
        Attribute::Intrinsic(intrinsic) => {
            field_of(*intrinsic).is_none_or(|field| intrinsic_field(group, &field, condition))
        }
        Attribute::Parent(_) => true,
    }
}

/// The intrinsics that are looked at: those of spans that have a leaf.
fn field_of(intrinsic: Intrinsic) -> Option<Field> {
    Some(match intrinsic {
        Intrinsic::Duration => Field::Duration,
        Intrinsic::Name => Field::Name,
        Intrinsic::Status => Field::Status,
        Intrinsic::StatusMessage => Field::StatusMessage,
        Intrinsic::Kind => Field::Kind,
        Intrinsic::EventName => Field::EventName,
        Intrinsic::InstrumentationName => Field::InstrumentationName,
        Intrinsic::InstrumentationVersion => Field::InstrumentationVersion,
        _ => return None,
    })
}

fn intrinsic_field(group: &ParquetRowGroup, field: &Field, condition: &Condition) -> bool {
    let Some(leaf) = group.layout().leaf_of(field) else {
        // No span has an event: nothing to satisfy a condition.
        return !matches!(field, Field::EventName);
    };
    match (&condition.operand, field) {
        (Static::String(_), _) => may_hold_text(group, leaf, condition),
        (Static::Status(status), Field::Status) => {
            may_hold_code(group, leaf, condition.operator, *status as i32)
        }
        (Static::Kind(kind), Field::Kind) => may_hold_code(group, leaf, condition.operator, *kind as i32),
        (operand, Field::Duration) => operand
            .as_number()
            .is_none_or(|operand| may_hold_number(group, leaf, condition.operator, operand)),
        _ => true,
    }
}

/// Statuses and kinds. Zero is also what is absent, and codes that cannot be any.
fn may_hold_code(group: &ParquetRowGroup, leaf: LeafNumber, operator: Operator, code: i32) -> bool {
    let is_told = code != 0 && operator == Operator::Equal;
    !is_told || may_hold_number(group, leaf, operator, f64::from(code))
}

fn attribute(group: &ParquetRowGroup, scope: Scope, key: &str, condition: &Condition) -> bool {
    let columns = group.layout().columns_of(scope, key);
    columns
        .into_iter()
        .any(|(leaf, kind)| may_hold(group, leaf, kind, condition))
        || may_be_listed(group, scope, key) && may_list(group, scope, condition)
}

/// Whether a column of one type may hold a value that satisfies the condition.
fn may_hold(group: &ParquetRowGroup, leaf: LeafNumber, kind: ValueKind, condition: &Condition) -> bool {
    match (&condition.operand, kind) {
        (Static::Nil, _) => true,
        (Static::String(_), ValueKind::String) => may_hold_text(group, leaf, condition),
        (Static::Bool(truth), ValueKind::Bool) => {
            condition.operator != Operator::Equal || may_hold_bool(group, leaf, *truth)
        }
        (operand, ValueKind::Int | ValueKind::Double) => operand
            .as_number()
            .is_some_and(|operand| may_hold_number(group, leaf, condition.operator, operand)),
        _ => false,
    }
}

/// Whether an attribute list may have the key. Its values are not looked at.
fn may_be_listed(group: &ParquetRowGroup, scope: Scope, key: &str) -> bool {
    let Some(list) = group.layout().list(scope) else {
        return false;
    };
    match words(group, list.key).as_deref() {
        Some(Words::Text(keys)) => keys.iter().flatten().any(|text| text == key),
        _ => true,
    }
}

fn may_hold_text(group: &ParquetRowGroup, leaf: LeafNumber, condition: &Condition) -> bool {
    let bounded = match (&condition.operator, &condition.operand) {
        (Operator::Equal, Static::String(operand)) => is_within(group, leaf, operand.as_bytes()),
        _ => true,
    };
    if !bounded {
        return false;
    }
    let Some((words, test)) = words(group, leaf).zip(condition.text_test()) else {
        return true;
    };
    let Words::Text(texts) = &*words else {
        return true;
    };
    may_satisfy(texts, &test)
}

/// Whether an attribute list may have a text that satisfies the condition, of whatever key.
fn may_list(group: &ParquetRowGroup, scope: Scope, condition: &Condition) -> bool {
    let list = group.layout().list(scope);
    let Some((list, test)) = list.zip(condition.text_test()) else {
        return true;
    };
    let (kinds, values) = (words(group, list.kind), words(group, list.value));
    match (kinds.as_deref(), values.as_deref()) {
        // The texts of arrays are not those of their elements.
        (Some(Words::Text(kinds)), Some(Words::Text(values))) => {
            kinds.iter().flatten().any(|kind| kind == ValueKind::Array.name()) || may_satisfy(values, &test)
        }
        _ => true,
    }
}

/// Whether one of the texts passes a test.
fn may_satisfy(texts: &StringArray, test: &TextTest) -> bool {
    // One search through all texts at once, and mostly the last.
    let has_needle = |needle: &str| memmem::find(texts.value_data(), needle.as_bytes()).is_some();
    test.needle().is_none_or(has_needle) && texts.iter().flatten().any(|text| test.is_satisfied_by(text))
}

/// All values of a field where they are the texts of one dictionary.
pub(super) fn all_texts(group: &ParquetRowGroup, field: &Field) -> Option<Arc<dyn Dictionary>> {
    let leaf = match field {
        Field::Attribute(scope, key) => {
            if may_be_listed(group, *scope, key) {
                return None;
            }
            match group.layout().columns_of(*scope, key).as_slice() {
                [] => return Some(Arc::new(Vec::<String>::new())),
                [(leaf, ValueKind::String)] => *leaf,
                _ => return None,
            }
        }
        Field::Name => group.layout().leaf_of(field)?,
        _ => return None,
    };
    match &*words(group, leaf)? {
        Words::Text(texts) => Some(Arc::new(TextDictionary::new(texts))),
        Words::Fixed(_) => None,
    }
}

/// All texts of a leaf; `None` where they cannot be told.
fn words(group: &ParquetRowGroup, leaf: LeafNumber) -> Option<Arc<Words>> {
    if !is_all_dictionary(chunk_metadata(group, leaf)?) {
        return None;
    }
    // What is wrong with the dictionary is told by evaluation.
    group.words(leaf).ok()?
}

fn chunk_metadata(group: &ParquetRowGroup, leaf: LeafNumber) -> Option<&ColumnChunkMetaData> {
    let layout = group.layout();
    let (metadata, _) = layout.file.row_group(layout.row_group).ok()?;
    metadata.columns().get(leaf)
}

fn statistics(group: &ParquetRowGroup, leaf: LeafNumber) -> Option<&Statistics> {
    chunk_metadata(group, leaf)?.statistics()
}

/// Whether a text lies between a leaf's smallest and largest; `true` where they are not known.
fn is_within(group: &ParquetRowGroup, leaf: LeafNumber, text: &[u8]) -> bool {
    let Some(statistics) = statistics(group, leaf) else {
        return true;
    };
    statistics.min_bytes_opt().is_none_or(|min| min <= text)
        && statistics
            .max_bytes_opt()
            .is_none_or(|max| text <= max || !statistics.max_is_exact())
}

fn may_hold_bool(group: &ParquetRowGroup, leaf: LeafNumber, truth: bool) -> bool {
    match statistics(group, leaf) {
        Some(Statistics::Boolean(values)) => {
            let bounds = values.min_opt().zip(values.max_opt());
            bounds.is_none_or(|(min, max)| (*min..=*max).contains(&truth))
        }
        _ => true,
    }
}

/// Whether a number of a leaf may compare so with `operand`. Numbers are compared as floats, which keep the order of
/// integers but may take neighbours for equal.
fn may_hold_number(group: &ParquetRowGroup, leaf: LeafNumber, operator: Operator, operand: f64) -> bool {
    let Some((min, max)) = statistics(group, leaf).and_then(bounds) else {
        return true;
    };
    match operator {
        Operator::Equal => min <= operand && operand <= max,
        Operator::Less | Operator::LessEqual => min <= operand,
        Operator::Greater | Operator::GreaterEqual => max >= operand,
        _ => true,
    }
}

fn bounds(statistics: &Statistics) -> Option<(f64, f64)> {
    match statistics {
        Statistics::Int32(values) => Some((f64::from(*values.min_opt()?), f64::from(*values.max_opt()?))),
        Statistics::Int64(values) => Some((*values.min_opt()? as f64, *values.max_opt()? as f64)),
        Statistics::Double(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}
