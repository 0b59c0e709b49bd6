//! Compaction: what putting blocks together costs, by copy and by full merge, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tempo_block::compact::{self, Job, Method};
use tempo_block::read::Reader;
use tokio::process::Command;

use super::bars::Key;
use super::generator::{Generator, Part};
use super::report::Figures;
use super::subject::{NO_COMPACTION, Stored, Subject};
use super::{MEGABYTE, per_million};
use crate::load::usage::{Usage, own_cpu_time};

/// Blocks that are put together.
const BLOCKS: u64 = 8;

/// Puts all live blocks of an engine's folder together and says what it cost; the result is not committed.
#[derive(Debug, clap::Args)]
pub(super) struct Compact {
    /// The engine's folder.
    folder: PathBuf,
    /// Decode all spans in place of copying row groups.
    #[arg(long)]
    merge: bool,
}

/// What one job cost.
#[derive(Debug, Serialize, Deserialize)]
struct Cost {
    spans: u64,
    cpu_seconds: f64,
    peak_memory_bytes: u64,
}

impl Compact {
    pub(super) async fn run(self) -> Result<()> {
        let stored = Stored::in_folder(&self.folder).await?;
        let reader = Reader::new(stored.environment.clone(), stored.store.clone());
        let job = Job {
            method: if self.merge { Method::Merge } else { Method::Copy },
            inputs: stored.blocks.clone(),
        };
        let output = stored.environment.new_ulid();
        let before = own_cpu_time();
        let made = compact::run(
            &reader,
            &stored.tenant,
            &job,
            output,
            &compact::Options::default(),
        )
        .await?;
        let cpu_seconds = own_cpu_time().saturating_sub(before).as_secs_f64();
        let usage = Usage::of(std::process::id()).context("look at this process")?;
        let cost = Cost {
            spans: made.map_or(0, |meta| meta.spans),
            cpu_seconds,
            peak_memory_bytes: usage.peak_memory_bytes,
        };
        println!("{}", serde_json::to_string(&cost)?);
        Ok(())
    }
}

/// Makes blocks of the first `spans` spans and puts them together in both ways.
pub(super) async fn measure(
    binary: &Path,
    folder: &Path,
    generator: &Generator,
    spans: u64,
    figures: &mut Figures,
) -> Result<()> {
    let spans = fill(binary, folder, generator, spans).await?;
    let blocks = Stored::in_folder(folder).await?.blocks.len();
    let copy = cost(binary, folder, &[]).await?;
    let merge = cost(binary, folder, &["--merge"]).await?;
    for cost in [&copy, &merge] {
        ensure!(
            cost.spans == spans,
            "of {spans} spans compaction left {}",
            cost.spans
        );
    }
    figures.set(Key::CopyCpu, per_million(copy.cpu_seconds, spans));
    figures.note(Key::CopyCpu, format!("{blocks} blocks, {spans} spans"));
    figures.set(Key::MergeCpu, per_million(merge.cpu_seconds, spans));
    let peak = copy.peak_memory_bytes.max(merge.peak_memory_bytes);
    figures.set(Key::CompactionPeak, peak as f64 / MEGABYTE);
    Ok(())
}

async fn fill(binary: &Path, folder: &Path, generator: &Generator, spans: u64) -> Result<u64> {
    let subject = Subject::start(binary, folder, NO_COMPACTION).await?;
    let each = spans.div_ceil(BLOCKS);
    for number in 0..BLOCKS {
        let part = Part {
            skip: number * each,
            spans: each,
        };
        generator.send(&subject.address(), part).await?;
        subject.flush().await?;
    }
    subject.stop().await?;
    Ok(Stored::in_folder(folder).await?.spans())
}

async fn cost(binary: &Path, folder: &Path, more: &[&str]) -> Result<Cost> {
    let output = Command::new(binary)
        .args(["bench", "compact"])
        .arg(folder)
        .args(more)
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("run the compaction")?;
    ensure!(
        output.status.success(),
        "the compaction ended with {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("read what the compaction cost")
}
