//! The trees that spans form by their parents, as nested sets: a span's interval lies within its ancestors'.

use crate::columns::{ORPHAN, ROOT};

/// What hangs on what, for all rows of a batch.
pub(crate) struct Tree {
    /// For every row its parent's row, [`ROOT`] or [`ORPHAN`].
    parents: Vec<u32>,
    /// The children of all rows, in the order of rows, one row's after another's.
    children: Vec<u32>,
    /// Where each row's children begin in `children`, and at the end its length.
    starts: Vec<u32>,
    /// Interval of each row, numbered from one within its trace; zero for rows that hang on no root.
    intervals: Vec<(u32, u32)>,
}

impl Tree {
    /// The trees of a batch of so many traces. Nothing hangs on a root that is missing.
    pub(crate) fn new(parents: &[u32], ordinals: &[u32], traces: usize) -> Self {
        let (children, starts) = children(parents);
        let mut tree = Self {
            parents: parents.to_vec(),
            children,
            starts,
            intervals: vec![(0, 0); parents.len()],
        };
        let mut next = vec![1; traces];
        for (row, (parent, ordinal)) in parents.iter().zip(ordinals).enumerate() {
            if let (ROOT, Some(next)) = (*parent, next.get_mut(*ordinal as usize)) {
                tree.number(row as u32, next);
            }
        }
        tree
    }

    /// Numbers a row and all below it, depth first, without recursion: traces may be 100,000 spans deep.
    fn number(&mut self, top: u32, next: &mut u32) {
        let mut path = vec![(top, 0)];
        self.open(top, next);
        while let Some((row, visited)) = path.last_mut() {
            let child = self.children_of(*row).get(*visited).copied();
            *visited += 1;
            if let Some(child) = child {
                self.open(child, next);
                path.push((child, 0));
            } else {
                if let Some(interval) = self.intervals.get_mut(*row as usize) {
                    interval.1 = *next;
                }
                *next += 1;
                path.pop();
            }
        }
    }

    fn open(&mut self, row: u32, next: &mut u32) {
        if let Some(interval) = self.intervals.get_mut(row as usize) {
            interval.0 = *next;
        }
        *next += 1;
    }

    fn children_of(&self, row: u32) -> &[u32] {
        let bounds = self
            .starts
            .get(row as usize)
            .zip(self.starts.get(row as usize + 1));
        bounds
            .and_then(|(start, end)| self.children.get(*start as usize..*end as usize))
            .unwrap_or_default()
    }

    /// The parent's row, [`ROOT`] or [`ORPHAN`].
    pub(crate) fn parent(&self, row: u32) -> u32 {
        self.parents.get(row as usize).copied().unwrap_or(ORPHAN)
    }

    /// Whether a row hangs on a root.
    pub(crate) fn is_connected(&self, row: u32) -> bool {
        self.left(row) > 0
    }

    pub(crate) fn child_count(&self, row: u32) -> i64 {
        self.children_of(row).len() as i64
    }

    /// Where the row's interval begins; zero when it hangs on no root.
    pub(crate) fn left(&self, row: u32) -> i64 {
        self.intervals
            .get(row as usize)
            .map_or(0, |(left, _)| i64::from(*left))
    }

    /// Where the row's interval ends; zero when it hangs on no root.
    pub(crate) fn right(&self, row: u32) -> i64 {
        self.intervals
            .get(row as usize)
            .map_or(0, |(_, right)| i64::from(*right))
    }

    /// Where the parent's interval begins; -1 for roots, zero when it hangs on none.
    pub(crate) fn parent_number(&self, row: u32) -> i64 {
        match self.parent(row) {
            ROOT => -1,
            ORPHAN => 0,
            parent => self.left(parent),
        }
    }
}

/// The children of every row, and where each row's begin.
fn children(parents: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; parents.len() + 1];
    for parent in parents {
        if let Some(count) = starts.get_mut(*parent as usize + 1) {
            *count += 1;
        }
    }
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    let mut ends = starts.clone();
    let mut children = vec![0; total as usize];
    for (row, parent) in parents.iter().enumerate() {
        if let Some(end) = ends
            .get_mut(*parent as usize)
            .filter(|_| (*parent as usize) < parents.len())
        {
            if let Some(child) = children.get_mut(*end as usize) {
                *child = row as u32;
            }
            *end += 1;
        }
    }
    (children, starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(parents: &[u32]) -> Tree {
        Tree::new(parents, &vec![0; parents.len()], 1)
    }

    fn intervals(tree: &Tree) -> Vec<(i64, i64)> {
        (0..tree.parents.len() as u32)
            .map(|row| (tree.left(row), tree.right(row)))
            .collect()
    }

    #[test]
    fn children_lie_within_their_parents() {
        let tree = tree(&[1, ROOT, 1, 0]);
        assert_eq!(intervals(&tree), [(2, 5), (1, 8), (6, 7), (3, 4)]);
        assert_eq!([0, 1, 2, 3].map(|row| tree.child_count(row)), [1, 2, 0, 0]);
        assert_eq!([0, 1, 2, 3].map(|row| tree.parent_number(row)), [1, -1, 1, 2]);
    }

    #[test]
    fn orphans_and_circles_hang_on_nothing() {
        assert_eq!(intervals(&tree(&[ORPHAN, 0, 2, 4, 3])), [(0, 0); 5]);
    }

    #[test]
    fn a_deep_trace_is_numbered_without_recursion() {
        let parents: Vec<u32> = (0..100_000u32)
            .map(|row| row.checked_sub(1).unwrap_or(ROOT))
            .collect();
        assert_eq!(tree(&parents).right(0), 200_000);
    }
}
