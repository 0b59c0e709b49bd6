//! Queries over one source of spans, a head or a block: prune, load what the query reads, evaluate, newest first.
//!
//! ```text
//! source ─ parts in the time range, newest first ─ pruned by the plan ─ load its fields ─ evaluate ─ add what was found
//! ```
//! Not here: which sources there are, and joining what several gave (the querier and the query-frontend).

mod parts;
mod tags;

use std::collections::HashSet;
use std::sync::Arc;

use prost::Message;
use tempo_model::TraceId;
use tempo_model::proto::trace::ResourceSpans;
use tempo_runtime::{Environment, TaskFailed};
use tempo_traceql::EvaluateError;
use tempo_traceql::metrics::{Metrics, Partial};
use tempo_traceql::plan::Plan;
use tempo_traceql::search::{Matches, Search};
use xxhash_rust::xxh3::xxh3_128;

use self::parts::Scan;
use crate::head::HeadSnapshot;
use crate::read::{BlockReader, ReadError, RowGroup, Wanted, wanted_fields};

pub use tags::{tag_names, tag_values};

/// Where spans are.
#[derive(Debug, Clone)]
pub enum Source {
    /// A block.
    Block(Arc<dyn BlockReader>),
    /// A head at one moment.
    Head(Arc<HeadSnapshot>),
}

/// A query over a source failed.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The source could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The query cannot be evaluated.
    #[error(transparent)]
    Evaluate(EvaluateError),
}

impl From<EvaluateError> for ScanError {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Fetch(error) => Self::Read(error.into()),
            other => Self::Evaluate(other),
        }
    }
}

impl From<TaskFailed> for ScanError {
    fn from(error: TaskFailed) -> Self {
        Self::Read(error.into())
    }
}

/// Times that are asked for, nanoseconds since the Unix epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The first.
    pub start_ns: u64,
    /// The last.
    pub end_ns: u64,
}

impl TimeRange {
    /// All times.
    pub const ALL: Self = Self {
        start_ns: 0,
        end_ns: u64::MAX,
    };

    fn overlaps(&self, start_ns: u64, end_ns: u64) -> bool {
        self.start_ns <= end_ns && start_ns <= self.end_ns
    }

    fn covers(&self, start_ns: u64, end_ns: u64) -> bool {
        self.start_ns <= start_ns && end_ns <= self.end_ns
    }
}

/// Adds the matches of a source, its newest row groups first; it stops where no newer trace can come.
pub async fn search(
    environment: &Environment,
    source: &Source,
    search: &Arc<Search>,
    range: TimeRange,
    matches: &mut Matches,
) -> Result<(), ScanError> {
    search_above(environment, source, search, range, SearchFrom::default(), matches).await
}

/// Which of a source's traces a search is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchFrom {
    /// Only traces that do not start before this, nanoseconds since the Unix epoch.
    pub floor_ns: u64,
    /// The number of the first batch of the source in [`Matches`]: row groups are numbered from here.
    pub first_batch: u32,
}

/// As [`search`], of some of the source's traces.
pub async fn search_above(
    environment: &Environment,
    source: &Source,
    search: &Arc<Search>,
    range: TimeRange,
    from: SearchFrom,
    matches: &mut Matches,
) -> Result<(), ScanError> {
    let SearchFrom {
        floor_ns,
        first_batch,
    } = from;
    let find = {
        let search = Arc::clone(search);
        move |group: &dyn RowGroup| search.find(group.batch(), floor_ns)
    };
    let mut more = wanted_fields(search.fields());
    more.push(Wanted::Ordinals);
    let scan = Scan {
        environment,
        source,
        plans: vec![search.plan()],
        first: wanted_fields(search.plan().fields()),
        more,
        work: Arc::new(find),
    };
    let mut parts = scan.parts(range).await?;
    parts.retain(|part| part.latest_start_ns >= floor_ns);
    scan.each(&parts, |part, found, next| {
        if let Some(found) = found {
            matches.add(first_batch.saturating_add(part.number as u32), found);
        }
        // Traces that start later than all that is left: nothing of it could take a place.
        let floor = matches.floor_ns();
        next.is_none_or(|next| floor.is_none_or(|floor| next.latest_start_ns >= floor))
    })
    .await
}

