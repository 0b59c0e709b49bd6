//! Sets of record numbers as sorted, disjoint, half-open ranges: what a segment holds, what a block covers.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A set of numbers; written as `[[from, to), …]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The set of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges in ascending order, none touching another.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().map(|&(from, to)| from..to)
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }

    /// The number after the largest one; 0 when empty.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |&(_, to)| to)
    }

    /// Adds a range; an empty one changes nothing.
    pub fn insert(&mut self, range: Range<u64>) {
        let Range {
            start: mut from,
            end: mut to,
        } = range;
        if from >= to {
            return;
        }
        // Everything from `first` to `last` touches the new range and melts into it.
        let first = self.0.partition_point(|&(_, end)| end < from);
        let last = self.0.partition_point(|&(start, _)| start <= to);
        for &(start, end) in self.0.get(first..last).unwrap_or_default() {
            from = from.min(start);
            to = to.max(end);
        }
        self.0.splice(first..last, [(from, to)]);
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: &Self) {
        for range in other.iter() {
            self.insert(range);
        }
    }

    /// Whether the number is in it.
    pub fn contains(&self, number: u64) -> bool {
        self.covers(number..number.saturating_add(1))
    }

    /// Whether all of the range is in it; true for an empty range.
    pub fn covers(&self, range: Range<u64>) -> bool {
        let candidate = self.0.partition_point(|&(_, end)| end <= range.start);
        range.is_empty()
            || self
                .0
                .get(candidate)
                .is_some_and(|&(from, to)| from <= range.start && range.end <= to)
    }

    /// What both sets hold.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut common = Self::new();
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(&&(a, b)), Some(&&(c, d))) = (left.peek(), right.peek()) {
            common.insert(a.max(c)..b.min(d));
            if b < d {
                left.next();
            } else {
                right.next();
            }
        }
        common
    }

    /// What this set holds and the other does not.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = Self::new();
        for range in self.iter() {
            let mut from = range.start;
            for hole in other
                .iter()
                .filter(|hole| hole.start < range.end && range.start < hole.end)
            {
                rest.insert(from..hole.start.max(from));
                from = hole.end;
            }
            rest.insert(from..range.end);
        }
        rest
    }
}

/// Takes ranges in any order, overlapping or not: what was stored may have been written by a stranger.
impl From<Vec<(u64, u64)>> for Ranges {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        pairs.into_iter().map(|(from, to)| from..to).collect()
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.0
    }
}

impl From<Range<u64>> for Ranges {
    fn from(range: Range<u64>) -> Self {
        [range].into_iter().collect()
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut all = Self::new();
        for range in ranges {
            all.insert(range);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn pairs() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0..40_u64, 0..40_u64), 0..8)
    }

    fn numbers(pairs: &[(u64, u64)]) -> BTreeSet<u64> {
        pairs.iter().flat_map(|&(from, to)| from..to).collect()
    }

    proptest! {
        #[test]
        fn it_is_the_set_that_it_stands_for(a in pairs(), b in pairs(), probe in (0..40_u64, 0..40_u64)) {
            let (left, right) = (Ranges::from(a.clone()), Ranges::from(b.clone()));
            let (a, b) = (numbers(&a), numbers(&b));
            let listed = |ranges: &Ranges| ranges.iter().flatten().collect::<BTreeSet<_>>();
            prop_assert_eq!(listed(&left), a.clone());
            prop_assert_eq!(left.count(), a.len() as u64);
            prop_assert_eq!(listed(&left.intersection(&right)), &a & &b);
            prop_assert_eq!(listed(&left.difference(&right)), &a - &b);
            prop_assert_eq!(left.covers(probe.0..probe.1), (probe.0..probe.1).all(|number| a.contains(&number)));
            let neighbours = left.0.windows(2).all(|pair| pair[0].1 < pair[1].0);
            prop_assert!(neighbours, "ranges touch: {:?}", left);
        }
    }

    #[test]
    fn it_is_written_as_pairs() {
        let ranges: Ranges = [3..5, 0..2, 5..7].into_iter().collect();
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[[0,2],[3,7]]");
    }
}
