//! Requests of all kinds that OTLP allows, and a form in which they can be compared.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use tempo_block::schema::ValueKind;
use tempo_block::schema::value::to_text;
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status, span};
use tempo_model::view::AttributeView;

/// A request with these spans, of a resource and a scope that say nothing.
pub(crate) fn of_spans(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,2}", "\\PC{0,6}", Just("a\u{0}b".to_owned())]
}

fn key() -> impl Strategy<Value = String> {
    let long = "k".repeat(200);
    prop_oneof![
        6 => "[abA]",
        1 => prop::sample::select(vec!["", "service.name", "userId", "userid", "a\u{1}", "ключ", "a:int", "\""]).prop_map(str::to_owned),
        1 => Just(long),
    ]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let scalar = prop_oneof![
        3 => text().prop_map(Value::StringValue),
        2 => prop_oneof![Just(200), Just(-1), any::<i64>()].prop_map(Value::IntValue),
        1 => prop_oneof![Just(0.5), Just(-0.0), any::<f64>()].prop_map(Value::DoubleValue),
        1 => any::<bool>().prop_map(Value::BoolValue),
        1 => vec(any::<u8>(), 0..4).prop_map(Value::BytesValue),
    ];
    let optional = prop::option::weighted(0.9, scalar);
    let leaf = optional.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(2, 8, 3, |inner| {
        let pair = (key(), inner.clone()).prop_map(|(key, value)| KeyValue {
            key,
            value: Some(value),
        });
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pair, 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (key(), value()).prop_map(|(key, value)| KeyValue {
        key,
        value: Some(value),
    });
    vec(attribute, 0..4)
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(0), 1 => any::<u32>()]
}

fn time() -> impl Strategy<Value = u64> {
    const NOW: u64 = 1_700_000_000_000_000_000;
    prop_oneof![6 => NOW..NOW + 10, 1 => Just(0), 1 => any::<u64>()]
}

fn event() -> impl Strategy<Value = span::Event> {
    (time(), text(), attributes(), count()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| span::Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = span::Link> {
    let ids = (vec(any::<u8>(), 0..18), vec(any::<u8>(), 0..10));
    (ids, text(), attributes(), count(), any::<u32>()).prop_map(
        |((trace_id, span_id), trace_state, attributes, dropped_attributes_count, flags)| span::Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

fn parent() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => Just(Vec::new()),
        6 => (1..8_u8).prop_map(|id| vec![id; 8]),
        1 => Just(vec![0; 8]),
        1 => vec(any::<u8>(), 0..20),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (
        (1..4_u8).prop_map(|id| vec![id; 16]),
        (1..7_u8).prop_map(|id| vec![id; 8]),
        parent(),
    );
    let status = prop::option::of(
        (text(), prop_oneof![0..3, any::<i32>()]).prop_map(|(message, code)| Status { message, code }),
    );
    let texts = (text(), text());
    let dropped = (count(), count(), count());
    let lists = (attributes(), vec(event(), 0..3), vec(link(), 0..3));
    let numbers = (prop_oneof![0..6, any::<i32>()], any::<u32>());
    (ids, texts, (time(), time()), numbers, status, lists, dropped).prop_map(
        |(
            (trace_id, span_id, parent_span_id),
            (name, trace_state),
            times,
            (kind, flags),
            status,
            lists,
            dropped,
        )| Span {
            trace_id,
            span_id,
            parent_span_id,
            name,
            trace_state,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            kind,
            flags,
            status,
            attributes: lists.0,
            events: lists.1,
            links: lists.2,
            dropped_attributes_count: dropped.0,
            dropped_events_count: dropped.1,
            dropped_links_count: dropped.2,
        },
    )
}

fn scope_spans() -> impl Strategy<Value = ScopeSpans> {
    let scope = (text(), text(), attributes(), count()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    );
    (prop::option::of(scope), vec(span(), 0..5), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
        scope,
        spans,
        schema_url,
    })
}

fn resource_spans() -> impl Strategy<Value = ResourceSpans> {
    let resource = (attributes(), count()).prop_map(|(attributes, dropped_attributes_count)| Resource {
        attributes,
        dropped_attributes_count,
    });
    (prop::option::of(resource), vec(scope_spans(), 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        },
    )
}

/// Any request.
pub(crate) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    vec(resource_spans(), 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

/// Each span by itself, encoded, in no particular order: what must come back. Attributes are ordered by key and type.
pub(crate) fn comparable(request: &ExportTraceServiceRequest) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for resource_spans in &request.resource_spans {
        for scope_spans in &resource_spans.scope_spans {
            let mut resource = resource_spans.resource.clone().unwrap_or_default();
            let mut scope = scope_spans.scope.clone().unwrap_or_default();
            sort(&mut resource.attributes);
            sort(&mut scope.attributes);
            for span in &scope_spans.spans {
                let alone = ResourceSpans {
                    resource: Some(resource.clone()),
                    schema_url: resource_spans.schema_url.clone(),
                    scope_spans: vec![ScopeSpans {
                        scope: Some(scope.clone()),
                        schema_url: scope_spans.schema_url.clone(),
                        spans: vec![sorted(span.clone())],
                    }],
                };
                all.push(alone.encode_to_vec());
            }
        }
    }
    all.sort();
    all
}

fn sorted(mut span: Span) -> Span {
    sort(&mut span.attributes);
    span.events
        .iter_mut()
        .for_each(|event| sort(&mut event.attributes));
    span.links.iter_mut().for_each(|link| sort(&mut link.attributes));
    span
}

fn sort(attributes: &mut [KeyValue]) {
    attributes.sort_by_cached_key(|attribute| {
        let bytes = attribute.encode_to_vec();
        let view = AttributeView::read(&bytes).unwrap();
        // The text makes sure that what cannot be told apart is not compared by chance.
        assert!(to_text(view.value).is_ok());
        (attribute.key.clone(), ValueKind::of(&view.value))
    });
}
