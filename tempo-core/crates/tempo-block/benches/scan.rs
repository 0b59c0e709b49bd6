//! Queries over one block: CPU time of each, which other processes disturb less than the clock on the wall.
//!
//! The spans are those of our own shop, or of the file that `TEMPO_BENCH_OTLP` names.
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use prost::Message;
use tempo_block::read::{ReadStatistics, Reader};
use tempo_block::scan::{self, Source, TimeRange};
use tempo_block::store::{Settings, open};
use tempo_block::write::{self, BlockOptions};
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use tempo_traceql::ast::Scope;
use tempo_traceql::metrics::{self, Metrics};
use tempo_traceql::search::{Matches, Search, SearchOptions};
use tempo_traceql::tags::TagFilter;
use tempo_traceql::{parse, parse_attribute};
use tokio::runtime::Runtime;
use ulid::Ulid;

use support::cpu::CpuTime;
use support::{filled, requests};

/// Of the shop.
const SPANS: usize = 1_000_000;

/// Query, and how many traces are asked for.
const SEARCHES: [(&str, usize); 11] = [
    ("{ resource.service.name = \"cart\" }", 20),
    ("{ span.http.status_code >= 500 }", 20),
    ("{ duration > 500ms && status = error }", 20),
    ("{ duration > 500ms && status = error }", 1000),
    ("{ .db.statement =~ \".*orders.*\" }", 20),
    ("{ .db.statement =~ \".*no_such_table.*\" }", 20),
    ("{ span.http.url = \"https://nowhere.example.com/\" }", 20),
    ("{ span.enduser.id = \"user-777\" }", 20),
    (
        "{ resource.service.name = \"frontend\" } >> { status = error }",
        20,
    ),
    (
        "{ resource.service.name = \"frontend\" } >> { resource.service.name = \"payment\" && status = error && duration > 3s }",
        1000,
    ),
    ("{ } | count() > 30", 20),
];

const METRICS: [&str; 4] = [
    "{ } | rate() by (resource.service.name)",
    "{ status = error } | rate()",
    "{ } | quantile_over_time(duration, .95)",
    "{ } | quantile_over_time(duration, .95) by (resource.service.name)",
];

const TAGS: [&str; 3] = [
    "resource.service.name",
    "span.http.status_code",
    "span.db.statement",
];

