//! Putting blocks together, by copy and by full merge: CPU time of all spans, and the peak memory of a process that does
//! nothing else. The blocks lie in a folder, as large as heads make them; their spans are those of our own shop, or of
//! `TEMPO_BENCH_OTLP`.
#![allow(
    clippy::panic,
    missing_docs,
    reason = "a bench ends by panicking; criterion's macros make undocumented items"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use tempo_block::compact::{self, Job, Method, Options};
use tempo_block::meta::BlockMeta;
use tempo_block::read::Reader;
use tempo_block::store::{Settings, open};
use tempo_block::write::{BlockOptions, block};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

use support::cpu::{CpuTime, cpu_time};
use support::{done, filled, requests};

const SPANS: usize = 1_000_000;
/// Of a block: about ten blocks are put together.
const SPANS_OF_BLOCK: usize = 100_000;
const METHODS: [(&str, Method); 2] = [("copy", Method::Copy), ("merge", Method::Merge)];
/// Names what a process of its own is to do: a method and a folder.
const ALONE: &str = "TEMPO_BENCH_ALONE";
const METAS: &str = "metas.json";

fn main() {
    let runtime = done("start a runtime", tokio::runtime::Runtime::new());
    if let Ok(work) = std::env::var(ALONE) {
        let (name, folder) = work
            .split_once(':')
            .unwrap_or_else(|| panic!("{ALONE}=METHOD:FOLDER"));
        return runtime.block_on(alone(name, Path::new(folder)));
    }
    let folder = done("make a folder", tempfile::tempdir());
    let inputs = runtime.block_on(write_blocks(folder.path()));
    for (name, _) in METHODS {
        let program = done("name this program", std::env::current_exe());
        let work = format!("{name}:{}", folder.path().display());
        let ended = done("start a process", Command::new(program).env(ALONE, work).status());
        assert!(ended.success(), "{name} failed");
    }
    let mut criterion = Criterion::default()
        .with_measurement(CpuTime)
        .configure_from_args();
    let mut group = criterion.benchmark_group("compact");
    let spans = inputs.iter().map(|meta| meta.spans).sum();
    group.throughput(Throughput::Elements(spans)).sample_size(10);
    for (name, method) in METHODS {
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(run(folder.path(), &inputs, method)));
        });
    }
    group.finish();
    criterion.final_summary();
}

fn reader(folder: &Path) -> Reader {
    let settings = Settings::Local {
        folder: PathBuf::from(folder),
    };
    Reader::new(Environment::system(), done("open a store", open(&settings)))
}

async fn write_blocks(folder: &Path) -> Vec<Arc<BlockMeta>> {
    let Reader {
        environment, store, ..
    } = reader(folder);
    let requests = requests(SPANS);
    let mut rest = &requests[..];
    let mut metas = Vec::new();
    while !rest.is_empty() {
        let (snapshot, taken) = filled(rest, SPANS_OF_BLOCK);
        rest = rest.get(taken..).unwrap_or_default();
        let options = BlockOptions::of_head(Ulid::from(metas.len() as u128 + 1));
        let written = block(&environment, &store, &TenantId::single(), &snapshot, options).await;
        metas.push(done("write a block", written));
    }
    let json = done("encode", serde_json::to_vec(&metas));
    done("write", std::fs::write(folder.join(METAS), json));
    metas
}

async fn run(folder: &Path, inputs: &[Arc<BlockMeta>], method: Method) -> Arc<BlockMeta> {
    let job = Job {
        method,
        inputs: inputs.to_vec(),
    };
    let output = Ulid::from(u128::MAX);
    let made = compact::run(
        &reader(folder),
        &TenantId::single(),
        &job,
        output,
        &Options::default(),
    )
    .await;
    done("compact", made).unwrap_or_else(|| panic!("nothing was left"))
}

/// Compacts once, and says what it took.
async fn alone(name: &str, folder: &Path) {
    let json = done("read", std::fs::read(folder.join(METAS)));
    let inputs: Vec<Arc<BlockMeta>> = done("decode", serde_json::from_slice(&json));
    let method = METHODS.iter().find(|(known, _)| *known == name);
    let (_, method) = *method.unwrap_or_else(|| panic!("{name} is no method"));
    let started = cpu_time();
    let meta = run(folder, &inputs, method).await;
    let took = cpu_time().saturating_sub(started).as_secs_f64();
    println!(
        "{name}: {} blocks, {} spans, {:.2} bytes a span; {:.3} CPU-s a million spans, peak memory {}",
        inputs.len(),
        meta.spans,
        meta.bytes() as f64 / meta.spans as f64,
        took * 1e6 / meta.spans as f64,
        peak_memory()
    );
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.unwrap_or("unknown").trim().to_owned()
}
