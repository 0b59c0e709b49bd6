//! Row groups as they lie in their files, for compaction: to be copied, or to be planned with.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{UInt32Type, UInt64Type};
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader,
};
use parquet::file::statistics::Statistics;
use tempo_model::TraceId;

use super::ParquetBlock;
use super::arrays::{booleans, fixed, numbers};
use super::file::{SpansFile, chunk_range};
use super::files::Files;
use super::part::Part;
use super::traces::TracesFile;
use crate::layout::BlockFile;
use crate::meta::FileMeta;
use crate::read::{MemoryPermit, ReadError};
use crate::schema::{AttributeColumn, intrinsic_columns, traces, traces_schema};
use crate::write::{RawChunk, RawRowGroup};

/// A block whose files are open.
#[derive(Debug)]
pub(crate) struct RawBlock {
    files: Arc<Files>,
    spans: Arc<SpansFile>,
    traces: Arc<TracesFile>,
    /// Footers as they were written: those of `spans` and `traces` leave out what only copying needs.
    spans_footer: ParquetMetaData,
    traces_footer: Arc<ParquetMetaData>,
}

/// What a row group has of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TracePart {
    pub(crate) id: TraceId,
    /// The earliest start of a span, nanoseconds since the Unix epoch.
    pub(crate) start_ns: u64,
    pub(crate) spans: u32,
    /// Whether more of the trace may be in other blocks.
    pub(crate) continued: bool,
}

impl ParquetBlock {
    /// Opens the files.
    pub(crate) async fn raw(&self) -> Result<RawBlock, ReadError> {
        let files = Arc::clone(&self.files);
        Ok(RawBlock {
            spans: files.spans().await?,
            traces: files.traces().await?,
            spans_footer: footer(&files, BlockFile::Spans, files.meta.spans_file).await?,
            traces_footer: Arc::new(footer(&files, BlockFile::Traces, files.meta.traces_file).await?),
            files,
        })
    }
}

async fn footer(files: &Files, file: BlockFile, meta: FileMeta) -> Result<ParquetMetaData, ReadError> {
    let path = files.path(file);
    let tail = files.read_end(file, meta).await?;
    let start = meta.bytes.saturating_sub(tail.len() as u64);
    let decode = || {
        let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
        let mut reader = ParquetMetaDataReader::new().with_metadata_options(Some(options));
        reader.try_parse_sized(&Part { start, bytes: tail }, meta.bytes)?;
        reader.finish()
    };
    decode().map_err(|error: ParquetError| ReadError::damaged(&path, start, error.to_string()))
}

impl RawBlock {
    /// How many row groups it has.
    pub(crate) fn row_groups(&self) -> usize {
        self.spans.row_groups()
    }

    /// Its attribute columns.
    pub(crate) fn columns(&self) -> &[AttributeColumn] {
        &self.spans.contents.columns
    }

    /// How many values each of its attribute columns has.
    pub(crate) fn values_of_columns(&self) -> HashMap<&AttributeColumn, u64> {
        let mut counts = HashMap::new();
        for group in self.spans_footer.row_groups() {
            let of_attributes = group.columns().iter().skip(intrinsic_columns());
            for (column, chunk) in self.columns().iter().zip(of_attributes) {
                let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
                let values = (chunk.num_values() as u64).saturating_sub(nulls.unwrap_or_default());
                *counts.entry(column).or_default() += values;
            }
        }
        counts
    }

    /// Spans of a row group, and the bytes of its columns before they were compressed.
    pub(crate) fn size_of(&self, row_group: usize) -> Result<(u64, u64), ReadError> {
        let (group, _) = self.spans.row_group(row_group)?;
        let bytes = group.columns().iter().map(ColumnChunkMetaData::uncompressed_size);
        let bytes = bytes.fold(0, |sum: u64, bytes| sum.saturating_add(bytes.max(0) as u64));
        Ok((group.num_rows().max(0) as u64, bytes))
    }

    /// Waits for room for the bytes of a row group, twice: as read, and as written.
    pub(crate) async fn room(&self, row_group: usize) -> Result<MemoryPermit, ReadError> {
        let (group, _) = self.spans.row_group(row_group)?;
        let bytes = group.columns().iter().map(ColumnChunkMetaData::compressed_size);
        let bytes = bytes.fold(0, |sum: u64, bytes| sum.saturating_add(bytes.max(0) as u64));
        Ok(self.files.reader.memory.acquire(2 * bytes).await)
    }