/// Which row groups of a source have spans of some traces, but for row group `except`.
pub async fn places(
    environment: &Environment,
    source: &Source,
    ids: Vec<TraceId>,
    except: Option<usize>,
) -> Result<Vec<(usize, TraceId)>, ScanError> {
    match source {
        Source::Block(block) => Ok(block.places(&ids, except).await?),
        Source::Head(_) if except == Some(0) => Ok(Vec::new()),
        Source::Head(head) => {
            let head = Arc::clone(head);
            let known = environment
                .run_cpu("traces of a head", move || head.held(&ids))
                .await?;
            Ok(known.into_iter().map(|id| (0, id)).collect())
        }
    }
}

/// The spans of a trace as they were sent; of a source that may have spans twice, each once.
pub async fn trace(
    environment: &Environment,
    source: &Source,
    id: TraceId,
) -> Result<Vec<ResourceSpans>, ScanError> {
    traces(environment, source, vec![id], usize::MAX).await
}

/// The spans of some traces as they were sent, of each trace at most `max_spans` of every row group; of a source that may
/// have spans twice, each once.
pub async fn traces(
    environment: &Environment,
    source: &Source,
    ids: Vec<TraceId>,
    max_spans: usize,
) -> Result<Vec<ResourceSpans>, ScanError> {
    match source {
        Source::Block(block) => {
            let mut spans = block.traces(&ids, max_spans).await?;
            if block.meta().maybe_duplicates {
                keep_first_of_equal(&mut spans);
            }
            Ok(spans)
        }
        Source::Head(head) => {
            let head = Arc::clone(head);
            Ok(environment
                .run_cpu("spans of a head", move || head.some_traces(&ids, max_spans))
                .await?)
        }
    }
}

/// Drops spans that came before, with the same id and all else.
fn keep_first_of_equal(batches: &mut Vec<ResourceSpans>) {
    let mut known = HashSet::new();
    for scope in batches.iter_mut().flat_map(|batch| &mut batch.scope_spans) {
        scope
            .spans
            .retain(|span| known.insert(xxh3_128(&span.encode_to_vec())));
    }
    for batch in batches.iter_mut() {
        batch.scope_spans.retain(|scope| !scope.spans.is_empty());
    }
    batches.retain(|batch| !batch.scope_spans.is_empty());
}

/// Adds a source's part to a metrics query.
pub async fn metrics(
    environment: &Environment,
    source: &Source,
    metrics: &Arc<Metrics>,
    range: TimeRange,
    partial: &mut Partial,
) -> Result<(), ScanError> {
    let run = {
        let metrics = Arc::clone(metrics);
        move |group: &dyn RowGroup| {
            let mut part = metrics.empty();
            metrics.add(group.batch(), &mut part)?;
            Ok(part)
        }
    };
    let plans: Vec<&Plan> = metrics.plans().collect();
    let fields = plans
        .iter()
        .flat_map(|plan| plan.fields())
        .chain(metrics.fields());
    let scan = Scan {
        environment,
        source,
        first: wanted_fields(fields),
        plans,
        more: vec![Wanted::Ordinals],
        work: Arc::new(run),
    };
    let parts = scan.parts(range).await?;
    scan.each(&parts, |_, part, _| {
        if let Some(part) = part {
            partial.merge(part);
        }
        true
    })
    .await
}

#[cfg(test)]
mod tests {
    use tempo_model::proto::trace::{ScopeSpans, Span};

    use super::*;

    #[test]
    fn equal_spans_are_kept_once_and_others_with_their_id_too() {
        let span = |name: &str| Span {
            span_id: vec![1; 8],
            name: name.to_owned(),
            ..Span::default()
        };
        let batch = |names: &[&str]| ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: names.iter().map(|name| span(name)).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        };
        let mut batches = vec![batch(&["client", "server", "client"]), batch(&["server"])];
        keep_first_of_equal(&mut batches);
        assert_eq!(batches, [batch(&["client", "server"])]);
    }
}
