//! OTLP/JSON → messages.
//!
//! Source: the OTLP specification, "JSON Protobuf Encoding": lowerCamelCase names, ids as hex, 64-bit integers as
//! strings or numbers, enums as integers (names are taken too), unknown fields ignored.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::value::RawValue;

use crate::proto::common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value};
use crate::proto::resource::Resource;
use crate::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status, span};

/// Reads an OTLP/JSON `ExportTraceServiceRequest`.
pub fn request(body: &[u8]) -> Result<ExportTraceServiceRequest, serde_json::Error> {
    // Structs are also read from arrays, which no client means here.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(serde_json::Error::custom("expected an object"));
    }
    let request: JsonRequest = serde_json::from_slice(body)?;
    Ok(ExportTraceServiceRequest {
        resource_spans: request
            .resource_spans
            .into_iter()
            .map(ResourceSpans::from)
            .collect(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRequest {
    #[serde(default)]
    resource_spans: Vec<JsonResourceSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct JsonResourceSpans {
    resource: Option<JsonResource>,
    scope_spans: Vec<JsonScopeSpans>,
    schema_url: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonResource {
    attributes: Vec<JsonKeyValue>,
    dropped_attributes_count: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonScopeSpans {
    scope: Option<JsonScope>,
    spans: Vec<JsonSpan>,
    schema_url: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonScope {
    name: String,
    version: String,
    attributes: Vec<JsonKeyValue>,
    dropped_attributes_count: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonSpan {
    trace_id: Hex,
    span_id: Hex,
    trace_state: String,
    parent_span_id: Hex,
    name: String,
    #[serde(deserialize_with = "span_kind")]
    kind: i32,
    #[serde(deserialize_with = "unsigned")]
    start_time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    end_time_unix_nano: u64,
    attributes: Vec<JsonKeyValue>,
    dropped_attributes_count: u32,
    events: Vec<JsonEvent>,
    dropped_events_count: u32,
    links: Vec<JsonLink>,
    dropped_links_count: u32,
    status: Option<JsonStatus>,
    flags: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonEvent {
    #[serde(deserialize_with = "unsigned")]
    time_unix_nano: u64,
    name: String,
    attributes: Vec<JsonKeyValue>,
    dropped_attributes_count: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonLink {
    trace_id: Hex,
    span_id: Hex,
    trace_state: String,
    attributes: Vec<JsonKeyValue>,
    dropped_attributes_count: u32,
    flags: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonStatus {
    message: String,
    #[serde(deserialize_with = "status_code")]
    code: i32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonKeyValue {
    key: String,
    value: Option<JsonValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[allow(clippy::struct_field_names)] // The names of the specification.
struct JsonValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    #[serde(deserialize_with = "optional_signed")]
    int_value: Option<i64>,
    #[serde(deserialize_with = "optional_double")]
    double_value: Option<f64>,
    array_value: Option<JsonList<JsonValue>>,
    kvlist_value: Option<JsonList<JsonKeyValue>>,
    bytes_value: Option<Base64>,
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct JsonList<T> {
    #[serde(default = "Vec::new")]
    values: Vec<T>,
}

/// Bytes as hex digits.
#[derive(Default)]
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text)
            .map(Self)
            .map_err(|error| D::Error::custom(format!("id '{text}' is not hex: {error}")))
    }
}

/// Bytes as base64.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64_STANDARD
            .decode(&text)
            .map(Self)
            .map_err(|error| D::Error::custom(format!("bytesValue is not base64: {error}")))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText<N> {
    Number(N),
    Text(String),
}

fn parse<'de, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + std::str::FromStr,
{
    match NumberOrText::<N>::deserialize(deserializer)? {
        NumberOrText::Number(number) => Ok(number),
        NumberOrText::Text(text) => text
            .trim()
            .parse()
            .map_err(|_| D::Error::custom(format!("'{text}' is not a number in range"))),
    }
}

fn unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    parse(deserializer)
}

fn optional_signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    parse(deserializer).map(Some)
}

/// A double to its last bit: `serde_json` itself rounds by a bit in places, so that its text is read instead.
fn optional_double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let text = raw.get().trim_matches('"');
    match text {
        "null" => Ok(None),
        "NaN" => Ok(Some(f64::NAN)),
        "Infinity" => Ok(Some(f64::INFINITY)),
        "-Infinity" => Ok(Some(f64::NEG_INFINITY)),
        other => other
            .parse()
            .map(Some)
            .map_err(|_| D::Error::custom(format!("'{other}' is not a number"))),
    }
}

/// An enum value as a number, or as a name with its prefix.
fn enumeration<'de, D: Deserializer<'de>>(
    deserializer: D,
    prefix: &str,
    names: &[&str],
) -> Result<i32, D::Error> {
    match NumberOrText::<i32>::deserialize(deserializer)? {
        NumberOrText::Number(number) => Ok(number),
        NumberOrText::Text(text) => {
            let name = text.strip_prefix(prefix).unwrap_or(&text);
            let position = names.iter().position(|known| *known == name);
            position
                .map(|position| position as i32)
                .ok_or_else(|| D::Error::custom(format!("'{text}' is not known")))
        }
    }
}

fn span_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let names = [
        "UNSPECIFIED",
        "INTERNAL",
        "SERVER",
        "CLIENT",
        "PRODUCER",
        "CONSUMER",
    ];
    enumeration(deserializer, "SPAN_KIND_", &names)
}

fn status_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    enumeration(deserializer, "STATUS_CODE_", &["UNSET", "OK", "ERROR"])
}

impl From<JsonResourceSpans> for ResourceSpans {
    fn from(json: JsonResourceSpans) -> Self {
        Self {
            resource: json.resource.map(|resource| Resource {
                attributes: attributes(resource.attributes),
                dropped_attributes_count: resource.dropped_attributes_count,
            }),
            scope_spans: json.scope_spans.into_iter().map(ScopeSpans::from).collect(),
            schema_url: json.schema_url,
        }
    }
}

impl From<JsonScopeSpans> for ScopeSpans {
    fn from(json: JsonScopeSpans) -> Self {
        Self {
            scope: json.scope.map(|scope| InstrumentationScope {
                name: scope.name,
                version: scope.version,
                attributes: attributes(scope.attributes),
                dropped_attributes_count: scope.dropped_attributes_count,
            }),
            spans: json.spans.into_iter().map(Span::from).collect(),
            schema_url: json.schema_url,
        }
    }
}

impl From<JsonSpan> for Span {
    fn from(json: JsonSpan) -> Self {
        Self {
            trace_id: json.trace_id.0,
            span_id: json.span_id.0,
            trace_state: json.trace_state,
            parent_span_id: json.parent_span_id.0,
            name: json.name,
            kind: json.kind,
            start_time_unix_nano: json.start_time_unix_nano,
            end_time_unix_nano: json.end_time_unix_nano,
            attributes: attributes(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count,
            events: json.events.into_iter().map(span::Event::from).collect(),
            dropped_events_count: json.dropped_events_count,
            links: json.links.into_iter().map(span::Link::from).collect(),
            dropped_links_count: json.dropped_links_count,
            status: json.status.map(|status| Status {
                message: status.message,
                code: status.code,
            }),
            flags: json.flags,
        }
    }
}

impl From<JsonEvent> for span::Event {
    fn from(json: JsonEvent) -> Self {
        Self {
            time_unix_nano: json.time_unix_nano,
            name: json.name,
            attributes: attributes(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count,
        }
    }
}

impl From<JsonLink> for span::Link {
    fn from(json: JsonLink) -> Self {
        Self {
            trace_id: json.trace_id.0,
            span_id: json.span_id.0,
            trace_state: json.trace_state,
            attributes: attributes(json.attributes),
            dropped_attributes_count: json.dropped_attributes_count,
            flags: json.flags,
        }
    }
}

fn attributes(json: Vec<JsonKeyValue>) -> Vec<KeyValue> {
    json.into_iter()
        .map(|pair| KeyValue {
            key: pair.key,
            value: pair.value.map(AnyValue::from),
        })
        .collect()
}

impl From<JsonValue> for AnyValue {
    fn from(json: JsonValue) -> Self {
        use any_value::Value;
        let value = json
            .string_value
            .map(Value::StringValue)
            .or_else(|| json.bool_value.map(Value::BoolValue))
            .or_else(|| json.int_value.map(Value::IntValue))
            .or_else(|| json.double_value.map(Value::DoubleValue))
            .or_else(|| {
                json.array_value.map(|list| {
                    Value::ArrayValue(ArrayValue {
                        values: list.values.into_iter().map(Self::from).collect(),
                    })
                })
            })
            .or_else(|| {
                json.kvlist_value.map(|list| {
                    Value::KvlistValue(KeyValueList {
                        values: attributes(list.values),
                    })
                })
            })
            .or_else(|| json.bytes_value.map(|bytes| Value::BytesValue(bytes.0)));
        Self { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_forms_are_read() {
        let body = br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},
            "scopeSpans":[{"scope":{"name":"s"},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",
            "name":"n","kind":"SPAN_KIND_SERVER","startTimeUnixNano":"1700000000000000000","endTimeUnixNano":1700000000000000001,
            "attributes":[{"key":"i","value":{"intValue":"-5"}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true}]}}}],
            "status":{"code":2},"unknown":{"x":1}}]}]}]}"#;
        let request = request(body).unwrap();
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(span.kind, 2);
        assert_eq!(span.end_time_unix_nano, 1_700_000_000_000_000_001);
        assert_eq!(
            span.attributes[0].value.as_ref().unwrap().value,
            Some(any_value::Value::IntValue(-5))
        );
        assert_eq!(span.status.as_ref().unwrap().code, 2);
    }

    #[test]
    fn malformed_ids_and_numbers_are_errors() {
        for bad in [
            "{",
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#,
            r#"{"resourceSpans":3}"#,
        ] {
            assert!(request(bad.as_bytes()).is_err(), "{bad} was taken");
        }
    }
}
