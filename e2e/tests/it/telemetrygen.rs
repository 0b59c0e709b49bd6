//! telemetrygen, the OpenTelemetry Collector's own generator, as a client.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Standalone, eventually, repository, tool};
use tokio::process::Command;

const TRACES: usize = 50;
const PATIENCE: Duration = Duration::from_mins(5);

#[tokio::test]
async fn what_telemetrygen_sends_is_found() -> Result<()> {
    let Some(telemetrygen) = tool("telemetrygen") else {
        return Ok(());
    };
    let standalone = Standalone::start(&repository().join("config/samples/quickstart")).await?;
    for (service, port, protocol) in [("by-grpc", 4317, None), ("by-http", 4318, Some("--otlp-http"))] {
        let output = Command::new(&telemetrygen)
            .args(["traces", "--otlp-insecure", "--child-spans", "2"])
            .args(["--otlp-endpoint", &format!("127.0.0.1:{}", standalone.port(port))])
            .args([
                "--traces",
                &TRACES.to_string(),
                "--rate",
                "0",
                "--service",
                service,
            ])
            .args(protocol)
            .output()
            .await
            .context("run telemetrygen")?;
        ensure!(
            output.status.success(),
            "telemetrygen failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let api = standalone.api();
        let query = format!(r#"{{ resource.service.name = "{service}" }} | count() = 3"#);
        eventually("telemetrygen's traces", PATIENCE, || {
            let (api, query) = (api.clone(), query.clone());
            async move {
                let found = api.search(&query, 1000).await?.len();
                ensure!(found == TRACES, "{found} of {TRACES} traces have been found");
                Ok(())
            }
        })
        .await?;
    }
    standalone.stop().await?;
    Ok(())
}
