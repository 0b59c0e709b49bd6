//! Writing a block from a head: CPU time of all spans, and their bytes in the files, which are printed once. Of our own
//! shop's spans (or those of `TEMPO_BENCH_OTLP`), and of spans with many kinds of everything.
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

mod support;

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tempo_block::head::HeadSnapshot;
use tempo_block::meta::BlockMeta;
use tempo_block::store::{Settings, Store, open};
use tempo_block::write::{BlockOptions, block};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

use support::cpu::CpuTime;
use support::{done, filled, requests, wide_requests};

/// About what a head of the default size holds.
const SPANS: usize = 400_000;

fn write(criterion: &mut Criterion<CpuTime>) {
    let runtime = done("start a runtime", tokio::runtime::Runtime::new());
    let environment = Environment::system();
    let store = done("open a store", open(&Settings::Memory));
    let mut group = criterion.benchmark_group("write");
    for (name, requests) in [("shop", requests(SPANS)), ("wide", wide_requests(SPANS))] {
        let (snapshot, _) = filled(&requests, SPANS);
        let once = || runtime.block_on(write_once(&environment, &store, &snapshot));
        print(name, &once());
        group
            .throughput(Throughput::Elements(snapshot.spans() as u64))
            .sample_size(10);
        group.bench_function(name, |bencher| bencher.iter(once));
    }
    group.finish();
}

fn print(name: &str, meta: &BlockMeta) {
    let each = |bytes: u64| bytes as f64 / meta.spans as f64;
    println!(
        "{name}: {} spans, {} traces, {} row groups; bytes a span: {:.2} = spans {:.2} (footer {:.2}), traces {:.2} (footer {:.2}), catalogue {:.2}",
        meta.spans,
        meta.traces,
        meta.row_groups,
        each(meta.bytes()),
        each(meta.spans_file.bytes),
        each(meta.spans_file.footer_bytes),
        each(meta.traces_file.bytes),
        each(meta.traces_file.footer_bytes),
        each(meta.catalogue_file.bytes),
    );
}

async fn write_once(
    environment: &Environment,
    store: &Store,
    snapshot: &Arc<HeadSnapshot>,
) -> Arc<BlockMeta> {
    let options = BlockOptions::of_head(Ulid::from(1_u128));
    let written = block(environment, store, &TenantId::single(), snapshot, options).await;
    done("write a block", written)
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = write
}
criterion_main!(benches);
