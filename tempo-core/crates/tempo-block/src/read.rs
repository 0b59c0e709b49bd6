//! Reading blocks: whatever their format, a block is row groups that the evaluator of TraceQL reads as columns, traces
//! that are found by id, and a catalogue of attributes.
//!
//! ```text
//! Reader::block(meta) ─► BlockReader ─ row_group(n) ─► RowGroup ─ load(fields) ─► SpanBatch (no more input or output)
//!                                    ─ trace(id) ─► spans as they were sent
//!                                    ─ catalogue()
//! ```
//! Evaluation is synchronous and the store is not. So a row group answers only from what was loaded: a field that was
//! not is an error, and the row group remembers it as missing. Who evaluates loads what is missing and evaluates again
//! ([`evaluate`]); as each round loads something, rounds are bounded by the number of columns, and there are one or two
//! when the fields that the query names are loaded first.
//!
//! Not here: which blocks there are (`log`), and queries over several (`scan`).

mod cache;
mod error;
mod evaluate;
mod memory;
pub mod parquet;
mod statistics;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tempo_model::proto::trace::ResourceSpans;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use tempo_traceql::columns::{Dictionary, Field, SpanBatch, TraceRow};

pub use cache::{BlockCache, CacheSettings, DiskCacheError, DiskCacheSettings};
pub use error::ReadError;
pub use evaluate::{Wanted, Work, evaluate};
pub use memory::{MemoryBudget, MemoryPermit};
pub use statistics::{ReadStatistics, ReadTotals};

use crate::catalogue::Catalogue;
use crate::meta::{BLOCK_FORMAT, BlockMeta};
use crate::store::Store;

/// A block, in whatever format. Nothing is read before it is asked for.
#[async_trait]
pub trait BlockReader: Debug + Send + Sync {
    /// What the log says of it.
    fn meta(&self) -> &Arc<BlockMeta>;

    /// Where it is counted what reading it costs.
    fn statistics(&self) -> &ReadStatistics;

    /// Its row groups, in the order of their numbers.
    async fn row_groups(&self) -> Result<Vec<RowGroupSummary>, ReadError>;

    /// A row group of which nothing is loaded yet.
    async fn row_group(&self, number: usize) -> Result<Arc<dyn RowGroup>, ReadError>;

    /// What the trace table says of a trace, once for each row group that has spans of it.
    async fn trace_rows(&self, id: TraceId) -> Result<Vec<TraceRow>, ReadError>;

    /// The row groups that have spans of some traces, but for row group `except`.
    async fn places(
        &self,
        ids: &[TraceId],
        except: Option<usize>,
    ) -> Result<Vec<(usize, TraceId)>, ReadError>;

    /// The spans of some traces as they were sent, of each trace at most `max_spans` of every row group; empty when the
    /// block has none.
    async fn traces(&self, ids: &[TraceId], max_spans: usize) -> Result<Vec<ResourceSpans>, ReadError>;

    /// The spans of a trace as they were sent; empty when the block has none.
    async fn trace(&self, id: TraceId) -> Result<Vec<ResourceSpans>, ReadError> {
        self.traces(std::slice::from_ref(&id), usize::MAX).await
    }

    /// All spans of a row group as they were sent.
    async fn all_spans(&self, number: usize) -> Result<Vec<ResourceSpans>, ReadError>;

    /// The attribute catalogue.
    async fn catalogue(&self) -> Result<Arc<Catalogue>, ReadError>;
}

/// What is known of a row group without reading it. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroupSummary {
    /// Its number in the block.
    pub number: usize,
    /// Number of spans.
    pub spans: u64,
    /// The earliest start of a span.
    pub start_ns: u64,
    /// No span starts later.
    pub latest_start_ns: u64,
    /// The latest end of a span.
    pub end_ns: u64,
}

/// A row group that is being read.
#[async_trait]
pub trait RowGroup: Send + Sync {
    /// What is loaded of it.
    fn batch(&self) -> &dyn SpanBatch;

    /// All values of a field, each once, as far as no row need be looked at to know them: where all are texts of one
    /// dictionary that is loaded. `None` is not known.
    fn texts(&self, _field: &Field) -> Option<Arc<dyn Dictionary>> {
        None
    }

    /// What was asked for since the last call, and was not loaded.
    fn take_missing(&self) -> Vec<Wanted>;

    /// Loads more. Fields that no span has are loaded at once.
    async fn load(&self, wanted: &[Wanted]) -> Result<(), ReadError>;
}

/// What all reading of a process shares. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The seams.
    pub environment: Environment,
    /// Where blocks lie.
    pub store: Store,
    /// What is kept of them.
    pub cache: BlockCache,
    /// The room for what is read.
    pub memory: MemoryBudget,
}

impl Reader {
    /// A reader with a cache and a budget of the default sizes.
    pub fn new(environment: Environment, store: Store) -> Self {
        Self {
            environment,
            store,
            cache: BlockCache::new(CacheSettings::default()),
            memory: MemoryBudget::default(),
        }
    }

    /// A block. What reading it costs is counted in `statistics`.
    pub fn block(
        &self,
        tenant: &TenantId,
        meta: Arc<BlockMeta>,
        statistics: Arc<ReadStatistics>,
    ) -> Result<Arc<dyn BlockReader>, ReadError> {
        match meta.format {
            BLOCK_FORMAT => Ok(Arc::new(parquet::ParquetBlock::new(
                self.clone(),
                tenant,
                meta,
                statistics,
            ))),
            found => Err(ReadError::Format {
                block: meta.id,
                found,
            }),
        }
    }
}

/// The fields as things to be loaded.
pub fn wanted_fields(fields: impl IntoIterator<Item = Field>) -> Vec<Wanted> {
    fields.into_iter().map(Wanted::Field).collect()
}
