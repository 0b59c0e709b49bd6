//! Columns outside of lists, decoded by ourselves: the Parquet library decodes whole columns into builders, while a query
//! mostly wants a few rows of a column, or its dictionary alone.
//!
//! ```text
//! chunk ─► FlatChunk: dictionary, pages as they lie in the file ─ decode(rows) ─► array, of those rows
//! ```
//! Pages are unpacked when a row of theirs is first asked for. Encodings are those of our own writer; a chunk with others
//! is left to the library.

mod delta;
mod hybrid;
mod levels;
mod page;
mod split;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int32Array, PrimitiveArray,
    StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type,
};
use bytes::Bytes;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};

use self::page::{FlatPage, Places, next_text};
use super::pages::{Pages, decompress};

/// The dictionary of a chunk.
#[derive(Debug)]
pub(crate) enum Words {
    /// Texts.
    Text(Arc<StringArray>),
    /// Values of one length, one after the other.
    Fixed(Bytes),
}

impl Words {
    /// The dictionary of `count` values in a page.
    fn new(data_type: &DataType, page: &Bytes, count: usize) -> Result<Self> {
        Ok(match data_type {
            DataType::Dictionary(..) => Self::Text(Arc::new(texts(page, count)?)),
            _ => Self::Fixed(page.clone()),
        })
    }

    /// The texts of the dictionary that a chunk begins with; `None` when it begins with something else.
    pub(super) fn of_texts(pages: &mut Pages) -> Result<Option<Self>> {
        Ok(match pages.get_next_page()? {
            Some(Page::DictionaryPage { buf, num_values, .. }) => {
                Some(Self::Text(Arc::new(texts(&buf, num_values as usize)?)))
            }
            _ => None,
        })
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Text(texts) => arrow::array::Array::get_array_memory_size(&**texts),
            Self::Fixed(bytes) => bytes.len(),
        }
    }
}

/// A chunk of which nothing is decoded but its dictionary.
#[derive(Debug)]
pub(super) struct FlatChunk {
    data_type: DataType,
    words: Option<Arc<Words>>,
    pages: Vec<FlatPage>,
}

/// Compact values, and which of the rows have them if not all do.
type Picked<T> = (Vec<T>, Option<NullBuffer>);

fn general(problem: &str) -> ParquetError {
    ParquetError::General(problem.to_owned())
}

impl FlatChunk {
    /// Opens a chunk of `rows` rows. `known` is its dictionary, if it is known already. `None` is for what only the
    /// library can read.
    pub(super) fn open(
        data_type: &DataType,
        is_optional: bool,
        rows: usize,
        pages: Pages,
        known: Option<Arc<Words>>,
    ) -> Result<Option<Self>> {
        let Pages { inner, compressed } = pages;
        let mut opened = Self {
            data_type: data_type.clone(),
            words: known,
            pages: Vec::new(),
        };
        let mut before = 0;
        for page in inner {
            match page? {
                Page::DictionaryPage { buf, num_values, .. } => {
                    if opened.words.is_none() {
                        let buf = if compressed { decompress(&buf)? } else { buf };
                        opened.words = Some(Arc::new(Words::new(data_type, &buf, num_values as usize)?));
                    }
                }
                Page::DataPage {
                    buf,
                    num_values,
                    encoding,
                    ..
                } => {
                    let rows = num_values as usize;
                    opened.pages.push(FlatPage::new(
                        buf,
                        compressed,
                        is_optional,
                        before..before + rows,
                        encoding,
                    ));
                    before += rows;
                }
                Page::DataPageV2 { .. } => return Ok(None),
            }
        }
        if before != rows {
            return Err(general("pages do not have the rows of their row group"));
        }
        let is_known = opened
            .pages
            .iter()
            .all(|page| page.is_readable(data_type, opened.words.is_some()));
        Ok(is_known.then_some(opened))
    }

    /// Its dictionary.
    pub(super) fn words(&self) -> Option<&Arc<Words>> {
        self.words.as_ref()
    }

    /// The values of some rows (which ascend, each once), or of all.
    pub(super) fn decode(&self, rows: Option<&[u32]>) -> Result<ArrayRef> {
        Ok(match &self.data_type {
            DataType::Dictionary(..) => self.texts(rows)?,
            DataType::Int32 => self.numbers::<Int32Type, 4, _>(rows, i32::from_le_bytes)?,
            DataType::UInt32 => self.numbers::<UInt32Type, 4, _>(rows, u32::from_le_bytes)?,
            DataType::Int64 => self.numbers::<Int64Type, 8, _>(rows, i64::from_le_bytes)?,
            DataType::UInt64 => self.numbers::<UInt64Type, 8, _>(rows, u64::from_le_bytes)?,
            DataType::Float64 => self.numbers::<Float64Type, 8, _>(rows, f64::from_le_bytes)?,
            DataType::FixedSizeBinary(16) => self.fixed::<16>(rows)?,
            DataType::FixedSizeBinary(8) => self.fixed::<8>(rows)?,
            DataType::Binary => self.binary(rows)?,
            DataType::Boolean => {
                let (values, nulls) = self.pick(rows, page::booleans)?;
                Arc::new(BooleanArray::new(
                    spread(values, nulls.as_ref(), false).into(),
                    nulls,
                ))
            }
            other => return Err(general(&format!("a column of {other}"))),
        })
    }

