//! Blocks of our own format, see `docs/format.md`.
//!
//! ```text
//! Files ─ spans() ──► SpansFile    where the columns of row groups lie          ┐ cached, one request each
//!       ├ traces() ─► TracesFile   filters of trace ids, where trace tables lie ┘
//!       └ chunks() ─► Chunk ─ decode ─► Leaf ─┬─ ParquetRowGroup: columns for the evaluator
//!                                             └─ Decoded: spans as they were sent
//! ```
//! Not here: evaluation, and which blocks there are.

mod arrays;
mod columns;
mod entries;
mod fields;
mod file;
mod files;
mod flat;
mod leaf;
mod pages;
mod parents;
mod part;
mod prune;
mod raw;
mod row_group;
mod spans;
mod traces;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::UInt32Type;
use async_trait::async_trait;
use bytes::Bytes;
use tempo_model::proto::trace::ResourceSpans;
use tempo_model::{TenantId, TraceId};
use tempo_traceql::columns::TraceRow;

pub(crate) use self::raw::RawBlock;

pub(crate) use self::flat::Words;

use self::fields::Layout;
use self::file::{LeafNumber, SpansFile};
use self::files::Files;
use self::leaf::Chunk;
use self::row_group::ParquetRowGroup;
use self::spans::Decoded;
use super::{BlockReader, MemoryPermit, ReadError, ReadStatistics, Reader, RowGroup, RowGroupSummary};
use crate::catalogue::Catalogue;
use crate::meta::BlockMeta;
use crate::schema::spans::TRACE_ORD;

/// What a row takes in memory when some of its columns are decoded, about.
const DECODED_ROW_BYTES: u64 = 64;

/// A block of our own format.
#[derive(Debug)]
pub struct ParquetBlock {
    files: Arc<Files>,
}

impl ParquetBlock {
    pub(crate) fn new(
        reader: Reader,
        tenant: &TenantId,
        meta: Arc<BlockMeta>,
        statistics: Arc<ReadStatistics>,
    ) -> Self {
        statistics.block();
        Self {
            files: Arc::new(Files {
                reader,
                tenant: tenant.clone(),
                meta,
                statistics,
            }),
        }
    }

    /// Waits for room for what a row group may take.
    async fn room(&self, file: &SpansFile, row_group: usize) -> Result<MemoryPermit, ReadError> {
        let (group, _) = file.row_group(row_group)?;
        let encoded = group
            .columns()
            .iter()
            .map(|chunk| chunk.uncompressed_size().max(0) as u64);
        let decoded = DECODED_ROW_BYTES * group.num_rows() as u64;
        let bytes = encoded.fold(decoded, u64::saturating_add);
        Ok(self.files.reader.memory.acquire(bytes).await)
    }

    /// The spans of a row group, of one of its traces when its ordinal is given.
    async fn spans(&self, number: usize, ordinal: Option<u32>) -> Result<Vec<ResourceSpans>, ReadError> {
        let file = self.files.spans().await?;
        let _room = self.room(&file, number).await?;
        let layout = Layout {
            file: &file,
            row_group: number,
        };
        let leaves = layout.all_leaves();
        let chunks = self.files.chunks(&file, number, &leaves).await?;
        let chunks = leaves.into_iter().zip(chunks).collect();
        let (files, environment) = (Arc::clone(&self.files), &self.files.reader.environment);
        environment
            .run_cpu("rebuild spans", move || {
                rebuild(&files, &file, number, &chunks, ordinal)
            })
            .await?
    }
}

/// The spans of a row group whose chunks are all read, of one of its traces when its ordinal is given.
fn rebuild(
    files: &Files,
    file: &SpansFile,
    row_group: usize,
    chunks: &HashMap<LeafNumber, Bytes>,
    ordinal: Option<u32>,
) -> Result<Vec<ResourceSpans>, ReadError> {
    let layout = Layout { file, row_group };
    let chunk = |leaf: LeafNumber| {
        let bytes = chunks.get(&leaf).cloned();
        bytes.map(|bytes| Chunk {
            files,
            file,
            row_group,
            leaf,
            bytes,
        })
    };
    let selection = match ordinal {
        None => None,
        Some(ordinal) => {
            let ordinals = layout.leaf(TRACE_ORD).and_then(chunk);
            let ordinals = ordinals.ok_or_else(|| layout.damaged("there are no ordinals of traces"))?;
            let ordinals = ordinals.decode(None)?;
            let ordinals = columns::all::<UInt32Type>(&ordinals);
            let ordinals = ordinals.ok_or_else(|| layout.damaged("ordinals of traces are missing"))?;
            Some(rows_with(ordinals, ordinal))
        }
    };
    let rows = match &selection {
        None => file.row_group(row_group)?.0.num_rows() as usize,
        Some(selection) => selection.len(),
    };
    let decode = |leaf: &LeafNumber| {
        let chunk = chunk(*leaf).ok_or_else(|| layout.damaged("a column was not read"))?;
        Ok((*leaf, chunk.decode(selection.as_deref())?))
    };
    let leaves = chunks.keys().map(decode).collect::<Result<_, ReadError>>()?;
    let decoded = Decoded { layout, leaves, rows };
    decoded.resource_spans()
}

/// The rows that have a value.
fn rows_with(values: &[u32], wanted: u32) -> Vec<u32> {
    let numbered = (0..).zip(values);
    numbered
        .filter(|(_, value)| **value == wanted)
        .map(|(row, _)| row)
        .collect()
}

#[async_trait]
impl BlockReader for ParquetBlock {
    fn meta(&self) -> &Arc<BlockMeta> {
        &self.files.meta
    }

    fn statistics(&self) -> &ReadStatistics {
        &self.files.statistics
    }

    async fn row_groups(&self) -> Result<Vec<RowGroupSummary>, ReadError> {
        let file = self.files.spans().await?;
        (0..file.row_groups())
            .map(|number| file.summary(number))
            .collect()
    }

    async fn row_group(&self, number: usize) -> Result<Arc<dyn RowGroup>, ReadError> {
        let file = self.files.spans().await?;
        let room = self.room(&file, number).await?;
        Ok(Arc::new(ParquetRowGroup::new(
            Arc::clone(&self.files),
            file,
            number,
            room,
        )?))
    }

    async fn trace_rows(&self, id: TraceId) -> Result<Vec<TraceRow>, ReadError> {
        let found = self.files.find(id).await?;
        Ok(found.into_iter().map(|found| found.row).collect())
    }

    async fn trace(&self, id: TraceId) -> Result<Vec<ResourceSpans>, ReadError> {
        let mut spans = Vec::new();
        for found in self.files.find(id).await? {
            spans.extend(self.spans(found.row_group, Some(found.ordinal)).await?);
        }
        Ok(spans)
    }

    async fn all_spans(&self, number: usize) -> Result<Vec<ResourceSpans>, ReadError> {
        self.spans(number, None).await
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>, ReadError> {
        self.files.catalogue().await
    }
}
