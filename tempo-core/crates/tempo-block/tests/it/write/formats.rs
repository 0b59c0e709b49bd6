//! Every version of the block format that was ever written stays readable: the fixtures are files, not made by today's
//! code. `request.pb` has the spans, and `meta.json` what the commit log says.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use prost::Message;
use tempo_block::layout::BlockFile;
use tempo_block::meta::BlockMeta;
use tempo_block::read::Reader;
use tempo_block::store::{Settings, open};
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;

use super::{requests, run};

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(version)
}

#[test]
fn version_1_is_read() {
    let folder = fixture("block-v1");
    let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let meta: BlockMeta = serde_json::from_slice(&file("meta.json")).unwrap();
    let sent = ExportTraceServiceRequest::decode(file("request.pb").as_slice()).unwrap();
    run(async {
        let store = open(&Settings::Memory).unwrap();
        for part in BlockFile::ALL {
            let path = part.path(&TenantId::single(), meta.id);
            store.put(&path, file(part.name()).into()).await.unwrap();
        }
        let reader = Reader::new(Environment::simulated(1, 0), store);
        let block = reader
            .block(&TenantId::single(), Arc::new(meta), Arc::default())
            .unwrap();
        let mut resource_spans = Vec::new();
        for row_group in block.row_groups().await.unwrap() {
            resource_spans.extend(block.all_spans(row_group.number).await.unwrap());
        }
        let found = ExportTraceServiceRequest { resource_spans };
        assert!(requests::comparable(&sent) == requests::comparable(&found));
        let trace = TraceId([1; 16]);
        assert!(!block.trace_rows(trace).await.unwrap().is_empty());
        assert!(block.catalogue().await.unwrap().names().is_some());
    });
}
