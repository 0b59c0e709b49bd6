//! The conformance data's traces as OTLP.

use std::collections::BTreeMap;

use serde_yaml::Value as Yaml;
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::span::{Event, Link};
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status};
use tempo_traceql::ast;

use crate::dataset::{self, Batch, Dataset};

/// A request for each resource's spans of each trace.
pub(crate) fn requests(dataset: &Dataset) -> Vec<ExportTraceServiceRequest> {
    let base_ns = dataset.base_unix_seconds * 1_000_000_000;
    let batches = dataset.traces.iter().flat_map(|trace| {
        let of_trace = trace.batches.iter();
        of_trace.map(|batch| (trace.trace_id.as_str(), batch))
    });
    batches
        .map(|(trace_id, batch)| request(trace_id, batch, base_ns))
        .collect()
}

fn request(trace_id: &str, batch: &Batch, base_ns: u64) -> ExportTraceServiceRequest {
    let spans = batch.spans.iter().map(|span| span_of(trace_id, span, base_ns));
    let scope_spans = ScopeSpans {
        scope: Some(InstrumentationScope {
            name: batch.scope.name.clone(),
            version: batch.scope.version.clone(),
            attributes: attributes(&batch.scope.attributes),
            dropped_attributes_count: 0,
        }),
        spans: spans.collect(),
        schema_url: String::new(),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: attributes(&batch.resource),
                dropped_attributes_count: 0,
            }),
            scope_spans: vec![scope_spans],
            schema_url: String::new(),
        }],
    }
}

fn span_of(trace_id: &str, span: &dataset::Span, base_ns: u64) -> Span {
    let start = base_ns.wrapping_add(nanos(span.start_ms));
    let status = ast::Status::ALL
        .into_iter()
        .find(|status| status.name() == span.status);
    let kind = ast::Kind::ALL.into_iter().find(|kind| kind.name() == span.kind);
    Span {
        trace_id: id(trace_id),
        span_id: id(&span.id),
        parent_span_id: span.parent_id.as_deref().map(parent_id).unwrap_or_default(),
        name: span.name.clone(),
        kind: kind.map_or(0, |kind| kind as i32),
        start_time_unix_nano: start,
        end_time_unix_nano: start.wrapping_add(nanos(span.duration_ms)),
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(|event| event_of(event, start)).collect(),
        links: span.links.iter().map(link_of).collect(),
        status: Some(Status {
            message: span.status_message.clone(),
            code: status.map_or(0, |status| status as i32),
        }),
        ..Span::default()
    }
}

fn event_of(event: &dataset::Event, span_start: u64) -> Event {
    Event {
        time_unix_nano: span_start.wrapping_add(nanos(event.offset_ms)),
        name: event.name.clone(),
        attributes: attributes(&event.attributes),
        dropped_attributes_count: 0,
    }
}

fn link_of(link: &dataset::Link) -> Link {
    Link {
        trace_id: id(&link.trace_id),
        span_id: id(&link.span_id),
        attributes: attributes(&link.attributes),
        ..Link::default()
    }
}

fn nanos(millis: f64) -> u64 {
    (millis * 1e6).round() as i64 as u64
}

fn id(hex: &str) -> Vec<u8> {
    let byte = |index: usize| u8::from_str_radix(&hex[index..index + 2], 16).expect("an id in hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// In OTLP a parent id of zeros is none. The data has a span that is its own parent by such an id; here it is one
/// whose parent is missing, which is no different for queries.
fn parent_id(hex: &str) -> Vec<u8> {
    let parent = id(hex);
    if parent == [0; 8] { vec![0xff; 8] } else { parent }
}

fn attributes(attributes: &BTreeMap<String, Yaml>) -> Vec<KeyValue> {
    let attribute = |(key, value): (&String, &Yaml)| KeyValue {
        key: key.clone(),
        value: Some(value_of(value)),
    };
    attributes.iter().map(attribute).collect()
}

fn value_of(value: &Yaml) -> AnyValue {
    let value = match value {
        Yaml::Bool(value) => Some(Value::BoolValue(*value)),
        Yaml::Number(number) if number.is_f64() => number.as_f64().map(Value::DoubleValue),
        Yaml::Number(number) => number.as_i64().map(Value::IntValue),
        Yaml::String(text) => Some(Value::StringValue(text.clone())),
        Yaml::Sequence(values) => Some(Value::ArrayValue(ArrayValue {
            values: values.iter().map(value_of).collect(),
        })),
        _ => None,
    };
    AnyValue { value }
}
