//! Search: a query over batches, one at a time, and the joining of what they gave.
//!
//! ```text
//! Search::new(query, options) ── find(batch) for each batch, newest first ─► Found ── Matches::add ─► newest first
//! ```
//!
//! A batch answers as if it were all there is. A trace that has spans in several batches is evaluated again by who knows
//! of all of them; for queries that look at whole traces a batch names those that may then match ([`Candidate`]).
//!
//! Not here: finding batches, and JSON.

mod answer;
mod matches;
mod whole;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

pub use matches::{Matched, Matches};

use crate::ast::{Aggregate, Stage, Static};
use crate::ast::{
    Attribute, Expression, MetricsQuery, Pipeline, Query, Root, ScalarExpression, Scope, SpansetExpression,
};
use crate::columns::{Field, RootSpan, SpanBatch, TraceRow};
use crate::evaluate::{self, EvaluateError, RowSet, Source, Spanset};
use crate::plan::{Plan, stored_fields};
use whole::Candidates;

/// What is asked of a search besides the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOptions {
    /// How many traces at most; 0 is all.
    pub limit: usize,
    /// How many spans at most are given of each spanset; 0 is all.
    pub spans_per_spanset: usize,
    /// Only traces that end at or after this, unix time in nanoseconds.
    pub start_ns: Option<u64>,
    /// Only traces that start at or before this, unix time in nanoseconds.
    pub end_ns: Option<u64>,
}

impl Default for SearchOptions {
    /// Tempo's defaults: 20 traces with 3 spans each, of all time.
    fn default() -> Self {
        Self {
            limit: 20,
            spans_per_spanset: 3,
            start_ns: None,
            end_ns: None,
        }
    }
}

impl SearchOptions {
    fn covers(&self, trace: &TraceRow) -> bool {
        self.start_ns.is_none_or(|start| trace.end_ns >= start)
            && self.end_ns.is_none_or(|end| trace.start_ns <= end)
    }
}

/// A trace with matching spans.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceMatch {
    /// The id.
    pub trace_id: [u8; 16],
    /// The root span, when it was found.
    pub root: Option<RootSpan>,
    /// The earliest start of a span, unix time in nanoseconds.
    pub start_ns: u64,
    /// The latest end of a span, unix time in nanoseconds.
    pub end_ns: u64,
    /// How many spans each service has in the trace, by `service.name`.
    pub services: BTreeMap<String, ServiceStats>,
    /// Never empty.
    pub spansets: Vec<SpansetMatch>,
}

/// A trace that may match as a whole, whatever the batch that named it gives of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Candidate {
    /// The earliest start of a span of it in the batch, unix time in nanoseconds.
    pub start_ns: u64,
    /// The latest end of a span of it in the batch, unix time in nanoseconds.
    pub end_ns: u64,
    /// The id.
    pub trace_id: [u8; 16],
}

/// What a batch gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// The traces that match if the batch has all of their spans: newest first, at most as many as asked for.
    pub matches: Vec<TraceMatch>,
    /// Others that may match if it has not, as far as they are not older than the last of so many matches; in no
    /// particular order. None when the query looks at spans one by one.
    pub candidates: Vec<Candidate>,
}

/// What a service did in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceStats {
    /// How many spans.
    pub spans: u64,
    /// How many with status error.
    pub errors: u64,
}

/// A set of matching spans of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct SpansetMatch {
    /// The first ones, as many as were asked for.
    pub spans: Vec<SpanMatch>,
    /// How many match.
    pub matched: u64,
    /// What `by()` and aggregates said, by their text: `count()`, `by(span.foo)`.
    pub attributes: BTreeMap<String, AttributeValue>,
}

/// A matching span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanMatch {
    /// The id.
    pub span_id: [u8; 8],
    /// The name.
    pub name: String,
    /// Unix time in nanoseconds.
    pub start_ns: u64,
    /// Nanoseconds.
    pub duration_ns: u64,
    /// What the query names of the span, by bare key without scope.
    pub attributes: BTreeMap<String, AttributeValue>,
}

/// The value of an attribute in an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A value.
    One(Static),
    /// An array.
    Array(Vec<Static>),
}

