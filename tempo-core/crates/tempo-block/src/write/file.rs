//! A Parquet file that is written row group by row group; what is finished is taken away at once.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use super::chunk::Chunk;
use crate::meta::FileMeta;

/// A file, as far as it is written.
pub(super) struct ParquetFile {
    writer: SerializedFileWriter<Vec<u8>>,
    schema: Arc<SchemaDescriptor>,
}

impl ParquetFile {
    /// A file with these columns.
    pub(super) fn new(schema: &SchemaRef) -> Result<Self, ParquetError> {
        let descriptor = ArrowSchemaConverter::new().convert(schema)?;
        let mut properties = WriterProperties::builder()
            .set_bloom_filter_position(BloomFilterPosition::End)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        Ok(Self {
            writer: SerializedFileWriter::new(
                Vec::new(),
                descriptor.root_schema_ptr(),
                Arc::new(properties),
            )?,
            schema: Arc::new(descriptor),
        })
    }

    /// Its columns.
    pub(super) fn schema(&self) -> &Arc<SchemaDescriptor> {
        &self.schema
    }

    /// Adds a row group, and gives the bytes that go behind those before.
    pub(super) fn row_group(&mut self, chunks: Vec<Chunk>) -> Result<Bytes, ParquetError> {
        let mut row_group = self.writer.next_row_group()?;
        for chunk in chunks {
            row_group.append_column(&chunk.bytes, chunk.close)?;
        }
        row_group.close()?;
        self.writer.flush()?;
        Ok(std::mem::take(self.writer.inner_mut()).into())
    }

    /// Ends the file with `metadata`, and gives the last bytes.
    pub(super) fn finish(&mut self, metadata: Option<KeyValue>) -> Result<(Bytes, FileMeta), ParquetError> {
        if let Some(pair) = metadata {
            self.writer.append_key_value_metadata(pair);
        }
        self.writer.finish()?;
        let footer = std::mem::take(self.writer.inner_mut());
        let meta = FileMeta {
            bytes: self.writer.bytes_written() as u64,
            footer_bytes: footer.len() as u64,
            crc32c: crc32c::crc32c(&footer),
        };
        Ok((footer.into(), meta))
    }
}
