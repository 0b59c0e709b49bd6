//! Parquet's BYTE_STREAM_SPLIT, read: all first bytes of the values, all second bytes, and so on.

/// So many values are put together at once.
const LANES: usize = 8;

/// The values of a page, a stream for each of their bytes.
#[derive(Debug)]
pub(super) struct Streams<'a, const N: usize> {
    streams: [&'a [u8]; N],
    count: usize,
}

impl<'a, const N: usize> Streams<'a, N> {
    /// `None` where there are fewer bytes than so many values have.
    pub(super) fn new(bytes: &'a [u8], count: usize) -> Option<Self> {
        let mut streams: [&[u8]; N] = [&[]; N];
        for (place, stream) in streams.iter_mut().enumerate() {
            *stream = bytes.get(place * count..(place + 1) * count)?;
        }
        Some(Self { streams, count })
    }

    /// The value at a place.
    pub(super) fn get(&self, place: usize) -> [u8; N] {
        self.streams
            .map(|stream| stream.get(place).copied().unwrap_or_default())
    }

    /// Calls `found` with all values.
    pub(super) fn each(&self, mut found: impl FnMut([u8; N])) {
        let whole = self.count / LANES;
        let chunks = self.streams.map(|stream| stream.as_chunks::<LANES>().0);
        for at in 0..whole {
            let rows = std::array::from_fn(|place| {
                let lanes = chunks.get(place).and_then(|chunks| chunks.get(at));
                lanes.map_or(0, |lanes| u64::from_le_bytes(*lanes))
            });
            for column in transposed(rows) {
                let bytes = column.to_le_bytes();
                found(std::array::from_fn(|place| {
                    bytes.get(place).copied().unwrap_or_default()
                }));
            }
        }
        for place in whole * LANES..self.count {
            found(self.get(place));
        }
    }
}

/// Byte i of word k becomes byte k of word i: halves are exchanged, then quarters, then single bytes.
#[inline]
fn transposed(mut words: [u64; LANES]) -> [u64; LANES] {
    const STEPS: [(usize, u32, u64); 3] = [
        (4, 32, 0x0000_0000_ffff_ffff),
        (2, 16, 0x0000_ffff_0000_ffff),
        (1, 8, 0x00ff_00ff_00ff_00ff),
    ];
    for (distance, shift, mask) in STEPS {
        for one in (0..LANES).filter(|place| place & distance == 0) {
            let other = one + distance;
            let changed = ((words[one] >> shift) ^ words[other]) & mask;
            words[other] ^= changed;
            words[one] ^= changed << shift;
        }
    }
    words
}
