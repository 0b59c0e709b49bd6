//! Column chunks of Parquet, encoded by ourselves: the head has values by their codes already, and a writer that takes
//! Arrow arrays would look up each of them again.
//!
//! Not here: which values a column has (`columns`, `attributes`, `lists`), and the file around the chunks (`file`).

mod delta;
mod hybrid;
mod statistics;
mod values;

use std::ops::Range;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

pub(super) use values::Values;

/// The most rows of a data page.
const MAX_PAGE_ROWS: usize = 20_000;
/// The most bytes of plain values in a data page that has more than one row.
const MAX_PAGE_BYTES: usize = 1 << 20;

/// The values of a column in a row group, with where they belong. Levels are as Parquet defines them, one for each
/// entry; none are written where the schema needs none.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    /// Zero where a row begins; empty where no list is involved.
    pub(super) repetition: &'a [u8],
    /// The highest where there is a value; empty where there always is one.
    pub(super) definition: &'a [u8],
    pub(super) values: Values<'a>,
}

/// How hard zstd tries on data pages: 6 would save one byte in a hundred for a quarter more time.
const DATA_LEVEL: i32 = 3;
/// How hard it tries on dictionaries, which are few bytes with much in common.
const DICTIONARY_LEVEL: i32 = 6;

/// Compresses pages.
pub(super) struct PageCompressor {
    data: zstd::bulk::Compressor<'static>,
    dictionaries: zstd::bulk::Compressor<'static>,
}

impl PageCompressor {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            data: zstd::bulk::Compressor::new(DATA_LEVEL)?,
            dictionaries: zstd::bulk::Compressor::new(DICTIONARY_LEVEL)?,
        })
    }
}

/// A chunk as it goes into a file: its bytes, and what the footer says of it.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// Encodes the column that `descriptor` describes.
pub(super) fn encode(
    descriptor: &ColumnDescPtr,
    leaf: &Leaf<'_>,
    rows: usize,
    compressor: &mut PageCompressor,
) -> Result<Chunk, ParquetError> {
    let is_fixed = descriptor.physical_type() == Type::FIXED_LEN_BYTE_ARRAY;
    let encoded = leaf.values.encoded(is_fixed);
    // Ids are as good as random.
    let is_random = is_fixed && encoded.dictionary.is_none();
    let mut pages = Pages::new((!is_random).then_some(compressor));
    let mut sink = TrackedWrite::new(Vec::new());
    let mut writer = SerializedPageWriter::new(&mut sink);
    if let Some(dictionary) = &encoded.dictionary {
        pages.write_dictionary(&mut writer, &dictionary.bytes, dictionary.entries)?;
    }
    let mut buffer = Vec::new();
    let mut values_before = 0;
    let highest = descriptor.max_def_level() as u8;
    for entries in leaf.pages(rows, highest) {
        buffer.clear();
        leaf.write_levels(descriptor, entries.clone(), &mut buffer);
        let values = values_before..values_before + leaf.values_in(entries.clone(), highest);
        values_before = values.end;
        (encoded.write)(values, &mut buffer);
        pages.write_data(&mut writer, &buffer, entries.len(), encoded.encoding)?;
    }
    let bytes = sink.into_inner()?;
    let nulls = leaf.entries(rows) - leaf.values.count();
    let metadata = ColumnChunkMetaData::builder(descriptor.clone())
        .set_compression(pages.compression())
        .set_encodings(pages.encodings(encoded.encoding))
        .set_page_encoding_stats(pages.encoding_stats(encoded.encoding))
        .set_total_compressed_size(bytes.len() as i64)
        .set_total_uncompressed_size(pages.uncompressed as i64)
        .set_num_values(leaf.entries(rows) as i64)
        .set_dictionary_page_offset(pages.dictionary.then_some(0))
        .set_data_page_offset(pages.first_data_page as i64)
        .set_statistics(statistics::of(descriptor, &leaf.values, nulls))
        .build()?;
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: rows as u64,
        metadata,
        bloom_filter: None,
        column_index: None,
        offset_index: None,
    };
    Ok(Chunk {
        bytes: bytes.into(),
        close,
    })
}

