//! Arrays and key-value lists as JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, ArrayValue, KeyValue, KeyValueList};

use super::{double_from_text, double_to_text};

/// The JSON of an array or a key-value list.
pub(super) fn to_text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::ArrayValue(array)) => elements(array),
        Some(Value::KvlistValue(list)) => pairs(list),
        _ => element(value),
    }
    .to_string()
}

fn elements(array: &ArrayValue) -> Json {
    array.values.iter().map(element).collect()
}

fn pairs(list: &KeyValueList) -> Json {
    let pair = |pair: &KeyValue| json!([pair.key, pair.value.as_ref().map_or(Json::Null, element)]);
    list.values.iter().map(pair).collect()
}

fn element(value: &AnyValue) -> Json {
    match &value.value {
        None => Json::Null,
        Some(Value::StringValue(text)) => json!(text),
        Some(Value::BoolValue(value)) => json!(value),
        Some(Value::IntValue(number)) => json!(number),
        Some(Value::DoubleValue(number)) => json!({"double": double_to_text(*number)}),
        Some(Value::BytesValue(bytes)) => json!({"bytes": BASE64_STANDARD.encode(bytes)}),
        Some(Value::ArrayValue(array)) => json!({"array": elements(array)}),
        Some(Value::KvlistValue(list)) => json!({"kvlist": pairs(list)}),
    }
}

/// The array of a JSON text.
pub(super) fn array(text: &str) -> Option<ArrayValue> {
    read_array(&serde_json::from_str(text).ok()?)
}

/// The key-value list of a JSON text.
pub(super) fn key_value_list(text: &str) -> Option<KeyValueList> {
    read_pairs(&serde_json::from_str(text).ok()?)
}

fn read_array(json: &Json) -> Option<ArrayValue> {
    let values = json.as_array()?.iter().map(read_element);
    Some(ArrayValue {
        values: values.collect::<Option<_>>()?,
    })
}

fn read_pairs(json: &Json) -> Option<KeyValueList> {
    let read_pair = |pair: &Json| match pair.as_array()?.as_slice() {
        [Json::String(key), value] => Some(KeyValue {
            key: key.clone(),
            value: Some(read_element(value)?),
        }),
        _ => None,
    };
    Some(KeyValueList {
        values: json.as_array()?.iter().map(read_pair).collect::<Option<_>>()?,
    })
}

fn read_element(json: &Json) -> Option<AnyValue> {
    let value = match json {
        Json::Null => return Some(AnyValue { value: None }),
        Json::String(text) => Value::StringValue(text.clone()),
        Json::Bool(value) => Value::BoolValue(*value),
        Json::Number(number) => Value::IntValue(number.as_i64()?),
        Json::Array(_) => return None,
        Json::Object(object) => {
            let (kind, inner) = object.iter().next()?;
            match kind.as_str() {
                "double" => Value::DoubleValue(double_from_text(inner.as_str()?)?),
                "bytes" => Value::BytesValue(BASE64_STANDARD.decode(inner.as_str()?).ok()?),
                "array" => Value::ArrayValue(read_array(inner)?),
                "kvlist" => Value::KvlistValue(read_pairs(inner)?),
                _ => return None,
            }
        }
    };
    Some(AnyValue { value: Some(value) })
}