/// A query made ready to run over batches.
#[derive(Debug, Clone)]
pub struct Search {
    pipeline: Arc<Pipeline>,
    plan: Plan,
    /// `None` when the query looks at spans one by one.
    candidates: Option<Candidates>,
    attributes: BTreeSet<Attribute>,
    options: SearchOptions,
}

impl Search {
    /// Prepares a query. Of a metrics query the spans that it looks at are searched; arithmetic between series is not
    /// supported.
    pub fn new(query: &Query, options: SearchOptions) -> Result<Self, EvaluateError> {
        let pipeline = match &query.root {
            Root::Search(pipeline) => pipeline,
            Root::Metrics(metrics) => of_metrics(metrics)?,
        };
        let mut attributes = BTreeSet::new();
        of_pipeline(pipeline, &mut attributes);
        Ok(Self {
            pipeline: Arc::new(pipeline.clone()),
            plan: Plan::new(pipeline),
            candidates: Candidates::of(pipeline),
            attributes,
            options,
        })
    }

    /// What prunes batches and blocks: where it cannot be satisfied there is no match, and no candidate either.
    pub fn plan(&self) -> &Plan {
        self.candidates.as_ref().map_or(&self.plan, Candidates::plan)
    }

    /// The stored fields that it may read of a batch besides those of its plan: what a batch with matches is asked for.
    pub fn fields(&self) -> Vec<Field> {
        let of_plan = self.candidates.iter().flat_map(|_| self.plan.fields());
        let told = self.attributes.iter().flat_map(stored_fields);
        let always = [
            Field::SpanId,
            Field::Name,
            Field::Start,
            Field::Duration,
            Field::Status,
            Field::Attribute(Scope::Resource, "service.name".to_owned()),
        ];
        of_plan.chain(told).chain(always).collect()
    }

    /// The traces of a batch that match: newest first, at most as many as asked for.
    pub fn run(&self, batch: &dyn SpanBatch) -> Result<Vec<TraceMatch>, EvaluateError> {
        self.matches(&Source::new(batch), 0)
    }

    /// What a batch gives of traces that do not start before `floor_ns`, unix time in nanoseconds.
    pub fn find(&self, batch: &dyn SpanBatch, floor_ns: u64) -> Result<Found, EvaluateError> {
        let source = Source::new(batch);
        let Some(candidates) = &self.candidates else {
            return Ok(Found {
                matches: self.matches(&source, floor_ns)?,
                candidates: Vec::new(),
            });
        };
        if source.all_rows().is_empty() || !self.plan().may_match(&|condition| source.may_match(condition)) {
            return Ok(Found::default());
        }
        let rows = candidates.rows(&source)?;
        if rows.is_empty() {
            return Ok(Found::default());
        }
        let matches = self.matches(&source, floor_ns)?;
        let is_full = self.options.limit > 0 && matches.len() >= self.options.limit;
        let last = matches.last().filter(|_| is_full);
        let floor_ns = last.map_or(floor_ns, |last| last.start_ns);
        let mut candidates = candidates_of(&source, &rows)?;
        let matching: HashSet<[u8; 16]> = matches.iter().map(|trace| trace.trace_id).collect();
        candidates.retain(|trace| trace.start_ns >= floor_ns && !matching.contains(&trace.trace_id));
        Ok(Found { matches, candidates })
    }

    fn matches(&self, source: &Source<'_>, floor_ns: u64) -> Result<Vec<TraceMatch>, EvaluateError> {
        let sets = self.spansets(source)?;
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        let chosen = self.newest(source, sets, floor_ns)?;
        Ok(answer::answer(source, &chosen, &self.attributes, self.options)?)
    }

    /// The rows of a batch in some spanset.
    pub(crate) fn rows(&self, source: &Source<'_>) -> Result<RowSet, EvaluateError> {
        if source.all_rows().is_empty() || !self.plan.may_match(&|condition| source.may_match(condition)) {
            return Ok(RowSet::Some(Vec::new()));
        }
        evaluate::run_rows(source, &self.pipeline)
    }

    /// The spansets of a batch.
    pub(crate) fn spansets(&self, source: &Source<'_>) -> Result<Vec<Spanset>, EvaluateError> {
        if source.all_rows().is_empty() || !self.plan.may_match(&|condition| source.may_match(condition)) {
            return Ok(Vec::new());
        }
        evaluate::run(source, &self.pipeline)
    }

