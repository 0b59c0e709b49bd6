//! Blocks as they are written, read by others: the Parquet library alone, and DuckDB.

mod duckdb;
mod rebuild;
pub(crate) mod requests;

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use proptest::prelude::*;
use prost::Message;
use tempo_block::head::{Head, HeadSettings};
use tempo_block::layout::BlockFile;
use tempo_block::meta::BlockMeta;
use tempo_block::store::{Settings, Store, open};
use tempo_block::write::{self, BlockOptions};
use tempo_model::TenantId;
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_runtime::Environment;
use ulid::Ulid;

const ARRIVAL: u64 = 1_700_000_000_000_000_005;

/// The files of a block.
struct Written {
    store: Store,
    meta: Arc<BlockMeta>,
}

impl Written {
    async fn file(&self, file: BlockFile) -> Bytes {
        let path = file.path(&TenantId::single(), self.meta.id);
        self.store.get(&path).await.unwrap().bytes().await.unwrap()
    }
}

fn head_of(requests: &[ExportTraceServiceRequest]) -> Head {
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 0,
    });
    for request in requests {
        head.append(&request.encode_to_vec(), ARRIVAL).unwrap();
    }
    head
}

async fn write(head: &mut Head, max_row_group_rows: usize) -> Written {
    let store = open(&Settings::Memory).unwrap();
    let options = BlockOptions {
        max_row_group_rows,
        ..BlockOptions::of_head(Ulid::from(7_u128))
    };
    let environment = Environment::simulated(1, ARRIVAL);
    let snapshot = head.snapshot();
    let meta = write::block(&environment, &store, &TenantId::single(), &snapshot, options)
        .await
        .unwrap();
    Written { store, meta }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_span_comes_back_as_it_was_sent(
        requests in prop::collection::vec(requests::request(), 1..4),
        max_row_group_rows in 1..20_usize,
    ) {
        let mut head = head_of(&requests);
        prop_assume!(head.spans() > 0);
        let mut sent: Vec<Vec<u8>> = requests.iter().flat_map(requests::comparable).collect();
        sent.sort();
        let file = run(async {
            let written = write(&mut head, max_row_group_rows).await;
            written.file(BlockFile::Spans).await
        });
        let found = requests::comparable(&rebuild::spans(&file));
        prop_assert!(sent == found);
    }
}
