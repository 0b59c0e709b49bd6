//! Queries over one source of spans, a head or a block: prune, load what the query reads, evaluate, newest first.
//!
//! Not here: which sources there are, and joining what several gave (the querier and the query-frontend).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tempo_model::TraceId;
use tempo_model::proto::trace::ResourceSpans;
use tempo_runtime::Environment;
use tempo_traceql::EvaluateError;
use tempo_traceql::ast::{Attribute, Scope};
use tempo_traceql::metrics::{Metrics, Partial};
use tempo_traceql::search::{Matches, Search};
use tempo_traceql::tags::{TagFilter, TagValue};

use crate::head::HeadSnapshot;
use crate::read::{BlockReader, ReadError};

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
    Evaluate(#[from] EvaluateError),
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
}

/// Adds the matches of a source, its newest row groups first; it stops where no newer trace can come.
pub async fn search(
    _environment: &Environment,
    _source: &Source,
    _search: &Arc<Search>,
    _range: TimeRange,
    _matches: &mut Matches,
) -> Result<(), ScanError> {
    unimplemented!()
}

/// The spans of a trace as they were sent.
pub async fn trace(
    _environment: &Environment,
    _source: &Source,
    _id: TraceId,
) -> Result<Vec<ResourceSpans>, ScanError> {
    unimplemented!()
}

/// The keys of attributes in each of `scopes`, of the spans that the filter leaves.
pub async fn tag_names(
    _environment: &Environment,
    _source: &Source,
    _scopes: &[Scope],
    _filter: &TagFilter,
    _range: TimeRange,
) -> Result<BTreeMap<Scope, BTreeSet<String>>, ScanError> {
    unimplemented!()
}

/// Adds the values of an attribute on the spans that the filter leaves; stops when they take more than `max_bytes`
/// (0 is no limit).
pub async fn tag_values(
    _environment: &Environment,
    _source: &Source,
    _attribute: &Attribute,
    _filter: &TagFilter,
    _range: TimeRange,
    _max_bytes: usize,
    _found: &mut BTreeSet<TagValue>,
) -> Result<(), ScanError> {
    unimplemented!()
}

/// Adds a source's part to a metrics query.
pub async fn metrics(
    _environment: &Environment,
    _source: &Source,
    _metrics: &Arc<Metrics>,
    _range: TimeRange,
    _partial: &mut Partial,
) -> Result<(), ScanError> {
    unimplemented!()
}
