//! A data page of a column outside of lists.

use std::ops::Range;
use std::sync::OnceLock;

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::errors::Result;

use super::hybrid::{Runs, too_short};
use super::{delta, general, levels, split};
use crate::read::parquet::pages::decompress;

/// A page as it lies in its file, unpacked when it is first read.
#[derive(Debug)]
pub(super) struct FlatPage {
    packed: Bytes,
    compressed: bool,
    /// Whether rows may be without a value.
    optional: bool,
    rows: Range<usize>,
    encoding: Encoding,
    unpacked: OnceLock<Bytes>,
}

/// Which values of a page are wanted.
#[derive(Debug)]
pub(super) enum Places {
    /// All.
    All,
    /// Those at these places, which ascend.
    Some(Vec<u32>),
}

impl Places {
    /// How many of a page's values.
    pub(super) fn len(&self, page: &Values<'_>) -> usize {
        match self {
            Self::All => page.count,
            Self::Some(places) => places.len(),
        }
    }
}

/// The values of a page.
#[derive(Debug)]
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    count: usize,
}

impl FlatPage {
    pub(super) fn new(
        packed: Bytes,
        compressed: bool,
        optional: bool,
        rows: Range<usize>,
        encoding: Encoding,
    ) -> Self {
        Self {
            packed,
            compressed,
            optional,
            rows,
            encoding,
            unpacked: OnceLock::new(),
        }
    }

    /// The row behind its last.
    pub(super) fn end(&self) -> usize {
        self.rows.end
    }

    /// Whether [`Values`] can read values of a type from it.
    pub(super) fn is_readable(&self, data_type: &DataType, has_dictionary: bool) -> bool {
        use DataType::{Binary, Boolean, Dictionary, Float64, Int32, Int64, UInt32, UInt64};
        match self.encoding {
            Encoding::RLE_DICTIONARY => has_dictionary && !matches!(data_type, Binary | Boolean),
            Encoding::PLAIN => !matches!(data_type, Dictionary(..)),
            Encoding::BYTE_STREAM_SPLIT => matches!(data_type, Int32 | UInt32 | Int64 | UInt64 | Float64),
            Encoding::DELTA_BINARY_PACKED => matches!(data_type, Int32 | UInt32),
            _ => false,
        }
    }

    /// Works with its values and its levels, which are `None` where every row has a value.
    pub(super) fn with_values<T>(
        &self,
        work: impl FnOnce(Values<'_>, Option<BooleanBuffer>) -> Result<T>,
    ) -> Result<T> {
        let mut bytes: &[u8] = self.unpacked()?;
        let levels = if self.optional {
            Some(levels::take(&mut bytes, self.rows.len())?)
        } else {
            None
        };
        let values = Values {
            bytes,
            encoding: self.encoding,
            count: levels
                .as_ref()
                .map_or_else(|| self.rows.len(), BooleanBuffer::count_set_bits),
        };
        work(values, levels)
    }

    fn unpacked(&self) -> Result<&Bytes> {
        if let Some(unpacked) = self.unpacked.get() {
            return Ok(unpacked);
        }
        let unpacked = if self.compressed {
            decompress(&self.packed)?
        } else {
            self.packed.clone()
        };
        Ok(self.unpacked.get_or_init(|| unpacked))
    }

    /// The places of the values of some of the file's rows, all of them in this page.
    fn places_of(&self, rows: &[u32], levels: Option<&BooleanBuffer>) -> (Option<Vec<bool>>, Vec<u32>) {
        let in_page = rows
            .iter()
            .map(|row| (*row as usize).saturating_sub(self.rows.start) as u32);
        match levels {
            None => (None, in_page.collect()),
            Some(levels) => {
                let (present, places) = levels::places_of(levels, in_page);
                (Some(present), places)
            }
        }
    }
}

/// Which of the rows that were read have values.
#[derive(Debug)]
pub(super) struct Validity(BooleanBufferBuilder);

impl Default for Validity {
    fn default() -> Self {
        Self(BooleanBufferBuilder::new(0))
    }
}

impl Validity {
    /// Adds some rows of a page, or all, and says where their values are.
    pub(super) fn add(
        &mut self,
        page: &FlatPage,
        levels: Option<&BooleanBuffer>,
        rows: Option<&[u32]>,
    ) -> Places {
        match (rows, levels) {
            (None, None) => {
                self.0.append_n(page.rows.len(), true);
                Places::All
            }
            (None, Some(levels)) => {
                self.0.append_buffer(levels);
                Places::All
            }
            (Some(rows), levels) => {
                let (present, places) = page.places_of(rows, levels);
                match present {
                    Some(present) => self.0.append_slice(&present),
                    None => self.0.append_n(rows.len(), true),
                }
                Places::Some(places)
            }
        }
    }

