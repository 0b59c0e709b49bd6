//! Types of attribute values, and the text form that they have in overflow lists, where nothing of them is lost.
//!
//! | type | text |
//! |---|---|
//! | `string` | itself |
//! | `int` | decimal |
//! | `double` | shortest decimal that reads back the same; `Infinity`, `-Infinity`, `NaN`, `NaN:<16 hex digits>` for other bits |
//! | `bool` | `true`, `false` |
//! | `bytes` | base64 |
//! | `array` | JSON array of elements |
//! | `kvlist` | JSON array of `[key, element]`, as keys may repeat |
//! | `empty` | nothing |
//!
//! An element is a JSON string, integer or boolean, `null` for an empty value, or an object of one member:
//! `{"double": "1.5"}`, `{"bytes": "AAE="}`, `{"array": […]}`, `{"kvlist": […]}`.

mod nested;

use std::borrow::Cow;

use arrow::datatypes::DataType;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message;
use serde::{Deserialize, Serialize};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use tempo_model::view::{self, AttributeView, MAX_VALUE_DEPTH, ValueView};
use tempo_model::wire::WireError;

/// The type of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueKind {
    /// Text.
    String,
    /// 64 bits, signed.
    Int,
    /// 64 bits.
    Double,
    /// True or false.
    Bool,
    /// Bytes.
    Bytes,
    /// Values of any types.
    Array,
    /// Keys and values.
    #[serde(rename = "kvlist")]
    KeyValueList,
    /// No value is set.
    Empty,
}

impl ValueKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::String,
        Self::Int,
        Self::Double,
        Self::Bool,
        Self::Bytes,
        Self::Array,
        Self::KeyValueList,
        Self::Empty,
    ];

    /// The type of a value.
    pub fn of(value: &ValueView<'_>) -> Self {
        match value {
            ValueView::String(_) => Self::String,
            ValueView::Int(_) => Self::Int,
            ValueView::Double(_) => Self::Double,
            ValueView::Bool(_) => Self::Bool,
            ValueView::Bytes(_) => Self::Bytes,
            ValueView::Array(_) => Self::Array,
            ValueView::KeyValueList(_) => Self::KeyValueList,
            ValueView::Empty => Self::Empty,
        }
    }

    /// The name that it has in column names and overflow lists.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Double => "double",
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Array => "array",
            Self::KeyValueList => "kvlist",
            Self::Empty => "empty",
        }
    }

    /// The type of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether values of the type may have a column of their own.
    pub fn has_column(self) -> bool {
        matches!(self, Self::String | Self::Int | Self::Double | Self::Bool)
    }

    /// The type of a column of such values.
    pub fn column_type(self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Bool => DataType::Boolean,
            _ => super::text_type(),
        }
    }
}

/// A text that is not the form of a value.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not the text form of a value of type {}", kind.name())]
pub struct ValueError {
    /// The type that the value should have.
    pub kind: ValueKind,
    /// The text.
    pub text: String,
}

/// Text of bytes that should be UTF-8: what is not is replaced by U+FFFD, here as everywhere in the format.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The text form of a value.
pub fn to_text(value: ValueView<'_>) -> Result<String, WireError> {
    Ok(match value {
        ValueView::Empty => String::new(),
        ValueView::String(text) => text_of(text).into_owned(),
        ValueView::Bool(value) => value.to_string(),
        ValueView::Int(number) => number.to_string(),
        ValueView::Double(number) => double_to_text(number),
        ValueView::Bytes(bytes) => BASE64_STANDARD.encode(bytes),
        ValueView::Array(_) | ValueView::KeyValueList(_) => nested::to_text(&owned(value)?),
    })
}

