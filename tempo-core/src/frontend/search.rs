//! Search: the newest traces that match, with what is told of them joined over all parts that have spans of them.
//!
//! ```text
//! recent, then blocks newest first ─► FoundTraces ─ until the limit is reached by newer traces than the rest can hold
//!                                          │ for each found trace: what other parts have of it (root, times, services)
//!                                          ▼
//!                                    newest first, cut to the limit
//! ```

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use tempo_block::meta::BlockMeta;
use tempo_model::TraceId;
use tempo_model::proto::tempopb;

use super::session::{Ask, Broken, Combine, Part, Session};
use crate::rpc::messages::{
    FoundTrace, Partial, Query, Question, SearchQuestion, SummariesQuestion, TimeRange,
};

/// Other parts of a found trace are looked for in blocks up to this long before and after it. A trace with a longer
/// silence in it is told in pieces.
const LONGEST_SILENCE: Duration = Duration::from_hours(1);

/// Asks for traces.
#[derive(Debug)]
pub(super) struct AskSearch {
    pub(super) question: SearchQuestion,
    pub(super) range: Option<TimeRange>,
}

impl Ask for AskSearch {
    type Answer = FoundTraces;

    async fn ask(&self, session: &mut Session<'_>) -> Result<FoundTraces, Broken> {
        let query = Query {
            question: Some(Question::Search(self.question.clone())),
            range: self.range,
        };
        let mut found = FoundTraces::new(
            self.question.limit as usize,
            self.question.spans_per_span_set as usize,
        );
        session.recent(&query, &mut found).await?;
        let overlaps = |block: &BlockMeta| {
            self.range
                .is_none_or(|range| block.overlaps(range.start_unix_nanos, range.end_unix_nanos))
        };
        let blocks = session.blocks(overlaps);
        session.over_blocks(&query, blocks, &mut found).await?;
        complete(session, &mut found).await?;
        Ok(found)
    }
}

/// Asks the other parts what they have of the traces that were found.
async fn complete(session: &mut Session<'_>, found: &mut FoundTraces) -> Result<(), Broken> {
    if found.traces.is_empty() {
        return Ok(());
    }
    let summaries = |trace_ids: Vec<Vec<u8>>| Query {
        question: Some(Question::Summaries(SummariesQuestion { trace_ids })),
        range: None,
    };
    // Several heads may have parts of a trace; what was found tells only of those with a match.
    let all = found.traces.keys().map(|id| id.0.to_vec()).collect();
    session.recent(&summaries(all), found).await?;
    let jobs: Vec<_> = session
        .blocks(|_| true)
        .into_iter()
        .filter_map(|block| {
            let ids = found.unknown_in(&block);
            (!ids.is_empty()).then(|| (block, summaries(ids)))
        })
        .collect();
    let mut told = Summaries(found);
    session.jobs(jobs, &mut told).await
}

/// What the parts that were not searched for matches have.
struct Summaries<'a>(&'a mut FoundTraces);

impl Combine for Summaries<'_> {
    fn add(&mut self, part: Part, partial: Partial) {
        self.0.add(part, partial);
    }
}

/// The traces found so far, the newest ones, each with what every part has of it. Pure.
#[derive(Debug, Default)]
pub(super) struct FoundTraces {
    limit: usize,
    spans_per_span_set: usize,
    traces: BTreeMap<TraceId, BTreeMap<Part, FoundTrace>>,
    /// When there are as many traces as asked for: the start of the oldest.
    floor_ns: Option<u64>,
}

impl FoundTraces {
    /// None yet. `limit` is how many traces at most (0 is all), `spans_per_span_set` how many spans of a set (0 is all).
    pub(super) fn new(limit: usize, spans_per_span_set: usize) -> Self {
        Self {
            limit,
            spans_per_span_set,
            ..Self::default()
        }
    }

    /// Adds what was found for another tenant.
    pub(super) fn absorb(&mut self, other: Self) {
        for (id, parts) in other.traces {
            for (part, trace) in parts {
                self.add_part(id, part, trace);
            }
        }
        self.keep_newest();
    }

    fn add_part(&mut self, id: TraceId, part: Part, mut trace: FoundTrace) {
        let parts = self.traces.entry(id).or_default();
        let Some(known) = parts.remove(&part) else {
            parts.insert(part, trace);
            return;
        };
        if trace.span_sets.is_empty() {
            // A summary tells of all that the part has.
            trace.span_sets = known.span_sets;
            parts.insert(part, trace);
        } else {
            parts.insert(part, join(known, trace, self.spans_per_span_set));
        }
    }

    /// Lets go of the oldest traces beyond the limit.
    fn keep_newest(&mut self) {
        if self.limit == 0 || self.traces.len() < self.limit {
            return;
        }
        let mut starts: Vec<_> = self
            .traces
            .iter()
            .map(|(id, parts)| (Reverse(start(parts)), *id))
            .collect();
        starts.sort_unstable();
        for (_, id) in starts.drain(self.limit..) {
            self.traces.remove(&id);
        }
        self.floor_ns = starts.last().map(|(Reverse(start), _)| *start);
    }

