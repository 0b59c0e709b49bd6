//! The columnar head: what was received and is not in a block yet, searched like a block. Append-only; a
//! [`HeadSnapshot`] is what was in it at one moment and never changes.
//!
//! ```text
//! record ─► Head::append ─► columns ─ snapshot ─► HeadSnapshot ─┬─ RowGroup: the evaluator reads it
//!                                                               └─ write::block: it becomes a block
//! ```
//! Not here: which records are in it and whether they are durable (`wal`, the ingester).

mod attributes;
mod intern;
mod segment;

use std::sync::Arc;

use async_trait::async_trait;
use tempo_model::TraceId;
use tempo_model::proto::trace::ResourceSpans;
use tempo_model::wire::WireError;
use tempo_traceql::columns::SpanBatch;

use crate::read::{ReadError, RowGroup, RowGroupSummary, Wanted};

/// How a head takes spans in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSettings {
    /// Attribute keys and values longer than this many bytes are cut; 0 is no limit.
    pub max_attribute_bytes: usize,
}

impl Default for HeadSettings {
    /// 2,048 bytes, as upstream.
    fn default() -> Self {
        Self {
            max_attribute_bytes: 2048,
        }
    }
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadAppended {
    /// Spans taken in.
    pub spans: usize,
    /// Attribute keys and values that were cut.
    pub truncated: usize,
}

/// The head of a tenant. It has one owner; readers work on snapshots.
#[derive(Debug)]
pub struct Head {}

impl Head {
    /// An empty head.
    pub fn new(_settings: HeadSettings) -> Self {
        unimplemented!()
    }

    /// Takes in the spans of a record (an encoded `ExportTraceServiceRequest`) that arrived at `arrival_ns`
    /// (nanoseconds since the Unix epoch). A malformed record leaves nothing behind.
    pub fn append(&mut self, _payload: &[u8], _arrival_ns: u64) -> Result<HeadAppended, WireError> {
        unimplemented!()
    }

    /// Number of spans.
    pub fn spans(&self) -> usize {
        unimplemented!()
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }

    /// When the oldest record arrived; `None` when there is none.
    pub fn first_arrival_ns(&self) -> Option<u64> {
        unimplemented!()
    }

    /// What is in it now. Cheap when nothing was appended since the last call.
    pub fn snapshot(&mut self) -> Arc<HeadSnapshot> {
        unimplemented!()
    }
}

/// What was in a head at one moment.
#[derive(Debug)]
pub struct HeadSnapshot {}

impl HeadSnapshot {
    /// Number of spans.
    pub fn spans(&self) -> usize {
        unimplemented!()
    }

    /// Arrival of the first and the last record, nanoseconds since the Unix epoch; `None` when empty.
    pub fn arrivals_ns(&self) -> Option<(u64, u64)> {
        unimplemented!()
    }

    /// Times of all its spans, as if it were one row group of a block.
    pub fn summary(&self) -> RowGroupSummary {
        unimplemented!()
    }

    /// The spans of a trace as they were sent; empty when there are none.
    pub fn trace(&self, _id: TraceId) -> Vec<ResourceSpans> {
        unimplemented!()
    }
}

#[async_trait]
impl RowGroup for HeadSnapshot {
    fn batch(&self) -> &dyn SpanBatch {
        unimplemented!()
    }

    fn take_missing(&self) -> Vec<Wanted> {
        Vec::new()
    }

    async fn load(&self, _wanted: &[Wanted]) -> Result<(), ReadError> {
        Ok(())
    }
}
