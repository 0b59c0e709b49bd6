//! Decoding OTLP: checking, walking and routing by views, beside the messages that prost builds. One element is a span.
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use tempo_model::proto::common::{AnyValue, KeyValue, any_value::Value};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_model::view::{SpanView, resource_spans};
use tempo_model::{split, validate};

const RESOURCES: u64 = 10;
const SPANS: u64 = 100;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn span(number: u64) -> Span {
    let mut trace_id = vec![7; 8];
    trace_id.extend((number / 19).to_be_bytes());
    Span {
        trace_id,
        span_id: number.to_be_bytes().to_vec(),
        parent_span_id: (number / 2).to_be_bytes().to_vec(),
        name: format!("GET /items/{}", number % 40),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000 + number * 1_000,
        end_time_unix_nano: 1_700_000_000_000_900_000 + number * 1_000,
        attributes: vec![
            text("http.method", "GET"),
            text("http.route", "/items/{id}"),
            text("http.url", &format!("https://shop.example/items/{number}")),
            attribute("http.status_code", Value::IntValue(200)),
            attribute("http.response.size", Value::IntValue(number as i64 * 37)),
            text("net.peer.name", "db-3.example"),
            text("thread.name", "worker-7"),
            attribute("sampled", Value::BoolValue(true)),
            attribute("ratio", Value::DoubleValue(0.5)),
            text("enduser.id", &format!("user-{}", number % 1000)),
        ],
        ..Span::default()
    }
}

fn payload() -> Bytes {
    let resource = |number: u64| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![
                text("service.name", &format!("service-{number}")),
                text("k8s.pod.name", "pod"),
            ],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: (0..SPANS).map(|index| span(number * SPANS + index + 1)).collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: (0..RESOURCES).map(resource).collect(),
    };
    request.encode_to_vec().into()
}

/// The attributes of all spans, read in place.
fn walk(payload: &[u8]) -> usize {
    let (mut span, mut attributes) = (SpanView::default(), 0);
    for resource in resource_spans(payload).flatten() {
        for scope in resource.scope_spans().flatten() {
            for message in scope.spans().flatten() {
                if span.read(message).is_ok() {
                    attributes += span.attributes.len();
                }
            }
        }
    }
    attributes
}

fn decode(criterion: &mut Criterion) {
    let payload = payload();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(RESOURCES * SPANS));
    group.bench_function("check", |bencher| {
        bencher.iter(|| black_box(validate::contents(black_box(&payload))));
    });
    group.bench_function("walk", |bencher| bencher.iter(|| walk(black_box(&payload))));
    group.bench_function("route", |bencher| {
        bencher.iter(|| {
            let shards = split::by_trace(black_box(&payload), 4, |id| usize::from(id.0[15]) % 4);
            black_box(shards)
        });
    });
    group.bench_function("prost", |bencher| {
        bencher.iter(|| black_box(ExportTraceServiceRequest::decode(black_box(payload.clone()))));
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
