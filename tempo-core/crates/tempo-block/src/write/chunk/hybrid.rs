//! Parquet's hybrid of run lengths and bit packing, for levels and for places in dictionaries.

/// Shorter runs are packed.
const LEAST_RUN: usize = 8;

/// How many bits hold every number up to `most`.
pub(super) fn bit_width(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

/// Appends `values`, of `width` bits each.
pub(super) fn encode<T: Copy + PartialEq + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let mut packed_from = 0;
    let mut at = 0;
    for run in values.chunk_by(|one, next| one == next) {
        let (start, end) = (at, at + run.len());
        at = end;
        // Packed values come in groups of eight: the first of the run may have to fill up the group before it.
        let filling = (start - packed_from).next_multiple_of(8) - (start - packed_from);
        if run.len() < filling + LEAST_RUN {
            continue;
        }
        let packed = values.get(packed_from..start + filling).unwrap_or_default();
        encode_packed(packed, width, out);
        if let Some(value) = run.first() {
            encode_run((*value).into(), run.len() - filling, width, out);
        }
        packed_from = end;
    }
    encode_packed(values.get(packed_from..).unwrap_or_default(), width, out);
}

fn encode_run(value: u32, length: usize, width: u32, out: &mut Vec<u8>) {
    varint((length as u64) << 1, out);
    let bytes = value.to_le_bytes();
    out.extend(bytes.iter().take(width.div_ceil(8) as usize));
}

fn encode_packed<T: Copy + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    pack(values.iter().map(|value| (*value).into()), groups * 8, width, out);
}

/// Appends `count` values of `width` bits, the first in the lowest bits; what `values` lacks is zero.
pub(super) fn pack(values: impl Iterator<Item = u32>, count: usize, width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut filled) = (0_u64, 0);
    for value in values.chain(std::iter::repeat(0)).take(count) {
        bits |= u64::from(value) << filled;
        filled += width;
        while filled >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            filled -= 8;
        }
    }
}

/// Appends a number of any length, the lowest seven bits first.
pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
