//! All spans of a trace, from every part that has some: each span once, grouped and ordered. Pure but for the asking.

use std::collections::{HashMap, HashSet};

use prost::Message;
use tempo_model::TraceId;
use tempo_model::proto::tempopb;
use tempo_model::proto::trace::{ResourceSpans, ScopeSpans, Span};

use super::session::{Ask, Broken, Combine, Part, Session};
use crate::rpc::messages::{Partial, Query, Question, TimeRange, TraceQuestion};

/// Asks for a trace.
#[derive(Debug)]
pub(super) struct AskTrace {
    pub(super) id: TraceId,
    /// Only blocks that overlap it are looked into.
    pub(super) range: Option<TimeRange>,
    /// No more parts are asked when it has more than so many bytes; 0 is no limit.
    pub(super) max_bytes: u64,
}

impl Ask for AskTrace {
    type Answer = Vec<ResourceSpans>;

    async fn ask(&self, session: &mut Session<'_>) -> Result<Self::Answer, Broken> {
        let query = Query {
            question: Some(Question::Trace(TraceQuestion {
                trace_ids: vec![self.id.0.to_vec()],
                max_bytes: self.max_bytes,
            })),
            range: self.range,
        };
        let mut parts = TraceParts::of(self.max_bytes);
        session.recent(&query, &mut parts).await?;
        let blocks = session.blocks(|block| {
            let overlaps = |range: TimeRange| block.overlaps(range.start_unix_nanos, range.end_unix_nanos);
            block.may_hold(self.id) && self.range.is_none_or(overlaps)
        });
        session.over_blocks(&query, blocks, &mut parts).await?;
        Ok(parts.into_spans())
    }
}

/// Spans of traces, as parts give them.
#[derive(Debug, Default)]
pub(super) struct TraceParts {
    spans: Vec<ResourceSpans>,
    bytes: u64,
    max_bytes: u64,
}

impl TraceParts {
    /// None yet. With more than `max_bytes` (0 is no limit) no more parts are asked.
    fn of(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            ..Self::default()
        }
    }

    /// All that came, in no particular order.
    pub(super) fn into_spans(self) -> Vec<ResourceSpans> {
        self.spans
    }
}

impl Combine for TraceParts {
    fn add(&mut self, _part: Part, partial: Partial) {
        let trace = partial.trace.unwrap_or_default();
        if self.max_bytes > 0 {
            // Spans that come twice count twice: a trace that seems too large by them is cut, which the answer tells.
            self.bytes += bytes_of(&trace.resource_spans);
        }
        self.spans.extend(trace.resource_spans);
    }

    fn wants_more(&self) -> bool {
        self.max_bytes == 0 || self.bytes <= self.max_bytes
    }
}

fn bytes_of(batches: &[ResourceSpans]) -> u64 {
    let spans = batches
        .iter()
        .flat_map(|batch| &batch.scope_spans)
        .flat_map(|scope| &scope.spans);
    spans.map(|span| span.encoded_len() as u64).sum()
}

/// Drops spans that came before, and what a trace has beyond `max_bytes` (0 is no limit); whether there was such.
///
/// As in Zipkin's model both sides of a call may have one id, kinds are told apart.
pub(super) fn keep_once(batches: &mut Vec<ResourceSpans>, max_bytes: u64) -> bool {
    let mut known = HashSet::new();
    let mut bytes: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut cut = false;
    let mut keep = |span: &Span| {
        if !known.insert((span.trace_id.clone(), span.span_id.clone(), span.kind)) {
            return false;
        }
        if max_bytes == 0 {
            return true;
        }
        let bytes = bytes.entry(span.trace_id.clone()).or_default();
        *bytes += span.encoded_len() as u64;
        cut |= *bytes > max_bytes;
        *bytes <= max_bytes
    };
    for scope in batches.iter_mut().flat_map(|batch| &mut batch.scope_spans) {
        scope.spans.retain(&mut keep);
    }
    for batch in batches.iter_mut() {
        batch.scope_spans.retain(|scope| !scope.spans.is_empty());
    }
    batches.retain(|batch| !batch.scope_spans.is_empty());
    cut
}

