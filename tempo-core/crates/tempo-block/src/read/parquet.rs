//! Blocks of our own format, see `docs/format.md`.
//!
//! ```text
//! Files ─ spans() ──► SpansFile    where the columns of row groups lie          ┐ cached, one request each
//!       ├ traces() ─► TracesFile   filters of trace ids, where trace tables lie ┘
//!       └ chunks() ─► Chunk ─ decode ─► Leaf ─┬─ ParquetRowGroup: columns for the evaluator
//!                 all rows, or some           └─ Decoded: spans as they were sent
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

pub(crate) use self::flat::Words;
pub(crate) use self::raw::RawBlock;
pub(crate) use self::spans::{Decoded, SpanKey};
pub(crate) use self::traces::TraceTable;

use self::fields::Layout;
use self::file::{LeafNumber, SpansFile};
use self::files::Files;
use self::leaf::Chunk;
use self::row_group::ParquetRowGroup;
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

    /// The spans of a row group, all or some.
    async fn spans(&self, number: usize, some: Option<SomeTraces>) -> Result<Vec<ResourceSpans>, ReadError> {
        let rebuild = |rows: &Decoded<'_>| rows.resource_spans();
        self.take_some_rows(number, some, rebuild).await
    }

    /// Decodes the rows of a row group and hands them to `take`.
    pub(crate) async fn take_rows<T: Send + 'static>(
        &self,
        number: usize,
        take: impl FnOnce(&Decoded<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.take_some_rows(number, None, take).await
    }

    async fn take_some_rows<T: Send + 'static>(
        &self,
        number: usize,
        some: Option<SomeTraces>,
        take: impl FnOnce(&Decoded<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
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
            .run_cpu("decode spans", move || {
                take(&decoded(&files, &file, number, &chunks, some.as_ref())?)
            })
            .await?
    }
}

/// Some traces of a row group.
struct SomeTraces {
    /// Ascending.
    ordinals: Vec<u32>,
    /// Of each trace at most.
    max_spans: usize,
}

impl SomeTraces {
    /// Their rows, by which trace each row belongs to.
    fn rows(&self, ordinals: &[u32]) -> Vec<u32> {
        let mut left = vec![self.max_spans; self.ordinals.len()];
        let mut is_wanted = |ordinal: &u32| {
            let place = self.ordinals.binary_search(ordinal).ok();
            let left = place.and_then(|place| left.get_mut(place));
            let left = left.filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        };
        let numbered = (0..).zip(ordinals);
        numbered
            .filter(|(_, ordinal)| is_wanted(ordinal))
            .map(|(row, _)| row)
            .collect()
    }
}

/// The rows of a row group whose chunks are all read, all or some.
fn decoded<'a>(
    files: &Files,
    file: &'a SpansFile,
    row_group: usize,
    chunks: &HashMap<LeafNumber, Bytes>,
    some: Option<&SomeTraces>,
) -> Result<Decoded<'a>, ReadError> {
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
    let selection = match some {
        None => None,
        Some(some) => {
            let ordinals = layout.leaf(TRACE_ORD).and_then(chunk);
            let ordinals = ordinals.ok_or_else(|| layout.damaged("there are no ordinals of traces"))?;
            let ordinals = ordinals.decode(None)?;
            let ordinals = columns::all::<UInt32Type>(&ordinals);
            let ordinals = ordinals.ok_or_else(|| layout.damaged("ordinals of traces are missing"))?;
            Some(some.rows(ordinals))
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
    Ok(Decoded { layout, leaves, rows })
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
        let found = self.files.find(&[id], None).await?;
        Ok(found.into_iter().map(|found| found.row).collect())
    }

    async fn places(
        &self,
        ids: &[TraceId],
        except: Option<usize>,
    ) -> Result<Vec<(usize, TraceId)>, ReadError> {
        let found = self.files.find(ids, except).await?.into_iter();
        Ok(found
            .map(|found| (found.row_group, TraceId(found.row.trace_id)))
            .collect())
    }

    async fn traces(&self, ids: &[TraceId], max_spans: usize) -> Result<Vec<ResourceSpans>, ReadError> {
        let mut spans = Vec::new();
        let found = self.files.find(ids, None).await?;
        for of_row_group in found.chunk_by(|one, next| one.row_group == next.row_group) {
            let Some(first) = of_row_group.first() else {
                continue;
            };
            let some = SomeTraces {
                ordinals: of_row_group.iter().map(|found| found.ordinal).collect(),
                max_spans,
            };
            spans.extend(self.spans(first.row_group, Some(some)).await?);
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
