//! Writing a block from a head: time of a span, and its bytes in the files, which are printed once.
//!
//! The spans are those of our own shop, or of the file that `TEMPO_BENCH_OTLP` names (as the load generator makes them:
//! a magic of 8 bytes, then records of a 24-byte header, whose first four are the payload's length, and a request).
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a module of another crate, of which the bench uses a part"
)]
#[path = "../../../src/load/shop.rs"]
mod shop;

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message;
use tempo_block::head::{Head, HeadSettings, HeadSnapshot};
use tempo_block::meta::BlockMeta;
use tempo_block::store::{Settings, Store, open};
use tempo_block::write::{BlockOptions, block};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

const ARRIVAL: u64 = 1_700_000_000_000_000_000;
/// About what a head of the default size holds.
const SPANS: usize = 400_000;

fn write(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap_or_else(|error| panic!("start a runtime: {error}"));
    let environment = Environment::system();
    let store = open(&Settings::Memory).unwrap_or_else(|error| panic!("open a store: {error}"));
    let snapshot = snapshot();
    let spans = snapshot.spans() as u64;
    let once = || runtime.block_on(write_once(&environment, &store, &snapshot));
    let meta = once();
    let each = |bytes: u64| bytes as f64 / spans as f64;
    println!(
        "{spans} spans, {} traces, {} row groups; bytes a span: {:.2} = spans {:.2} (footer {:.2}), traces {:.2} (footer {:.2}), catalogue {:.2}",
        meta.traces,
        meta.row_groups,
        each(meta.bytes()),
        each(meta.spans_file.bytes),
        each(meta.spans_file.footer_bytes),
        each(meta.traces_file.bytes),
        each(meta.traces_file.footer_bytes),
        each(meta.catalogue_file.bytes),
    );
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(spans)).sample_size(10);
    group.bench_function("block", |bencher| bencher.iter(once));
    group.finish();
}

async fn write_once(
    environment: &Environment,
    store: &Store,
    snapshot: &Arc<HeadSnapshot>,
) -> Arc<BlockMeta> {
    let options = BlockOptions::of_head(Ulid::from(1_u128));
    block(environment, store, &TenantId::single(), snapshot, options)
        .await
        .unwrap_or_else(|error| panic!("write a block: {error}"))
}

fn snapshot() -> Arc<HeadSnapshot> {
    let mut head = Head::new(HeadSettings::default());
    for (number, request) in requests().iter().enumerate() {
        if head.spans() < SPANS {
            head.append(request, ARRIVAL + number as u64)
                .unwrap_or_else(|error| panic!("append: {error}"));
        }
    }
    head.snapshot()
}

fn requests() -> Vec<Vec<u8>> {
    if let Some(path) = std::env::var_os("TEMPO_BENCH_OTLP") {
        let file = std::fs::read(path).unwrap_or_else(|error| panic!("read the requests: {error}"));
        return records(file.get(8..).unwrap_or_default());
    }
    let mut shop = shop::Shop::new(1);
    let request = |number: u64| shop.request(50, ARRIVAL + number * 250_000_000).0.encode_to_vec();
    (0..SPANS as u64 / 500).map(request).collect()
}

fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while let Some((header, rest)) = file.split_first_chunk::<24>() {
        let [a, b, c, d, ..] = *header;
        let (payload, rest) = rest.split_at(u32::from_le_bytes([a, b, c, d]) as usize);
        records.push(payload.to_vec());
        file = rest;
    }
    records
}

criterion_group!(benches, write);
criterion_main!(benches);
