//! `traces.parquet`: filters that say which row groups may hold a trace, and the trace tables of row groups.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::UInt64Type;
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use tempo_model::TraceId;
use tempo_traceql::columns::{ORPHAN, RootSpan, TraceRow};

use super::arrays::{Texts, booleans, fixed, numbers};
use super::file::{chunk_range, decode_footer};
use super::part::Part;
use crate::read::ReadError;
use crate::schema::{traces, traces_schema};

/// The decoded end of the file.
#[derive(Debug)]
pub(super) struct TracesFile {
    pub(super) path: Path,
    metadata: ArrowReaderMetadata,
    /// One for each row group; `None` lets every trace pass.
    filters: Vec<Option<Sbbf>>,
    filter_bytes: usize,
}

impl TracesFile {
    /// Decodes and checks the end of a file that is `file_bytes` long.
    pub(super) fn decode(path: Path, tail: Bytes, file_bytes: u64) -> Result<Self, ReadError> {
        let start = file_bytes.saturating_sub(tail.len() as u64);
        let filter_bytes = tail.len();
        let decoded = Self::try_decode(tail, file_bytes);
        let (metadata, filters) =
            decoded.map_err(|error| ReadError::damaged(&path, start, error.to_string()))?;
        Ok(Self {
            path,
            metadata,
            filters,
            filter_bytes,
        })
    }

    fn try_decode(
        tail: Bytes,
        file_bytes: u64,
    ) -> Result<(ArrowReaderMetadata, Vec<Option<Sbbf>>), ParquetError> {
        let part = Part {
            start: file_bytes.saturating_sub(tail.len() as u64),
            bytes: tail.clone(),
        };
        let footer = decode_footer(tail, file_bytes)?;
        check_row_groups(&footer, part.start)?;
        let options = ArrowReaderOptions::new().with_schema(traces_schema());
        let metadata = ArrowReaderMetadata::try_new(Arc::new(footer), options)?;
        let id = metadata.parquet_schema().columns().iter();
        let id = id.zip(0..).find(|(column, _)| column.name() == traces::TRACE_ID);
        let filter = |group: &RowGroupMetaData| {
            let column = id.as_ref().and_then(|(_, leaf)| group.columns().get(*leaf));
            column.map_or(Ok(None), |column| Sbbf::read_from_column_chunk(column, &part))
        };
        let filters = metadata.metadata().row_groups().iter().map(filter);
        let filters = filters.collect::<Result<_, _>>()?;
        Ok((metadata, filters))
    }

    /// Bytes of memory, about.
    pub(super) fn memory(&self) -> usize {
        self.metadata.metadata().memory_size() + self.filter_bytes
    }

    /// How many row groups there are.
    pub(super) fn row_groups(&self) -> usize {
        self.filters.len()
    }

    /// Those of some traces that a row group may hold.
    pub(super) fn may_hold(&self, row_group: usize, ids: &[TraceId]) -> Vec<TraceId> {
        match self.filter(row_group) {
            None => ids.to_vec(),
            Some(filter) => ids.iter().copied().filter(|id| filter.check(&id.0[..])).collect(),
        }
    }

    /// The filter of a row group; `None` lets every trace pass.
    pub(super) fn filter(&self, row_group: usize) -> Option<&Sbbf> {
        self.filters.get(row_group)?.as_ref()
    }

    /// Where the columns of a row group lie.
    pub(super) fn row_group_range(&self, row_group: usize) -> Result<Range<u64>, ReadError> {
        let group = self.metadata.metadata().row_groups().get(row_group);
        let ranges = group
            .into_iter()
            .flat_map(RowGroupMetaData::columns)
            .map(chunk_range);
        ranges
            .reduce(|all, range| all.start.min(range.start)..all.end.max(range.end))
            .ok_or_else(|| ReadError::damaged(&self.path, 0, format!("there is no row group {row_group}")))
    }

    /// Decodes the trace table of a row group.
    pub(super) fn table(&self, row_group: usize, bytes: Bytes) -> Result<TraceTable, ReadError> {
        let start = self.row_group_range(row_group)?.start;
        let decoded = self.try_table(row_group, Part { start, bytes });
        let damaged = |problem: &dyn ToString| ReadError::damaged(&self.path, start, problem.to_string());
        let batch = decoded.map_err(|error| damaged(&error))?;
        TraceTable::new(&batch).ok_or_else(|| damaged(&"its columns are not those of the format"))
    }

