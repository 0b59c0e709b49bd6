//! Checking a block against itself: the checksum of every byte, and whether trace table and trace-id filters are those
//! of the spans.
//!
//! Not here: whether its files are there and as long as the log says, and what becomes of a damaged block.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempo_model::{TenantId, TraceId};

use crate::layout::BlockFile;
use crate::meta::BlockMeta;
use crate::read::parquet::{Decoded, ParquetBlock, RawBlock};
use crate::read::{BlockReader, ReadError, ReadStatistics, Reader};

/// A block that is being checked.
#[derive(Debug)]
pub struct Verifier {
    tenant: TenantId,
    meta: Arc<BlockMeta>,
    block: ParquetBlock,
    raw: RawBlock,
}

impl Verifier {
    /// Opens a block: checks its footers and its catalogue.
    pub async fn open(reader: &Reader, tenant: &TenantId, meta: &Arc<BlockMeta>) -> Result<Self, ReadError> {
        let statistics = Arc::new(ReadStatistics::default());
        let block = ParquetBlock::new(reader.clone(), tenant, Arc::clone(meta), statistics);
        let raw = block.raw().await?;
        block.catalogue().await?;
        let verifier = Self {
            tenant: tenant.clone(),
            meta: Arc::clone(meta),
            block,
            raw,
        };
        let spans = (0..verifier.row_groups()).map(|number| Ok(verifier.raw.size_of(number)?.0));
        let spans: u64 = spans.sum::<Result<u64, ReadError>>()?;
        if spans != meta.spans {
            let problem = format!("there are {spans} spans, the log says {}", meta.spans);
            return Err(verifier.damaged(BlockFile::Spans, problem));
        }
        Ok(verifier)
    }

    /// How many row groups there are to check.
    pub fn row_groups(&self) -> usize {
        self.raw.row_groups()
    }

    /// Checks a row group: reads and decodes all of it.
    pub async fn row_group(&self, number: usize) -> Result<(), ReadError> {
        let raw = self.raw.row_group(number).await?;
        let parts = self.raw.trace_parts(number).await?;
        let table: BTreeMap<TraceId, u32> = parts.iter().map(|part| (part.id, part.spans)).collect();
        let count = |rows: &Decoded<'_>| rows.spans_by_trace();
        let found = self.block.take_rows(number, count).await?;
        if table != found || table.len() != parts.len() {
            let problem = format!("the trace table of row group {number} is not that of its spans");
            return Err(self.damaged(BlockFile::Traces, problem));
        }
        let lacks = |id: &&TraceId| raw.filter.as_ref().is_none_or(|filter| !filter.check(&id.0[..]));
        if let Some(id) = table.keys().find(lacks) {
            let problem = format!("the filter of row group {number} lacks trace {id}");
            return Err(self.damaged(BlockFile::Traces, problem));
        }
        Ok(())
    }

    fn damaged(&self, file: BlockFile, problem: String) -> ReadError {
        ReadError::damaged(&file.path(&self.tenant, self.meta.id), 0, problem)
    }
}
