//! What makes the spans and sends them: the built-in shop, or another program with the commands `gen`, `send` and `sink`
//! of the project's load generator.
//!
//! Spans lie in an hour that is over, so that they make 60 buckets of a minute and no query ends in them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hex::ToHex;
use serde_json::Value;
use tempo_runtime::Environment;

use super::progress;
use crate::load::drive::{self, Driven, Force, Period};
use crate::load::shop::Shop;
use crate::load::spool;

/// The same traces in every run.
const SEED: u64 = 42;
const FILE: &str = "bench.otlp";
/// How many seconds ago the spans begin and end.
const OLDEST: u64 = 5400;
const NEWEST: u64 = 1800;
/// One trace id of so many is kept for queries.
const TRACES_PER_ID: usize = 23;

/// A generator with its file of spans.
#[derive(Debug)]
pub(super) struct Generator {
    maker: Maker,
    file: PathBuf,
    /// How many spans the file has.
    pub(super) spans: u64,
    /// Some of their traces, as hexadecimal ids.
    pub(super) ids: Vec<String>,
    force: Force,
}

#[derive(Debug)]
enum Maker {
    BuiltIn { period: Period },
    External { program: String },
}

/// What of the file is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) skip: u64,
    pub(super) spans: u64,
}

impl Part {
    /// The whole of it.
    pub(super) const ALL: Self = Self {
        skip: 0,
        spans: u64::MAX,
    };

    /// The first so many spans.
    pub(super) fn first(spans: u64) -> Self {
        Self { skip: 0, spans }
    }
}

/// What sending showed.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) spans: u64,
    pub(super) spans_per_second: f64,
    pub(super) export_p50: Duration,
    pub(super) export_p99: Duration,
    pub(super) retries: u64,
    pub(super) failed_spans: u64,
    pub(super) error: Option<String>,
    pub(super) period: Period,
}

impl Generator {
    /// Makes `spans` spans in requests of `traces` traces and keeps them in `folder`.
    pub(super) fn prepare(
        program: Option<&str>,
        spans: u64,
        traces: usize,
        force: Force,
        folder: &Path,
    ) -> Result<Self> {
        let file = folder.join(FILE);
        match program {
            Some(program) => Self::external(program, spans, force, file),
            None => Self::built_in(spans, traces, force, file),
        }
    }

    fn built_in(spans: u64, traces: usize, force: Force, file: PathBuf) -> Result<Self> {
        let now = Environment::system().clock.unix_nanos();
        let ago = |seconds: u64| now.saturating_sub(seconds * 1_000_000_000);
        let period = Period {
            start_unix_nanos: ago(OLDEST),
            end_unix_nanos: ago(NEWEST),
        };
        let bar = progress("preparing", spans);
        let mut ids = Vec::new();
        let mut shop = Shop::new(SEED);
        let requests = drive::requests(&mut shop, spans, traces, period).map(|(request, traces)| {
            bar.inc(request.spans);
            ids.extend(
                traces
                    .iter()
                    .step_by(TRACES_PER_ID)
                    .map(ToHex::encode_hex::<String>),
            );
            request
        });
        let spans = spool::write(&file, requests).context("write the spans into a file")?;
        bar.finish_and_clear();
        Ok(Self {
            maker: Maker::BuiltIn { period },
            file,
            spans,
            ids,
            force,
        })
    }