    /// `None` where all have.
    pub(super) fn finish(mut self) -> Option<NullBuffer> {
        let nulls = NullBuffer::new(self.0.finish());
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// Appends the codes of the values in a dictionary.
pub(super) fn codes(page: &Values<'_>, places: &Places, out: &mut Vec<i32>) -> Result<()> {
    if page.encoding != Encoding::RLE_DICTIONARY {
        return Err(general("codes of a dictionary are expected"));
    }
    if page.count == 0 {
        return Ok(());
    }
    let (width, bytes) = page.bytes.split_first().ok_or_else(too_short)?;
    let runs = Runs::new(bytes, *width, page.count)?;
    match places {
        Places::All => runs.read(out),
        Places::Some(places) => runs.read_at(places, out),
    }
}

/// Appends values of N bytes.
pub(super) fn fixed<const N: usize, T: Copy>(
    page: &Values<'_>,
    places: &Places,
    words: &[[u8; N]],
    value: impl Fn([u8; N]) -> T,
    out: &mut Vec<T>,
) -> Result<()> {
    match page.encoding {
        Encoding::RLE_DICTIONARY => {
            let mut found = Vec::new();
            codes(page, places, &mut found)?;
            for code in found {
                let word = words.get(code as usize);
                out.push(value(
                    *word.ok_or_else(|| general("a code is not in the dictionary"))?,
                ));
            }
        }
        Encoding::PLAIN => {
            let (values, _) = page.bytes.as_chunks::<N>();
            let values = values.get(..page.count).ok_or_else(too_short)?;
            match places {
                Places::All => out.extend(values.iter().map(|bytes| value(*bytes))),
                Places::Some(places) => {
                    let values = places.iter().filter_map(|place| values.get(*place as usize));
                    out.extend(values.map(|bytes| value(*bytes)));
                }
            }
        }
        Encoding::BYTE_STREAM_SPLIT => {
            let streams = split::Streams::<N>::new(page.bytes, page.count).ok_or_else(too_short)?;
            match places {
                Places::All => streams.each(|bytes| out.push(value(bytes))),
                Places::Some(places) => {
                    out.extend(places.iter().map(|place| value(streams.get(*place as usize))));
                }
            }
        }
        _ => rising(page, places, |number| value(bytes_of(number)), out)?,
    }
    Ok(())
}

fn rising<T>(page: &Values<'_>, places: &Places, value: impl Fn(i32) -> T, out: &mut Vec<T>) -> Result<()> {
    let mut numbers = Vec::new();
    delta::read(page.bytes, page.count, &mut numbers)?;
    match places {
        Places::All => out.extend(numbers.into_iter().map(value)),
        Places::Some(places) => {
            let numbers = places.iter().filter_map(|place| numbers.get(*place as usize));
            out.extend(numbers.copied().map(value));
        }
    }
    Ok(())
}

/// Appends truths.
pub(super) fn booleans(page: &Values<'_>, places: &Places, out: &mut Vec<bool>) -> Result<()> {
    let bytes = page.bytes.get(..page.count.div_ceil(8)).ok_or_else(too_short)?;
    let bit = |place: usize| {
        bytes
            .get(place / 8)
            .is_some_and(|byte| byte >> (place % 8) & 1 == 1)
    };
    match places {
        Places::All => out.extend((0..page.count).map(bit)),
        Places::Some(places) => out.extend(places.iter().map(|place| bit(*place as usize))),
    }
    Ok(())
}

/// Appends bytes of any length.
pub(super) fn binaries(page: &Values<'_>, places: &Places, out: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut rest = page.bytes;
    let mut wanted = match places {
        Places::All => None,
        Places::Some(places) => Some(places.iter().peekable()),
    };
    for place in 0..page.count as u32 {
        let value = next_text(&mut rest)?;
        let is_wanted = match &mut wanted {
            None => true,
            Some(wanted) => wanted.next_if(|wanted| **wanted == place).is_some(),
        };
        if is_wanted {
            out.push(value.to_vec());
        }
    }
    Ok(())
}

/// A number as the bytes of a value.
fn bytes_of<const N: usize>(number: i32) -> [u8; N] {
    let bytes = number.to_le_bytes();
    std::array::from_fn(|place| bytes.get(place).copied().unwrap_or_default())
}

/// Takes bytes that have their length before them.
pub(super) fn next_text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(too_short)?;
    let split = behind.split_at_checked(u32::from_le_bytes(*length) as usize);
    let (text, behind) = split.ok_or_else(too_short)?;
    *rest = behind;
    Ok(text)
}
