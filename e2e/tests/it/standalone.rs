//! What standalone does besides running the samples: ports that are taken, files that change.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Standalone, binary, eventually, repository};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(5);
const INGESTER: &[&str] = &["-target=ingester"];

#[tokio::test]
async fn a_taken_port_is_named_with_its_owner_and_a_way_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (other, offset) = taken_port(4317)?;
    let output = Command::new(binary("tempo-operator")?)
        .args(["standalone", "-f"])
        .arg(repository().join("config/samples/quickstart"))
        .arg("--data-dir")
        .arg(folder.path())
        .args(["--port-offset", &offset.to_string()])
        .stdin(Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "it started on a port that is taken");
    let port = other.local_addr()?.port();
    for part in [
        format!("port {port} "),
        format!("process {}", std::process::id()),
        "--port-offset ".to_owned(),
    ] {
        assert!(said.contains(&part), "{part:?} is not in: {said}");
    }
    Ok(())
}

/// A listener on a documented port plus an offset, and the offset.
fn taken_port(documented: u16) -> Result<(TcpListener, u16)> {
    let listener = (0..200)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .filter_map(std::result::Result::ok)
        .find(|listener| {
            let port = listener.local_addr().map_or(0, |address| address.port());
            (documented + 1..60_000).contains(&port)
        })
        .context("no port was given")?;
    let offset = listener.local_addr()?.port() - documented;
    Ok((listener, offset))
}

#[tokio::test]
async fn a_changed_file_is_applied_and_a_broken_one_is_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for file in ["tempostack.yaml", "collector.yaml"] {
        std::fs::copy(
            repository().join("config/samples/quickstart").join(file),
            folder.path().join(file),
        )?;
    }
    let standalone = Standalone::start(folder.path()).await?;
    let first = standalone.children(INGESTER)?;

    edit(folder.path(), "  storageSize: 1Gi", "  storagesize: 1Gi")?;
    eventually("the mistake to be named", PATIENCE, || async {
        let logs = standalone.logs();
        ensure!(logs.contains("unknown field spec.storagesize"), "{logs}");
        Ok(())
    })
    .await?;
    assert_eq!(standalone.children(INGESTER)?, first, "what ran goes on");

    edit(
        folder.path(),
        "  storagesize: 1Gi",
        "  storageSize: 1Gi\n  timeout: 45s",
    )?;
    eventually("another ingester", PATIENCE, || async {
        let now = standalone.children(INGESTER)?;
        ensure!(
            now.len() == 1 && now != first,
            "ingesters: {now:?}, before: {first:?}"
        );
        Ok(())
    })
    .await?;
    let config = standalone
        .data()
        .join("pods/tempo-quickstart-ingester-0/conf/tempo.yaml");
    ensure!(
        std::fs::read_to_string(config)?.contains("45s"),
        "the new configuration is not there"
    );
    ensure!(standalone.stop().await?.success(), "Ctrl-C did not end it well");
    Ok(())
}

fn edit(folder: &Path, from: &str, to: &str) -> Result<()> {
    let file = folder.join("tempostack.yaml");
    let text = std::fs::read_to_string(&file)?;
    ensure!(text.contains(from), "{from:?} is not in the file");
    std::fs::write(&file, text.replace(from, to))?;
    Ok(())
}
