//! What several batches gave, joined by trace.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Candidate, Found, SearchOptions, SpansetMatch, TraceMatch};

/// The newest traces found so far. The limit bounds how many match; candidates are at most as many as batches have traces
/// that are as new.
#[derive(Debug, Clone)]
pub struct Matches {
    options: SearchOptions,
    /// Newest first.
    traces: Vec<Matched>,
    candidates: Vec<(Candidate, u32)>,
}

/// A trace that matches in some batches.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// What they tell of it.
    pub trace: TraceMatch,
    /// The numbers of the batches. When there are several, none has seen the whole trace.
    pub batches: Vec<u32>,
}

impl Matches {
    /// None yet.
    pub fn new(options: SearchOptions) -> Self {
        Self {
            options,
            traces: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Adds what batch number `batch` gave. Parts of one trace are joined: their spansets with the same groups are united
    /// by span id, and aggregates stay those of the first part, since no part sees the others' spans.
    pub fn add(&mut self, batch: u32, found: Found) {
        let mut places: HashMap<[u8; 16], usize> = self
            .traces
            .iter()
            .zip(0..)
            .map(|(matched, place)| (matched.trace.trace_id, place))
            .collect();
        for trace in found.matches {
            let place = *places.entry(trace.trace_id).or_insert(self.traces.len());
            match self.traces.get_mut(place) {
                Some(known) => {
                    join(&mut known.trace, trace, self.options.spans_per_spanset);
                    known.batches.push(batch);
                }
                None => self.traces.push(Matched {
                    trace,
                    batches: vec![batch],
                }),
            }
        }
        self.traces
            .sort_by_key(|matched| (Reverse(matched.trace.start_ns), matched.trace.trace_id));
        if self.options.limit > 0 {
            self.traces.truncate(self.options.limit);
        }
        self.candidates
            .extend(found.candidates.into_iter().map(|candidate| (candidate, batch)));
        if let Some(floor) = self.floor_ns() {
            self.candidates
                .retain(|(candidate, _)| candidate.start_ns >= floor);
        }
    }

    /// When there are as many traces as asked for: the start of the oldest. A batch whose spans all start before it
    /// adds no newer trace, so that a caller who goes through batches newest first may stop there.
    pub fn floor_ns(&self) -> Option<u64> {
        let full = self.options.limit > 0 && self.traces.len() >= self.options.limit;
        self.traces
            .last()
            .filter(|_| full)
            .map(|matched| matched.trace.start_ns)
    }

    /// The traces so far, newest first.
    pub fn traces(&self) -> Vec<&TraceMatch> {
        self.traces.iter().map(|matched| &matched.trace).collect()
    }

    /// The traces, newest first.
    pub fn into_traces(self) -> Vec<TraceMatch> {
        self.traces.into_iter().map(|matched| matched.trace).collect()
    }

    /// The traces, newest first, and the candidates that are not older, each with the number of its batch; one of those
    /// may be among the traces, or come several times.
    pub fn into_parts(self) -> (Vec<Matched>, Vec<(Candidate, u32)>) {
        (self.traces, self.candidates)
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

    fn found(matches: Vec<TraceMatch>) -> Found {
        Found {
            matches,
            candidates: Vec::new(),
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
        matches.add(0, found(vec![trace(1, 9, &[1, 2])]));
        matches.add(3, found(vec![root]));
        let (traces, _) = matches.into_parts();
        let [
            Matched {
                trace: joined,
                batches,
            },
        ] = traces.as_slice()
        else {
            panic!("one trace")
        };
        assert_eq!(batches, &[0, 3]);
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
        matches.add(0, found(vec![trace(1, 10, &[1])]));
        assert_eq!(matches.floor_ns(), None);
        matches.add(1, found(vec![trace(2, 30, &[1]), trace(3, 20, &[1])]));
        assert_eq!(matches.floor_ns(), Some(20));
        let starts: Vec<u64> = matches.into_traces().iter().map(|trace| trace.start_ns).collect();
        assert_eq!(starts, [30, 20]);
    }

    #[test]
    fn candidates_older_than_all_that_is_asked_for_are_dropped() {
        let candidate = |start_ns| Candidate {
            start_ns,
            end_ns: 30,
            trace_id: [9; 16],
        };
        let mut matches = matches(1);
        let candidates = vec![candidate(5), candidate(20)];
        matches.add(
            0,
            Found {
                matches: Vec::new(),
                candidates,
            },
        );
        matches.add(1, found(vec![trace(1, 10, &[1])]));
        assert_eq!(matches.into_parts().1, [(candidate(20), 0)]);
    }
}
