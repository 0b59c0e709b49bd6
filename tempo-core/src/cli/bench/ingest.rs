//! Taking spans in: what it costs until all is in blocks and compacted, beside a receiver that decodes and drops.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::bars::Key;
use super::generator::{Generator, Part, Sent};
use super::report::Figures;
use super::subject::{Stored, Subject};
use super::{MEGABYTE, per_million};
use crate::load::engine::Ports;
use crate::load::usage::Usage;

const SINK_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// An engine that has taken all spans in and is at rest.
pub(super) struct Filled {
    pub(super) subject: Subject,
    pub(super) sent: Sent,
}

/// What a receiver that decodes and drops needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sink {
    cpu_seconds_per_million: f64,
    spans_per_second: f64,
}

/// Sends everything to an engine in `folder`.
pub(super) async fn fill(
    binary: &Path,
    folder: &Path,
    generator: &Generator,
    figures: &mut Figures,
) -> Result<Filled> {
    let subject = Subject::start(binary, folder, "").await?;
    let before = subject.usage()?;
    let sent = generator.send(&subject.address(), Part::ALL).await?;
    subject.flush().await?;
    subject.settle().await?;
    let after = subject.usage()?;
    let stored = Stored::in_folder(folder).await?;
    let cpu = per_million(after.cpu_seconds - before.cpu_seconds, sent.spans);
    figures.set(Key::IngestCpu, cpu);
    figures.set(Key::IngestRate, sent.spans_per_second);
    figures.set(Key::ExportP99, sent.export_p99.as_secs_f64() * 1e3);
    figures.note(Key::ExportP99, format!("p50 {:.1?}", sent.export_p50));
    figures.set(Key::IngestPeak, after.peak_memory_bytes as f64 / MEGABYTE);
    figures.set(Key::StoredBytes, stored.bytes as f64 / sent.spans as f64);
    figures.note(Key::StoredBytes, format!("in blocks: {}", stored.blocks.len()));
    figures.set(Key::StoredSpans, stored.spans() as f64 / sent.spans as f64);
    if sent.failed_spans + sent.retries > 0 {
        let note = format!("{} retries, {} spans failed", sent.retries, sent.failed_spans);
        figures.note(Key::IngestRate, note);
    }
    Ok(Filled { subject, sent })
}

/// Sends everything to a receiver that decodes and drops.
pub(super) async fn sink(generator: &Generator) -> Result<Sink> {
    let address = format!("127.0.0.1:{}", Ports::free()?.otlp_grpc);
    let process = start_sink(generator, &address).await?;
    let usage = || process.id().and_then(Usage::of).context("the sink has ended");
    let before = usage()?;
    let sent = generator.send(&address, Part::ALL).await?;
    Ok(Sink {
        cpu_seconds_per_million: per_million(usage()?.cpu_seconds - before.cpu_seconds, sent.spans),
        spans_per_second: sent.spans_per_second,
    })
}

/// It ends when what is returned is dropped.
async fn start_sink(generator: &Generator, address: &str) -> Result<Child> {
    let (program, words) = generator.sink()?;
    let process = Command::new(&program)
        .args(words)
        .args(["--listen", address])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let listens = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(SINK_PATIENCE, listens)
        .await
        .with_context(|| format!("{} sink does not listen at {address}", program.display()))?;
    Ok(process)
}

/// Puts the engine beside the sink.
pub(super) fn compare(sink: Sink, figures: &mut Figures) {
    if let Some(cpu) = figures.get(Key::IngestCpu) {
        figures.set(Key::IngestCpuRatio, cpu / sink.cpu_seconds_per_million);
        let note = format!("it needs {:.2} s", sink.cpu_seconds_per_million);
        figures.note(Key::IngestCpuRatio, note);
    }
    if let Some(rate) = figures.get(Key::IngestRate) {
        figures.set(Key::IngestRateRatio, rate / sink.spans_per_second);
        let note = format!("it takes {:.0} k/s", sink.spans_per_second / 1e3);
        figures.note(Key::IngestRateRatio, note);
    }
}

/// The process of the built-in sink.
pub(super) async fn serve_sink(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen at {address}"))?;
    crate::load::sink::serve(listener).await?;
    Ok(())
}
