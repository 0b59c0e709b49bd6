//! The decoded footer of `spans.parquet`: where columns lie and what is said of row groups, checked once, so that
//! nothing that uses it need doubt it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Fields, SchemaRef};
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::{Compression, CompressionCodec, Encoding};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::ORPHAN;

use super::part::Part;
use crate::read::{ReadError, RowGroupSummary};
use crate::schema::{
    AttributeColumn, FileMetadata, RowGroupMetadata, ValueKind, intrinsic_columns, spans, spans_schema,
};

/// The number of a leaf column; those of attribute columns and intrinsics are the numbers of their root columns.
pub(super) type LeafNumber = usize;

/// A decoded footer.
#[derive(Debug)]
pub(super) struct SpansFile {
    pub(super) path: Path,
    pub(super) metadata: ParquetMetaData,
    pub(super) contents: FileMetadata,
    fields: Fields,
    leaves: HashMap<String, LeafNumber>,
    attributes: HashMap<Scope, HashMap<String, Vec<usize>>>,
    levels: Vec<OnceLock<FieldLevels>>,
    /// By row group and leaf.
    compressed: Vec<Vec<bool>>,
}

impl SpansFile {
    /// Decodes and checks the end of a file that is `file_bytes` long.
    pub(super) fn decode(path: Path, tail: Bytes, file_bytes: u64) -> Result<Self, ReadError> {
        let data_bytes = file_bytes.saturating_sub(tail.len() as u64);
        let damaged = |problem: &dyn ToString| ReadError::damaged(&path, data_bytes, problem.to_string());
        let metadata = decode_footer(tail, file_bytes).map_err(|error| damaged(&error))?;
        let pairs = metadata.file_metadata().key_value_metadata();
        let contents = FileMetadata::from_key_values(pairs).map_err(|source| ReadError::Metadata {
            file: path.clone(),
            source,
        })?;
        let schema = spans_schema(&contents.columns);
        check_schema(&metadata, &schema).map_err(|problem| damaged(&problem))?;
        check_row_groups(&metadata, &contents, data_bytes).map_err(|problem| damaged(&problem))?;
        let (metadata, compressed) = as_uncompressed(metadata).map_err(|error| damaged(&error))?;
        let described = metadata.file_metadata().schema_descr();
        let leaves = described.columns().iter().zip(0..);
        let leaves: HashMap<String, LeafNumber> = leaves
            .map(|(column, leaf)| (column.path().string(), leaf))
            .collect();
        Ok(Self {
            fields: schema.fields().clone(),
            attributes: by_scope_and_key(&contents.columns),
            levels: (0..leaves.len()).map(|_| OnceLock::new()).collect(),
            leaves,
            path,
            metadata,
            contents,
            compressed,
        })
    }

    /// Bytes of memory, about.
    pub(super) fn memory(&self) -> usize {
        const NODE: usize = 128;
        let names: usize = self.leaves.keys().map(|name| 2 * (name.len() + NODE)).sum();
        let checksums = self.leaves.len() * self.contents.row_groups.len() * size_of::<u32>();
        self.metadata.memory_size() + names + checksums
    }

    /// The row groups.
    pub(super) fn row_groups(&self) -> usize {
        self.contents.row_groups.len()
    }

    /// A row group as Parquet and as this format know it.
    pub(super) fn row_group(
        &self,
        number: usize,
    ) -> Result<(&RowGroupMetaData, &RowGroupMetadata), ReadError> {
        let found = self
            .metadata
            .row_groups()
            .get(number)
            .zip(self.contents.row_groups.get(number));
        found.ok_or_else(|| ReadError::damaged(&self.path, 0, format!("there is no row group {number}")))
    }

    /// What is known of a row group without reading it.
    pub(super) fn summary(&self, number: usize) -> Result<RowGroupSummary, ReadError> {
        let (group, contents) = self.row_group(number)?;
        let start = self
            .leaf(spans::START)
            .and_then(|leaf| group.columns().get(leaf)?.statistics());
        let latest_start = match start {
            // Unsigned times are stored as signed numbers of the same bits.
            Some(Statistics::Int64(starts)) => starts.max_opt().map(|start| *start as u64),
            _ => None,
        };
        Ok(RowGroupSummary {
            number,
            spans: group.num_rows() as u64,
            start_ns: contents.start_ns,
            latest_start_ns: latest_start.unwrap_or(contents.end_ns),
            end_ns: contents.end_ns,
        })
    }

    /// The leaf of this path; `None` where the schema has none, which does not happen for the names in [`spans`].
    pub(super) fn leaf(&self, path: &str) -> Option<LeafNumber> {
        self.leaves.get(path).copied()
    }

    /// Whether the pages of a chunk are compressed with zstd; see [`super::pages`].
    pub(super) fn is_compressed(&self, row_group: usize, leaf: LeafNumber) -> bool {
        let of_row_group = self.compressed.get(row_group);
        of_row_group.is_some_and(|leaves| leaves.get(leaf) == Some(&true))
    }

    /// The attribute columns of a key: their places in [`FileMetadata::columns`].
    pub(super) fn columns_of(&self, scope: Scope, key: &str) -> &[usize] {
        let places = self.attributes.get(&scope).and_then(|keys| keys.get(key));
        places.map_or(&[], Vec::as_slice)
    }

    /// The leaf and the type of the attribute column at a place.
    pub(super) fn attribute_column(&self, place: usize) -> Option<(LeafNumber, ValueKind)> {
        let column = self.contents.columns.get(place)?;
        Some((intrinsic_columns() + place, column.kind))
    }