    /// The spansets of the newest traces, trace by trace.
    fn newest(
        &self,
        source: &Source<'_>,
        sets: Vec<Spanset>,
        floor_ns: u64,
    ) -> Result<Vec<(TraceRow, u32, Vec<Spanset>)>, EvaluateError> {
        let mut by_trace: BTreeMap<u32, Vec<Spanset>> = BTreeMap::new();
        for set in sets {
            by_trace.entry(set.trace).or_default().push(set);
        }
        let traces = source.traces()?;
        let row_of = |(ordinal, sets): (u32, Vec<Spanset>)| {
            Some((traces.get(ordinal as usize)?.clone(), ordinal, sets))
        };
        let mut chosen: Vec<_> = by_trace
            .into_iter()
            .filter_map(row_of)
            .filter(|(trace, ..)| trace.start_ns >= floor_ns && self.options.covers(trace))
            .collect();
        chosen.sort_by_key(|(trace, ..)| (std::cmp::Reverse(trace.start_ns), trace.trace_id));
        if self.options.limit > 0 {
            chosen.truncate(self.options.limit);
        }
        Ok(chosen)
    }
}

/// The traces of some rows.
fn candidates_of(source: &Source<'_>, rows: &RowSet) -> Result<Vec<Candidate>, EvaluateError> {
    let (traces, ordinals) = (source.traces()?, source.ordinals()?);
    let mut named = vec![false; traces.len()];
    for row in rows.iter() {
        let ordinal = ordinals.get(row as usize);
        if let Some(named) = ordinal.and_then(|ordinal| named.get_mut(*ordinal as usize)) {
            *named = true;
        }
    }
    let named = traces.iter().zip(named).filter(|(_, named)| *named);
    Ok(named
        .map(|(trace, _)| Candidate {
            start_ns: trace.start_ns,
            end_ns: trace.end_ns,
            trace_id: trace.trace_id,
        })
        .collect())
}

/// The pipeline of a metrics query.
fn of_metrics(metrics: &MetricsQuery) -> Result<&Pipeline, EvaluateError> {
    match metrics {
        MetricsQuery::Series(series) => Ok(&series.pipeline),
        MetricsQuery::SecondStage(series, _) => of_metrics(series),
        MetricsQuery::Binary { .. } | MetricsQuery::Constant(_) => Err(EvaluateError::Unsupported(
            "arithmetic between series in a search: ask for the spans of one of them".to_owned(),
        )),
    }
}

/// All attributes that a pipeline names.
fn of_pipeline(pipeline: &Pipeline, found: &mut BTreeSet<Attribute>) {
    for stage in &pipeline.stages {
        match stage {
            Stage::Spanset(spanset) => of_spanset(spanset, found),
            Stage::ScalarFilter { left, right, .. } => {
                of_scalar(left, found);
                of_scalar(right, found);
            }
            Stage::By(expression) => of_expression(expression, found),
            Stage::Coalesce => {}
            Stage::Select(attributes) => found.extend(attributes.iter().cloned()),
        }
    }
}

fn of_spanset(spanset: &SpansetExpression, found: &mut BTreeSet<Attribute>) {
    match spanset {
        SpansetExpression::Filter(expression) => of_expression(expression, found),
        SpansetExpression::Pipeline(pipeline) => of_pipeline(pipeline, found),
        SpansetExpression::Binary { left, right, .. } => {
            of_spanset(left, found);
            of_spanset(right, found);
        }
    }
}

fn of_scalar(scalar: &ScalarExpression, found: &mut BTreeSet<Attribute>) {
    if let ScalarExpression::Aggregate(Aggregate::Of(_, expression)) = scalar {
        of_expression(expression, found);
    }
}

fn of_expression(expression: &Expression, found: &mut BTreeSet<Attribute>) {
    match expression {
        Expression::Static(_) => {}
        Expression::Attribute(attribute) => {
            found.insert(attribute.clone());
        }
        Expression::Unary(_, operand) => of_expression(operand, found),
        Expression::Binary { left, right, .. } => {
            of_expression(left, found);
            of_expression(right, found);
        }
    }
}
