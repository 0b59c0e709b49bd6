//! Sets of rows of a batch.

use crate::columns::Selection;

/// Rows of a batch, ascending.
#[derive(Debug, Clone)]
pub(crate) enum RowSet {
    /// Every row below a number.
    All(u32),
    /// These.
    Some(Vec<u32>),
}

impl RowSet {
    pub(crate) fn selection(&self) -> Selection<'_> {
        match self {
            Self::All(_) => Selection::All,
            Self::Some(rows) => Selection::Rows(rows),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(count) => *count as usize,
            Self::Some(rows) => rows.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row at a position of the set.
    pub(crate) fn row(&self, position: usize) -> Option<u32> {
        match self {
            Self::All(count) => u32::try_from(position).ok().filter(|row| row < count),
            Self::Some(rows) => rows.get(position).copied(),
        }
    }

    /// Where a row is in the set.
    pub(crate) fn position(&self, row: u32) -> Option<usize> {
        match self {
            Self::All(count) => (row < *count).then_some(row as usize),
            Self::Some(rows) => rows.binary_search(&row).ok(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len()).filter_map(|position| self.row(position))
    }

    pub(crate) fn to_vec(&self) -> Vec<u32> {
        match self {
            Self::All(count) => (0..*count).collect(),
            Self::Some(rows) => rows.clone(),
        }
    }

    /// The rows that are not in `others` (ascending).
    pub(crate) fn without(&self, others: &[u32]) -> Vec<u32> {
        let mut others = others.iter().peekable();
        let is_other = |row: u32| {
            while others.next_if(|other| **other < row).is_some() {}
            others.next_if(|other| **other == row).is_some()
        };
        let mut is_other = is_other;
        self.iter().filter(|row| !is_other(*row)).collect()
    }
}

/// The rows in either; both are ascending.
pub(crate) fn union(left: &[u32], right: &[u32]) -> Vec<u32> {
    let mut rows = Vec::with_capacity(left.len() + right.len());
    rows.extend_from_slice(left);
    rows.extend_from_slice(right);
    sorted(rows)
}

/// The rows in both; both are ascending.
pub(crate) fn intersection(left: &[u32], right: &[u32]) -> Vec<u32> {
    left.iter()
        .copied()
        .filter(|row| right.binary_search(row).is_ok())
        .collect()
}

/// Ascending, each once.
pub(crate) fn sorted(mut rows: Vec<u32>) -> Vec<u32> {
    if !rows.is_sorted() {
        rows.sort_unstable();
    }
    rows.dedup();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_without_others() {
        assert_eq!(RowSet::All(5).without(&[0, 3]), [1, 2, 4]);
        assert_eq!(RowSet::Some(vec![2, 4, 8]).without(&[1, 4, 9]), [2, 8]);
        assert_eq!(RowSet::All(2).without(&[]), [0, 1]);
    }

    #[test]
    fn unions_and_intersections_are_ascending() {
        assert_eq!(union(&[1, 5], &[0, 5, 7]), [0, 1, 5, 7]);
        assert_eq!(intersection(&[1, 5, 7], &[5, 7, 9]), [5, 7]);
    }
}