    /// The type of a leaf outside of lists; `None` of others.
    pub(super) fn flat_type(&self, leaf: LeafNumber) -> Option<&DataType> {
        let data_type = self.fields.get(leaf)?.data_type();
        (!data_type.is_nested()).then_some(data_type)
    }

    /// What the decoder must know of a leaf.
    pub(super) fn levels(&self, leaf: LeafNumber) -> Result<&FieldLevels, ParquetError> {
        let known = self.levels.get(leaf);
        let known = known.ok_or_else(|| ParquetError::General(format!("there is no leaf column {leaf}")))?;
        if let Some(levels) = known.get() {
            return Ok(levels);
        }
        let schema = self.metadata.file_metadata().schema_descr();
        let mask = ProjectionMask::leaves(schema, [leaf]);
        let levels = parquet_to_arrow_field_levels(schema, mask, Some(&self.fields))?;
        Ok(known.get_or_init(|| levels))
    }
}

/// The first byte of a column chunk and the one behind its last.
pub(super) fn chunk_range(chunk: &ColumnChunkMetaData) -> Range<u64> {
    let (start, length) = chunk.byte_range();
    start..start.saturating_add(length)
}

/// Whether no row has a value.
pub(super) fn is_all_null(chunk: &ColumnChunkMetaData) -> bool {
    let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
    nulls.is_some_and(|nulls| nulls >= chunk.num_values() as u64)
}

/// Whether every value stands in the chunk's dictionary page.
pub(super) fn is_all_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let mask = chunk.page_encoding_stats_mask();
    chunk.dictionary_page_offset().is_some()
        && mask.is_some_and(|mask| {
            mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY)
        })
}

/// The metadata in the last bytes of a file.
pub(super) fn decode_footer(tail: Bytes, file_bytes: u64) -> Result<ParquetMetaData, ParquetError> {
    let start = file_bytes.saturating_sub(tail.len() as u64);
    let mut reader = ParquetMetaDataReader::new();
    reader.try_parse_sized(&Part { start, bytes: tail }, file_bytes)?;
    reader.finish()
}

/// The metadata as of a file whose zstd chunks are not compressed, and which chunks those are.
fn as_uncompressed(metadata: ParquetMetaData) -> Result<(ParquetMetaData, Vec<Vec<bool>>), ParquetError> {
    let mut compressed = Vec::with_capacity(metadata.num_row_groups());
    let mut builder = metadata.into_builder();
    let mut groups = builder.take_row_groups();
    for chunks in groups.iter_mut().map(RowGroupMetaData::columns_mut) {
        let is_zstd = |chunk: &ColumnChunkMetaData| chunk.compression_codec() == CompressionCodec::ZSTD;
        compressed.push(chunks.iter().map(is_zstd).collect());
        for chunk in chunks.iter_mut().filter(|chunk| is_zstd(chunk)) {
            let plain = chunk.clone().into_builder();
            *chunk = plain.set_compression(Compression::UNCOMPRESSED).build()?;
        }
    }
    Ok((builder.set_row_groups(groups).build(), compressed))
}

fn by_scope_and_key(columns: &[AttributeColumn]) -> HashMap<Scope, HashMap<String, Vec<usize>>> {
    let mut found: HashMap<Scope, HashMap<String, Vec<usize>>> = HashMap::new();
    for (place, column) in columns.iter().enumerate() {
        let keys = found.entry(column.scope).or_default();
        keys.entry(column.key.clone()).or_default().push(place);
    }
    found
}

/// The columns must be those of the format, in its order and of its types.
fn check_schema(metadata: &ParquetMetaData, expected: &SchemaRef) -> Result<(), String> {
    let options = ArrowReaderOptions::new().with_schema(Arc::clone(expected));
    let checked = ArrowReaderMetadata::try_new(Arc::new(metadata.clone()), options);
    checked
        .map(drop)
        .map_err(|error| format!("the columns are not those of the format: {error}"))
}

fn check_row_groups(
    metadata: &ParquetMetaData,
    contents: &FileMetadata,
    data_bytes: u64,
) -> Result<(), String> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    if metadata.num_row_groups() != contents.row_groups.len() {
        return Err(format!(
            "there are {} row groups, {} are described",
            metadata.num_row_groups(),
            contents.row_groups.len()
        ));
    }
    for (number, (group, described)) in metadata.row_groups().iter().zip(&contents.row_groups).enumerate() {
        let place = |chunk: &ColumnChunkMetaData| {
            let start = chunk
                .dictionary_page_offset()
                .unwrap_or_else(|| chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size())?;
            (start >= 0 && start <= end && end as u64 <= data_bytes).then_some(())
        };
        let is_sound = (0..i64::from(ORPHAN)).contains(&group.num_rows())
            && group.num_columns() == columns
            && described.checksums.len() == columns
            && group.columns().iter().all(|chunk| place(chunk).is_some());
        if !is_sound {
            return Err(format!("row group {number} is described wrongly"));
        }
    }
    Ok(())
}

/// The path of a field of an attribute list's elements.
pub(super) fn element_path(list: &str, field: &str) -> String {
    format!("{list}.list.element.{field}")
}

/// The path of a field of the attributes of events or links.
pub(super) fn nested_path(list: &str, field: &str) -> String {
    element_path(list, &element_path(spans::ATTRIBUTES, field))
}
