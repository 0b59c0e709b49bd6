//! Which rows of each segment are selected.

use tempo_traceql::columns::Selection;

use crate::head::segment::{Segment, entries_of};
use crate::head::snapshot::HeadSnapshot;

/// A segment of which some row is selected.
pub(super) struct SelectedPart<'a> {
    pub(super) segment: &'a Segment,
    /// The number of its first row.
    pub(super) first_row: u32,
    /// `None` for all; numbered as in the snapshot.
    rows: Option<&'a [u32]>,
}

/// The segments with selected rows.
pub(super) fn selected<'a>(
    snapshot: &'a HeadSnapshot,
    selection: Selection<'a>,
) -> impl Iterator<Item = SelectedPart<'a>> {
    snapshot.parts().filter_map(move |(first_row, segment)| {
        let rows = match selection {
            Selection::All => None,
            Selection::Rows(rows) => Some(within(rows, first_row, segment.rows())?),
        };
        Some(SelectedPart {
            segment,
            first_row,
            rows,
        })
    })
}

/// Those of ascending `rows` that lie in the `count` from `first` on; `None` if there are none.
fn within(rows: &[u32], first: u32, count: usize) -> Option<&[u32]> {
    let start = rows.partition_point(|row| *row < first);
    let end = rows.partition_point(|row| (*row as usize) < first as usize + count);
    rows.get(start..end).filter(|rows| !rows.is_empty())
}

impl SelectedPart<'_> {
    /// Calls `visit` with every selected row: its place in the segment, and its number.
    pub(super) fn each_row(&self, mut visit: impl FnMut(usize, u32)) {
        match self.rows {
            None => (0..self.segment.rows())
                .zip(self.first_row..)
                .for_each(|(row, number)| visit(row, number)),
            Some(rows) => rows
                .iter()
                .for_each(|number| visit((number - self.first_row) as usize, *number)),
        }
    }

    /// Calls `visit` with every event or link of selected rows: its number in the segment, and the number of its row.
    /// `nested_rows` are the rows of all events or links.
    pub(super) fn each_nested(&self, nested_rows: &[u32], mut visit: impl FnMut(usize, u32)) {
        match self.rows {
            None => nested_rows
                .iter()
                .enumerate()
                .for_each(|(nested, row)| visit(nested, self.first_row + row)),
            Some(rows) => {
                for number in rows {
                    for nested in entries_of(nested_rows, number - self.first_row) {
                        visit(nested, *number);
                    }
                }
            }
        }
    }

    /// Calls `visit` with every entry whose owner is a selected row: its index in `owners`, and the row's number.
    /// `owners` are rows of the segment, ascending.
    pub(super) fn each_entry(&self, owners: &[u32], mut visit: impl FnMut(usize, u32)) {
        let Some(rows) = self.rows else {
            let entries = owners.iter().enumerate();
            return entries.for_each(|(index, row)| visit(index, self.first_row + row));
        };
        let mut index = 0;
        for number in rows {
            let row = number - self.first_row;
            index = first_at_least(owners, index, row);
            while owners.get(index) == Some(&row) {
                visit(index, *number);
                index += 1;
            }
        }
    }
}

/// The first index from `from` on whose value is not below `target`; quick when it is near.
fn first_at_least(ascending: &[u32], from: usize, target: u32) -> usize {
    let mut step = 1;
    while ascending
        .get(from + step - 1)
        .is_some_and(|value| *value < target)
    {
        step *= 2;
    }
    let (low, high) = (from + step / 2, (from + step).min(ascending.len()));
    let near = ascending.get(low..high).unwrap_or_default();
    low + near.partition_point(|value| *value < target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_at_least_is_found_from_every_start() {
        let values = [1, 1, 3, 5, 5, 5, 8, 13];
        for from in 0..=values.len() {
            for target in 0..15 {
                let plain = (from..values.len()).find(|index| values[*index] >= target);
                assert_eq!(
                    first_at_least(&values, from, target),
                    plain.unwrap_or(values.len()),
                    "{target} from {from}"
                );
            }
        }
    }
}
