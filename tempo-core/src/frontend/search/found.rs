//! What parts gave, and the whole traces that came of it. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tempo_block::meta::BlockMeta;
use tempo_model::TraceId;

use super::{Places, SpanPlace};
use crate::answer::trace_ids;
use crate::frontend::session::{Combine, Part};
use crate::rpc::messages::{Candidates, FoundTrace, Partial};

/// Other parts of a trace are looked for in blocks up to this long before and after what is known of it. A trace with a
/// longer silence in it is told in pieces.
const LONGEST_SILENCE: Duration = Duration::from_hours(1);
/// So many traces are settled before more parts are asked, though there may be no match among them.
const MOST_OPEN: usize = 1 << 16;

/// The traces found so far.
#[derive(Debug, Default)]
pub(super) struct FoundTraces {
    /// 0 is no limit.
    limit: usize,
    /// How often parts were asked for more.
    round: u32,
    /// How many parts have answered.
    answered: usize,
    /// Not known as a whole yet.
    open: HashMap<TraceId, Open>,
    /// How many of those match in some part.
    open_matches: usize,
    /// They match as a whole.
    whole: HashMap<TraceId, Whole>,
    /// Evaluated as a whole, whether they matched or not.
    spread: HashSet<TraceId>,
    /// The parts that left something out, with the latest start of it.
    left_out: HashMap<Part, u64>,
    floor_ns: Option<u64>,
}

/// A trace that is not known as a whole yet.
#[derive(Debug, Clone, Default)]
struct Open {
    /// The earliest start that is known.
    start_ns: u64,
    /// The latest end that is known.
    end_ns: u64,
    places: BTreeSet<SpanPlace>,
    /// What a part said that has matches.
    found: Option<FoundTrace>,
}

#[derive(Debug)]
struct Whole {
    trace: FoundTrace,
    /// Where it is, if that is one place.
    place: Option<SpanPlace>,
}

impl FoundTraces {
    /// None yet, and at most `limit` wanted (0 is all).
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// When there are as many whole traces as asked for: the start of the oldest. Nothing older is wanted.
    pub(super) fn floor_ns(&self) -> Option<u64> {
        self.floor_ns
    }

    /// How many matches a part is asked for (0 is all): some more than are wanted, as some may turn out to begin earlier
    /// in other parts.
    pub(super) fn limit_of_part(&self) -> usize {
        let some_more = self.limit.saturating_add(self.limit / 4).saturating_add(8);
        match self.limit {
            0 => 0,
            _ => some_more.saturating_mul(1 << self.round.min(20)),
        }
    }

    /// Whether a trace may have spans in a block.
    pub(super) fn may_be_in(&self, id: TraceId, block: &BlockMeta) -> bool {
        let silence = LONGEST_SILENCE.as_nanos() as u64;
        block.may_hold(id)
            && self.open.get(&id).is_some_and(|open| {
                let (start, end) = (open.start_ns, open.end_ns);
                block.overlaps(start.saturating_sub(silence), end.saturating_add(silence))
            })
    }

    /// The newest traces that are not known as a whole: as many as may be wanted.
    pub(super) fn newest_open(&self) -> Places {
        let mut newest: Vec<(&TraceId, &Open)> = self.open.iter().collect();
        if self.limit > 0 {
            newest.sort_unstable_by_key(|(id, open)| (Reverse(open.start_ns), **id));
            let mut wanted = self.limit_of_part().saturating_sub(self.whole.len());
            let taken = newest.iter().take_while(|(_, open)| {
                let is_wanted = wanted > 0;
                wanted = wanted.saturating_sub(usize::from(open.found.is_some()));
                is_wanted
            });
            let taken = taken.count().max(1);
            newest.truncate(taken);
        }
        let with_places = newest.into_iter().map(|(id, open)| (*id, open.places.clone()));
        with_places.collect()
    }

    /// Takes in where traces are. Those at one place are whole; the others come back.
    pub(super) fn close(&mut self, places: Places) -> Places {
        let mut spread = Places::new();
        for (id, places) in places {
            let Some(open) = self.open.remove(&id) else {
                continue;
            };
            self.open_matches -= usize::from(open.found.is_some());
            if places.len() > 1 {
                self.spread.insert(id);
                spread.insert(id, places);
            } else if let Some(trace) = open.found {
                let place = places.first().copied();
                self.whole.insert(id, Whole { trace, place });
            }
        }
        self.keep_newest();
        spread
    }

    /// Adds traces that match as a whole.
    pub(super) fn add_whole(&mut self, traces: Vec<FoundTrace>) {
        for trace in traces {
            if let Ok(id) = TraceId::try_from(trace.trace_id.as_slice()) {
                self.whole.insert(id, Whole { trace, place: None });
            }
        }
        self.keep_newest();
    }