    /// A row group and its trace table.
    pub(crate) async fn row_group(&self, number: usize) -> Result<RawRowGroup, ReadError> {
        let (group, contents) = self.spans.row_group(number)?;
        let leaves: Vec<usize> = (0..group.num_columns()).collect();
        let bytes = self.files.chunks(&self.spans, number, &leaves).await?;
        let table = self.files.trace_table_bytes(number).await?;
        let spans = raw_chunks(&self.spans_footer, number, bytes);
        let traces = cut(&self.traces_footer, number, &table)
            .and_then(|bytes| raw_chunks(&self.traces_footer, number, bytes));
        Ok(RawRowGroup {
            columns: self.columns().to_vec(),
            contents: contents.clone(),
            rows: group.num_rows() as usize,
            spans: spans.map_err(|error| damaged(&self.spans.path, &error))?,
            traces: traces.map_err(|error| damaged(&self.traces.path, &error))?,
            filter: self.traces.filter(number).cloned(),
        })
    }

    /// What a row group has of its traces.
    pub(crate) async fn trace_parts(&self, number: usize) -> Result<Vec<TracePart>, ReadError> {
        let bytes = self.files.trace_table_bytes(number).await?;
        let start = self.traces.row_group_range(number)?.start;
        let parts = trace_parts(&self.traces_footer, number, Part { start, bytes });
        let parts = parts.map_err(|error| damaged(&self.traces.path, &error))?;
        parts.ok_or_else(|| damaged(&self.traces.path, &"its columns are not those of the format"))
    }
}

fn damaged(path: &Path, problem: &dyn ToString) -> ReadError {
    ReadError::damaged(path, 0, problem.to_string())
}

fn raw_chunks(
    footer: &ParquetMetaData,
    row_group: usize,
    bytes: Vec<Bytes>,
) -> Result<Vec<RawChunk>, ParquetError> {
    let chunks = footer.row_group(row_group).columns().iter().zip(bytes);
    chunks
        .map(|(metadata, bytes)| RawChunk::new(bytes, metadata.clone()))
        .collect()
}

/// The chunks of a row group that was read as a whole.
fn cut(footer: &ParquetMetaData, row_group: usize, bytes: &Bytes) -> Result<Vec<Bytes>, ParquetError> {
    let ranges: Vec<_> = footer
        .row_group(row_group)
        .columns()
        .iter()
        .map(chunk_range)
        .collect();
    let start = ranges.iter().map(|range| range.start).min().unwrap_or_default();
    let chunk = |range: &std::ops::Range<u64>| {
        let range = (range.start - start) as usize..(range.end - start) as usize;
        let inside = (range.end <= bytes.len()).then(|| bytes.slice(range));
        inside.ok_or_else(|| ParquetError::EOF("a column chunk lies outside of its row group".to_owned()))
    };
    ranges.iter().map(chunk).collect()
}

fn trace_parts(
    footer: &Arc<ParquetMetaData>,
    row_group: usize,
    part: Part,
) -> Result<Option<Vec<TracePart>>, ParquetError> {
    let options = ArrowReaderOptions::new().with_schema(traces_schema());
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(footer), options)?;
    let columns = [traces::TRACE_ID, traces::START, traces::SPANS, traces::CONTINUED];
    let mask = ProjectionMask::columns(metadata.parquet_schema(), columns);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(part, metadata)
        .with_projection(mask)
        .with_row_groups(vec![row_group])
        .build()?;
    let mut parts = Vec::new();
    for batch in reader {
        let batch = batch?;
        let column = |name: &str| batch.column_by_name(name);
        let read = || {
            let ids = fixed(column(traces::TRACE_ID)?)?;
            let starts = numbers::<UInt64Type>(column(traces::START)?)?;
            let spans = numbers::<UInt32Type>(column(traces::SPANS)?)?;
            let continued = booleans(column(traces::CONTINUED)?)?;
            let part = |row: usize| {
                Some(TracePart {
                    id: TraceId(ids.value(row).try_into().ok()?),
                    start_ns: starts.value(row),
                    spans: spans.value(row),
                    continued: continued.value(row),
                })
            };
            (0..batch.num_rows()).map(part).collect::<Option<Vec<_>>>()
        };
        match read() {
            Some(read) => parts.extend(read),
            None => return Ok(None),
        }
    }
    Ok(Some(parts))
}
