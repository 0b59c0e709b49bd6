//! Which WAL records something holds. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use tempo_block::log::{Blocks, Cover};
use tempo_block::ranges::Ranges;
use ulid::Ulid;

/// Records of one tenant, by stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Records(BTreeMap<Ulid, Ranges>);

/// How much of some records blocks hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    Nothing,
    Part,
    All,
}

impl Records {
    pub(super) fn insert(&mut self, stream: Ulid, number: u64) {
        self.0
            .entry(stream)
            .or_default()
            .insert(number..number.saturating_add(1));
    }

    pub(super) fn extend(&mut self, other: &Self) {
        for (stream, ranges) in &other.0 {
            self.0.entry(*stream).or_default().extend(ranges);
        }
    }

    pub(super) fn covers(&self, stream: Ulid, range: Range<u64>) -> bool {
        range.is_empty() || self.0.get(&stream).is_some_and(|ranges| ranges.covers(range))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ulid, &Ranges)> {
        self.0.iter().map(|(stream, ranges)| (*stream, ranges))
    }

    /// As an entry of the commit log names them.
    pub(super) fn as_covers(&self) -> Vec<Cover> {
        let cover = |(stream, ranges): (Ulid, &Ranges)| Cover {
            stream,
            ranges: ranges.clone(),
        };
        self.iter().map(cover).collect()
    }

    /// Those that are not in `other`.
    #[must_use]
    pub(super) fn without(&self, other: &Self) -> Self {
        self.difference(|stream| other.0.get(&stream))
    }

    /// Those that no block holds.
    #[must_use]
    pub(super) fn not_in(&self, blocks: &Blocks) -> Self {
        self.difference(|stream| blocks.covered(stream))
    }

    fn difference<'a>(&self, other: impl Fn(Ulid) -> Option<&'a Ranges>) -> Self {
        let rest = |(stream, ranges): (Ulid, &Ranges)| {
            let rest = other(stream).map_or_else(|| ranges.clone(), |other| ranges.difference(other));
            (!rest.is_empty()).then_some((stream, rest))
        };
        Self(self.iter().filter_map(rest).collect())
    }

    pub(super) fn coverage(&self, blocks: &Blocks) -> Coverage {
        let rest = self.not_in(blocks);
        if rest == *self {
            Coverage::Nothing
        } else if rest.0.is_empty() {
            Coverage::All
        } else {
            Coverage::Part
        }
    }

    /// How many records a stream has at least.
    pub(super) fn end(&self, stream: Ulid) -> u64 {
        self.0.get(&stream).map_or(0, Ranges::end)
    }
}

#[cfg(test)]
mod tests {
    use tempo_block::log::{Fold, Transaction};

    use super::*;

    #[test]
    fn coverage_is_nothing_part_or_all() {
        let (one, two) = (Ulid(1), Ulid(2));
        let mut records = Records::default();
        for number in 0..4 {
            records.insert(one, number);
        }
        records.insert(two, 7);
        let mut blocks = Blocks::default();
        assert_eq!(records.coverage(&blocks), Coverage::Nothing);
        let mut some = Records::default();
        some.insert(one, 1);
        let entry = |records: &Records| Transaction {
            covers: records.as_covers(),
            ..Transaction::default()
        };
        blocks.apply(1, &entry(&some));
        assert_eq!(records.coverage(&blocks), Coverage::Part);
        let rest = records.not_in(&blocks);
        assert!(rest.covers(one, 2..4) && rest.covers(two, 7..8) && !rest.covers(one, 1..2));
        assert_eq!((rest.end(one), rest.end(two)), (4, 8));
        blocks.apply(2, &entry(&rest));
        assert_eq!(records.coverage(&blocks), Coverage::All);
    }
}
