//! A block that is put together row group by row group, of a head's spans or of other blocks' row groups. Pure.

use bytes::Bytes;
use tempo_model::TraceId;

use super::attributes::AttributePlan;
use super::chunk::Chunk;
use super::copied::{self, RawRowGroup};
use super::file::ParquetFile;
use super::row_group::{self, EncodedRowGroup};
use super::rows::Rows;
use super::source::Source;
use super::{BlockOptions, WriteError, traces};
use crate::catalogue::Catalogue;
use crate::meta::{BLOCK_FORMAT, BlockMeta, FileMeta};
use crate::schema::{self, FileMetadata, RowGroupMetadata};

/// A block, as far as it is put together.
pub(super) struct BlockBuilder {
    options: BlockOptions,
    plan: AttributePlan,
    spans: ParquetFile,
    traces: ParquetFile,
    row_groups: Vec<RowGroupMetadata>,
    rows: u64,
    trace_rows: u64,
    catalogue: Catalogue,
    origin: Option<Origin>,
}

/// What is said of spans besides what they say themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// Arrival of the first and the last record, nanoseconds since the Unix epoch.
    pub(crate) arrivals_ns: (u64, u64),
    /// The smallest and the largest trace id.
    pub(crate) trace_ids: (TraceId, TraceId),
    /// Whether some of the traces may go on in other blocks.
    pub(crate) continued: bool,
}

/// What comes next in the Parquet files.
pub(super) struct Piece {
    pub(super) spans: Bytes,
    pub(super) traces: Bytes,
}

/// The end of a block.
pub(super) struct Finished {
    pub(super) piece: Piece,
    pub(super) catalogue: Bytes,
    pub(super) meta: BlockMeta,
}

fn widest<T: Ord>((low, high): (T, T), (other_low, other_high): (T, T)) -> (T, T) {
    (low.min(other_low), high.max(other_high))
}

impl Origin {
    /// What is said of the spans of both.
    fn join(self, other: Self) -> Self {
        Self {
            arrivals_ns: widest(self.arrivals_ns, other.arrivals_ns),
            trace_ids: widest(self.trace_ids, other.trace_ids),
            continued: self.continued || other.continued,
        }
    }
}

impl BlockBuilder {
    /// A block without spans.
    pub(super) fn new(plan: AttributePlan, options: BlockOptions) -> Result<Self, WriteError> {
        Ok(Self {
            options,
            spans: ParquetFile::new(&schema::spans_schema(&plan.columns))?,
            traces: ParquetFile::new(&schema::traces_schema())?,
            plan,
            row_groups: Vec::new(),
            rows: 0,
            trace_rows: 0,
            catalogue: Catalogue::default(),
            origin: None,
        })
    }

    pub(super) fn options(&self) -> &BlockOptions {
        &self.options
    }

    /// Adds to what the block says of all its spans.
    pub(super) fn describe(&mut self, origin: Origin, catalogue: &Catalogue) {
        self.origin = Some(self.origin.map_or(origin, |known| known.join(origin)));
        self.catalogue.merge(catalogue);
    }

    /// Widens what the block says of the arrival of its records.
    pub(super) fn widen_arrivals(&mut self, arrivals_ns: (u64, u64)) {
        if let Some(origin) = &mut self.origin {
            origin.arrivals_ns = widest(origin.arrivals_ns, arrivals_ns);
        }
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.row_groups.is_empty()
    }

    /// Adds a row group of these traces of `source`.
    pub(super) fn add_traces(&mut self, source: &Source, traces: Vec<usize>) -> Result<Piece, WriteError> {
        let rows = Rows::of(source, traces);
        let encoded = row_group::encode(source, &rows, &self.plan, self.spans.schema())?;
        let (table, goes_on) = traces::encode(source, &rows, self.row_groups.len(), self.traces.schema())?;
        drop(rows);
        if let Some(origin) = &mut self.origin {
            origin.continued |= goes_on;
        }
        self.add(encoded, table)
    }

    /// Adds a row group of another block, whose attribute columns this one must have.
    pub(super) fn add_copied(&mut self, raw: &RawRowGroup) -> Result<Piece, WriteError> {
        let encoded = copied::spans(raw, &self.plan, self.spans.schema())?;
        let table = copied::traces(raw, self.row_groups.len(), self.traces.schema())?;
        self.add(encoded, table)
    }

    fn add(&mut self, encoded: EncodedRowGroup, table: Vec<Chunk>) -> Result<Piece, WriteError> {
        let EncodedRowGroup { chunks, mut metadata } = encoded;
        let of_table = table.iter().map(|chunk| &chunk.bytes);
        metadata.trace_table_checksum =
            of_table.fold(0, |checksum, bytes| crc32c::crc32c_append(checksum, bytes));
        self.trace_rows += u64::from(metadata.traces);
        self.rows += chunks.first().map_or(0, |chunk| chunk.close.rows_written);
        self.row_groups.push(metadata);
        Ok(Piece {
            spans: self.spans.row_group(chunks)?,
            traces: self.traces.row_group(table)?,
        })
    }

    /// Ends the block.
    pub(super) fn finish(&mut self) -> Result<Finished, WriteError> {
        let origin = self.origin.filter(|_| self.rows > 0).ok_or(WriteError::Empty)?;
        let row_groups = std::mem::take(&mut self.row_groups);
        let start_ns = row_groups.iter().map(|group| group.start_ns).min();
        let end_ns = row_groups.iter().map(|group| group.end_ns).max();
        let number_of_row_groups = row_groups.len() as u32;
        let metadata = FileMetadata {
            version: schema::VERSION,
            columns: self.plan.columns.clone(),
            row_groups,
        };
        let (spans, spans_file) = self.spans.finish(Some(metadata.to_key_value()?))?;
        let (traces, traces_file) = self.traces.finish(None)?;
        let catalogue = self.catalogue.encode()?;
        let catalogue_file = FileMeta {
            bytes: catalogue.len() as u64,
            footer_bytes: 0,
            crc32c: crc32c::crc32c(&catalogue),
        };
        let meta = BlockMeta {
            format: BLOCK_FORMAT,
            id: self.options.id,
            start_ns: start_ns.unwrap_or_default(),
            end_ns: end_ns.unwrap_or_default(),
            first_arrival_ns: origin.arrivals_ns.0,
            last_arrival_ns: origin.arrivals_ns.1,
            spans: self.rows,
            traces: self.trace_rows,
            row_groups: number_of_row_groups,
            min_trace_id: origin.trace_ids.0,
            max_trace_id: origin.trace_ids.1,
            level: self.options.level,
            continued: origin.continued,
            maybe_duplicates: self.options.maybe_duplicates,
            spans_file,
            traces_file,
            catalogue_file,
        };
        Ok(Finished {
            piece: Piece { spans, traces },
            catalogue: catalogue.into(),
            meta,
        })
    }
}
