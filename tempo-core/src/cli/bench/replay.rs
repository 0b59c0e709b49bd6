//! Replay: what taking up a WAL costs after the process was killed.

use std::path::Path;

use anyhow::Result;

use super::bars::Key;
use super::generator::{Generator, Part};
use super::report::Figures;
use super::subject::{NO_COMPACTION, Stored, Subject};
use super::{MEGABYTE, per_million};

/// Nothing becomes a block, so that the WAL has everything.
const ONE_HEAD: &str = "ingester: {max_block_bytes: 100000000000, max_block_duration: 24h}\n";

/// Lets the first `spans` spans into the WAL, kills the engine, and starts it as it usually is.
pub(super) async fn measure(
    binary: &Path,
    folder: &Path,
    generator: &Generator,
    spans: u64,
    figures: &mut Figures,
) -> Result<()> {
    let more = format!("{ONE_HEAD}{NO_COMPACTION}");
    let mut subject = Subject::start(binary, folder, &more).await?;
    let sent = generator.send(&subject.address(), Part::first(spans)).await?;
    subject.engine.kill().await?;
    let subject = Subject::start(binary, folder, NO_COMPACTION).await?;
    let usage = subject.usage()?;
    figures.set(Key::ReplayCpu, per_million(usage.cpu_seconds, sent.spans));
    let took = subject.ready_after.as_secs_f64();
    figures.note(
        Key::ReplayCpu,
        format!("{} spans, ready after {took:.1} s", sent.spans),
    );
    figures.set(Key::ReplayPeak, usage.peak_memory_bytes as f64 / MEGABYTE);
    let stored = Stored::in_folder(folder).await?;
    figures.set(Key::ReplaySpans, stored.spans() as f64 / sent.spans as f64);
    subject.stop().await
}