    /// The parts that left out what may be wanted; they will be asked for more.
    pub(super) fn ask_again(&mut self) -> BTreeSet<Part> {
        self.round += 1;
        let floor_ns = self.floor_ns;
        let left_out = self.left_out.drain();
        left_out
            .filter(|(_, latest)| floor_ns.is_none_or(|floor| *latest > floor))
            .map(|(part, _)| part)
            .collect()
    }

    /// The traces, newest first.
    pub(super) fn finish(self) -> Vec<FoundTrace> {
        let mut traces: Vec<FoundTrace> = self.whole.into_values().map(|whole| whole.trace).collect();
        newest_first(&mut traces);
        traces
    }

    /// Lets go of what is older than as many whole traces as are wanted.
    fn keep_newest(&mut self) {
        if self.limit == 0 || self.whole.len() < self.limit {
            return;
        }
        let mut newest: Vec<(Reverse<u64>, TraceId)> = self
            .whole
            .iter()
            .map(|(id, whole)| (Reverse(whole.trace.start_unix_nanos), *id))
            .collect();
        newest.sort_unstable();
        for (_, id) in newest.drain(self.limit..) {
            self.whole.remove(&id);
        }
        let floor = newest.last().map(|(Reverse(start), _)| *start);
        self.floor_ns = floor;
        // What parts know of a trace can only make it older.
        self.open
            .retain(|_, open| floor.is_none_or(|floor| open.start_ns >= floor));
        self.open_matches = self.open.values().filter(|open| open.found.is_some()).count();
    }

    fn open(&mut self, id: TraceId, heard: Open) {
        let is_old = |floor: u64| heard.start_ns < floor;
        if self.spread.contains(&id) || self.floor_ns.is_some_and(is_old) {
            return;
        }
        let known = self.whole.get(&id).and_then(|whole| whole.place);
        if known.is_some_and(|place| heard.places.contains(&place)) {
            return;
        }
        let open = self.open.entry(id).or_insert_with(|| Open {
            start_ns: heard.start_ns,
            places: known.into_iter().collect(),
            ..Open::default()
        });
        open.start_ns = open.start_ns.min(heard.start_ns);
        open.end_ns = open.end_ns.max(heard.end_ns);
        open.places.extend(heard.places);
        if open.found.is_none() && heard.found.is_some() {
            open.found = heard.found;
            self.open_matches += 1;
        }
    }

    fn add_candidates(&mut self, part: Part, candidates: &Candidates) {
        let times = candidates.starts.iter().zip(&candidates.ends);
        for (id, (start, end)) in trace_ids(&candidates.trace_ids).into_iter().zip(times) {
            let heard = Open {
                start_ns: *start,
                end_ns: *end,
                places: [(part, candidates.row_group)].into(),
                found: None,
            };
            self.open(id, heard);
        }
    }
}

impl Combine for FoundTraces {
    fn add(&mut self, part: Part, partial: Partial) {
        self.answered += 1;
        for trace in partial.found {
            let Ok(id) = TraceId::try_from(trace.trace_id.as_slice()) else {
                continue;
            };
            let heard = Open {
                start_ns: trace.start_unix_nanos,
                end_ns: trace.end_unix_nanos,
                places: trace.row_groups.iter().map(|number| (part, *number)).collect(),
                found: Some(trace),
            };
            self.open(id, heard);
        }
        for candidates in &partial.candidates {
            self.add_candidates(part, candidates);
        }
        if partial.left_out_unix_nanos > 0 {
            self.left_out.insert(part, partial.left_out_unix_nanos);
        }
    }

    fn wants_more(&self) -> bool {
        let enough = self.limit > 0 && self.open_matches > 0 && {
            let wanted = match self.floor_ns {
                None => self.limit.saturating_sub(self.whole.len()),
                Some(_) => self.limit,
            };
            self.open_matches >= wanted
        };
        !enough && self.open.len() < MOST_OPEN
    }

    fn at_once(&self) -> usize {
        // Often the newest part is all that is needed: the more were not enough, the more are asked at once.
        match self.limit {
            0 => usize::MAX,
            _ => 1 << self.answered.min(16),
        }
    }
}

/// Puts the newest first.
pub(super) fn newest_first(traces: &mut [FoundTrace]) {
    traces.sort_by(|one, other| {
        let newest = other.start_unix_nanos.cmp(&one.start_unix_nanos);
        newest.then_with(|| one.trace_id.cmp(&other.trace_id))
    });
}
