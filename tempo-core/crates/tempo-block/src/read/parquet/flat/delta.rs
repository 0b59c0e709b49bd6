//! Parquet's DELTA_BINARY_PACKED, read: numbers of 32 bits that mostly rise by little.

use parquet::errors::{ParquetError, Result};

use super::hybrid::{too_short, unpack, varint};

/// Appends `count` values.
pub(super) fn read(mut rest: &[u8], count: usize, out: &mut Vec<i32>) -> Result<()> {
    let block = varint(&mut rest)? as usize;
    let miniblocks = varint(&mut rest)? as usize;
    let values = varint(&mut rest)? as usize;
    let first = unzigzag(varint(&mut rest)?);
    let in_miniblock = block.checked_div(miniblocks).unwrap_or_default();
    if values != count || in_miniblock == 0 || !in_miniblock.is_multiple_of(8) {
        return Err(ParquetError::General(
            "a page of deltas is not what it says".to_owned(),
        ));
    }
    if count == 0 {
        return Ok(());
    }
    out.reserve(count);
    out.push(first);
    let (mut last, mut left) = (first, count - 1);
    let mut deltas = Vec::new();
    while left > 0 {
        let lowest = unzigzag(varint(&mut rest)?);
        let (widths, behind) = rest.split_at_checked(miniblocks).ok_or_else(too_short)?;
        rest = behind;
        for width in widths {
            let in_this = left.min(in_miniblock);
            if in_this == 0 {
                break;
            }
            let bytes = (in_miniblock / 8).saturating_mul(usize::from(*width));
            let (packed, behind) = rest.split_at_checked(bytes).ok_or_else(too_short)?;
            rest = behind;
            if u32::from(*width) > u32::BITS {
                return Err(ParquetError::General(format!("deltas of {width} bits")));
            }
            deltas.clear();
            unpack(packed, usize::from(*width), in_this, &mut deltas);
            out.extend(deltas.iter().map(|delta| {
                last = last.wrapping_add(lowest).wrapping_add(*delta);
                last
            }));
            left -= in_this;
        }
    }
    Ok(())
}

fn unzigzag(number: u64) -> i32 {
    let number = number as u32;
    (number >> 1) as i32 ^ -((number & 1) as i32)
}
