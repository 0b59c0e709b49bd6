//! How many requests it takes to open the log of a tenant with very many blocks.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use tempo_block::layout::BlockFile;
use tempo_block::log::{CHECKPOINT_INTERVAL, CommitLog, Transaction};
use tempo_block::store::metered::{Metered, Operation, StoreMetrics};
use tempo_block::store::{Settings, Store, open};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

use crate::log_model::meta;

const BLOCKS: u64 = 10_000;

/// A tenant whose blocks were committed a hundred at a time, with a checkpoint where the log wrote one by itself.
async fn tenant(store: &Store) {
    let environment = Environment::simulated(1, 1_700_000_000_000_000_000);
    let log = CommitLog::open(&environment, store, &TenantId::single())
        .await
        .unwrap();
    let ids: Vec<u64> = (1..=BLOCKS).collect();
    for some in ids.chunks(100) {
        let mut add = Vec::new();
        for id in some {
            let meta = Arc::new(meta(Ulid(u128::from(*id))));
            for file in BlockFile::ALL {
                let path = file.path(&TenantId::single(), meta.id);
                store.put(&path, "x".into()).await.unwrap();
            }
            add.push(meta);
        }
        let transaction = Transaction {
            add,
            ..Transaction::default()
        };
        log.commit(transaction).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenant_of_10k_blocks_opens_with_few_requests() {
    let store = open(&Settings::Memory).unwrap();
    tenant(&store).await;
    let metrics = Arc::new(StoreMetrics::default());
    let metered: Store = Arc::new(Metered::new(store, Arc::clone(&metrics)));
    let environment = Environment::simulated(2, 1_700_000_000_000_000_000);
    let log = CommitLog::open(&environment, &metered, &TenantId::single())
        .await
        .unwrap();
    assert_eq!(log.snapshot().state.live().len() as u64, BLOCKS);
    // The hint, the checkpoint, the entries behind it, and the one that is not there.
    let behind = (BLOCKS / 100) % CHECKPOINT_INTERVAL;
    assert_eq!(metrics.count(Operation::Get).requests, 3 + behind);
    assert_eq!(metrics.count(Operation::List).requests, 1);
    log.follow().await.unwrap();
    assert_eq!(
        metrics.count(Operation::Get).requests,
        4 + behind,
        "one look at the end"
    );
}
