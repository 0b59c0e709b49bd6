//! Any request.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tempo_model::proto::common::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::span::{Event, Link};
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status};

fn text() -> impl Strategy<Value = String> {
    ".{0,8}"
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        // Not NaN: it does not equal itself.
        any::<f64>()
            .prop_filter("not NaN", |number| !number.is_nan())
            .prop_map(|number| Some(Value::DoubleValue(number))),
        vec(any::<u8>(), 0..6).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(key_value(inner), 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_value(value: impl Strategy<Value = AnyValue>) -> impl Strategy<Value = KeyValue> {
    (text(), option::of(value)).prop_map(|(key, value)| KeyValue { key, value })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(key_value(value()), 0..3)
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (
        any::<[u8; 16]>(),
        any::<[u8; 8]>(),
        text(),
        attributes(),
        any::<(u32, u32)>(),
    )
        .prop_map(
            |(trace_id, span_id, trace_state, attributes, (dropped_attributes_count, flags))| Link {
                trace_id: trace_id.to_vec(),
                span_id: span_id.to_vec(),
                trace_state,
                attributes,
                dropped_attributes_count,
                flags,
            },
        )
}

fn status() -> impl Strategy<Value = Status> {
    (text(), 0..3).prop_map(|(message, code)| Status { message, code })
}

fn span() -> impl Strategy<Value = Span> {
    // Few traces, so that spans of one meet.
    let ids = (
        0..4_u8,
        any::<[u8; 8]>(),
        option::of(any::<[u8; 8]>()),
        text(),
        text(),
    );
    let numbers = (0..6, any::<(u64, u64)>(), any::<(u32, u32, u32, u32)>());
    let parts = (
        attributes(),
        vec(event(), 0..3),
        vec(link(), 0..3),
        option::of(status()),
    );
    (ids, numbers, parts).prop_map(
        |(ids, (kind, times, counts), (attributes, events, links, status))| Span {
            trace_id: vec![ids.0; 16],
            span_id: ids.1.to_vec(),
            parent_span_id: ids.2.map(|id| id.to_vec()).unwrap_or_default(),
            trace_state: ids.3,
            name: ids.4,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes,
            dropped_attributes_count: counts.0,
            events,
            dropped_events_count: counts.1,
            links,
            dropped_links_count: counts.2,
            status,
            flags: counts.3,
        },
    )
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn scope_spans() -> impl Strategy<Value = ScopeSpans> {
    (option::of(scope()), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), any::<u32>()).prop_map(|(attributes, dropped_attributes_count)| Resource {
        attributes,
        dropped_attributes_count,
    })
}

pub(crate) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let resource_spans = (option::of(resource()), vec(scope_spans(), 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        },
    );
    vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}
