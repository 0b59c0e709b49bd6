//! Parquet's DELTA_BINARY_PACKED, for numbers that mostly rise by little.

use super::hybrid::{bit_width, pack, varint};

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends `values`.
pub(super) fn encode(values: &[i32], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(MINIBLOCKS as u64, out);
    varint(values.len() as u64, out);
    varint(zigzag(values.first().copied().unwrap_or_default()), out);
    let deltas: Vec<i32> = values
        .iter()
        .zip(values.iter().skip(1))
        .map(|(one, next)| next.wrapping_sub(*one))
        .collect();
    for block in deltas.chunks(BLOCK) {
        encode_block(block, out);
    }
}

fn encode_block(deltas: &[i32], out: &mut Vec<u8>) {
    let least = deltas.iter().copied().min().unwrap_or_default();
    let above = |delta: &i32| delta.wrapping_sub(least) as u32;
    varint(zigzag(least), out);
    let width = |part: &[i32]| bit_width(part.iter().map(above).max().unwrap_or_default());
    let widths: Vec<u32> = deltas.chunks(MINIBLOCK).map(width).collect();
    out.extend(
        widths
            .iter()
            .map(|width| *width as u8)
            .chain(std::iter::repeat(0))
            .take(MINIBLOCKS),
    );
    for (part, width) in deltas.chunks(MINIBLOCK).zip(widths) {
        pack(part.iter().map(above), MINIBLOCK, width, out);
    }
}

fn zigzag(number: i32) -> u64 {
    u64::from((number << 1 ^ number >> 31) as u32)
}
