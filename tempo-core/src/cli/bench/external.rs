//! Another load generator, which has the commands `gen` and `send` and ends with a line of JSON.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::figures::Figures;
use crate::load::drive::Force;

const FILE: &str = "bench.otlp";
const SEED: &str = "42";

/// A generator with its file of spans.
#[derive(Debug)]
pub(super) struct Generator {
    program: String,
    folder: tempfile::TempDir,
}

impl Generator {
    /// Makes the spans.
    pub(super) fn prepare(program: &str, spans: u64) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let status = Command::new(program)
            .args(["gen", "--seed", SEED, "--spans", &spans.to_string(), "--out"])
            .arg(folder.path().join(FILE))
            .stdout(Stdio::null())
            .status()
            .with_context(|| format!("run {program} gen"))?;
        ensure!(status.success(), "{program} gen ended with {status}");
        Ok(Self {
            program: program.to_owned(),
            folder,
        })
    }

    /// Sends them.
    pub(super) async fn send(&self, address: &str, process: Option<u32>, force: Force) -> Result<Figures> {
        let output = self
            .command(address, process, force, &self.folder.path().join(FILE))
            .output()
            .await;
        let output = output.with_context(|| format!("run {} send", self.program))?;
        ensure!(
            output.status.success(),
            "{} send ended with {}",
            self.program,
            output.status
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let report = serde_json::from_str(line)
            .with_context(|| format!("the last line of {} send is not JSON: {line}", self.program))?;
        Ok(figures(&report))
    }

    fn command(
        &self,
        address: &str,
        process: Option<u32>,
        force: Force,
        file: &Path,
    ) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .arg("send")
            .arg(file)
            .args(["--to", &format!("http://{address}")])
            .args(["--connections", &force.connections.to_string()])
            .args(["--inflight", &force.in_flight.to_string()])
            .stderr(Stdio::inherit())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(process) = process {
            command.args(["--pid", &process.to_string()]);
        }
        command
    }
}

/// What the last line of a generator says.
fn figures(report: &Value) -> Figures {
    let whole = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or_default();
    let number = |name: &str| report.get(name).and_then(Value::as_f64).unwrap_or_default();
    let milliseconds = |name: &str| Duration::from_secs_f64((number(name) / 1e3).max(0.0));
    Figures {
        spans: whole("spans"),
        payload_bytes: whole("payload_bytes"),
        spans_per_second: number("spans_per_s"),
        export_p50: milliseconds("export_ms_p50"),
        export_p99: milliseconds("export_ms_p99"),
        retries: whole("retries"),
        failed_spans: whole("failed_spans"),
        ..Figures::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_generators_report_is_read() {
        let report = json!({"spans": 10, "spans_per_s": 5.5, "export_ms_p50": 1.5, "retries": 1});
        let figures = figures(&report);
        assert_eq!((figures.spans, figures.retries), (10, 1));
        assert_eq!(figures.export_p50, Duration::from_micros(1500));
    }
}
