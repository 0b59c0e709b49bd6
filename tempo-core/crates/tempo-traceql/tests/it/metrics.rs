//! The metrics cases of the conformance data, over one batch and over one batch per trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_yaml::Value;
use tempo_traceql::ast::{Static, go_duration};
use tempo_traceql::metrics::{Metrics, Series, TimeRange};
use tempo_traceql::parse;
use tempo_traceql::search::AttributeValue;

use crate::dataset::{Dataset, FlatSpan};
use crate::memory::Memory;

#[derive(Deserialize)]
struct Data {
    datasets: HashMap<String, Dataset>,
    metrics_cases: Vec<Case>,
    upstream_metrics_spans: HashMap<String, Vec<Vec<FlatSpan>>>,
    upstream_metrics_cases: Vec<UpstreamCase>,
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

/// A case of spans that were given to upstream's evaluator; every batch is a shard.
#[derive(Deserialize)]
struct UpstreamCase {
    id: String,
    spans: String,
    query: String,
    start_ns: u64,
    end_ns: u64,
    step_ns: u64,
    instant: bool,
    expect_series: Vec<SeriesAnswer>,
}

#[derive(Deserialize)]
struct SeriesAnswer {
    labels: BTreeMap<String, Value>,
    samples: Vec<(u64, Value)>,
}

/// Cases whose answer here is another than upstream's: `compare()` is not supported, and the sum of a value that no span
/// has is no series, whichever value it is.
const DEPARTURES: [&str; 2] = ["metrics/082", "metrics/089"];

/// `compare()`.
const UPSTREAM_DEPARTURES: [&str; 1] = ["upstream-metrics/002"];

const MILLISECOND: u64 = 1_000_000;

/// What the expected samples are rounded to.
const NINE_DECIMALS: f64 = 1e-9;

fn range_of(case: &Case, base_ns: u64) -> TimeRange {
    let step = |step: u64| step * MILLISECOND;
    TimeRange {
        start_ns: base_ns + case.start_ms * MILLISECOND,
        end_ns: base_ns + case.end_ms * MILLISECOND,
        step_ns: case.step_ms.map(step).filter(|_| case.kind == "metrics_range"),
    }
}

/// The series of a query whose batches are shards.
fn run(query: &str, range: TimeRange, batches: &[Memory]) -> Result<Vec<Series>, String> {
    let query = parse(query).map_err(|error| error.to_string())?;
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

fn expected(series: &[SeriesAnswer]) -> Comparable {
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
    let number = |value: &Value| {
        value
            .as_f64()
            .or_else(|| value.as_str()?.parse().ok())
            .expect("a number")
    };
    let samples = |series: &SeriesAnswer| {
        series
            .samples
            .iter()
            .map(|(time, value)| (*time, number(value)))
            .collect()
    };
    series
        .iter()
        .map(|series| (labels(series), samples(series)))
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

/// Whether all samples agree, up to an absolute or a tiny relative difference.
fn equal(expected: &Comparable, found: &Comparable, tolerance: f64) -> bool {
    let close = |left: f64, right: f64| {
        let difference = (left - right).abs();
        left.total_cmp(&right).is_eq() || difference <= tolerance || difference <= 1e-9 * left.abs()
    };
    let same = |left: &BTreeMap<u64, f64>, right: &BTreeMap<u64, f64>| {
        left.keys().eq(right.keys())
            && left
                .values()
                .zip(right.values())
                .all(|(left, right)| close(*left, *right))
    };
    expected.len() == found.len()
        && expected
            .iter()
            .all(|(labels, samples)| found.get(labels).is_some_and(|found| same(samples, found)))
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
        let range = range_of(case, base_ns);
        let series = run(&case.query, range, &whole).map(|series| found(&series, base_ns));
        let of_parts = run(&case.query, range, &parts).map(|series| found(&series, base_ns));
        assert_eq!(of_parts.is_ok(), series.is_ok());
        let same = |answer: &Result<Comparable, String>| {
            answer
                .as_ref()
                .is_ok_and(|answer| equal(&expected(&case.expect_series), answer, NINE_DECIMALS))
        };
        assert_eq!(same(&series), same(&of_parts), "{}", case.query);
        if !same(&series) {
            println!(
                "{} {}: {series:?}, not {:?}",
                case.id,
                case.query,
                expected(&case.expect_series)
            );
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

#[test]
fn every_upstream_metrics_case_has_its_answer() {
    let Some(text) = crate::conformance::file("traceql-eval.yaml") else {
        return;
    };
    let data: Data = serde_yaml::from_str(&text).expect("read the cases");
    assert_eq!(data.upstream_metrics_cases.len(), 120);
    let batches: HashMap<String, Vec<Memory>> = data
        .upstream_metrics_spans
        .into_iter()
        .map(|(name, batches)| {
            (
                name,
                batches
                    .into_iter()
                    .map(|spans| Memory::new(Dataset::flat(spans)))
                    .collect(),
            )
        })
        .collect();
    let mut departing: BTreeSet<&str> = BTreeSet::new();
    for case in &data.upstream_metrics_cases {
        let range = TimeRange {
            // An instant begins with its start in upstream's evaluator, and after it in upstream's API and here.
            start_ns: case.start_ns - u64::from(case.instant),
            end_ns: case.end_ns,
            step_ns: Some(case.step_ns).filter(|_| !case.instant),
        };
        let series = run(&case.query, range, &batches[&case.spans]).map(|series| found(&series, 0));
        if !series
            .as_ref()
            .is_ok_and(|series| equal(&expected(&case.expect_series), series, 0.0))
        {
            println!(
                "{} {}: {series:?}, not {:?}",
                case.id,
                case.query,
                expected(&case.expect_series)
            );
            departing.insert(&case.id);
        }
    }
    assert_eq!(departing, BTreeSet::from(UPSTREAM_DEPARTURES));
}
