//! Parquet's hybrid of run lengths and bit packing, read: levels, and places in dictionaries.

use parquet::errors::{ParquetError, Result};

/// Packed values come in groups of so many.
const GROUP: usize = 8;

/// Some values, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run<'a> {
    /// The same value again and again.
    Same(u32),
    /// Packed values, eight to a group of as many bytes as a value has bits.
    Packed(&'a [u8]),
}

/// The runs of an encoded sequence, with as many values as are said to be there.
#[derive(Debug, Clone)]
pub(super) struct Runs<'a> {
    rest: &'a [u8],
    width: usize,
    /// Values that have not come yet.
    left: usize,
}

impl<'a> Runs<'a> {
    /// `count` values of `width` bits.
    pub(super) fn new(rest: &'a [u8], width: u8, count: usize) -> Result<Self> {
        if u32::from(width) > u32::BITS {
            return Err(ParquetError::General(format!("values of {width} bits")));
        }
        Ok(Self {
            rest,
            width: usize::from(width),
            left: count,
        })
    }

    /// The next run and how many values it has; the last may be packed with more. `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<(Run<'a>, usize)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let header = varint(&mut self.rest)? as usize;
        let (run, count) = if header & 1 == 0 {
            let value = self.take(self.width.div_ceil(8))?;
            let value = value
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u32::from(*byte));
            (Run::Same(value), header >> 1)
        } else {
            let groups = header >> 1;
            let bytes = self.take(groups.saturating_mul(self.width))?;
            (Run::Packed(bytes), groups.saturating_mul(GROUP))
        };
        let count = count.min(self.left);
        if count == 0 {
            return Err(ParquetError::General("a run without values".to_owned()));
        }
        self.left -= count;
        Ok(Some((run, count)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Appends all values.
    pub(super) fn read(mut self, out: &mut Vec<i32>) -> Result<()> {
        out.reserve(self.left);
        while let Some((run, count)) = self.next()? {
            match run {
                Run::Same(value) => out.extend(std::iter::repeat_n(value as i32, count)),
                Run::Packed(bytes) => unpack(bytes, self.width, count, out),
            }
        }
        Ok(())
    }

    /// Appends the values at some places, which ascend.
    pub(super) fn read_at(mut self, places: &[u32], out: &mut Vec<i32>) -> Result<()> {
        let mut before = 0;
        let mut places = places.iter().map(|place| *place as usize).peekable();
        while places.peek().is_some() {
            let Some((run, count)) = self.next()? else {
                return Err(too_short());
            };
            while let Some(place) = places.next_if(|place| *place < before + count) {
                out.push(match run {
                    Run::Same(value) => value as i32,
                    Run::Packed(bytes) => packed(bytes, self.width, place - before) as i32,
                });
            }
            before += count;
        }
        Ok(())
    }
}

/// The first `count` values of packed groups; what is not there is zero.
pub(super) fn unpack(bytes: &[u8], width: usize, count: usize, out: &mut Vec<i32>) {
    let end = out.len() + count;
    match width {
        0 => out.resize(end, 0),
        1 => unpack_groups::<1>(bytes, out),
        2 => unpack_groups::<2>(bytes, out),
        3 => unpack_groups::<3>(bytes, out),
        4 => unpack_groups::<4>(bytes, out),
        5 => unpack_groups::<5>(bytes, out),
        6 => unpack_groups::<6>(bytes, out),
        7 => unpack_groups::<7>(bytes, out),
        8 => unpack_groups::<8>(bytes, out),
        9 => unpack_groups::<9>(bytes, out),
        10 => unpack_groups::<10>(bytes, out),
        11 => unpack_groups::<11>(bytes, out),
        12 => unpack_groups::<12>(bytes, out),
        13 => unpack_groups::<13>(bytes, out),
        14 => unpack_groups::<14>(bytes, out),
        15 => unpack_groups::<15>(bytes, out),
        16 => unpack_groups::<16>(bytes, out),
        width => out.extend((0..count).map(|place| packed(bytes, width, place) as i32)),
    }
    out.resize(end, 0);
}

/// Whole groups of values of a width that is known to the compiler.
fn unpack_groups<const WIDTH: usize>(bytes: &[u8], out: &mut Vec<i32>) {
    let (groups, rest) = bytes.as_chunks::<WIDTH>();
    for group in groups {
        out.extend_from_slice(&unpack_group(group));
    }
    if !rest.is_empty() {
        let mut group = [0; WIDTH];
        for (to, from) in group.iter_mut().zip(rest) {
            *to = *from;
        }
        out.extend_from_slice(&unpack_group(&group));
    }
}

#[inline]
fn unpack_group<const WIDTH: usize>(group: &[u8; WIDTH]) -> [i32; GROUP] {
    // With room to read eight bytes from wherever a value begins.
    let mut padded = [0; 24];
    for (to, from) in padded.iter_mut().zip(group) {
        *to = *from;
    }
    std::array::from_fn(|place| value_in(&padded, WIDTH, place) as i32)
}

/// The value at a place of packed ones; zero where there is none.
fn packed(bytes: &[u8], width: usize, place: usize) -> u32 {
    let bytes = bytes.get(place * width / 8..).unwrap_or_default();
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    let value = u64::from_le_bytes(padded) >> (place * width % 8);
    (value & mask(width)) as u32
}

#[inline]
fn value_in(bytes: &[u8], width: usize, place: usize) -> u32 {
    let word = bytes.get(place * width / 8..).and_then(<[u8]>::first_chunk);
    let word = word.map_or(0, |word| u64::from_le_bytes(*word));
    ((word >> (place * width % 8)) & mask(width)) as u32
}

#[inline]
fn mask(width: usize) -> u64 {
    (1 << width) - 1
}

/// Takes a number of any length, the lowest seven bits first.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, behind) = rest.split_first().ok_or_else(too_short)?;
        *rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ParquetError::General("a number has too many bytes".to_owned()))
}

pub(super) fn too_short() -> ParquetError {
    ParquetError::EOF("a page ends before its values".to_owned())
}
