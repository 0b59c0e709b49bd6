//! Decoding one leaf column of a row group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatchReader, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector};
use parquet::column::page::PageIterator;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::SerializedPageReader;

use super::file::{LeafNumber, SpansFile, chunk_range};
use super::files::Files;
use super::flat::{FlatChunk, Words};
use super::pages::{OneChunk, Pages};
use super::part::Part;
use crate::read::ReadError;
use crate::read::cache::{ChunkKey, Kept};

/// A decoded leaf column.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// For each list that the leaf lies in, from the outermost: where the elements of each row (element of the list
    /// around it) start.
    pub(super) offsets: Vec<OffsetBuffer<i32>>,
    /// A value for each row, or for each element of the innermost list.
    pub(super) values: ArrayRef,
}

/// The bytes of a column chunk and where they belong.
pub(super) struct Chunk<'a> {
    pub(super) files: &'a Files,
    pub(super) file: &'a SpansFile,
    pub(super) row_group: usize,
    pub(super) leaf: LeafNumber,
    pub(super) bytes: Bytes,
}

impl Chunk<'_> {
    /// The values of some rows (which ascend, each once), or of all.
    pub(super) fn decode(&self, rows: Option<&[u32]>) -> std::result::Result<Leaf, ReadError> {
        match self.open()? {
            Some(flat) => self.decode_flat(&flat, rows),
            None => self.decode_any(rows).map_err(|error| self.damaged(&error)),
        }
    }

    /// It without its values being decoded; `None` when it can only be decoded as a whole.
    pub(super) fn open(&self) -> std::result::Result<Option<FlatChunk>, ReadError> {
        let Some(data_type) = self.file.flat_type(self.leaf) else {
            return Ok(None);
        };
        let known = self.known_words();
        let is_known = known.is_some();
        let opened = self.pages().and_then(|pages| {
            let is_optional = self.column().column_descr().max_def_level() > 0;
            FlatChunk::open(data_type, is_optional, self.num_rows(), pages, known)
        });
        let opened = opened.map_err(|error| self.damaged(&error))?;
        if let Some(words) = opened.as_ref().and_then(FlatChunk::words).filter(|_| !is_known) {
            self.files
                .reader
                .cache
                .keep(self.key(), Kept::Words(Arc::clone(words)));
        }
        Ok(opened)
    }

    /// The values of some rows, or of all, of this chunk opened.
    pub(super) fn decode_flat(
        &self,
        flat: &FlatChunk,
        rows: Option<&[u32]>,
    ) -> std::result::Result<Leaf, ReadError> {
        let values = flat.decode(rows).map_err(|error| self.damaged(&error))?;
        Ok(Leaf {
            offsets: Vec::new(),
            values,
        })
    }

    /// Its dictionary of texts; `None` when it has none.
    pub(super) fn words(&self) -> std::result::Result<Option<Arc<Words>>, ReadError> {
        if let Some(known) = self.known_words() {
            return Ok(Some(known));
        }
        let words = self.pages().and_then(|mut pages| Words::of_texts(&mut pages));
        let words = words.map_err(|error| self.damaged(&error))?.map(Arc::new);
        if let Some(words) = &words {
            self.files
                .reader
                .cache
                .keep(self.key(), Kept::Words(Arc::clone(words)));
        }
        Ok(words)
    }

    fn known_words(&self) -> Option<Arc<Words>> {
        self.column().dictionary_page_offset()?;
        self.files.reader.cache.words(self.key())
    }

    fn key(&self) -> ChunkKey {
        self.files.key(self.row_group, self.leaf as u32)
    }

    fn column(&self) -> &ColumnChunkMetaData {
        self.file.metadata.row_group(self.row_group).column(self.leaf)
    }

    fn pages(&self) -> Result<Pages> {
        let column = self.column();
        Ok(Pages {
            inner: SerializedPageReader::new(Arc::new(self.part()), column, self.num_rows(), None)?,
            compressed: self.file.is_compressed(self.row_group, self.leaf),
        })
    }

    fn damaged(&self, problem: &dyn ToString) -> ReadError {
        ReadError::damaged(&self.file.path, self.part().start, problem.to_string())
    }

    fn part(&self) -> Part {
        let column = self.column();
        Part {
            start: chunk_range(column).start,
            bytes: self.bytes.clone(),
        }
    }

    /// Decodes whatever column.
    fn decode_any(&self, rows: Option<&[u32]>) -> Result<Leaf> {
        let selection = rows.map(|rows| selection(rows, self.num_rows()));
        let wanted = selection
            .as_ref()
            .map_or_else(|| self.num_rows(), RowSelection::row_count);
        let levels = self.file.levels(self.leaf)?;
        let mut reader =
            ParquetRecordBatchReader::try_new_with_row_groups(levels, self, wanted.max(1), selection)?;
        let mut array = match reader.next() {
            Some(batch) => Arc::clone(batch?.column(0)),
            None => new_empty_array(reader.schema().field(0).data_type()),
        };
        if array.len() != wanted {
            let problem = format!("{} rows were decoded, {wanted} were expected", array.len());
            return Err(ParquetError::General(problem));
        }
        let mut offsets = Vec::new();
        loop {
            array = match array.data_type() {
                DataType::List(_) => {
                    let list = array.as_list::<i32>();
                    offsets.push(list.offsets().clone());
                    Arc::clone(list.values())
                }
                DataType::Struct(_) => Arc::clone(array.as_struct().column(0)),
                _ => {
                    return Ok(Leaf {
                        offsets,
                        values: array,
                    });
                }
            };
        }
    }
}

impl RowGroups for Chunk<'_> {
    fn num_rows(&self) -> usize {
        self.file.metadata.row_group(self.row_group).num_rows() as usize
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        if leaf != self.leaf {
            return Err(ParquetError::General(format!("leaf column {leaf} was not read")));
        }
        Ok(Box::new(OneChunk(Some(Box::new(self.pages()?)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.file.metadata.row_group(self.row_group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.file.metadata
    }
}

/// Some rows of so many, as the library knows them.
fn selection(rows: &[u32], all: usize) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for run in rows.chunk_by(|one, next| one + 1 == *next) {
        let start = run.first().map_or(at, |row| *row as usize);
        selectors.push(RowSelector::skip(start.saturating_sub(at)));
        selectors.push(RowSelector::select(run.len()));
        at = start + run.len();
    }
    selectors.push(RowSelector::skip(all.saturating_sub(at)));
    selectors.into()
}
