//! A row group of `spans.parquet`: all its column chunks, and what the file's metadata says of it.

use parquet::errors::ParquetError;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use super::attributes::{self, AttributePlan};
use super::chunk::{self, Chunk, Leaf, PageCompressor, Values};
use super::rows::Rows;
use super::source::Source;
use super::{WriteError, columns, lists};
use crate::head::segment::Times;
use crate::schema::RowGroupMetadata;

/// The column chunks of a row group, one after the other in the order of the schema.
pub(super) struct Chunks {
    columns: std::vec::IntoIter<ColumnDescPtr>,
    rows: usize,
    compressor: PageCompressor,
    encoded: Vec<Chunk>,
}

impl Chunks {
    /// None yet.
    pub(super) fn of(schema: &SchemaDescriptor, rows: usize) -> Result<Self, ParquetError> {
        Ok(Self {
            columns: schema.columns().to_vec().into_iter(),
            rows,
            compressor: PageCompressor::new()?,
            encoded: Vec::new(),
        })
    }

    /// The next column, which has a value in every row.
    pub(super) fn required(&mut self, values: Values<'_>) -> Result<(), ParquetError> {
        self.repeated(&[], &[], values)
    }

    /// The next column, which has values where `definition` is one.
    pub(super) fn optional(&mut self, definition: &[u8], values: Values<'_>) -> Result<(), ParquetError> {
        self.repeated(&[], definition, values)
    }

    /// The next column, which is in a list.
    pub(super) fn repeated(
        &mut self,
        repetition: &[u8],
        definition: &[u8],
        values: Values<'_>,
    ) -> Result<(), ParquetError> {
        let next = self.columns.next();
        let descriptor =
            next.ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
        let leaf = Leaf {
            repetition,
            definition,
            values,
        };
        let chunk = chunk::encode(&descriptor, &leaf, self.rows, &mut self.compressor)?;
        self.encoded.push(chunk);
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(self) -> Vec<Chunk> {
        self.encoded
    }
}

/// A row group, ready to go into the file. The checksum of its trace table is not known yet.
pub(super) struct EncodedRowGroup {
    pub(super) chunks: Vec<Chunk>,
    pub(super) metadata: RowGroupMetadata,
}

/// Encodes a row group.
pub(super) fn encode(
    source: &Source,
    rows: &Rows<'_>,
    plan: &AttributePlan,
    schema: &SchemaDescriptor,
) -> Result<EncodedRowGroup, WriteError> {
    let mut chunks = Chunks::of(schema, rows.len())?;
    columns::write(source, rows, &mut chunks)?;
    let overflow = attributes::write(source, rows, plan, &mut chunks)?;
    lists::write_events(rows, &mut chunks)?;
    lists::write_links(rows, &mut chunks)?;
    let chunks = chunks.finish();
    let times = rows.each(|segment, place| segment.times_of(place.row));
    let times = times
        .into_iter()
        .reduce(Times::join)
        .unwrap_or_else(|| Times::of(0, 0));
    let metadata = RowGroupMetadata {
        start_ns: times.earliest_start,
        end_ns: times.latest_end,
        traces: rows.traces.len() as u32,
        overflowed: overflow.overflowed,
        span_overflow: overflow.span,
        resource_overflow: overflow.resource,
        scope_overflow: overflow.scope,
        checksums: chunks.iter().map(|chunk| crc32c::crc32c(&chunk.bytes)).collect(),
        trace_table_checksum: 0,
    };
    Ok(EncodedRowGroup { chunks, metadata })
}
