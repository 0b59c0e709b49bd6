//! Blocks as they are written, read by others: the Parquet library alone, and DuckDB.

mod duckdb;
mod extremes;
mod formats;
mod rebuild;
pub(crate) mod requests;

use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use proptest::prelude::*;
use prost::Message;
use tempo_block::head::{Head, HeadSettings};
use tempo_block::layout::BlockFile;
use tempo_block::store::faulty::{Fault, Faults, Faulty};
use tempo_block::store::metered::Operation;
use tempo_block::store::{Settings, Store, open};
use tempo_block::write::{self, BlockOptions, WriteError};
use tempo_model::TenantId;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_runtime::Environment;
use ulid::Ulid;

use crate::read::{Written, run};

const ARRIVAL: u64 = 1_700_000_000_000_000_005;

fn head_of(requests: &[ExportTraceServiceRequest]) -> Head {
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 0,
    });
    for request in requests {
        head.append(&request.encode_to_vec(), ARRIVAL).unwrap();
    }
    head
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
            let written = Written::of(&head.snapshot(), max_row_group_rows).await;
            let path = BlockFile::Spans.path(&TenantId::single(), written.meta.id);
            written.store.get(&path).await.unwrap().bytes().await.unwrap()
        });
        let found = requests::comparable(&rebuild::spans(&file));
        prop_assert!(sent == found);
    }
}

/// Refuses one file.
#[derive(Debug)]
struct Refusing(BlockFile);

#[async_trait]
impl Faults for Refusing {
    async fn before(&self, _: Operation, path: &Path) -> Fault {
        let is_refused = path.filename() == Some(self.0.name());
        if is_refused { Fault::Refused } else { Fault::None }
    }
}

#[test]
fn a_file_that_the_store_refuses_is_named() {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let snapshot = head_of(&[request]).snapshot();
    let environment = Environment::simulated(1, ARRIVAL);
    let options = BlockOptions::of_head(Ulid::from(1_u128));
    for file in BlockFile::ALL {
        let store: Store = Arc::new(Faulty::new(
            open(&Settings::Memory).unwrap(),
            Arc::new(Refusing(file)),
        ));
        let error = run(write::block(
            &environment,
            &store,
            &TenantId::single(),
            &snapshot,
            options,
        ))
        .unwrap_err();
        assert!(matches!(error, WriteError::Store(_)), "{error:?}");
        let path = file.path(&TenantId::single(), options.id);
        assert!(error.to_string().contains(path.as_ref()), "{error}");
    }
}

#[test]
fn a_head_without_spans_is_no_block() {
    let store = open(&Settings::Memory).unwrap();
    let environment = Environment::simulated(1, ARRIVAL);
    let options = BlockOptions::of_head(Ulid::from(1_u128));
    let snapshot = head_of(&[]).snapshot();
    let written = run(write::block(
        &environment,
        &store,
        &TenantId::single(),
        &snapshot,
        options,
    ));
    assert!(matches!(written, Err(WriteError::Empty)));
}