    /// The traces of which a block may have spans that nothing is known of yet.
    fn unknown_in(&self, block: &BlockMeta) -> Vec<Vec<u8>> {
        let silence = LONGEST_SILENCE.as_nanos() as u64;
        let may_have = |(id, parts): &(&TraceId, &BTreeMap<Part, FoundTrace>)| {
            let end = parts
                .values()
                .map(|trace| trace.end_unix_nanos)
                .max()
                .unwrap_or_default();
            !parts.contains_key(&Some(block.id))
                && block.may_hold(**id)
                && block.overlaps(start(parts).saturating_sub(silence), end.saturating_add(silence))
        };
        self.traces
            .iter()
            .filter(may_have)
            .map(|(id, _)| id.0.to_vec())
            .collect()
    }

    /// The traces, newest first.
    pub(super) fn finish(self) -> Vec<FoundTrace> {
        let spans = self.spans_per_span_set;
        let joined = |parts: BTreeMap<Part, FoundTrace>| {
            parts
                .into_values()
                .reduce(|known, other| join(known, other, spans))
        };
        let mut traces: Vec<FoundTrace> = self.traces.into_values().filter_map(joined).collect();
        traces.sort_by(|one, other| {
            let newest = other.start_unix_nanos.cmp(&one.start_unix_nanos);
            newest.then_with(|| one.trace_id.cmp(&other.trace_id))
        });
        traces
    }
}

impl Combine for FoundTraces {
    fn add(&mut self, part: Part, partial: Partial) {
        // Several ingesters are one part.
        let mut found: BTreeMap<TraceId, FoundTrace> = BTreeMap::new();
        for trace in partial.found {
            let Ok(id) = TraceId::try_from(trace.trace_id.as_slice()) else {
                continue;
            };
            let trace = match found.remove(&id) {
                Some(known) => join(known, trace, self.spans_per_span_set),
                None => trace,
            };
            found.insert(id, trace);
        }
        for (id, trace) in found {
            self.add_part(id, part, trace);
        }
        self.keep_newest();
    }

    fn is_settled(&self, block: &BlockMeta) -> bool {
        self.floor_ns.is_some_and(|floor| block.end_ns < floor)
    }
}

fn start(parts: &BTreeMap<Part, FoundTrace>) -> u64 {
    parts
        .values()
        .map(|trace| trace.start_unix_nanos)
        .min()
        .unwrap_or_default()
}

/// A trace of two of its parts.
fn join(mut known: FoundTrace, other: FoundTrace, spans_per_span_set: usize) -> FoundTrace {
    if known.root_service_name.is_empty() && known.root_trace_name.is_empty() {
        known.root_service_name = other.root_service_name;
        known.root_trace_name = other.root_trace_name;
    }
    known.start_unix_nanos = known.start_unix_nanos.min(other.start_unix_nanos);
    known.end_unix_nanos = known.end_unix_nanos.max(other.end_unix_nanos);
    for (service, stats) in other.service_stats {
        let known = known.service_stats.entry(service).or_default();
        known.span_count += stats.span_count;
        known.error_count += stats.error_count;
    }
    for set in other.span_sets {
        match known
            .span_sets
            .iter_mut()
            .find(|known| groups(known).eq(groups(&set)))
        {
            Some(known) => join_sets(known, set, spans_per_span_set),
            None => known.span_sets.push(set),
        }
    }
    known
}

/// What `by()` said of a set. Aggregates differ between the parts of a trace: those of the first are told.
fn groups(set: &tempopb::SpanSet) -> impl Iterator<Item = &tempo_model::proto::common::KeyValue> {
    set.attributes
        .iter()
        .filter(|attribute| attribute.key.starts_with("by("))
}

fn join_sets(known: &mut tempopb::SpanSet, other: tempopb::SpanSet, spans_per_span_set: usize) {
    known.matched += other.matched;
    for span in other.spans {
        if known.spans.iter().any(|known| known.span_id == span.span_id) {
            known.matched -= 1;
        } else if spans_per_span_set == 0 || known.spans.len() < spans_per_span_set {
            known.spans.push(span);
        }
    }
}

/// The traces as the API gives them. `left_pad` keeps the leading zeros of ids.
pub(super) fn metadata(trace: FoundTrace, left_pad: bool) -> tempopb::TraceSearchMetadata {
    let id = TraceId::try_from(trace.trace_id.as_slice()).unwrap_or_default();
    let has_root = !(trace.root_service_name.is_empty() && trace.root_trace_name.is_empty());
    let duration_ns = trace.end_unix_nanos.saturating_sub(trace.start_unix_nanos);
    tempopb::TraceSearchMetadata {
        trace_id: if left_pad {
            id.to_string()
        } else {
            id.to_short_hex()
        },
        root_service_name: if has_root {
            trace.root_service_name
        } else {
            NO_ROOT.to_owned()
        },
        root_trace_name: trace.root_trace_name,
        start_time_unix_nano: trace.start_unix_nanos,
        duration_ms: u32::try_from(duration_ns / 1_000_000).unwrap_or(u32::MAX),
        span_set: trace.span_sets.first().cloned(),
        span_sets: trace.span_sets,
        service_stats: trace.service_stats,
    }
}

/// What is told of a trace whose root has not arrived, in the words that Tempo's users know.
const NO_ROOT: &str = "<root span not yet received>";

#[cfg(test)]
mod tests;
