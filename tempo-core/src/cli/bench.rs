//! `tempo bench`: the engine as a process of its own, or any OTLP receiver, under load, and what it cost.
//!
//! ```text
//! built-in:  prepare requests ─► start the engine ─► drive it ─► /flush ─► Figures
//! LOADGEN:   LOADGEN gen ─► start the engine ─► LOADGEN send ─► /flush ─► Figures
//! ```

mod external;
mod figures;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tempo_runtime::Environment;

use crate::load::drive::{self, Driven, Force, Prepared};
use crate::load::engine::{Engine, Ports};
use crate::load::shop::Shop;
use crate::load::usage::Usage;
use figures::Figures;

/// The same traces in every run.
const SEED: u64 = 42;
/// How long making blocks of everything may take.
const FLUSH_PATIENCE: Duration = Duration::from_mins(5);

/// Measure what taking spans in costs: starts an engine of its own with data in a temporary folder, drives it, flushes.
#[derive(Debug, clap::Args)]
pub(super) struct Bench {
    /// How many spans to send. They are prepared in memory first, some 300 bytes each.
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    spans: u64,
    /// Traces in a request; a trace has some ten to twenty spans.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Connections.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Requests in flight on each connection.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    in_flight: u16,
    /// Drive the OTLP/gRPC receiver at HOST:PORT in place of an engine of its own.
    #[arg(long, value_name = "HOST:PORT")]
    against: Option<String>,
    /// With --against: the process whose CPU and memory are measured.
    #[arg(long, value_name = "PID", requires = "against")]
    pid: Option<u32>,
    /// Another generator in place of the built-in one, with the commands `gen` and `send` of the project's load generator.
    #[arg(long, env = "LOADGEN", value_name = "PROGRAM")]
    loadgen: Option<String>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) async fn run(self) -> Result<()> {
        let figures = match &self.against {
            Some(address) => self.against(address).await?,
            None => self.own_engine().await?,
        };
        ensure!(
            figures.spans > 0,
            "no span was acknowledged: {}",
            figures.last_error()
        );
        if self.json {
            println!("{}", figures.to_json());
        } else {
            println!("{}", figures.to_table());
        }
        Ok(())
    }

    async fn against(&self, address: &str) -> Result<Figures> {
        let load = self.prepare()?;
        let before = self.pid.and_then(Usage::of);
        let mut figures = self.load(load, address, self.pid).await?;
        figures.add_usage(before, self.pid.and_then(Usage::of));
        Ok(figures)
    }

    async fn own_engine(&self) -> Result<Figures> {
        let load = self.prepare()?;
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let binary = std::env::current_exe().context("find the binary of this process")?;
        let mut engine = Engine::start(&binary, folder.path(), Ports::free()?).await?;
        let process = engine.process_id();
        let before = process.and_then(Usage::of);
        let address = format!("127.0.0.1:{}", engine.ports().otlp_grpc);
        let mut figures = self.load(load, &address, process).await?;
        figures.add_usage(before, process.and_then(Usage::of));
        let (status, text) = tokio::time::timeout(FLUSH_PATIENCE, engine.get("/flush", &[]))
            .await
            .context("flushing took too long")??;
        ensure!(
            status == 204,
            "/flush answered {status}: {text}\n{}",
            engine.log()
        );
        figures.add_settled_usage(before, process.and_then(Usage::of));
        let status = engine.stop().await?;
        ensure!(
            status.success(),
            "the engine ended with {status}:\n{}",
            engine.log()
        );
        figures.stored_bytes = Some(bytes_below(&folder.path().join("traces")));
        Ok(figures)
    }

    fn prepare(&self) -> Result<Load> {
        if let Some(program) = &self.loadgen {
            return Ok(Load::External(external::Generator::prepare(program, self.spans)?));
        }
        let bar = progress("preparing", self.spans);
        let now = Environment::system().clock.unix_nanos();
        let requests = drive::prepare(
            &mut Shop::new(SEED),
            self.spans,
            usize::from(self.batch),
            now,
            |made| {
                bar.set_position(made);
            },
        );
        bar.finish_and_clear();
        Ok(Load::Requests(requests))
    }

    async fn load(&self, load: Load, address: &str, process: Option<u32>) -> Result<Figures> {
        let force = Force {
            connections: usize::from(self.connections),
            in_flight: usize::from(self.in_flight),
        };
        match load {
            Load::External(generator) => generator.send(address, process, force).await,
            Load::Requests(requests) => {
                let bar = progress("sending", requests.iter().map(|request| request.spans).sum());
                let sending = bar.clone();
                let driven: Driven =
                    drive::drive(address, requests, force, move |spans| sending.set_position(spans)).await?;
                bar.finish_and_clear();
                Ok(Figures::of(&driven))
            }
        }
    }
}

/// What is sent.
enum Load {
    Requests(Vec<Prepared>),
    External(external::Generator),
}

fn progress(what: &'static str, spans: u64) -> ProgressBar {
    let bar = ProgressBar::new(spans).with_message(what);
    match ProgressStyle::with_template("{msg:10} {bar:30} {human_pos}/{human_len} spans  {per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The bytes of all files in a folder and those below.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
