//! Scans: a head, the block that it becomes, and that block cut into several row groups answer alike.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use serde_yaml::Value;
use tempo_block::head::HeadSnapshot;
use tempo_block::scan::{self, Source, TimeRange};
use tempo_runtime::Environment;
use tempo_traceql::ast::Scope;
use tempo_traceql::metrics::{self, Metrics, Series};
use tempo_traceql::search::{Matches, Search, SearchOptions, TraceMatch};
use tempo_traceql::tags::{TagFilter, TagValue};
use tempo_traceql::{parse, parse_attribute};

use crate::dataset::Dataset;
use crate::memory::Memory;
use crate::read::{Written, run};

#[derive(Deserialize)]
struct Data {
    datasets: HashMap<String, Dataset>,
    cases: Vec<Case>,
    metrics_cases: Vec<MetricsCase>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    dataset: String,
    #[serde(default)]
    query: String,
    tag: Option<Value>,
}

#[derive(Deserialize)]
struct MetricsCase {
    dataset: String,
    query: String,
    start_ms: u64,
    end_ms: u64,
    step_ms: Option<u64>,
}

/// The same spans in several ways.
struct Sources {
    base_ns: u64,
    environment: Environment,
    all: Vec<(&'static str, Source)>,
}

impl Sources {
    async fn of(dataset: Dataset) -> Self {
        let base_ns = dataset.base_unix_seconds * 1_000_000_000;
        let head = Arc::clone(Memory::new(dataset).snapshot());
        Self::of_head(head, base_ns).await
    }

    async fn of_head(head: Arc<HeadSnapshot>, base_ns: u64) -> Self {
        let mut sources = Vec::new();
        for (name, max_rows) in [("a block", 50_000), ("a block of small row groups", 8)] {
            let written = Written::of(&head, max_rows).await;
            sources.push((name, Source::Block(written.block())));
        }
        sources.insert(0, ("a head", Source::Head(head)));
        Self {
            base_ns,
            environment: Environment::simulated(1, 0),
            all: sources,
        }
    }

    /// Asserts that all give what the head gives.
    async fn agree<T: PartialEq + std::fmt::Debug>(
        &self,
        question: &str,
        ask: impl AsyncFn(&Environment, &Source) -> T,
    ) -> T {
        let mut answers = Vec::new();
        for (name, source) in &self.all {
            answers.push((*name, ask(&self.environment, source).await));
        }
        let (_, expected) = answers.remove(0);
        for (name, answer) in answers {
            assert_eq!(answer, expected, "{question} of {name}");
        }
        expected
    }
}

async fn search(
    environment: &Environment,
    source: &Source,
    query: &str,
    limit: usize,
) -> Result<Vec<TraceMatch>, String> {
    let query = parse(query).map_err(|error| error.to_string())?;
    let options = SearchOptions {
        limit,
        spans_per_spanset: 0,
        ..SearchOptions::default()
    };
    let search = Search::new(&query, options).map_err(|error| error.to_string())?;
    let mut matches = Matches::new(options);
    scan::search(
        environment,
        source,
        &Arc::new(search),
        TimeRange::ALL,
        &mut matches,
    )
    .await
    .map_err(|error| error.to_string())?;
    let mut found = matches.into_traces();
    for trace in &mut found {
        for set in &mut trace.spansets {
            // The order of spans is that of rows, and no promise.
            set.spans.sort_by_key(|span| span.span_id);
        }
        trace.spansets.sort_by_key(|set| format!("{:?}", set.attributes));
    }
    Ok(found)
}

async fn values(environment: &Environment, source: &Source, tag: &str, query: &str) -> BTreeSet<TagValue> {
    let filter = if query.is_empty() {
        TagFilter::all()
    } else {
        TagFilter::new(query)
    };
    let attribute = parse_attribute(tag).unwrap();
    let mut found = BTreeSet::new();
    scan::tag_values(
        environment,
        source,
        &attribute,
        &filter,
        TimeRange::ALL,
        0,
        &mut found,
    )
    .await
    .unwrap();
    found
}

async fn names(environment: &Environment, source: &Source, query: &str) -> BTreeMap<Scope, BTreeSet<String>> {
    let filter = if query.is_empty() {
        TagFilter::all()
    } else {
        TagFilter::new(query)
    };
    let mut found = scan::tag_names(environment, source, &Scope::ALL, &filter, TimeRange::ALL)
        .await
        .unwrap();
    found.retain(|_, keys| !keys.is_empty());
    found
}

async fn series(
    environment: &Environment,
    source: &Source,
    query: &str,
    range: metrics::TimeRange,
) -> Result<Vec<Series>, String> {
    let query = parse(query).map_err(|error| error.to_string())?;
    let metrics = Metrics::new(&query, range, 0).map_err(|error| error.to_string())?;
    let metrics = Arc::new(metrics);
    let mut partial = metrics.empty();
    scan::metrics(environment, source, &metrics, TimeRange::ALL, &mut partial)
        .await
        .map_err(|error| error.to_string())?;
    let mut series = metrics.finish(&partial);
    for (_, value) in series.iter_mut().flat_map(|series| &mut series.samples) {
        // Sums of floats depend on the order of rows in the last digits.
        *value = (*value * 1e9).round();
    }
    Ok(series)
}

fn data() -> Option<Data> {
    let text = crate::conformance::file("traceql-eval.yaml")?;
    Some(serde_yaml::from_str(&text).unwrap())
}

async fn sources(datasets: HashMap<String, Dataset>) -> HashMap<String, Sources> {
    let mut sources = HashMap::new();
    for (name, dataset) in datasets {
        sources.insert(name, Sources::of(dataset).await);
    }
    sources
}

#[test]
fn every_case_is_answered_alike_by_head_and_block() {
    let Some(data) = data() else { return };
    run(async {
        let sources = sources(data.datasets).await;
        let mut found = 0;
        for case in &data.cases {
            let Some(sources) = sources.get(&case.dataset) else {
                continue;
            };
            let query = case.query.as_str();
            match case.kind.as_str() {
                "search" => {
                    let answer = sources
                        .agree(query, async |environment, source| {
                            search(environment, source, query, 0).await
                        })
                        .await;
                    found += answer.map_or(0, |traces| traces.len());
                }
                "tag_values" => {
                    let tag = case.tag.as_ref().and_then(Value::as_str).unwrap();
                    let answer = sources
                        .agree(tag, async |environment, source| {
                            values(environment, source, tag, query).await
                        })
                        .await;
                    found += answer.len();
                }
                "tags" => {
                    let answer = sources
                        .agree("tags", async |environment, source| {
                            names(environment, source, query).await
                        })
                        .await;
                    found += answer.len();
                }
                other => panic!("a case of kind {other}"),
            }
        }
        println!("{} cases, {found} things found", data.cases.len());
    });
}

#[test]
fn every_metrics_case_is_answered_alike_by_head_and_block() {
    let Some(data) = data() else { return };
    run(async {
        let sources = sources(data.datasets).await;
        for case in &data.metrics_cases {
            let sources = &sources[&case.dataset];
            let range = metrics::TimeRange {
                start_ns: sources.base_ns + case.start_ms * 1_000_000,
                end_ns: sources.base_ns + case.end_ms * 1_000_000,
                step_ns: case.step_ms.map(|step| step * 1_000_000),
            };
            let query = case.query.as_str();
            sources
                .agree(query, async |environment, source| {
                    series(environment, source, query, range).await
                })
                .await
                .ok();
        }
    });
}