    /// Reads the values of each page with rows that are wanted.
    fn pick<T>(
        &self,
        rows: Option<&[u32]>,
        read: impl Fn(&page::Values<'_>, &Places, &mut Vec<T>) -> Result<()>,
    ) -> Result<Picked<T>> {
        let (mut values, mut validity) = (Vec::new(), page::Validity::default());
        let mut left = rows;
        for page in &self.pages {
            let of_page =
                left.map(|rows| rows.split_at(rows.partition_point(|row| (*row as usize) < page.end())));
            left = of_page.map(|(_, behind)| behind);
            let of_page = of_page.map(|(rows, _)| rows);
            if of_page.is_some_and(<[u32]>::is_empty) {
                continue;
            }
            page.with_values(|found, levels| {
                let places = validity.add(page, levels.as_ref(), of_page);
                let before = values.len();
                read(&found, &places, &mut values)?;
                if values.len() - before == places.len(&found) {
                    Ok(())
                } else {
                    Err(hybrid::too_short())
                }
            })?;
        }
        if left.is_some_and(|left| !left.is_empty()) {
            return Err(general("rows are asked for that are not there"));
        }
        Ok((values, validity.finish()))
    }

    fn texts(&self, rows: Option<&[u32]>) -> Result<ArrayRef> {
        let Some(Words::Text(words)) = self.words.as_deref() else {
            return Err(general("texts without a dictionary"));
        };
        let (codes, nulls) = self.pick(rows, page::codes)?;
        let keys = Int32Array::new(spread(codes, nulls.as_ref(), 0).into(), nulls);
        let words = Arc::clone(words) as ArrayRef;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, words)?))
    }

    fn numbers<T: ArrowPrimitiveType, const N: usize, F>(
        &self,
        rows: Option<&[u32]>,
        number: F,
    ) -> Result<ArrayRef>
    where
        F: Fn([u8; N]) -> T::Native,
    {
        let words = self.words_of_length::<N>();
        let (values, nulls) = self.pick(rows, |page, places, out| {
            page::fixed(page, places, words, &number, out)
        })?;
        let values = ScalarBuffer::from(spread(values, nulls.as_ref(), T::Native::default()));
        Ok(Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?))
    }

    fn fixed<const N: usize>(&self, rows: Option<&[u32]>) -> Result<ArrayRef> {
        let words = self.words_of_length::<N>();
        let (values, nulls) = self.pick(rows, |page, places, out| {
            page::fixed(page, places, words, |bytes| bytes, out)
        })?;
        let values = spread(values, nulls.as_ref(), [0; N]);
        let values = Buffer::from_vec(values.into_flattened());
        Ok(Arc::new(FixedSizeBinaryArray::try_new(N as i32, values, nulls)?))
    }

    fn words_of_length<const N: usize>(&self) -> &[[u8; N]] {
        match self.words.as_deref() {
            Some(Words::Fixed(bytes)) => bytes.as_chunks().0,
            _ => &[],
        }
    }

    fn binary(&self, rows: Option<&[u32]>) -> Result<ArrayRef> {
        let (values, nulls) = self.pick(rows, page::binaries)?;
        let mut values = values.iter();
        let rows = nulls.as_ref().map_or_else(|| values.len(), NullBuffer::len);
        let mut offsets = Vec::with_capacity(rows + 1);
        let mut bytes: Vec<u8> = Vec::new();
        offsets.push(0);
        for row in 0..rows {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                bytes.extend(values.next().into_iter().flatten());
            }
            offsets.push(bytes.len() as i32);
        }
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(Arc::new(BinaryArray::try_new(offsets, bytes.into(), nulls)?))
    }
}

/// The `count` texts of a dictionary page.
fn texts(page: &[u8], count: usize) -> Result<StringArray> {
    let mut rest = page;
    let mut bytes = Vec::with_capacity(page.len());
    let mut offsets = vec![0];
    while !rest.is_empty() {
        bytes.extend_from_slice(next_text(&mut rest)?);
        offsets.push(bytes.len() as i32);
    }
    if offsets.len() != count + 1 {
        return Err(general("a dictionary has more or fewer values than it says"));
    }
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(StringArray::try_new(offsets, bytes.into(), None)?)
}

/// The compact values where their rows have them, `empty` where rows have none.
fn spread<T: Copy>(values: Vec<T>, nulls: Option<&NullBuffer>, empty: T) -> Vec<T> {
    let Some(nulls) = nulls else {
        return values;
    };
    let mut spread = Vec::with_capacity(nulls.len());
    let mut rest = values.as_slice();
    for (start, end) in nulls.valid_slices() {
        spread.resize(start, empty);
        let (run, behind) = rest.split_at_checked(end - start).unwrap_or((rest, &[]));
        spread.extend_from_slice(run);
        rest = behind;
    }
    spread.resize(nulls.len(), empty);
    spread
}

#[cfg(test)]
mod tests;
