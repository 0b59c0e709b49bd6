//! The matches of several batches, joined by trace.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{SearchOptions, SpansetMatch, TraceMatch};

/// The newest traces found so far. Memory is bounded by the limit.
#[derive(Debug, Clone)]
pub struct Matches {
    options: SearchOptions,
    /// Newest first.
    traces: Vec<TraceMatch>,
}

impl Matches {
    /// None yet.
    pub fn new(options: SearchOptions) -> Self {
        Self {
            options,
            traces: Vec::new(),
        }
    }

    /// Adds what a batch gave. Parts of one trace are joined: their spansets with the same groups are united by span
    /// id, and aggregates stay those of the first part, since no part sees the others' spans.
    pub fn add(&mut self, found: Vec<TraceMatch>) {
        let mut places: HashMap<[u8; 16], usize> = self
            .traces
            .iter()
            .zip(0..)
            .map(|(trace, place)| (trace.trace_id, place))
            .collect();
        for trace in found {
            let place = *places.entry(trace.trace_id).or_insert(self.traces.len());
            match self.traces.get_mut(place) {
                Some(known) => join(known, trace, self.options.spans_per_spanset),
                None => self.traces.push(trace),
            }
        }
        self.traces
            .sort_by_key(|trace| (Reverse(trace.start_ns), trace.trace_id));
        if self.options.limit > 0 {
            self.traces.truncate(self.options.limit);
        }
    }

    /// When there are as many traces as asked for: the start of the oldest. A batch whose spans all start before it
    /// adds no newer trace, so that a caller who goes through batches newest first may stop there.
    pub fn floor_ns(&self) -> Option<u64> {
        let full = self.options.limit > 0 && self.traces.len() >= self.options.limit;
        self.traces.last().filter(|_| full).map(|trace| trace.start_ns)
    }

    /// The traces so far, newest first.
    pub fn traces(&self) -> &[TraceMatch] {
        &self.traces
    }

    /// The traces, newest first.
    pub fn into_traces(self) -> Vec<TraceMatch> {
        self.traces
    }
}

fn join(known: &mut TraceMatch, other: TraceMatch, spans_per_spanset: usize) {
    known.root = known.root.take().or(other.root);
    known.start_ns = known.start_ns.min(other.start_ns);
    known.end_ns = known.end_ns.max(other.end_ns);
    for (service, stats) in other.services {
        let known = known.services.entry(service).or_default();
        known.spans += stats.spans;
        known.errors += stats.errors;
    }
    for set in other.spansets {
        match known
            .spansets
            .iter_mut()
            .find(|known| groups(known).eq(groups(&set)))
        {
            Some(known) => join_sets(known, set, spans_per_spanset),
            None => known.spansets.push(set),
        }
    }
}

/// What `by()` said of a set; aggregates differ between the parts of a trace.
fn groups(set: &SpansetMatch) -> impl Iterator<Item = (&String, &super::AttributeValue)> {
    set.attributes.iter().filter(|(key, _)| key.starts_with("by("))
}

fn join_sets(known: &mut SpansetMatch, other: SpansetMatch, spans_per_spanset: usize) {
    known.matched += other.matched;
    for span in other.spans {
        if known.spans.iter().any(|known| known.span_id == span.span_id) {
            known.matched -= 1;
        } else if spans_per_spanset == 0 || known.spans.len() < spans_per_spanset {
            known.spans.push(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::columns::RootSpan;
    use crate::search::{ServiceStats, SpanMatch};

    fn trace(id: u8, start_ns: u64, spans: &[u8]) -> TraceMatch {
        let span = |id: &u8| SpanMatch {
            span_id: [*id; 8],
            name: "s".to_owned(),
            start_ns,
            duration_ns: 1,
            attributes: BTreeMap::new(),
        };
        TraceMatch {
            trace_id: [id; 16],
            root: None,
            start_ns,
            end_ns: start_ns + 1,
            services: BTreeMap::from([("shop".to_owned(), ServiceStats { spans: 2, errors: 1 })]),
            spansets: vec![SpansetMatch {
                spans: spans.iter().map(span).collect(),
                matched: spans.len() as u64,
                attributes: BTreeMap::new(),
            }],
        }
    }

    fn matches(limit: usize) -> Matches {
        Matches::new(SearchOptions {
            limit,
            ..SearchOptions::default()
        })
    }

    #[test]
    fn parts_of_a_trace_are_joined() {
        let mut matches = matches(20);
        let mut root = trace(1, 5, &[2, 3, 4]);
        root.root = Some(RootSpan {
            name: "root".into(),
            service: "shop".into(),
        });
        matches.add(vec![trace(1, 9, &[1, 2])]);
        matches.add(vec![root]);
        let [joined] = matches.traces() else {
            panic!("one trace")
        };
        assert_eq!((joined.start_ns, joined.end_ns), (5, 10));
        assert_eq!(joined.root.as_ref().map(|root| &*root.name), Some("root"));
        assert_eq!(joined.services["shop"], ServiceStats { spans: 4, errors: 2 });
        let ids: Vec<u8> = joined.spansets[0]
            .spans
            .iter()
            .map(|span| span.span_id[0])
            .collect();
        assert_eq!((ids, joined.spansets[0].matched), (vec![1, 2, 3], 4));
    }

    #[test]
    fn the_newest_are_kept() {
        let mut matches = matches(2);
        matches.add(vec![trace(1, 10, &[1])]);
        assert_eq!(matches.floor_ns(), None);
        matches.add(vec![trace(2, 30, &[1]), trace(3, 20, &[1])]);
        assert_eq!(matches.floor_ns(), Some(20));
        let starts: Vec<u64> = matches.into_traces().iter().map(|trace| trace.start_ns).collect();
        assert_eq!(starts, [30, 20]);
    }
}
