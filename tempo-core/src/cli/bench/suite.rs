//! The whole table: one section after the other, each in a folder of its own.
//!
//! ```text
//! footprint   start, rest ─────────────────────────────────────────────► start, memory, binary
//! ingest      sink; engine ◄─ all spans ─► /flush ─► compacted ────────► CPU, rate, memory, bytes
//!   fresh     the same engine ◄─ a push, a query ──────────────────────► queries until found
//!   queries   the same engine ◄─ queries over an hour that is over ────► p50, CPU
//! compaction  engine ◄─ 8 parts, 8 flushes; a process compacts ────────► CPU, memory
//! replay      engine ◄─ spans into the WAL; kill -9; start ────────────► CPU, memory
//! loops       callgrind ───────────────────────────────────────────────► instructions
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::generator::Generator;
use super::machine::Watch;
use super::report::{Figures, Report};
use super::{Load, compaction, footprint, freshness, ingest, loops, queries, replay, scan};

/// Compaction and replay are measured with so many spans at most.
const PART: u64 = 1_000_000;

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Section {
    /// Start, memory at rest, size of the binary.
    Footprint,
    /// Taking spans in, beside a receiver that decodes and drops.
    Ingest,
    /// How soon what was pushed is found.
    Fresh,
    /// Traces by id, searches, metrics and tags.
    Queries,
    /// Putting blocks together, by copy and by full merge.
    Compaction,
    /// Taking up the WAL after kill -9.
    Replay,
    /// Instructions of the hot loops, by callgrind.
    Loops,
}

impl Section {
    pub(super) const ALL: [Self; 7] = [
        Self::Footprint,
        Self::Ingest,
        Self::Fresh,
        Self::Queries,
        Self::Compaction,
        Self::Replay,
        Self::Loops,
    ];

    /// Whether a section asks an engine that has all spans.
    fn needs_filled(self) -> bool {
        matches!(self, Self::Ingest | Self::Fresh | Self::Queries)
    }

    fn needs_spans(self) -> bool {
        self.needs_filled() || matches!(self, Self::Compaction | Self::Replay)
    }
}

/// Measures `sections` of `binary` with `spans` spans.
pub(super) async fn run(binary: &Path, load: &Load, spans: u64, sections: &[Section]) -> Result<Report> {
    let watch = Watch::start();
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let mut suite = Suite {
        binary: binary.to_owned(),
        folder: folder.path().to_owned(),
        figures: Figures::default(),
    };
    if sections.contains(&Section::Footprint) {
        say("footprint");
        footprint::measure(binary, &suite.folder, &mut suite.figures).await?;
    }
    let generator = if sections.iter().any(|section| section.needs_spans()) {
        Some(load.prepare(spans, folder.path())?)
    } else {
        None
    };
    if let Some(generator) = &generator {
        suite.with_spans(generator, sections).await?;
    }
    let instructions = sections.contains(&Section::Loops).then(|| {
        say("loops");
        loops::count(binary, folder.path())
    });
    Ok(Report {
        surroundings: watch.stop(),
        spans: generator.as_ref().map_or(0, |generator| generator.spans),
        generator: generator.map_or_else(|| "nobody".to_owned(), |generator| generator.name()),
        figures: suite.figures,
        instructions,
    })
}

struct Suite {
    binary: PathBuf,
    folder: PathBuf,
    figures: Figures,
}

impl Suite {
    async fn with_spans(&mut self, generator: &Generator, sections: &[Section]) -> Result<()> {
        let spans = generator.spans.min(PART);
        if sections.iter().any(|section| section.needs_filled()) {
            self.filled(generator, sections).await?;
        }
        if sections.contains(&Section::Compaction) {
            say("compaction");
            let folder = self.folder("compaction");
            compaction::measure(&self.binary, &folder, generator, spans, &mut self.figures).await?;
            discard(&folder);
        }
        if sections.contains(&Section::Replay) {
            say("replay");
            let folder = self.folder("replay");
            replay::measure(&self.binary, &folder, generator, spans, &mut self.figures).await?;
            discard(&folder);
        }
        Ok(())
    }

    async fn filled(&mut self, generator: &Generator, sections: &[Section]) -> Result<()> {
        let folder = self.folder("ingest");
        say("ingest");
        let filled = ingest::fill(&self.binary, &folder, generator, &mut self.figures).await?;
        if sections.contains(&Section::Ingest) {
            say("sink");
            ingest::compare(ingest::sink(generator).await?, &mut self.figures);
        }
        // Before the pushes: all that they ask for is in blocks then.
        let mut unanswered = Vec::new();
        if sections.contains(&Section::Queries) {
            say("queries");
            let period = filled.sent.period;
            unanswered = queries::measure(&filled.subject, &generator.ids, period, &mut self.figures).await?;
        }
        if sections.contains(&Section::Fresh) {
            say("fresh");
            freshness::measure(&filled.subject, &mut self.figures).await?;
        }
        filled.subject.stop().await?;
        scan::measure(&folder, filled.sent.period, &unanswered, &mut self.figures).await?;
        discard(&folder);
        Ok(())
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Says on the terminal, beside the result, what goes on.
fn say(section: &str) {
    eprintln!("bench: {section}");
}

/// What is not needed any more makes room; the rest goes with the whole folder.
fn discard(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
}
