//! Which rows of a page have a value.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use parquet::errors::{ParquetError, Result};

use super::hybrid::{Run, Runs, too_short};

/// Takes the levels from before the values of a page of so many rows. Highest is one: a column outside of lists.
pub(super) fn take<'a>(page: &mut &'a [u8], rows: usize) -> Result<BooleanBuffer> {
    let (length, behind) = page.split_first_chunk::<4>().ok_or_else(too_short)?;
    let split = behind.split_at_checked(u32::from_le_bytes(*length) as usize);
    let (levels, values): (&'a [u8], &'a [u8]) = split.ok_or_else(too_short)?;
    *page = values;
    let mut found = BooleanBufferBuilder::new(rows);
    let mut runs = Runs::new(levels, 1, rows)?;
    while let Some((run, count)) = runs.next()? {
        match run {
            Run::Same(level) => found.append_n(count, level != 0),
            Run::Packed(bytes) => found.append_packed_range(0..count, bytes),
        }
    }
    if found.len() != rows {
        return Err(ParquetError::General("levels are missing".to_owned()));
    }
    Ok(found.finish())
}

/// Of some rows, which ascend, those that have a value: whether each has one, and the places of the values.
pub(super) fn places_of(levels: &BooleanBuffer, rows: impl Iterator<Item = u32>) -> (Vec<bool>, Vec<u32>) {
    let (mut at, mut before) = (0, 0);
    let (mut present, mut places) = (Vec::new(), Vec::new());
    for row in rows {
        let row = (row as usize).min(levels.len());
        before += levels.slice(at, row - at).count_set_bits();
        at = row;
        let is_there = row < levels.len() && levels.value(row);
        present.push(is_there);
        places.extend(is_there.then_some(before as u32));
    }
    (present, places)
}
