//! Which traces are merged together: neighbours in time, as many as memory allows. Pure.

use std::collections::{BTreeSet, HashSet};

use tempo_model::TraceId;

/// What a row group of an input has of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) id: TraceId,
    /// The earliest start of a span, nanoseconds since the Unix epoch.
    pub(super) start_ns: u64,
    /// What its spans take in memory, about.
    pub(super) bytes: u64,
    /// Where it lies.
    pub(super) row_group: (usize, usize),
    /// Whether more of the trace may be in other blocks.
    pub(super) continued: bool,
}

/// Traces that are merged at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) traces: HashSet<TraceId>,
    /// Input and number of the row groups that they lie in.
    pub(super) row_groups: BTreeSet<(usize, usize)>,
    /// Those that may go on in other blocks.
    pub(super) continued: HashSet<TraceId>,
}

/// Parts in the order in which pieces are cut from them: traces by (start, id), each trace's together.
#[derive(Debug)]
pub(super) struct Pieces {
    parts: Vec<Part>,
    next: usize,
    max_bytes: u64,
}

impl Pieces {
    /// Pieces of about `max_bytes`; of more where a trace alone takes more.
    pub(super) fn new(mut parts: Vec<Part>, max_bytes: u64) -> Self {
        parts.sort_unstable_by_key(|part| (part.id, part.start_ns));
        for trace in parts.chunk_by_mut(|one, other| one.id == other.id) {
            let start_ns = trace.first().map_or(0, |first| first.start_ns);
            for part in trace {
                part.start_ns = start_ns;
            }
        }
        parts.sort_unstable_by_key(|part| (part.start_ns, part.id, part.row_group));
        Self {
            parts,
            next: 0,
            max_bytes,
        }
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let mut piece = Piece::default();
        let mut bytes: u64 = 0;
        let rest = self.parts.get(self.next..).unwrap_or_default();
        for trace in rest.chunk_by(|one, other| one.id == other.id) {
            let of_trace = trace
                .iter()
                .fold(0, |sum: u64, part| sum.saturating_add(part.bytes));
            bytes = bytes.saturating_add(of_trace);
            if bytes > self.max_bytes && !piece.traces.is_empty() {
                break;
            }
            for part in trace {
                piece.add(part);
            }
            self.next += trace.len();
        }
        (!piece.traces.is_empty()).then_some(piece)
    }
}

impl Piece {
    fn add(&mut self, part: &Part) {
        self.traces.insert(part.id);
        self.row_groups.insert(part.row_group);
        if part.continued {
            self.continued.insert(part.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(id: u8, start_ns: u64, bytes: u64, row_group: (usize, usize)) -> Part {
        Part {
            id: TraceId([id; 16]),
            start_ns,
            bytes,
            row_group,
            continued: id == 1,
        }
    }

    fn piece(ids: &[u8], row_groups: &[(usize, usize)]) -> Piece {
        let traces: HashSet<TraceId> = ids.iter().map(|id| TraceId([*id; 16])).collect();
        let continued = traces.iter().copied().filter(|id| id.0[0] == 1).collect();
        Piece {
            traces,
            row_groups: row_groups.iter().copied().collect(),
            continued,
        }
    }

    #[test]
    fn all_of_a_trace_is_in_the_piece_of_its_earliest_part() {
        let parts = vec![
            part(1, 30, 5, (0, 0)),
            part(2, 20, 5, (0, 0)),
            part(3, 25, 50, (0, 1)),
            part(1, 10, 5, (1, 0)),
            part(4, 40, 5, (1, 1)),
        ];
        let found: Vec<Piece> = Pieces::new(parts, 20).collect();
        let expected = [
            piece(&[1, 2], &[(0, 0), (1, 0)]),
            piece(&[3], &[(0, 1)]),
            piece(&[4], &[(1, 1)]),
        ];
        assert_eq!(found, expected);
    }

    proptest! {
        #[test]
        fn every_trace_is_in_one_piece_with_all_its_row_groups(
            parts in prop::collection::vec((0..20_u8, 0..9_u64, 0..9_u64, 0..3_usize), 0..40), max_bytes in 0..40_u64,
        ) {
            let parts: Vec<Part> = parts
                .into_iter()
                .map(|(id, start, bytes, group)| part(id, start, bytes, (group, group)))
                .collect();
            let pieces: Vec<Piece> = Pieces::new(parts.clone(), max_bytes).collect();
            for part in &parts {
                let of_trace: Vec<&Piece> = pieces.iter().filter(|piece| piece.traces.contains(&part.id)).collect();
                prop_assert_eq!(of_trace.len(), 1);
                prop_assert!(of_trace[0].row_groups.contains(&part.row_group));
            }
            for piece in &pieces {
                let bytes: u64 = parts.iter().filter(|part| piece.traces.contains(&part.id)).map(|part| part.bytes).sum();
                prop_assert!(bytes <= max_bytes || piece.traces.len() == 1);
            }
        }
    }
}
