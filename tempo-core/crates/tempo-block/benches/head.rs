//! Appending to a head, and taking snapshots of it: time of a span, and its memory, which is printed once.
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempo_block::head::{Head, HeadSettings};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, InstrumentationScope, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::span::Event;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status};

const RECORDS: usize = 1000;
const SPANS_OF_RECORD: usize = 100;

fn main_group(criterion: &mut Criterion) {
    let records = records();
    let spans = (RECORDS * SPANS_OF_RECORD) as u64;
    let bytes: usize = records.iter().map(Vec::len).sum();
    let mut head = filled(&records, RECORDS);
    let growing = head.bytes() as u64 / spans;
    head.snapshot();
    println!(
        "{} bytes of OTLP a span; memory of a span {growing} bytes, {} when sealed",
        bytes as u64 / spans,
        head.bytes() as u64 / spans
    );
    let mut group = criterion.benchmark_group("head");
    group.throughput(Throughput::Elements(spans)).sample_size(10);
    for (name, every) in [("append", RECORDS), ("append, snapshot every 10 records", 10)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| (), |()| filled(&records, every), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn filled(records: &[Vec<u8>], snapshot_every: usize) -> Head {
    let mut head = Head::new(HeadSettings::default());
    for (number, record) in records.iter().enumerate() {
        head.append(record, 0)
            .unwrap_or_else(|error| panic!("append: {error}"));
        if (number + 1) % snapshot_every == 0 && snapshot_every < records.len() {
            head.snapshot();
        }
    }
    head
}

/// Records of a few services, with attributes of few and of many values.
fn records() -> Vec<Vec<u8>> {
    let mut random = StdRng::seed_from_u64(1);
    (0..RECORDS)
        .map(|number| record(number, &mut random).encode_to_vec())
        .collect()
}

fn record(number: usize, random: &mut StdRng) -> ExportTraceServiceRequest {
    let service = number % 12;
    let resource = (0..14)
        .map(|key| text(&format!("resource.key{key}"), format!("value {service} {key}")))
        .chain([text("service.name", format!("service-{service}"))]);
    let spans = (0..SPANS_OF_RECORD).map(|_| span(service, random));
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: resource.collect(),
                dropped_attributes_count: 0,
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "bench".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans: spans.collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn span(service: usize, random: &mut StdRng) -> Span {
    let start = 1_700_000_000_000_000_000 + random.random_range(0..1_000_000_000_u64);
    let trace: u128 = random.random_range(0..5000);
    let event = Event {
        time_unix_nano: start + 5,
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", "Timeout".to_owned())],
        dropped_attributes_count: 0,
    };
    Span {
        trace_id: (trace * 0x9e37_79b9_7f4a_7c15).to_be_bytes().to_vec(),
        span_id: random.random::<u64>().to_be_bytes().to_vec(),
        parent_span_id: random.random::<u64>().to_be_bytes().to_vec(),
        name: format!("operation {} {}", service, random.random_range(0..8)),
        kind: random.random_range(1..4),
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.random_range(1000..10_000_000),
        attributes: attributes(random),
        events: if random.random_ratio(1, 5) {
            vec![event]
        } else {
            Vec::new()
        },
        status: Some(Status::default()),
        ..Span::default()
    }
}

/// 12 attributes: mostly of few values, as of instrumentation libraries.
fn attributes(random: &mut StdRng) -> Vec<KeyValue> {
    let few = [
        "http.method",
        "http.route",
        "net.peer.name",
        "code.function",
        "rpc.service",
        "thread.name",
    ];
    let mut attributes: Vec<KeyValue> = few
        .into_iter()
        .map(|key| text(key, format!("{key} {}", random.random_range(0..20))))
        .collect();
    let statement = format!(
        "select * from t where id = {}",
        random.random_range(0..20_000_u32)
    );
    attributes.extend([
        int("http.status_code", random.random_range(200..210)),
        int("thread.id", random.random_range(0..500)),
        int("net.peer.port", random.random_range(1024..65_536)),
        text("session.id", format!("{:x}", random.random_range(0..50_000_u32))),
        text("db.statement", statement),
        text("user.id", format!("user-{}", random.random_range(0..2000_u32))),
    ]);
    attributes
}

fn text(key: &str, value: String) -> KeyValue {
    attribute(key, Value::StringValue(value))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

criterion_group!(benches, main_group);
criterion_main!(benches);