/// The value of a text form; `None` inside is an empty value.
pub fn from_text(kind: ValueKind, text: &str) -> Result<AnyValue, ValueError> {
    let value = match kind {
        ValueKind::Empty => return Ok(AnyValue { value: None }),
        ValueKind::String => Some(Value::StringValue(text.to_owned())),
        ValueKind::Int => text.parse().ok().map(Value::IntValue),
        ValueKind::Double => double_from_text(text).map(Value::DoubleValue),
        ValueKind::Bool => text.parse().ok().map(Value::BoolValue),
        ValueKind::Bytes => BASE64_STANDARD.decode(text).ok().map(Value::BytesValue),
        ValueKind::Array => nested::array(text).map(Value::ArrayValue),
        ValueKind::KeyValueList => nested::key_value_list(text).map(Value::KvlistValue),
    };
    if value.is_none() {
        return Err(ValueError {
            kind,
            text: text.to_owned(),
        });
    }
    Ok(AnyValue { value })
}

/// Hands the value of a text form to `take`.
pub(crate) fn with_view<T>(
    kind: ValueKind,
    text: &str,
    take: impl FnOnce(ValueView<'_>) -> T,
) -> Result<T, ValueError> {
    if kind == ValueKind::String {
        return Ok(take(ValueView::String(text.as_bytes())));
    }
    Ok(match from_text(kind, text)?.value {
        None => take(ValueView::Empty),
        Some(Value::StringValue(text)) => take(ValueView::String(text.as_bytes())),
        Some(Value::IntValue(number)) => take(ValueView::Int(number)),
        Some(Value::DoubleValue(number)) => take(ValueView::Double(number)),
        Some(Value::BoolValue(value)) => take(ValueView::Bool(value)),
        Some(Value::BytesValue(bytes)) => take(ValueView::Bytes(&bytes)),
        Some(Value::ArrayValue(array)) => take(ValueView::Array(&array.encode_to_vec())),
        Some(Value::KvlistValue(list)) => take(ValueView::KeyValueList(&list.encode_to_vec())),
    })
}

/// The message of a value.
pub fn owned(value: ValueView<'_>) -> Result<AnyValue, WireError> {
    owned_at(value, 0)
}

/// The message of an attribute.
pub fn owned_attribute(attribute: &AttributeView<'_>) -> Result<KeyValue, WireError> {
    attribute_at(attribute, 0)
}

fn attribute_at(attribute: &AttributeView<'_>, depth: usize) -> Result<KeyValue, WireError> {
    Ok(KeyValue {
        key: text_of(attribute.key).into_owned(),
        value: Some(owned_at(attribute.value, depth)?),
    })
}

fn owned_at(value: ValueView<'_>, depth: usize) -> Result<AnyValue, WireError> {
    if depth > MAX_VALUE_DEPTH {
        return Err(WireError::TooDeep {
            limit: MAX_VALUE_DEPTH,
        });
    }
    let value = match value {
        ValueView::Empty => None,
        ValueView::String(text) => Some(Value::StringValue(text_of(text).into_owned())),
        ValueView::Bool(value) => Some(Value::BoolValue(value)),
        ValueView::Int(number) => Some(Value::IntValue(number)),
        ValueView::Double(number) => Some(Value::DoubleValue(number)),
        ValueView::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        ValueView::Array(array) => {
            let values = view::array_values(array).map(|value| owned_at(value?, depth + 1));
            Some(Value::ArrayValue(ArrayValue {
                values: values.collect::<Result<_, _>>()?,
            }))
        }
        ValueView::KeyValueList(list) => {
            let values = view::key_values(list).map(|pair| attribute_at(&pair?, depth + 1));
            Some(Value::KvlistValue(KeyValueList {
                values: values.collect::<Result<_, _>>()?,
            }))
        }
    };
    Ok(AnyValue { value })
}

fn double_to_text(number: f64) -> String {
    if number.to_bits() == f64::NAN.to_bits() {
        "NaN".to_owned()
    } else if number.is_nan() {
        format!("NaN:{:016x}", number.to_bits())
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{number:?}")
    }
}

fn double_from_text(text: &str) -> Option<f64> {
    match text.strip_prefix("NaN:") {
        Some(bits) => u64::from_str_radix(bits, 16).ok().map(f64::from_bits),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
