//! The trees of spans, rebuilt from pre-order positions and depths (docs/format.md, "Parents").

use arrow::array::{Array, BinaryArray};
use tempo_traceql::columns::{ORPHAN, ROOT};

/// For each row the row of its parent, [`ROOT`] or [`ORPHAN`]. All slices have an entry for each row; `received` has the
/// parent ids of rows at depth zero, `None` where no row has one. `None` is for positions that are no pre-order.
pub(super) fn parents(
    ordinals: &[u32],
    positions: &[u32],
    depths: &[u32],
    received: Option<&BinaryArray>,
) -> Option<Vec<u32>> {
    let order = tree_order(ordinals, positions)?;
    let mut parents = vec![ORPHAN; ordinals.len()];
    // The rows from a root down to the row that was last visited.
    let mut path: Vec<u32> = Vec::new();
    let mut trace = None;
    for row in order {
        let at = row as usize;
        let (ordinal, depth) = (ordinals.get(at)?, *depths.get(at)? as usize);
        if trace.replace(ordinal) != Some(ordinal) {
            path.clear();
        }
        if depth > path.len() {
            return None;
        }
        path.truncate(depth);
        *parents.get_mut(at)? = path
            .last()
            .copied()
            .unwrap_or_else(|| without_parent(received, at));
        path.push(row);
    }
    Some(parents)
}

/// What a row at depth zero is.
fn without_parent(received: Option<&BinaryArray>, row: usize) -> u32 {
    let id = received.filter(|ids| row < ids.len() && ids.is_valid(row));
    let names_a_span = id.is_some_and(|ids| ids.value(row).iter().any(|byte| *byte != 0));
    if names_a_span { ORPHAN } else { ROOT }
}

/// The rows trace by trace, each trace's by position; `None` unless its positions count from zero without gaps.
fn tree_order(ordinals: &[u32], positions: &[u32]) -> Option<Vec<u32>> {
    const UNKNOWN: u32 = u32::MAX;
    let traces = ordinals.iter().max().map_or(0, |last| *last as usize + 1);
    if ordinals.len() != positions.len() || traces > ordinals.len() {
        return None;
    }
    let mut starts = vec![0_u32; traces + 1];
    for ordinal in ordinals {
        *starts.get_mut(*ordinal as usize + 1)? += 1;
    }
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    let mut order = vec![UNKNOWN; ordinals.len()];
    for (row, (ordinal, position)) in ordinals.iter().zip(positions).enumerate() {
        let (start, end) = (starts.get(*ordinal as usize)?, starts.get(*ordinal as usize + 1)?);
        let place = start.checked_add(*position).filter(|place| place < end)?;
        let place = order.get_mut(place as usize)?;
        if std::mem::replace(place, row as u32) != UNKNOWN {
            return None;
        }
    }
    Some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_the_last_row_that_is_less_deep() {
        // Trace 0: a tree of rows 3 → (0, 1 → 4); trace 1: row 2 alone, with a parent elsewhere.
        let received = BinaryArray::from_opt_vec(vec![None, None, Some(&[1; 8]), None, None]);
        let found = parents(
            &[0, 0, 1, 0, 0],
            &[1, 2, 0, 0, 3],
            &[1, 1, 0, 0, 2],
            Some(&received),
        );
        assert_eq!(found.unwrap(), [3, 3, ORPHAN, ROOT, 1]);
    }

    #[test]
    fn ids_of_zeros_name_nothing_and_others_are_not_found() {
        let received = BinaryArray::from_opt_vec(vec![None, Some(&[][..]), Some(&[0; 8]), Some(&[1])]);
        let found = parents(&[0; 4], &[0, 1, 2, 3], &[0; 4], Some(&received));
        assert_eq!(found.unwrap(), [ROOT, ROOT, ROOT, ORPHAN]);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        assert_eq!(parents(&[0, 0], &[0, 0], &[0, 0], None), None);
        assert_eq!(parents(&[0, 0], &[0, 2], &[0, 0], None), None);
        assert_eq!(parents(&[0, 0], &[0, 1], &[0, 2], None), None);
        assert_eq!(parents(&[0], &[0], &[1], None), None);
    }
}
