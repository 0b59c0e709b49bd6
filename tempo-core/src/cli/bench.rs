//! `tempo bench`: the engine as a process of its own under load, against the bars that it must reach.
//!
//! ```text
//! arguments ─► suite: sections ─► Figures ─► report: table, JSON, history
//!          └─► growth: sizes and numbers of blocks ─► plots
//! ```

mod bars;
mod compaction;
mod footprint;
mod freshness;
mod generator;
mod growth;
mod ingest;
mod loops;
mod machine;
mod plot;
mod queries;
mod replay;
mod report;
mod scan;
mod subject;
mod suite;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::load::drive::Force;
use crate::load::usage::Usage;
use generator::{Generator, Part};
use suite::Section;

/// Bytes of a megabyte.
const MEGABYTE: f64 = 1e6;

/// Measure what the engine costs, against the bars that it must reach: starts engines with data in a temporary folder.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Bench {
    #[command(subcommand)]
    tool: Option<Tool>,
    /// How many spans to send; some 300 to 500 bytes each are kept in the temporary folder.
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    spans: u64,
    #[command(flatten)]
    load: Load,
    /// Only these parts of the table.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Section>,
    /// Another binary than this one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Drive the OTLP/gRPC receiver at HOST:PORT and print what that showed.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["only", "binary", "record"])]
    against: Option<String>,
    /// With --against: the process whose CPU and memory are measured.
    #[arg(long, value_name = "PID", requires = "against")]
    pid: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Append the table to a history, such as docs/benchmarks.md.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// What is sent, and how hard.
#[derive(Debug, Clone, clap::Args)]
struct Load {
    /// Traces in a request of the built-in generator; a trace has some ten to twenty spans.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Connections.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    in_flight: u16,
    /// Another generator in place of the built-in one, with the commands `gen`, `send` and `sink` of the project's.
    #[arg(long, env = "LOADGEN", value_name = "PROGRAM")]
    loadgen: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    Growth(growth::Growth),
    /// Take OTLP/gRPC, decode it and drop it.
    Sink {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:14317", value_name = "HOST:PORT")]
        listen: String,
    },
    #[command(hide = true)]
    Compact(compaction::Compact),
    #[command(hide = true)]
    Loop(loops::Loop),
}

impl Bench {
    pub(super) async fn run(self) -> Result<()> {
        match self.tool {
            Some(Tool::Growth(growth)) => growth.run().await,
            Some(Tool::Sink { listen }) => ingest::serve_sink(&listen).await,
            Some(Tool::Compact(compact)) => compact.run().await,
            Some(Tool::Loop(hot)) => hot.run(),
            None => self.table().await,
        }
    }

    async fn table(self) -> Result<()> {
        if let Some(address) = &self.against {
            return self.against(address).await;
        }
        let binary = binary(self.binary.as_deref())?;
        let sections = if self.only.is_empty() {
            Section::ALL.to_vec()
        } else {
            self.only.clone()
        };
        let report = suite::run(&binary, &self.load, self.spans, &sections).await?;
        if self.json {
            println!("{}", report.to_json());
        } else {
            print!("{}", report.to_text());
        }
        if let Some(history) = &self.record {
            append(history, &report.to_markdown(&command()))?;
        }
        if !self.json && report.all_met() {
            println!("every bar that was measured is met");
        }
        Ok(())
    }

    async fn against(&self, address: &str) -> Result<()> {
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let generator = self.load.prepare(self.spans, folder.path())?;
        let before = self.pid.and_then(Usage::of);
        let sent = generator.send(address, Part::ALL).await?;
        let after = self.pid.and_then(Usage::of);
        let cpu = before
            .zip(after)
            .map(|(before, after)| after.cpu_seconds - before.cpu_seconds);
        let milliseconds = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
        let figures = serde_json::json!({
            "spans": sent.spans,
            "spans_per_s": sent.spans_per_second,
            "export_ms_p50": milliseconds(sent.export_p50),
            "export_ms_p99": milliseconds(sent.export_p99),
            "retries": sent.retries,
            "failed_spans": sent.failed_spans,
            "server_cpu_s_per_m": cpu.map(|seconds| per_million(seconds, sent.spans)),
            "server_peak_bytes": after.map(|usage| usage.peak_memory_bytes),
        });
        if self.json {
            println!("{figures}");
        } else {
            println!("{figures:#}");
        }
        Ok(())
    }
}

impl Load {
    fn prepare(&self, spans: u64, folder: &Path) -> Result<Generator> {
        let force = Force {
            connections: usize::from(self.connections),
            in_flight: usize::from(self.in_flight),
        };
        let traces = usize::from(self.batch);
        Generator::prepare(self.loadgen.as_deref(), spans, traces, force, folder)
    }
}

/// The binary that was named, or this one.
fn binary(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        None => std::env::current_exe().context("find the binary of this process"),
        Some(binary) => {
            ensure!(binary.is_file(), "{} is not a file", binary.display());
            Ok(binary.to_owned())
        }
    }
}

/// The words that started this process, its folder left out.
fn command() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let name = Path::new(&program)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    std::iter::once(name.into_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn append(history: &Path, entry: &str) -> Result<()> {
    let file = std::fs::File::options().create(true).append(true).open(history);
    file.and_then(|mut file| file.write_all(entry.as_bytes()))
        .with_context(|| format!("append to {}", history.display()))
}

fn per_million(amount: f64, spans: u64) -> f64 {
    amount * 1e6 / spans.max(1) as f64
}

/// The middle one; zero of none.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn progress(what: &'static str, spans: u64) -> ProgressBar {
    let bar = ProgressBar::new(spans).with_message(what);
    match ProgressStyle::with_template("{msg:10} {bar:30} {human_pos}/{human_len} spans  {per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]).to_string(), "2");
        assert_eq!(median(&mut []).to_string(), "0");
    }

    #[test]
    fn a_history_grows_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history.md");
        append(&file, "one\n").unwrap();
        append(&file, "two\n").unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "one\ntwo\n");
    }
}
