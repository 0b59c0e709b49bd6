//! Blocks of our own format, see `docs/format.md`.

use std::sync::Arc;

use async_trait::async_trait;
use tempo_model::proto::trace::ResourceSpans;
use tempo_model::{TenantId, TraceId};
use tempo_traceql::columns::TraceRow;

use super::{BlockReader, ReadError, ReadStatistics, Reader, RowGroup, RowGroupSummary};
use crate::catalogue::Catalogue;
use crate::meta::BlockMeta;

/// A block of our own format.
#[derive(Debug)]
pub struct ParquetBlock {
    meta: Arc<BlockMeta>,
}

impl ParquetBlock {
    pub(super) fn new(
        _reader: Reader,
        _tenant: &TenantId,
        meta: Arc<BlockMeta>,
        _statistics: Arc<ReadStatistics>,
    ) -> Self {
        Self { meta }
    }
}

#[async_trait]
impl BlockReader for ParquetBlock {
    fn meta(&self) -> &Arc<BlockMeta> {
        &self.meta
    }

    async fn row_groups(&self) -> Result<Vec<RowGroupSummary>, ReadError> {
        unimplemented!()
    }

    async fn row_group(&self, _number: usize) -> Result<Arc<dyn RowGroup>, ReadError> {
        unimplemented!()
    }

    async fn trace_rows(&self, _id: TraceId) -> Result<Vec<TraceRow>, ReadError> {
        unimplemented!()
    }

    async fn trace(&self, _id: TraceId) -> Result<Vec<ResourceSpans>, ReadError> {
        unimplemented!()
    }

    async fn all_spans(&self, _number: usize) -> Result<Vec<ResourceSpans>, ReadError> {
        unimplemented!()
    }

    async fn catalogue(&self) -> Result<Arc<Catalogue>, ReadError> {
        unimplemented!()
    }
}
