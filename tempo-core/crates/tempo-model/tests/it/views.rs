//! Views say what prost says, and nothing makes them panic.

use proptest::prelude::*;
use prost::Message;
use tempo_model::proto::common::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::span::{Event, Link};
use tempo_model::proto::trace::{ExportTraceServiceRequest, Span, Status};
use tempo_model::validate;
use tempo_model::view::{self, AttributeView, EventView, LinkView, ScopeView, SpanView, ValueView};

use crate::arbitrary;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn value(view: ValueView<'_>) -> Option<Value> {
    let any = |view| AnyValue { value: value(view) };
    Some(match view {
        ValueView::Empty => return None,
        ValueView::String(bytes) => Value::StringValue(text(bytes)),
        ValueView::Bool(flag) => Value::BoolValue(flag),
        ValueView::Int(number) => Value::IntValue(number),
        ValueView::Double(number) => Value::DoubleValue(number),
        ValueView::Bytes(bytes) => Value::BytesValue(bytes.to_vec()),
        ValueView::Array(array) => Value::ArrayValue(ArrayValue {
            values: view::array_values(array)
                .map(|value| any(value.unwrap()))
                .collect(),
        }),
        ValueView::KeyValueList(list) => Value::KvlistValue(KeyValueList {
            values: view::key_values(list)
                .map(|attribute| key_value(&attribute.unwrap()))
                .collect(),
        }),
    })
}

/// A view does not tell a value that is not set from an empty one, so that both become the empty one.
fn key_value(view: &AttributeView<'_>) -> KeyValue {
    KeyValue {
        key: text(view.key),
        value: Some(AnyValue {
            value: value(view.value),
        }),
    }
}

fn key_values(views: &[AttributeView<'_>]) -> Vec<KeyValue> {
    views.iter().map(key_value).collect()
}

fn span(view: &SpanView<'_>) -> Span {
    Span {
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        trace_state: text(view.trace_state),
        parent_span_id: view.parent_span_id.to_vec(),
        name: text(view.name),
        kind: view.kind,
        start_time_unix_nano: view.start_unix_nanos,
        end_time_unix_nano: view.end_unix_nanos,
        attributes: key_values(&view.attributes),
        dropped_attributes_count: view.dropped_attributes_count,
        events: view.events.iter().map(|message| event(message)).collect(),
        dropped_events_count: view.dropped_events_count,
        links: view.links.iter().map(|message| link(message)).collect(),
        dropped_links_count: view.dropped_links_count,
        status: view.has_status.then(|| Status {
            message: text(view.status_message),
            code: view.status_code,
        }),
        flags: view.flags,
    }
}

fn event(message: &[u8]) -> Event {
    let view = EventView::read(message).unwrap();
    Event {
        time_unix_nano: view.time_unix_nanos,
        name: text(view.name),
        attributes: key_values(&view.attributes),
        dropped_attributes_count: view.dropped_attributes_count,
    }
}

fn link(message: &[u8]) -> Link {
    let view = LinkView::read(message).unwrap();
    Link {
        trace_id: view.trace_id.to_vec(),
        span_id: view.span_id.to_vec(),
        trace_state: text(view.trace_state),
        attributes: key_values(&view.attributes),
        dropped_attributes_count: view.dropped_attributes_count,
        flags: view.flags,
    }
}

/// All that views see: resources, scopes, and spans, each with its schema.
type Seen = (
    Vec<(Resource, String)>,
    Vec<(InstrumentationScope, String)>,
    Vec<Span>,
);

fn seen(payload: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut reused = SpanView::default();
    for resource_spans in view::resource_spans(payload) {
        let resource_spans = resource_spans.unwrap();
        let (attributes, dropped_attributes_count) = view::resource(resource_spans.resource).unwrap();
        let resource = Resource {
            attributes: key_values(&attributes),
            dropped_attributes_count,
        };
        seen.0.push((resource, text(resource_spans.schema_url)));
        for scope_spans in resource_spans.scope_spans() {
            let scope_spans = scope_spans.unwrap();
            let view = ScopeView::read(scope_spans.scope).unwrap();
            let scope = InstrumentationScope {
                name: text(view.name),
                version: text(view.version),
                attributes: key_values(&view.attributes),
                dropped_attributes_count: view.dropped_attributes_count,
            };
            seen.1.push((scope, text(scope_spans.schema_url)));
            for message in scope_spans.spans() {
                reused.read(message.unwrap()).unwrap();
                seen.2.push(span(&reused));
            }
        }
    }
    seen
}

fn expected(request: ExportTraceServiceRequest) -> Seen {
    let mut expected = Seen::default();
    for resource_spans in request.resource_spans {
        expected.0.push((
            resource_spans.resource.unwrap_or_default(),
            resource_spans.schema_url,
        ));
        for scope_spans in resource_spans.scope_spans {
            expected
                .1
                .push((scope_spans.scope.unwrap_or_default(), scope_spans.schema_url));
            expected.2.extend(scope_spans.spans);
        }
    }
    expected
        .0
        .iter_mut()
        .for_each(|(resource, _)| set_values(&mut resource.attributes));
    expected
        .1
        .iter_mut()
        .for_each(|(scope, _)| set_values(&mut scope.attributes));
    for span in &mut expected.2 {
        set_values(&mut span.attributes);
        span.events
            .iter_mut()
            .for_each(|event| set_values(&mut event.attributes));
        span.links
            .iter_mut()
            .for_each(|link| set_values(&mut link.attributes));
    }
    expected
}

fn set_values(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        set_value(attribute.value.get_or_insert_default());
    }
}

fn set_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(set_value),
        Some(Value::KvlistValue(list)) => set_values(&mut list.values),
        _ => {}
    }
}

proptest! {
    #[test]
    fn views_say_what_prost_says(request in arbitrary::request()) {
        let payload = request.encode_to_vec();
        let contents = validate::contents(&payload).unwrap();
        let expected = expected(request);
        prop_assert_eq!(contents.spans, expected.2.len());
        prop_assert_eq!(seen(&payload), expected);
    }

    #[test]
    fn what_is_no_request_is_an_error_at_most(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        if validate::contents(&payload).is_ok() && ExportTraceServiceRequest::decode(payload.as_slice()).is_ok() {
            seen(&payload);
        }
    }

    #[test]
    fn a_request_that_was_damaged_is_an_error_at_most(
        request in arbitrary::request(),
        position in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut payload = request.encode_to_vec();
        if !payload.is_empty() {
            let position = position.index(payload.len());
            payload[position] = byte;
            let _ = validate::contents(&payload);
            payload.truncate(position);
            let _ = validate::contents(&payload);
        }
    }
}
