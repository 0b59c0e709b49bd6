//! A snapshot of a head by trace: what planning needs, and where the spans of a trace are.

use std::collections::HashSet;
use std::sync::Arc;

use tempo_model::TraceId;

use super::plan::PlannedTrace;
use crate::head::HeadSnapshot;
use crate::head::segment::Segment;

/// Traces whose last span ended this long before the last record arrived, or later, may go on in the next block.
const MAY_GO_ON_NS: u64 = 60 * 1_000_000_000;

/// How to tell whether more of a trace may be in other blocks.
#[derive(Debug)]
pub(crate) enum GoesOn {
    /// Until it has a root and was quiet for a while.
    ByAge,
    /// These may, as the blocks say that they come from.
    Known(HashSet<TraceId>),
}

/// The spans that become a block.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) snapshot: Arc<HeadSnapshot>,
    /// By the head's number of the trace.
    pub(super) traces: Vec<PlannedTrace>,
    /// Where each trace's rows begin in `rows`, and the end of the last.
    starts: Vec<u32>,
    /// Rows of the snapshot by trace, each in order of arrival.
    rows: Vec<u32>,
    /// Arrival of the first and the last record.
    pub(super) arrivals_ns: (u64, u64),
    goes_on: GoesOn,
}

impl Source {
    /// `None` without spans.
    pub(super) fn of(snapshot: Arc<HeadSnapshot>, goes_on: GoesOn) -> Option<Self> {
        let arrivals_ns = snapshot.arrivals_ns()?;
        let traces = planned_traces(&snapshot);
        let (starts, rows) = rows_by_trace(&snapshot, &traces);
        Some(Self {
            snapshot,
            traces,
            starts,
            rows,
            arrivals_ns,
            goes_on,
        })
    }

    /// The rows of a trace in order of arrival: the number of the segment, and the row in it.
    pub(super) fn rows_of(&self, trace: usize) -> impl Iterator<Item = (usize, usize)> {
        let start = |trace: usize| {
            self.starts
                .get(trace)
                .map_or(self.rows.len(), |start| *start as usize)
        };
        let rows = self.rows.get(start(trace)..start(trace + 1));
        let first_rows = &self.snapshot.first_rows;
        rows.into_iter().flatten().filter_map(move |row| {
            let segment = first_rows.partition_point(|first| first <= row).checked_sub(1)?;
            Some((segment, (row - first_rows.get(segment)?) as usize))
        })
    }

    /// A segment by its number.
    pub(super) fn segment(&self, number: usize) -> Option<&Segment> {
        self.snapshot.segments.get(number).map(|segment| &**segment)
    }

    /// Whether more of a trace may be in other blocks.
    pub(super) fn may_go_on(&self, trace: &PlannedTrace, has_root: bool) -> bool {
        match &self.goes_on {
            GoesOn::ByAge => !has_root || trace.end_ns >= self.arrivals_ns.1.saturating_sub(MAY_GO_ON_NS),
            GoesOn::Known(traces) => traces.contains(&TraceId(trace.id)),
        }
    }
}

fn planned_traces(snapshot: &HeadSnapshot) -> Vec<PlannedTrace> {
    let unknown = |id: &[u8; 16]| PlannedTrace {
        id: *id,
        start_ns: u64::MAX,
        end_ns: 0,
        spans: 0,
    };
    let mut traces: Vec<PlannedTrace> = snapshot.tables().trace_ids.iter().map(unknown).collect();
    for segment in &snapshot.segments {
        for (row, trace) in segment.trace.iter().enumerate() {
            let times = segment.times_of(row);
            if let Some(trace) = traces.get_mut(*trace as usize) {
                trace.start_ns = trace.start_ns.min(times.earliest_start);
                trace.end_ns = trace.end_ns.max(times.latest_end);
                trace.spans += 1;
            }
        }
    }
    traces
}

/// A counting sort by trace.
fn rows_by_trace(snapshot: &HeadSnapshot, traces: &[PlannedTrace]) -> (Vec<u32>, Vec<u32>) {
    let mut end = 0;
    let mut starts = vec![0];
    starts.extend(traces.iter().map(|trace| {
        end += trace.spans as u32;
        end
    }));
    let mut next = starts.clone();
    let mut rows = vec![0; snapshot.spans()];
    let numbers = snapshot.segments.iter().flat_map(|segment| &segment.trace);
    for (row, trace) in (0..).zip(numbers) {
        let Some(place) = next.get_mut(*trace as usize) else {
            continue;
        };
        if let Some(at) = rows.get_mut(*place as usize) {
            *at = row;
        }
        *place += 1;
    }
    (starts, rows)
}
