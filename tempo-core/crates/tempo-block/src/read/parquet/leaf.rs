//! Decoding one leaf column of a row group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatchReader, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::column::page::PageIterator;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::SerializedPageReader;

use super::file::{LeafNumber, SpansFile, chunk_range};
use super::pages::{DictionaryPage, OneChunk, Pages};
use super::part::Part;
use crate::read::ReadError;

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
    pub(super) file: &'a SpansFile,
    pub(super) row_group: usize,
    pub(super) leaf: LeafNumber,
    pub(super) bytes: Bytes,
}

impl Chunk<'_> {
    /// The values of the selected rows, of all where there is no selection.
    pub(super) fn decode(&self, selection: Option<RowSelection>) -> std::result::Result<Leaf, ReadError> {
        self.try_decode(selection).map_err(|error| self.damaged(&error))
    }

    /// Its dictionary page; `None` when it has none.
    pub(super) fn dictionary(&self) -> std::result::Result<Option<DictionaryPage>, ReadError> {
        let page = self
            .pages()
            .and_then(|mut pages| DictionaryPage::read(&mut pages));
        page.map_err(|error| self.damaged(&error))
    }

    fn pages(&self) -> Result<Pages> {
        let column = self.file.metadata.row_group(self.row_group).column(self.leaf);
        Ok(Pages {
            inner: SerializedPageReader::new(Arc::new(self.part()), column, self.num_rows(), None)?,
            compressed: self.file.is_compressed(self.row_group, self.leaf),
        })
    }

    fn damaged(&self, problem: &dyn ToString) -> ReadError {
        ReadError::damaged(&self.file.path, self.part().start, problem.to_string())
    }

    fn part(&self) -> Part {
        let column = self.file.metadata.row_group(self.row_group).column(self.leaf);
        Part {
            start: chunk_range(column).start,
            bytes: self.bytes.clone(),
        }
    }

    fn try_decode(&self, selection: Option<RowSelection>) -> Result<Leaf> {
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
