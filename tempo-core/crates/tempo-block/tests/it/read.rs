//! Reading blocks: what was sent comes back, with few requests, and damage is told.

use std::sync::Arc;

use tempo_block::head::HeadSnapshot;
use tempo_block::meta::BlockMeta;
use tempo_block::read::{BlockReader, ReadStatistics, Reader};
use tempo_block::store::{Settings, Store, open};
use tempo_block::write::{self, BlockOptions};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

/// A block in a store of its own.
pub(crate) struct Written {
    pub(crate) store: Store,
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) reader: Reader,
    pub(crate) statistics: Arc<ReadStatistics>,
}

impl Written {
    /// The block of a head, in row groups of so many rows.
    pub(crate) async fn of(head: &Arc<HeadSnapshot>, max_row_group_rows: usize) -> Self {
        let store = open(&Settings::Memory).unwrap();
        let options = BlockOptions {
            max_row_group_rows,
            ..BlockOptions::of_head(Ulid::from(7_u128))
        };
        let environment = Environment::simulated(1, 0);
        let meta = write::block(&environment, &store, &TenantId::single(), head, options)
            .await
            .unwrap();
        Self {
            reader: Reader::new(environment, Arc::clone(&store)),
            statistics: Arc::default(),
            store,
            meta,
        }
    }

    pub(crate) fn block(&self) -> Arc<dyn BlockReader> {
        let statistics = Arc::clone(&self.statistics);
        self.reader
            .block(&TenantId::single(), Arc::clone(&self.meta), statistics)
            .unwrap()
    }
}

/// Runs work to its end on this thread.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}
