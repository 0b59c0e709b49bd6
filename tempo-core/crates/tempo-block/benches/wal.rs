//! Appending to the WAL: one writer alone, and many that share syncs.
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempo_block::wal::{Durability, Flags, Record, RecordSink, Settings, Wal};
use tempo_model::TenantId;
use tempo_runtime::Environment;

/// About a thousand spans of OTLP.
const PAYLOAD_BYTES: usize = 480 << 10;

struct Ignored;

impl RecordSink for Ignored {
    fn apply(&self, _: &[Record]) {}
}

fn append(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| panic!("start a runtime: {error}"));
    let mut group = criterion.benchmark_group("wal_append");
    for (name, durability) in [("synced", Durability::Synced), ("written", Durability::Written)] {
        for writers in [1_usize, 16] {
            let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("make a folder: {error}"));
            let settings = Settings {
                durability,
                ..Settings::default()
            };
            let env = Environment::system();
            let (wal, _) = runtime
                .block_on(Wal::open(&env, dir.path(), settings, Arc::new(Ignored)))
                .unwrap_or_else(|error| panic!("open the WAL: {error}"));
            let payload = Bytes::from(vec![b'x'; PAYLOAD_BYTES]);
            group.throughput(Throughput::Bytes((PAYLOAD_BYTES * writers) as u64));
            group.bench_function(format!("{name}/{writers}"), |bencher| {
                bencher.iter(|| runtime.block_on(append_all(&wal, &payload, writers)));
            });
        }
    }
    group.finish();
}

async fn append_all(wal: &Wal, payload: &Bytes, writers: usize) {
    let tenant = TenantId::single();
    let appends = (0..writers).map(|_| wal.append(&tenant, payload.clone(), 0, Flags::default()));
    for appended in futures::future::join_all(appends).await {
        appended.unwrap_or_else(|error| panic!("append: {error}"));
    }
    wal.truncate(|_, _, _| true)
        .await
        .unwrap_or_else(|error| panic!("truncate: {error}"));
}

criterion_group!(benches, append);
criterion_main!(benches);
