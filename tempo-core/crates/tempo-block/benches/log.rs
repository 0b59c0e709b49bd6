//! Opening the commit log of a tenant with 10,000 live blocks in a local folder, as a process does at its first query of
//! the tenant. How many requests it takes is a test (`log_open`).
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use criterion::Criterion;
use tempo_block::layout::BlockFile;
use tempo_block::log::{CommitLog, Transaction};
use tempo_block::meta::BlockMeta;
use tempo_block::store::{Settings, Store, open};
use tempo_block::write::{BlockOptions, block};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

use support::{done, filled, requests};

const BLOCKS: u128 = 10_000;
/// So many are committed at once: the log has a checkpoint, and 36 entries behind it.
const IN_COMMIT: u128 = 100;

fn main() {
    let runtime = done("start a runtime", tokio::runtime::Runtime::new());
    let folder = done("make a folder", tempfile::tempdir());
    let settings = Settings::Local {
        folder: folder.path().to_owned(),
    };
    let store = done("open a store", open(&settings));
    runtime.block_on(fill(&store, folder.path()));
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("log/open 10000 blocks", |bencher| {
        bencher.iter(|| runtime.block_on(opened(&store)));
    });
    criterion.final_summary();
}

async fn opened(store: &Store) -> CommitLog {
    let log = CommitLog::open(&Environment::system(), store, &TenantId::single()).await;
    let log = done("open the log", log);
    assert_eq!(log.snapshot().state.live().len() as u128, BLOCKS);
    log
}

/// One real block, whose metadata and files stand for all of them.
async fn fill(store: &Store, folder: &Path) {
    let (environment, tenant) = (Environment::system(), TenantId::single());
    let (snapshot, _) = filled(&requests(1_000), 1_000);
    let first = BlockOptions::of_head(Ulid::from(1_u128));
    let written = block(&environment, store, &tenant, &snapshot, first).await;
    let meta = done("write a block", written);
    let log = done(
        "open the log",
        CommitLog::open(&environment, store, &tenant).await,
    );
    for start in (1..=BLOCKS).step_by(IN_COMMIT as usize) {
        let mut add = Vec::new();
        for id in start..start + IN_COMMIT {
            let copied = BlockMeta {
                id: Ulid::from(id),
                ..BlockMeta::clone(&meta)
            };
            link_files(folder, &tenant, meta.id, copied.id);
            add.push(Arc::new(copied));
        }
        let transaction = Transaction {
            add,
            ..Transaction::default()
        };
        done("commit", log.commit(transaction).await);
    }
}

/// The files of a block under another id as well.
fn link_files(folder: &Path, tenant: &TenantId, from: Ulid, to: Ulid) {
    if from == to {
        return;
    }
    for file in BlockFile::ALL {
        let place = |id| folder.join(file.path(tenant, id).as_ref());
        if let Some(parent) = place(to).parent() {
            done("make a folder", std::fs::create_dir_all(parent));
        }
        done("link a file", std::fs::hard_link(place(from), place(to)));
    }
}