impl Leaf<'_> {
    fn entries(&self, rows: usize) -> usize {
        if self.definition.is_empty() {
            rows
        } else {
            self.definition.len()
        }
    }

    /// The entries of each page. There is always one page, as some readers expect.
    fn pages(&self, rows: usize, highest: u8) -> Vec<Range<usize>> {
        let entries = self.entries(rows);
        let mut pages = Vec::new();
        let (mut start, mut rows_in_page, mut bytes_in_page) = (0, 0, 0);
        let mut sizes = self.values.plain_sizes();
        if self.repetition.is_empty() && sizes.is_none() {
            return (0..entries.div_ceil(MAX_PAGE_ROWS).max(1))
                .map(|page| page * MAX_PAGE_ROWS..entries.min((page + 1) * MAX_PAGE_ROWS))
                .collect();
        }
        for entry in 0..entries {
            let begins_row = self.repetition.get(entry).is_none_or(|level| *level == 0);
            let is_full = rows_in_page == MAX_PAGE_ROWS || bytes_in_page > MAX_PAGE_BYTES;
            if begins_row && is_full {
                pages.push(start..entry);
                (start, rows_in_page, bytes_in_page) = (entry, 0, 0);
            }
            rows_in_page += usize::from(begins_row);
            let has_value = self.definition.get(entry).is_none_or(|level| *level == highest);
            if let Some(sizes) = sizes.as_mut().filter(|_| has_value) {
                bytes_in_page += sizes.next().unwrap_or_default();
            }
        }
        pages.push(start..entries);
        pages
    }

    fn values_in(&self, entries: Range<usize>, highest: u8) -> usize {
        match self.definition.get(entries.clone()) {
            Some(levels) => levels.iter().map(|level| usize::from(*level == highest)).sum(),
            None => entries.len(),
        }
    }

    fn write_levels(&self, descriptor: &ColumnDescPtr, entries: Range<usize>, out: &mut Vec<u8>) {
        let kinds = [
            (self.repetition, descriptor.max_rep_level()),
            (self.definition, descriptor.max_def_level()),
        ];
        for (levels, highest) in kinds.into_iter().filter(|(_, highest)| *highest > 0) {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            let width = hybrid::bit_width(highest as u32);
            hybrid::encode(levels.get(entries.clone()).unwrap_or_default(), width, out);
            let length = (out.len() - start - 4) as u32;
            if let Some(place) = out.get_mut(start..start + 4) {
                place.copy_from_slice(&length.to_le_bytes());
            }
        }
    }
}

/// The pages of a chunk, as far as they are written.
struct Pages<'a> {
    /// `None` leaves pages as they are.
    compressor: Option<&'a mut PageCompressor>,
    dictionary: bool,
    count: i32,
    first_data_page: u64,
    uncompressed: usize,
}

impl<'a> Pages<'a> {
    fn new(compressor: Option<&'a mut PageCompressor>) -> Self {
        Self {
            compressor,
            dictionary: false,
            count: 0,
            first_data_page: 0,
            uncompressed: 0,
        }
    }

    fn compress_data(&mut self, page: &[u8]) -> Result<Bytes, ParquetError> {
        Ok(match &mut self.compressor {
            Some(compressor) => compressor.data.compress(page)?.into(),
            None => Bytes::copy_from_slice(page),
        })
    }

    fn compress_dictionary(&mut self, page: &[u8]) -> Result<Bytes, ParquetError> {
        Ok(match &mut self.compressor {
            Some(compressor) => compressor.dictionaries.compress(page)?.into(),
            None => Bytes::copy_from_slice(page),
        })
    }

    fn compression(&self) -> Compression {
        match self.compressor {
            Some(_) => Compression::ZSTD(ZstdLevel::default()),
            None => Compression::UNCOMPRESSED,
        }
    }

    fn write_dictionary(
        &mut self,
        writer: &mut SerializedPageWriter<'_, Vec<u8>>,
        page: &[u8],
        entries: usize,
    ) -> Result<(), ParquetError> {
        let compressed = Page::DictionaryPage {
            buf: self.compress_dictionary(page)?,
            num_values: entries as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let written = writer.write_page(CompressedPage::new(compressed, page.len()))?;
        self.dictionary = true;
        self.uncompressed += written.uncompressed_size;
        self.first_data_page = written.bytes_written;
        Ok(())
    }

    fn write_data(
        &mut self,
        writer: &mut SerializedPageWriter<'_, Vec<u8>>,
        page: &[u8],
        entries: usize,
        encoding: Encoding,
    ) -> Result<(), ParquetError> {
        let compressed = Page::DataPage {
            buf: self.compress_data(page)?,
            num_values: entries as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = writer.write_page(CompressedPage::new(compressed, page.len()))?;
        self.count += 1;
        self.uncompressed += written.uncompressed_size;
        Ok(())
    }

    fn encodings(&self, of_data: Encoding) -> Vec<Encoding> {
        let of_dictionary = self.dictionary.then_some(Encoding::PLAIN);
        [Encoding::RLE, of_data]
            .into_iter()
            .chain(of_dictionary)
            .collect()
    }

    fn encoding_stats(&self, of_data: Encoding) -> Vec<PageEncodingStats> {
        let of_dictionary = self.dictionary.then_some(PageEncodingStats {
            page_type: PageType::DICTIONARY_PAGE,
            encoding: Encoding::PLAIN,
            count: 1,
        });
        let of_data = PageEncodingStats {
            page_type: PageType::DATA_PAGE,
            encoding: of_data,
            count: self.count,
        };
        of_dictionary.into_iter().chain([of_data]).collect()
    }
}

#[cfg(test)]
mod tests;
