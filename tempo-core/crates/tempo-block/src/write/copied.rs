//! A row group of another block, taken over as it is: column chunks keep their bytes, columns that the other block does
//! not have are empty, and the trace table gets the row group's new number.

use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};
use tempo_traceql::ast::Scope;

use super::attributes::{AttributePlan, no_values};
use super::chunk::{self, Chunk, Leaf, PageCompressor, Values};
use super::row_group::EncodedRowGroup;
use crate::schema::{AttributeColumn, RowGroupMetadata, intrinsic_columns, traces};

/// A row group and its trace table as they lie in their files.
#[derive(Debug)]
pub(crate) struct RawRowGroup {
    /// The attribute columns of its file.
    pub(crate) columns: Vec<AttributeColumn>,
    /// What the file says of it.
    pub(crate) contents: RowGroupMetadata,
    pub(crate) rows: usize,
    /// In the order of the leaf columns.
    pub(crate) spans: Vec<RawChunk>,
    /// In the order of the columns.
    pub(crate) traces: Vec<RawChunk>,
    /// The filter of trace ids.
    pub(crate) filter: Option<Sbbf>,
}

/// A column chunk as it lies in its file.
#[derive(Debug)]
pub(crate) struct RawChunk {
    bytes: Bytes,
    /// Offsets count from the start of `bytes`.
    metadata: ColumnChunkMetaData,
}

/// What becomes of a column of the new file.
enum Taken {
    /// The old file has it, as this leaf.
    From(usize),
    /// The attribute column at this place, which the old file does not have.
    Missing(usize),
}

/// The column chunks of `schema`, which has the columns of `plan`.
pub(super) fn spans(
    raw: &RawRowGroup,
    plan: &AttributePlan,
    schema: &SchemaDescriptor,
) -> Result<EncodedRowGroup, ParquetError> {
    let mut compressor = PageCompressor::new()?;
    let mut chunks = Vec::with_capacity(schema.num_columns());
    let mut checksums = Vec::with_capacity(schema.num_columns());
    for (descriptor, taken) in schema.columns().iter().zip(taken(raw, plan, schema)) {
        let (chunk, checksum) = match taken {
            Taken::From(leaf) => raw.chunk(leaf).ok_or_else(|| {
                ParquetError::General(format!("the row group to copy has no leaf column {leaf}"))
            })?,
            Taken::Missing(place) => {
                let chunk = empty(raw.rows, plan, place, descriptor, &mut compressor)?;
                let checksum = crc32c::crc32c(&chunk.bytes);
                (chunk, checksum)
            }
        };
        chunks.push(chunk);
        checksums.push(checksum);
    }
    let metadata = RowGroupMetadata {
        overflowed: overflowed(raw, plan),
        checksums,
        ..raw.contents.clone()
    };
    Ok(EncodedRowGroup { chunks, metadata })
}

/// The columns of the trace table of row group `number`.
pub(super) fn traces(
    raw: &RawRowGroup,
    number: usize,
    schema: &SchemaDescriptor,
) -> Result<Vec<Chunk>, ParquetError> {
    let mut compressor = PageCompressor::new()?;
    let mut chunks = Vec::with_capacity(raw.traces.len());
    for (descriptor, old) in schema.columns().iter().zip(&raw.traces) {
        let mut chunk = if descriptor.name() == traces::ROW_GROUP {
            let count = raw.contents.traces as usize;
            let leaf = Leaf {
                repetition: &[],
                definition: &[],
                values: Values::Int32(vec![number as i32; count]),
            };
            chunk::encode(descriptor, &leaf, count, &mut compressor)?
        } else {
            old.chunk(raw.contents.traces as usize)
        };
        if descriptor.name() == traces::TRACE_ID {
            chunk.close.bloom_filter.clone_from(&raw.filter);
        }
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// Where each column of `schema` comes from: attribute columns by their attribute, those before and behind by order.
fn taken(raw: &RawRowGroup, plan: &AttributePlan, schema: &SchemaDescriptor) -> Vec<Taken> {
    let intrinsics = intrinsic_columns();
    let behind = schema
        .num_columns()
        .saturating_sub(intrinsics + plan.columns.len());
    let of_attribute = plan.columns.iter().enumerate().map(|(place, column)| {
        let old = raw.columns.iter().position(|old| old == column);
        old.map_or(Taken::Missing(place), |old| Taken::From(intrinsics + old))
    });
    let first_behind = intrinsics + raw.columns.len();
    (0..intrinsics)
        .map(Taken::From)
        .chain(of_attribute)
        .chain((first_behind..first_behind + behind).map(Taken::From))
        .collect()
}

/// Places of columns whose values are in lists: those that were before, and those that the old file does not have, if
/// there is anything in the lists.
fn overflowed(raw: &RawRowGroup, plan: &AttributePlan) -> Vec<u32> {
    let is_overflowed = |column: &AttributeColumn| {
        let place = raw.columns.iter().position(|old| old == column);
        let in_lists = match column.scope {
            Scope::Resource => raw.contents.resource_overflow,
            Scope::Instrumentation => raw.contents.scope_overflow,
            _ => raw.contents.span_overflow,
        };
        match place {
            Some(place) => raw.contents.overflowed.contains(&(place as u32)),
            None => in_lists > 0,
        }
    };
    let places = (0..).zip(&plan.columns);
    places
        .filter(|(_, column)| is_overflowed(column))
        .map(|(place, _)| place)
        .collect()
}

/// The chunk of an attribute column without values.
fn empty(
    rows: usize,
    plan: &AttributePlan,
    place: usize,
    descriptor: &ColumnDescPtr,
    compressor: &mut PageCompressor,
) -> Result<Chunk, ParquetError> {
    let column = plan.columns.get(place);
    let column =
        column.ok_or_else(|| ParquetError::General(format!("there is no attribute column {place}")))?;
    let leaf = Leaf {
        repetition: &[],
        definition: &vec![0; rows],
        values: no_values(column.kind),
    };
    chunk::encode(descriptor, &leaf, rows, compressor)
}

impl RawRowGroup {
    /// The chunk of a leaf, with its checksum.
    fn chunk(&self, leaf: usize) -> Option<(Chunk, u32)> {
        let chunk = self.spans.get(leaf)?.chunk(self.rows);
        Some((chunk, *self.contents.checksums.get(leaf)?))
    }
}

impl RawChunk {
    /// A chunk by its bytes and what the footer says of it, page encoding statistics in full.
    pub(crate) fn new(bytes: Bytes, metadata: ColumnChunkMetaData) -> Result<Self, ParquetError> {
        let dictionary = metadata.dictionary_page_offset();
        let data = metadata.data_page_offset();
        let start = dictionary.unwrap_or(data);
        let metadata = metadata
            .into_builder()
            .set_dictionary_page_offset(dictionary.map(|offset| offset - start))
            .set_data_page_offset(data - start)
            .build()?;
        Ok(Self { bytes, metadata })
    }

    fn chunk(&self, rows: usize) -> Chunk {
        Chunk {
            bytes: self.bytes.clone(),
            close: ColumnCloseResult {
                bytes_written: self.bytes.len() as u64,
                rows_written: rows as u64,
                metadata: self.metadata.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            },
        }
    }
}
