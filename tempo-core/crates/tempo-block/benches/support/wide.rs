//! Spans of a tenant with many kinds of everything: 1,000 attribute keys, 5,000 span names and 500 resources, of which
//! others are in use as time goes on.

use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, InstrumentationScope, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};

use super::ARRIVAL;

const KEYS: usize = 1000;
const NAMES: usize = 5000;
const RESOURCES: usize = 500;
const SPANS_OF_REQUEST: usize = 500;
/// Of all names, keys and resources this part is in use at a time.
const IN_USE: f64 = 0.6;

/// Requests of so many spans in all.
pub(crate) fn wide_requests(spans: usize) -> Vec<Vec<u8>> {
    let mut random = StdRng::seed_from_u64(7);
    let count = spans / SPANS_OF_REQUEST;
    (0..count)
        .map(|number| request(number, count, &mut random).encode_to_vec())
        .collect()
}

/// A number below `most`: low ones are frequent, and which ones occur moves on with `progress` from 0 to 1.
fn drawn(most: usize, progress: f64, random: &mut StdRng) -> usize {
    let skewed = random.random::<f64>().powi(3) * IN_USE + progress * (1.0 - IN_USE);
    (skewed * most as f64) as usize % most
}

fn request(number: usize, count: usize, random: &mut StdRng) -> ExportTraceServiceRequest {
    let progress = number as f64 / count as f64;
    let resource_spans = (0..10).map(|_| {
        let resource = drawn(RESOURCES, progress, random);
        let spans = (0..SPANS_OF_REQUEST / 10).map(|_| span(number, resource, progress, random));
        let scope_spans = ScopeSpans {
            scope: Some(InstrumentationScope {
                name: format!("library.{}", resource % 20),
                ..InstrumentationScope::default()
            }),
            spans: spans.collect(),
            ..ScopeSpans::default()
        };
        ResourceSpans {
            resource: Some(Resource {
                attributes: of_resource(resource),
                ..Resource::default()
            }),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }
    });
    ExportTraceServiceRequest {
        resource_spans: resource_spans.collect(),
    }
}

fn of_resource(resource: usize) -> Vec<KeyValue> {
    vec![
        text("service.name", format!("service-{}", resource % 120)),
        text("k8s.pod.name", format!("service-{}-{resource:x}", resource % 120)),
        text("k8s.namespace.name", format!("team-{}", resource % 25)),
        text("host.name", format!("node-{}", resource % 60)),
    ]
}

fn span(number: usize, resource: usize, progress: f64, random: &mut StdRng) -> Span {
    let name = drawn(NAMES, progress, random);
    let start = ARRIVAL + number as u64 * 50_000_000 + random.random_range(0..50_000_000_u64);
    let trace = (number / 4 * 60 + random.random_range(0..60)) as u128;
    Span {
        trace_id: (trace.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
            .to_be_bytes()
            .to_vec(),
        span_id: random.random::<u64>().max(1).to_be_bytes().to_vec(),
        parent_span_id: if random.random_ratio(1, 10) {
            Vec::new()
        } else {
            random.random::<u64>().to_be_bytes().to_vec()
        },
        name: format!(
            "{} /api/{}/{name}",
            if resource.is_multiple_of(2) { "GET" } else { "POST" },
            name % 40
        ),
        kind: random.random_range(1..4),
        start_time_unix_nano: start,
        end_time_unix_nano: start + random.random_range(1000..50_000_000_u64),
        attributes: (0..12).map(|_| attribute(name, progress, random)).collect(),
        ..Span::default()
    }
}

/// An attribute of few values, of many, or of as many as there are spans.
fn attribute(name: usize, progress: f64, random: &mut StdRng) -> KeyValue {
    let key = drawn(KEYS, progress, random);
    let named = format!("app.module{}.key{key}", key % 30);
    match key % 10 {
        0..4 => text(
            &named,
            format!("value {} of {}", random.random_range(0..20), key % 7),
        ),
        4 | 5 => number_of(&named, random.random_range(0..500)),
        6 => number_of(&named, random.random_range(0..1 << 40)),
        7 => text(&named, format!("user-{}", random.random_range(0..20_000))),
        8 => text(&named, format!("/items/{name}/{:016x}", random.random::<u64>())),
        _ => flag(&named, random.random()),
    }
}

fn text(key: &str, value: String) -> KeyValue {
    of(key, Value::StringValue(value))
}

fn number_of(key: &str, value: i64) -> KeyValue {
    of(key, Value::IntValue(value))
}

fn flag(key: &str, value: bool) -> KeyValue {
    of(key, Value::BoolValue(value))
}

fn of(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}
