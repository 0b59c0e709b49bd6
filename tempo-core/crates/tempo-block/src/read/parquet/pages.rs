//! The pages of a column chunk. The Parquet library makes contexts for compressing and decompressing for each chunk that
//! it reads, which takes longer than to decompress a small one; so it is told that chunks are not compressed
//! ([`super::file`]), and pages are decompressed here, with one context a thread.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::SerializedPageReader;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use super::part::Part;

/// What a page may unpack to: more is a damaged or hostile file.
const MAX_PAGE_BYTES: u64 = 1 << 30;

/// Reads pages of a chunk that is compressed, if `compressed`.
pub(super) struct Pages {
    pub(super) inner: SerializedPageReader<Part>,
    pub(super) compressed: bool,
}

impl Pages {
    fn unpacked(&self, page: Option<Page>) -> Result<Option<Page>> {
        match page {
            Some(page) if self.compressed => unpack(page).map(Some),
            page => Ok(page),
        }
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        self.unpacked(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.inner.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.inner.take_deferred_dictionary()?;
        self.unpacked(page)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

/// The only chunk of a column.
pub(super) struct OneChunk(pub(super) Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

fn unpack(page: Page) -> Result<Page> {
    Ok(match page {
        Page::DictionaryPage {
            buf,
            num_values,
            encoding,
            is_sorted,
        } => Page::DictionaryPage {
            buf: decompress(&buf)?,
            num_values,
            encoding,
            is_sorted,
        },
        Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding,
            rep_level_encoding,
            statistics,
        } => Page::DataPage {
            buf: decompress(&buf)?,
            num_values,
            encoding,
            def_level_encoding,
            rep_level_encoding,
            statistics,
        },
        Page::DataPageV2 { .. } => {
            return Err(ParquetError::General("a data page is of version 2".to_owned()));
        }
    })
}

/// The content of a page that is compressed with zstd.
pub(super) fn decompress(packed: &[u8]) -> Result<Bytes> {
    let size = get_frame_content_size(packed).ok().flatten();
    let size = size.filter(|size| *size <= MAX_PAGE_BYTES);
    let size = size.ok_or_else(|| ParquetError::General("a page does not say how long it is".to_owned()))?;
    let unpacked = with_decompressor(|decompressor| decompressor.decompress(packed, size as usize));
    Ok(unpacked?.into())
}

/// Works with the decompressor of this thread.
fn with_decompressor<T>(work: impl FnOnce(&mut Decompressor<'static>) -> io::Result<T>) -> io::Result<T> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        work(decompressor)
    })
}