    fn try_table(&self, row_group: usize, part: Part) -> Result<RecordBatch, ParquetError> {
        let rows = self.metadata.metadata().row_group(row_group).num_rows() as usize;
        let columns = [
            traces::TRACE_ID,
            traces::START,
            traces::DURATION,
            traces::ROOT_SERVICE,
            traces::ROOT_NAME,
            traces::CONTINUED,
        ];
        let mask = ProjectionMask::columns(self.metadata.parquet_schema(), columns);
        let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(part, self.metadata.clone())
            .with_projection(mask)
            .with_row_groups(vec![row_group])
            .with_batch_size(rows.max(1))
            .build()?;
        match reader.next().transpose()? {
            Some(batch) if batch.num_rows() == rows => Ok(batch),
            None if rows == 0 => Ok(RecordBatch::new_empty(self.metadata.schema().clone())),
            _ => Err(ParquetError::General("rows are missing".to_owned())),
        }
    }
}

fn check_row_groups(metadata: &ParquetMetaData, data_bytes: u64) -> Result<(), ParquetError> {
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let is_inside = |chunk: &ColumnChunkMetaData| {
            let start = chunk
                .dictionary_page_offset()
                .unwrap_or_else(|| chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size());
            start >= 0 && end.is_some_and(|end| start <= end && end as u64 <= data_bytes)
        };
        if !(0..i64::from(ORPHAN)).contains(&group.num_rows()) || !group.columns().iter().all(is_inside) {
            return Err(ParquetError::General(format!(
                "row group {number} is described wrongly"
            )));
        }
    }
    Ok(())
}

/// The trace table of a row group, in the order of its ordinals.
#[derive(Debug)]
pub(crate) struct TraceTable {
    rows: Arc<[TraceRow]>,
    text_bytes: usize,
}

impl TraceTable {
    fn new(batch: &RecordBatch) -> Option<Self> {
        let column = |name: &str| batch.column_by_name(name);
        let ids = fixed(column(traces::TRACE_ID)?)?;
        let starts = numbers::<UInt64Type>(column(traces::START)?)?;
        let durations = numbers::<UInt64Type>(column(traces::DURATION)?)?;
        let services = shared_texts(column(traces::ROOT_SERVICE)?)?;
        let names = shared_texts(column(traces::ROOT_NAME)?)?;
        let continued = booleans(column(traces::CONTINUED)?)?;
        let row = |row: usize| {
            let root = services(row).zip(names(row));
            Some(TraceRow {
                trace_id: ids.value(row).try_into().ok()?,
                start_ns: starts.value(row),
                end_ns: starts.value(row).saturating_add(durations.value(row)),
                root: root.map(|(service, name)| RootSpan { name, service }),
                continued: continued.value(row),
            })
        };
        let text_bytes =
            [traces::ROOT_SERVICE, traces::ROOT_NAME].map(|name| column(name).map_or(0, text_bytes));
        Some(Self {
            rows: (0..batch.num_rows()).map(row).collect::<Option<_>>()?,
            text_bytes: text_bytes.iter().sum(),
        })
    }

    /// The rows.
    pub(super) fn rows(&self) -> Arc<[TraceRow]> {
        Arc::clone(&self.rows)
    }

    /// Bytes of memory, about.
    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.rows) + self.text_bytes
    }

    /// Ordinals and rows of traces, whose ids are ascending.
    pub(super) fn find(&self, ids: &[TraceId]) -> impl Iterator<Item = (u32, &TraceRow)> {
        let is_wanted = |row: &TraceRow| ids.binary_search(&TraceId(row.trace_id)).is_ok();
        (0..).zip(&*self.rows).filter(move |(_, row)| is_wanted(row))
    }
}

/// What the texts of a column take when each has memory of its own.
fn text_bytes(column: &ArrayRef) -> usize {
    const COUNTS: usize = 2 * size_of::<usize>();
    let texts = Texts::new(column);
    let texts = texts.iter().flat_map(Texts::dictionary);
    texts.map(|text| text.len() + COUNTS).sum()
}

/// The text of each row, of which equal ones share their memory.
fn shared_texts(column: &ArrayRef) -> Option<impl Fn(usize) -> Option<Arc<str>>> {
    let texts = Texts::new(column)?;
    let shared: Vec<Arc<str>> = texts.dictionary().map(Arc::from).collect();
    Some(move |row| shared.get(texts.code(row)? as usize).cloned())
}
