//! Which traces go into which row group. Pure.

/// Traces that last longer have row groups of their own.
const LONG_NS: u64 = 60 * 60 * 1_000_000_000;
/// Traces that are further from their arrival have row groups of their own.
const ARRIVAL_SLACK_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// A trace, as far as planning looks. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlannedTrace {
    pub(super) id: [u8; 16],
    /// The earliest start of a span.
    pub(super) start_ns: u64,
    /// The latest end of a span.
    pub(super) end_ns: u64,
    pub(super) spans: usize,
}

/// The traces of each row group, by their places in `traces`, in the order of (start, id). A row group has at most
/// `max_rows` spans, or one trace. Long traces and those that lie far from their arrival (`arrivals_ns`: of the first
/// and the last record) share no row group with others, so that one wrong clock does not widen all.
pub(super) fn row_groups(
    traces: &[PlannedTrace],
    arrivals_ns: (u64, u64),
    max_rows: usize,
) -> Vec<Vec<usize>> {
    let (timely, stray): (Vec<_>, Vec<_>) = traces
        .iter()
        .enumerate()
        .partition(|(_, trace)| trace.is_timely(arrivals_ns));
    [timely, stray]
        .into_iter()
        .flat_map(|traces| cut(traces, max_rows))
        .collect()
}

impl PlannedTrace {
    fn is_timely(&self, (first_arrival_ns, last_arrival_ns): (u64, u64)) -> bool {
        self.end_ns - self.start_ns <= LONG_NS
            && self.start_ns >= first_arrival_ns.saturating_sub(ARRIVAL_SLACK_NS)
            && self.end_ns <= last_arrival_ns.saturating_add(ARRIVAL_SLACK_NS)
    }
}

fn cut(mut traces: Vec<(usize, &PlannedTrace)>, max_rows: usize) -> Vec<Vec<usize>> {
    traces.sort_unstable_by_key(|(_, trace)| (trace.start_ns, trace.id));
    let mut groups = Vec::new();
    let (mut open, mut rows) = (Vec::new(), 0);
    for (place, trace) in traces {
        if trace.spans > max_rows {
            groups.push(vec![place]);
            continue;
        }
        if rows + trace.spans > max_rows {
            groups.push(std::mem::take(&mut open));
            rows = 0;
        }
        open.push(place);
        rows += trace.spans;
    }
    if !open.is_empty() {
        groups.push(open);
    }
    groups
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = ARRIVAL_SLACK_NS;
    const ARRIVALS: (u64, u64) = (100 * DAY, 101 * DAY);

    fn trace() -> impl Strategy<Value = PlannedTrace> {
        let start = prop_oneof![
            8 => 100 * DAY..100 * DAY + 1000,
            1 => Just(0),
            1 => any::<u64>(),
        ];
        let duration = prop_oneof![8 => 0..1000_u64, 1 => LONG_NS - 1..LONG_NS + 2, 1 => any::<u64>()];
        (any::<[u8; 16]>(), start, duration, 1..60_usize).prop_map(|(id, start_ns, duration, spans)| {
            PlannedTrace {
                id,
                start_ns,
                end_ns: start_ns.saturating_add(duration),
                spans,
            }
        })
    }

    proptest! {
        #[test]
        fn every_trace_is_in_one_row_group_and_none_is_too_big(traces in prop::collection::vec(trace(), 0..100)) {
            const MAX_ROWS: usize = 50;
            let groups = row_groups(&traces, ARRIVALS, MAX_ROWS);
            let mut seen: Vec<usize> = groups.concat();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..traces.len()).collect::<Vec<_>>());
            for group in &groups {
                let members: Vec<_> = group.iter().map(|place| traces[*place]).collect();
                let rows: usize = members.iter().map(|trace| trace.spans).sum();
                prop_assert!(!group.is_empty() && (rows <= MAX_ROWS || group.len() == 1));
                prop_assert!(members.is_sorted_by_key(|trace| (trace.start_ns, trace.id)));
                let timely = members[0].is_timely(ARRIVALS);
                prop_assert!(members.iter().all(|trace| trace.is_timely(ARRIVALS) == timely));
            }
        }

        #[test]
        fn row_groups_are_filled(spans in prop::collection::vec(1..50_usize, 1..100)) {
            let start = |place: usize| PlannedTrace { id: [0; 16], start_ns: 100 * DAY + place as u64, end_ns: 100 * DAY + place as u64, spans: spans[place] };
            let traces: Vec<_> = (0..spans.len()).map(start).collect();
            let groups = row_groups(&traces, ARRIVALS, 50);
            let rows = |group: &Vec<usize>| group.iter().map(|place| spans[*place]).sum::<usize>();
            prop_assert!(groups.windows(2).all(|pair| rows(&pair[0]) + spans[pair[1][0]] > 50));
        }
    }

    #[test]
    fn one_wrong_clock_widens_no_other_row_group() {
        let at = |start_ns: u64, duration: u64| PlannedTrace {
            id: [0; 16],
            start_ns,
            end_ns: start_ns + duration,
            spans: 1,
        };
        let traces = [
            at(100 * DAY, 5),
            at(0, 5),
            at(100 * DAY, LONG_NS + 1),
            at(102 * DAY, 1),
            at(99 * DAY, LONG_NS),
        ];
        assert_eq!(row_groups(&traces, ARRIVALS, 50), [vec![4, 0], vec![1, 2, 3]]);
    }
}