/// A trace of its parts, and whether it was cut because it has more than `max_bytes` (0 is no limit).
///
/// A span that stands in several parts is taken once. Spans are ordered by their start, and so are the resources and
/// scopes that they are grouped by.
pub(super) fn assemble(mut parts: Vec<ResourceSpans>, max_bytes: u64) -> (tempopb::Trace, bool) {
    let cut = keep_once(&mut parts, max_bytes);
    let mut groups = Groups::default();
    for mut batch in parts {
        for mut scope in std::mem::take(&mut batch.scope_spans) {
            for span in std::mem::take(&mut scope.spans) {
                groups.add(&batch, &scope, span);
            }
        }
    }
    (groups.finish(), cut)
}

/// Spans by resource and scope.
#[derive(Debug, Default)]
struct Groups {
    batches: Vec<ResourceSpans>,
    /// The place of each resource, by its encoded form.
    places: HashMap<Vec<u8>, usize>,
    /// The place of each scope within its resource.
    scopes: HashMap<(usize, Vec<u8>), usize>,
}

impl Groups {
    /// Adds a span below a resource and a scope, whose own lists are empty.
    fn add(&mut self, batch: &ResourceSpans, scope: &ScopeSpans, span: Span) {
        let place = *self
            .places
            .entry(batch.encode_to_vec())
            .or_insert(self.batches.len());
        if place == self.batches.len() {
            self.batches.push(batch.clone());
        }
        let Some(batch) = self.batches.get_mut(place) else {
            return;
        };
        let scopes = &mut batch.scope_spans;
        let place = *self
            .scopes
            .entry((place, scope.encode_to_vec()))
            .or_insert(scopes.len());
        if place == scopes.len() {
            scopes.push(scope.clone());
        }
        if let Some(scope) = scopes.get_mut(place) {
            scope.spans.push(span);
        }
    }

    fn finish(mut self) -> tempopb::Trace {
        for batch in &mut self.batches {
            for scope in &mut batch.scope_spans {
                scope.spans.sort_by(|one, other| order(one).cmp(&order(other)));
            }
            batch.scope_spans.sort_by_key(first_of_scope);
        }
        self.batches
            .sort_by_key(|batch| batch.scope_spans.first().map(first_of_scope));
        tempopb::Trace {
            resource_spans: self.batches,
        }
    }
}

fn order(span: &Span) -> (u64, &[u8]) {
    (span.start_time_unix_nano, &span.span_id)
}

fn first_of_scope(scope: &ScopeSpans) -> (u64, Vec<u8>) {
    let first = scope.spans.first();
    first.map_or_else(Default::default, |span| {
        (span.start_time_unix_nano, span.span_id.clone())
    })
}

#[cfg(test)]
mod tests {
    use tempo_model::proto::resource::Resource;

    use super::*;

    fn part(resource: u32, spans: &[(u8, u64)]) -> ResourceSpans {
        let span = |(id, start): &(u8, u64)| Span {
            span_id: vec![*id; 8],
            start_time_unix_nano: *start,
            ..Span::default()
        };
        ResourceSpans {
            resource: Some(Resource {
                dropped_attributes_count: resource,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: spans.iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }
    }

    fn ids(trace: &tempopb::Trace) -> Vec<Vec<u8>> {
        let ids = |batch: &ResourceSpans| {
            let spans = batch.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(|span| span.span_id[0]).collect()
        };
        trace.resource_spans.iter().map(ids).collect()
    }

    #[test]
    fn parts_of_a_resource_are_joined_and_everything_is_ordered() {
        let parts = vec![
            part(1, &[(5, 50), (2, 20)]),
            part(2, &[(1, 10)]),
            part(1, &[(3, 30)]),
        ];
        let (trace, cut) = assemble(parts, 0);
        assert_eq!((ids(&trace), cut), (vec![vec![1], vec![2, 3, 5]], false));
    }

    #[test]
    fn a_span_in_several_parts_is_taken_once_and_both_sides_of_a_call_are_kept() {
        let mut both_sides = part(1, &[(1, 10), (1, 10)]);
        both_sides.scope_spans[0].spans[1].kind = 3;
        let (trace, _) = assemble(vec![both_sides, part(1, &[(1, 10), (2, 20)])], 0);
        assert_eq!(ids(&trace), [[1, 1, 2]]);
    }

    #[test]
    fn a_trace_that_is_too_large_is_cut() {
        let whole = part(1, &[(1, 10), (2, 20), (3, 30)]);
        let of_one = whole.scope_spans[0].spans[0].encoded_len() as u64;
        let (trace, cut) = assemble(vec![whole.clone()], 2 * of_one);
        assert_eq!((ids(&trace), cut), (vec![vec![1, 2]], true));
        assert!(!assemble(vec![whole], 3 * of_one).1);
    }
}
