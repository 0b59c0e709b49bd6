//! The metrics cases of the conformance data, over one batch and over one batch per trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_yaml::Value;
use tempo_traceql::ast::{Static, go_duration};
use tempo_traceql::metrics::{Metrics, Series, TimeRange};
use tempo_traceql::parse;
use tempo_traceql::search::AttributeValue;

use crate::memory::{Dataset, Memory};

#[derive(Deserialize)]
struct Data {
    datasets: HashMap<String, Dataset>,
    metrics_cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    dataset: String,
    kind: String,
    query: String,
    start_ms: u64,
    end_ms: u64,
    step_ms: Option<u64>,
    expect_series: Vec<SeriesAnswer>,
}

#[derive(Deserialize)]
struct SeriesAnswer {
    labels: BTreeMap<String, Value>,
    samples: Vec<(u64, f64)>,
}

/// Cases whose answer here is another than upstream's: `compare()` is not supported, and the sum of a value that no span
/// has is no series, whichever value it is.
const DEPARTURES: [&str; 2] = ["metrics/082", "metrics/089"];

const MILLISECOND: u64 = 1_000_000;

fn run(case: &Case, base_ns: u64, batches: &[Memory]) -> Result<Vec<Series>, String> {
    let query = parse(&case.query).map_err(|error| error.to_string())?;
    let step = |step: u64| step * MILLISECOND;
    let range = TimeRange {
        start_ns: base_ns + case.start_ms * MILLISECOND,
        end_ns: base_ns + case.end_ms * MILLISECOND,
        step_ns: case.step_ms.map(step).filter(|_| case.kind == "metrics_range"),
    };
    let metrics = Metrics::new(&query, range, 0).map_err(|error| error.to_string())?;
    let mut whole = metrics.empty();
    for batch in batches {
        let mut shard = metrics.empty();
        metrics
            .add(batch, &mut shard)
            .map_err(|error| error.to_string())?;
        whole.merge(shard);
    }
    Ok(metrics.finish(&whole))
}

/// Labels as text, and samples by milliseconds.
type Comparable = BTreeMap<String, BTreeMap<u64, f64>>;

fn expected(case: &Case) -> Comparable {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => format!("{:?}", number.as_f64()),
        other => format!("{other:?}"),
    };
    let labels = |series: &SeriesAnswer| {
        let labels: BTreeMap<&String, String> = series
            .labels
            .iter()
            .map(|(key, value)| (key, text(value)))
            .collect();
        format!("{labels:?}")
    };
    case.expect_series
        .iter()
        .map(|series| (labels(series), series.samples.iter().copied().collect()))
        .collect()
}

fn found(series: &[Series], base_ns: u64) -> Comparable {
    let text = |value: &AttributeValue| match value {
        AttributeValue::One(Static::String(text)) => text.clone(),
        AttributeValue::One(Static::Duration(nanos)) => go_duration(*nanos),
        AttributeValue::One(Static::Bool(value)) => format!("{:?}", Value::from(*value)),
        AttributeValue::One(value @ (Static::Int(_) | Static::Float(_))) => {
            format!("{:?}", value.as_number())
        }
        AttributeValue::One(other) => other.to_string(),
        AttributeValue::Array(values) => format!("{values:?}"),
    };
    let labels = |series: &Series| {
        let labels: BTreeMap<&String, String> = series
            .labels
            .iter()
            .map(|(key, value)| (key, text(value)))
            .collect();
        format!("{labels:?}")
    };
    let samples = |series: &Series| {
        let sample = |(time, value): &(u64, f64)| ((time - base_ns) / MILLISECOND, *value);
        series.samples.iter().map(sample).collect()
    };
    series
        .iter()
        .map(|series| (labels(series), samples(series)))
        .collect()
}

fn equal(left: &Comparable, right: &Comparable) -> bool {
    let close = |left: &f64, right: &f64| (left - right).abs() <= 1e-8 * left.abs().max(1.0);
    left.len() == right.len()
        && left.iter().all(|(labels, samples)| {
            right.get(labels).is_some_and(|other| {
                samples.keys().eq(other.keys())
                    && samples
                        .values()
                        .zip(other.values())
                        .all(|(left, right)| close(left, right))
            })
        })
}

#[test]
fn every_metrics_case_has_its_answer() {
    let Some(text) = crate::conformance::file("traceql-eval.yaml") else {
        return;
    };
    let data: Data = serde_yaml::from_str(&text).expect("read the cases");
    assert_eq!(data.metrics_cases.len(), 108);
    let mut departing: BTreeSet<&str> = BTreeSet::new();
    let dataset = &data.datasets["metrics"];
    let base_ns = dataset.base_unix_seconds * 1000 * MILLISECOND;
    let whole = [Memory::new(dataset.clone())];
    let parts: Vec<Memory> = dataset.clone().by_trace().into_iter().map(Memory::new).collect();
    for case in &data.metrics_cases {
        assert_eq!(case.dataset, "metrics");
        let series = run(case, base_ns, &whole).map(|series| found(&series, base_ns));
        let of_parts = run(case, base_ns, &parts).map(|series| found(&series, base_ns));
        assert_eq!(of_parts.is_ok(), series.is_ok());
        let same = |answer: &Result<Comparable, String>| {
            answer.as_ref().is_ok_and(|answer| equal(&expected(case), answer))
        };
        assert_eq!(same(&series), same(&of_parts), "{}", case.query);
        if !same(&series) {
            println!("{} {}: {series:?}, not {:?}", case.id, case.query, expected(case));
            departing.insert(&case.id);
        }
    }
    println!(
        "{} of {} as upstream",
        data.metrics_cases.len() - departing.len(),
        data.metrics_cases.len()
    );
    assert_eq!(departing, BTreeSet::from(DEPARTURES));
}