struct Bench {
    runtime: Runtime,
    environment: Environment,
    source: Source,
    statistics: Arc<ReadStatistics>,
    range: (u64, u64),
    ids: Vec<TraceId>,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap_or_else(|error| panic!("start a runtime: {error}"));
        let environment = Environment::system();
        let store = open(&Settings::Memory).unwrap_or_else(|error| panic!("open a store: {error}"));
        let requests = requests(SPANS);
        let (head, taken) = filled(&requests, SPANS);
        let ids = requests
            .iter()
            .take(taken)
            .step_by(7)
            .filter_map(|request| first_trace(request));
        let options = BlockOptions::of_head(Ulid::from(1_u128));
        let tenant = TenantId::single();
        let written = runtime.block_on(write::block(&environment, &store, &tenant, &head, options));
        let meta = written.unwrap_or_else(|error| panic!("write a block: {error}"));
        println!(
            "{} spans, {} traces, {} row groups, {} bytes",
            meta.spans,
            meta.traces,
            meta.row_groups,
            meta.bytes()
        );
        let statistics: Arc<ReadStatistics> = Arc::default();
        let range = (meta.start_ns, meta.end_ns);
        let block = Reader::new(environment.clone(), store).block(&tenant, meta, Arc::clone(&statistics));
        Self {
            runtime,
            environment,
            source: Source::Block(block.unwrap_or_else(|error| panic!("open a block: {error}"))),
            statistics,
            range,
            ids: ids.collect(),
        }
    }

    fn search(&self, query: &str, limit: usize) -> usize {
        let options = SearchOptions {
            limit,
            ..SearchOptions::default()
        };
        let query = parse(query).unwrap_or_else(|error| panic!("parse: {error}"));
        let search = Search::new(&query, options).unwrap_or_else(|error| panic!("prepare: {error}"));
        let mut matches = Matches::new(options);
        let search = Arc::new(search);
        let scan = scan::search(
            &self.environment,
            &self.source,
            &search,
            TimeRange::ALL,
            &mut matches,
        );
        self.runtime
            .block_on(scan)
            .unwrap_or_else(|error| panic!("search: {error}"));
        matches.traces().len()
    }

    fn metrics(&self, query: &str) -> usize {
        let query = parse(query).unwrap_or_else(|error| panic!("parse: {error}"));
        let (start_ns, end_ns) = self.range;
        let range = metrics::TimeRange {
            start_ns,
            end_ns,
            step_ns: Some((end_ns - start_ns) / 60),
        };
        let metrics = Metrics::new(&query, range, 0).unwrap_or_else(|error| panic!("prepare: {error}"));
        let metrics = Arc::new(metrics);
        let mut partial = metrics.empty();
        let scan = scan::metrics(
            &self.environment,
            &self.source,
            &metrics,
            TimeRange::ALL,
            &mut partial,
        );
        self.runtime
            .block_on(scan)
            .unwrap_or_else(|error| panic!("metrics: {error}"));
        metrics.finish(&partial).len()
    }

    fn values(&self, tag: &str) -> usize {
        let attribute = parse_attribute(tag).unwrap_or_else(|error| panic!("parse: {error}"));
        let mut found = BTreeSet::new();
        let filter = TagFilter::all();
        let scan = scan::tag_values(
            &self.environment,
            &self.source,
            &attribute,
            &filter,
            TimeRange::ALL,
            0,
            &mut found,
        );
        self.runtime
            .block_on(scan)
            .unwrap_or_else(|error| panic!("values: {error}"));
        found.len()
    }

    fn names(&self) -> usize {
        let filter = TagFilter::all();
        let scan = scan::tag_names(
            &self.environment,
            &self.source,
            &Scope::ALL,
            &filter,
            TimeRange::ALL,
        );
        let names = self.runtime.block_on(scan);
        let names = names.unwrap_or_else(|error| panic!("names: {error}"));
        names.values().map(BTreeSet::len).sum()
    }

    fn trace(&self, id: TraceId) -> usize {
        let found = self
            .runtime
            .block_on(scan::trace(&self.environment, &self.source, id));
        let found = found.unwrap_or_else(|error| panic!("trace: {error}"));
        found
            .iter()
            .flat_map(|batch| &batch.scope_spans)
            .map(|scope| scope.spans.len())
            .sum()
    }
}

fn measure(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    bench: &Bench,
    name: &str,
    mut work: impl FnMut() -> usize,
) {
    let found = work();
    let before = bench.statistics.totals();
    work();
    let after = bench.statistics.totals();
    println!(
        "{name}: {found} found, {} row groups, {} pruned, {} bytes from the cache, {} from the store",
        after.row_groups - before.row_groups,
        after.row_groups_pruned - before.row_groups_pruned,
        after.cached_bytes - before.cached_bytes,
        after.bytes - before.bytes
    );
    group.bench_function(name, |bencher| bencher.iter(&mut work));
}

fn scans(criterion: &mut Criterion<CpuTime>) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("scan");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for (query, limit) in SEARCHES {
        measure(&mut group, &bench, &format!("{query} limit {limit}"), || {
            bench.search(query, limit)
        });
    }
    for query in METRICS {
        measure(&mut group, &bench, query, || bench.metrics(query));
    }
    for tag in TAGS {
        measure(&mut group, &bench, &format!("values of {tag}"), || {
            bench.values(tag)
        });
    }
    measure(&mut group, &bench, "tag names", || bench.names());
    let mut ids = bench.ids.iter().cycle();
    measure(&mut group, &bench, "trace by id", || {
        ids.next().map_or(0, |id| bench.trace(*id))
    });
    let mut missing = 0_u128;
    measure(&mut group, &bench, "trace that is not there", || {
        missing = missing.wrapping_add(0x1234_5678_9abc_def0_0fed_cba9_8765_4321);
        bench.trace(TraceId(missing.to_be_bytes()))
    });
    group.finish();
}

fn first_trace(request: &[u8]) -> Option<TraceId> {
    let request = tempo_model::proto::trace::ExportTraceServiceRequest::decode(request).ok()?;
    let span = request
        .resource_spans
        .first()?
        .scope_spans
        .first()?
        .spans
        .first()?;
    TraceId::try_from(span.trace_id.as_slice()).ok()
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = scans
}
criterion_main!(benches);
