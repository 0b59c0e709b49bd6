//! OTLP/JSON is read as what it stands for, and nothing makes the reader panic.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tempo_model::json::otlp;
use tempo_model::proto::common::{AnyValue, KeyValue, any_value::Value};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::span::{Event, Link};
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};

use crate::arbitrary;

fn value(value: &AnyValue) -> Json {
    use base64::Engine as _;
    match &value.value {
        None => json!({}),
        Some(Value::StringValue(text)) => json!({"stringValue": text}),
        Some(Value::BoolValue(flag)) => json!({"boolValue": flag}),
        Some(Value::IntValue(number)) => json!({"intValue": number.to_string()}),
        Some(Value::DoubleValue(number)) if number.is_finite() => json!({"doubleValue": number}),
        Some(Value::DoubleValue(number)) => {
            json!({"doubleValue": if *number > 0.0 { "Infinity" } else { "-Infinity" }})
        }
        Some(Value::BytesValue(bytes)) => {
            json!({"bytesValue": base64::prelude::BASE64_STANDARD.encode(bytes)})
        }
        Some(Value::ArrayValue(array)) => {
            json!({"arrayValue": {"values": array.values.iter().map(self::value).collect::<Vec<_>>()}})
        }
        Some(Value::KvlistValue(list)) => json!({"kvlistValue": {"values": attributes(&list.values)}}),
    }
}

fn attributes(attributes: &[KeyValue]) -> Json {
    let pairs = attributes.iter().map(|attribute| match &attribute.value {
        Some(some) => json!({"key": attribute.key, "value": value(some)}),
        None => json!({"key": attribute.key}),
    });
    pairs.collect()
}

fn event(event: &Event) -> Json {
    json!({
        "timeUnixNano": event.time_unix_nano,
        "name": event.name,
        "attributes": attributes(&event.attributes),
        "droppedAttributesCount": event.dropped_attributes_count,
    })
}

fn link(link: &Link) -> Json {
    json!({
        "traceId": hex::encode(&link.trace_id),
        "spanId": hex::encode(&link.span_id),
        "traceState": link.trace_state,
        "attributes": attributes(&link.attributes),
        "droppedAttributesCount": link.dropped_attributes_count,
        "flags": link.flags,
    })
}

fn span(span: &Span) -> Json {
    let mut json = json!({
        "traceId": hex::encode(&span.trace_id),
        "spanId": hex::encode(&span.span_id),
        "parentSpanId": hex::encode(&span.parent_span_id),
        "traceState": span.trace_state,
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": span.start_time_unix_nano.to_string(),
        "endTimeUnixNano": span.end_time_unix_nano,
        "attributes": attributes(&span.attributes),
        "droppedAttributesCount": span.dropped_attributes_count,
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "droppedEventsCount": span.dropped_events_count,
        "links": span.links.iter().map(link).collect::<Vec<_>>(),
        "droppedLinksCount": span.dropped_links_count,
        "flags": span.flags,
    });
    if let Some(status) = &span.status {
        json["status"] = json!({"message": status.message, "code": status.code});
    }
    json
}

fn scope_spans(scope_spans: &ScopeSpans) -> Json {
    let mut json = json!({
        "spans": scope_spans.spans.iter().map(span).collect::<Vec<_>>(),
        "schemaUrl": scope_spans.schema_url,
    });
    if let Some(scope) = &scope_spans.scope {
        json["scope"] = json!({
            "name": scope.name,
            "version": scope.version,
            "attributes": attributes(&scope.attributes),
            "droppedAttributesCount": scope.dropped_attributes_count,
        });
    }
    json
}

fn resource(resource: &Resource) -> Json {
    json!({
        "attributes": attributes(&resource.attributes),
        "droppedAttributesCount": resource.dropped_attributes_count,
    })
}

fn resource_spans(resource_spans: &ResourceSpans) -> Json {
    let mut json = json!({
        "scopeSpans": resource_spans.scope_spans.iter().map(scope_spans).collect::<Vec<_>>(),
        "schemaUrl": resource_spans.schema_url,
    });
    if let Some(some) = &resource_spans.resource {
        json["resource"] = resource(some);
    }
    json
}

fn json(request: &ExportTraceServiceRequest) -> Json {
    json!({"resourceSpans": request.resource_spans.iter().map(resource_spans).collect::<Vec<_>>()})
}

proptest! {
    #[test]
    fn a_request_comes_back_from_json(request in arbitrary::request()) {
        let read = otlp::request(json(&request).to_string().as_bytes());
        prop_assert_eq!(read.unwrap(), request);
    }

    #[test]
    fn what_is_no_json_is_an_error(body in ".{0,100}") {
        let is_object = serde_json::from_str::<Json>(&body).is_ok_and(|json| json.is_object());
        prop_assert!(is_object || otlp::request(body.as_bytes()).is_err());
    }
}
