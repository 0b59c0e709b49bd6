//! The OpenTelemetry Python SDK as a client.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::binaries::repository;

/// Sends `count` traces with the SDK over `protocol` (`grpc` or `http`) and gives what it says it sent: a list of
/// `{trace_id, spans}`. `None`, with a note, when there is no Python environment with the SDK.
pub async fn send_traces(protocol: &str, endpoint: &str, count: usize) -> Result<Option<Vec<Value>>> {
    let Some(python) = std::env::var_os("TEMPO_RS_PYTHON") else {
        println!("skipped: no OpenTelemetry SDK; `make test` installs it and sets TEMPO_RS_PYTHON");
        return Ok(None);
    };
    let script = repository().join("e2e/python/send_traces.py");
    let output = Command::new(python)
        .arg(script)
        .args([protocol, endpoint, &count.to_string()])
        .stdin(Stdio::null())
        .output()
        .await
        .context("run the SDK")?;
    ensure!(
        output.status.success(),
        "the SDK failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Some(
        serde_json::from_slice(&output.stdout).context("read what the SDK sent")?,
    ))
}