    fn external(program: &str, spans: u64, force: Force, file: PathBuf) -> Result<Self> {
        let status = Command::new(program)
            .args([
                "gen",
                "--seed",
                &SEED.to_string(),
                "--spans",
                &spans.to_string(),
                "--out",
            ])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("run {program} gen"))?;
        ensure!(status.success(), "{program} gen ended with {status}");
        let ids = std::fs::read_to_string(beside(&file, ".ids")).context("read the ids of the traces")?;
        let about = std::fs::read_to_string(beside(&file, ".json")).context("read what was generated")?;
        let about: Value = serde_json::from_str(&about).context("read what was generated")?;
        Ok(Self {
            maker: Maker::External {
                program: program.to_owned(),
            },
            file,
            spans: whole(&about, "spans"),
            ids: ids
                .lines()
                .step_by(TRACES_PER_ID)
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned)
                .collect(),
            force,
        })
    }

    /// What made the spans.
    pub(super) fn name(&self) -> String {
        match &self.maker {
            Maker::BuiltIn { .. } => "the built-in shop".to_owned(),
            Maker::External { program } => {
                let name = Path::new(program).file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            }
        }
    }

    /// The program that has a `sink` beside its other commands, and the words before its arguments.
    pub(super) fn sink(&self) -> Result<(PathBuf, &'static [&'static str])> {
        Ok(match &self.maker {
            Maker::BuiltIn { .. } => (
                std::env::current_exe().context("find the binary of this process")?,
                &["bench", "sink"],
            ),
            Maker::External { program } => (program.into(), &["sink"]),
        })
    }

    /// Sends a part of the spans to the OTLP/gRPC receiver at `address`; a part in which no request begins is empty.
    pub(super) async fn send(&self, address: &str, part: Part) -> Result<Sent> {
        let sent = match &self.maker {
            Maker::BuiltIn { period } => self.drive(address, part, *period).await?,
            Maker::External { program } => self.run(program, address, part).await?,
        };
        match sent.error.as_deref() {
            Some(error) if sent.spans == 0 => anyhow::bail!("no span was acknowledged: {error}"),
            _ => Ok(sent),
        }
    }

    async fn drive(&self, address: &str, part: Part, period: Period) -> Result<Sent> {
        let requests = spool::read(&self.file, part.skip).context("read the spans")?;
        let last = part.skip.saturating_add(part.spans);
        let requests = requests
            .take_while(move |(before, _)| *before < last)
            .map(|(_, request)| request);
        let bar = progress("sending", self.spans.saturating_sub(part.skip).min(part.spans));
        let sending = bar.clone();
        let driven = drive::drive(address, requests, self.force, move |spans| {
            sending.set_position(spans);
        });
        let driven = driven.await?;
        bar.finish_and_clear();
        Ok(Sent::of(&driven, period))
    }

    async fn run(&self, program: &str, address: &str, part: Part) -> Result<Sent> {
        let mut command = tokio::process::Command::new(program);
        command
            .arg("send")
            .arg(&self.file)
            .args(["--to", &format!("http://{address}")])
            .args(["--connections", &self.force.connections.to_string()])
            .args(["--inflight", &self.force.in_flight.to_string()])
            .args(["--time", &format!("{OLDEST},{NEWEST}")])
            .args(["--skip", &part.skip.to_string()])
            .stderr(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if part.spans < u64::MAX {
            command.args(["--spans", &part.spans.to_string()]);
        }
        let output = command.output().await;
        let output = output.with_context(|| format!("run {program} send"))?;
        ensure!(
            output.status.success(),
            "{program} send ended with {}",
            output.status
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let report = serde_json::from_str(line)
            .with_context(|| format!("the last line of {program} send is not JSON: {line}"))?;
        Ok(Sent::reported(&report))
    }
}

impl Sent {
    fn of(driven: &Driven, period: Period) -> Self {
        Self {
            spans: driven.spans,
            spans_per_second: driven.spans as f64 / driven.wall.as_secs_f64().max(f64::MIN_POSITIVE),
            export_p50: driven.latency(0.5),
            export_p99: driven.latency(0.99),
            retries: driven.retries,
            failed_spans: driven.failed_spans,
            error: driven.last_error.clone(),
            period,
        }
    }

    /// What the last line of a generator says.
    fn reported(report: &Value) -> Self {
        let number = |name: &str| report.get(name).and_then(Value::as_f64).unwrap_or_default();
        let milliseconds = |name: &str| Duration::from_secs_f64((number(name) / 1e3).max(0.0));
        let range = report.get("range").unwrap_or(&Value::Null);
        Self {
            spans: whole(report, "spans"),
            spans_per_second: number("spans_per_s"),
            export_p50: milliseconds("export_ms_p50"),
            export_p99: milliseconds("export_ms_p99"),
            retries: whole(report, "retries"),
            failed_spans: whole(report, "failed_spans"),
            error: None,
            period: Period {
                start_unix_nanos: whole(range, "start_ns"),
                end_unix_nanos: whole(range, "end_ns"),
            },
        }
    }
}

fn whole(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_generators_report_is_read() {
        let report = json!({"spans": 10, "spans_per_s": 5.5, "export_ms_p50": 1.5, "retries": 1,
            "range": {"start_ns": 3, "end_ns": 9}});
        let sent = Sent::reported(&report);
        assert_eq!((sent.spans, sent.retries), (10, 1));
        assert_eq!(sent.export_p50, Duration::from_micros(1500));
        assert_eq!((sent.period.start_unix_nanos, sent.period.end_unix_nanos), (3, 9));
    }

    #[test]
    fn the_built_in_shop_fills_a_file_and_keeps_some_ids() {
        let folder = tempfile::tempdir().unwrap();
        let force = Force {
            connections: 1,
            in_flight: 1,
        };
        let generator = Generator::prepare(None, 1000, 30, force, folder.path()).unwrap();
        assert!((1000..2000).contains(&generator.spans));
        let spans: u64 = spool::read(&generator.file, 0)
            .unwrap()
            .map(|(_, request)| request.spans)
            .sum();
        assert_eq!(spans, generator.spans);
        assert!(generator.ids.iter().all(|id| id.len() == 32) && !generator.ids.is_empty());
    }
}
