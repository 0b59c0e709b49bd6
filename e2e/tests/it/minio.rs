//! The engine and standalone on a real MinIO.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Api, Engine, Minio, Standalone, eventually, repository, send_traces, tool};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(5);
const ALL: &str = r#"{ resource.service.name = "orders" }"#;

/// The ids of traces that the SDK sent, sorted; empty without an SDK.
pub(crate) async fn sent_ids(endpoint: &str, count: usize) -> Result<Vec<String>> {
    let sent = send_traces("grpc", endpoint, count).await?.unwrap_or_default();
    let id = |trace: &Value| trace["trace_id"].as_str().map(ToOwned::to_owned);
    let mut ids: Vec<String> = sent.iter().filter_map(id).collect();
    ids.sort();
    Ok(ids)
}

pub(crate) async fn found_ids(api: &Api) -> Result<Vec<String>> {
    let mut ids = api.search(ALL, 1000).await?;
    ids.sort();
    Ok(ids)
}

#[tokio::test]
async fn the_engine_keeps_its_blocks_in_minio() -> Result<()> {
    let Some(minio) = Minio::start(&["traces"]).await? else {
        return Ok(());
    };
    let mut engine = Engine::on_minio(&minio, "traces").await?;
    let flushed = sent_ids(&engine.otlp(), 20).await?;
    if flushed.is_empty() {
        return Ok(());
    }
    assert_eq!(found_ids(&engine.api()).await?, flushed, "before the flush");
    let (status, body) = engine.api().get("/flush", &[]).await?;
    ensure!(status == 204, "/flush answered {status}: {body}");
    assert_eq!(found_ids(&engine.api()).await?, flushed, "after the flush");

    // Ten more are in the WAL alone when the process is killed.
    let mut all = flushed;
    all.extend(sent_ids(&engine.otlp(), 10).await?);
    all.sort();
    engine.kill_and_restart().await?;
    assert_eq!(found_ids(&engine.api()).await?, all, "after kill -9");
    engine.stop().await?;

    // Another engine, with an empty disk, finds all of them in the bucket.
    let other = Engine::on_minio(&minio, "traces").await?;
    assert_eq!(found_ids(&other.api()).await?, all, "from the bucket alone");
    let first = all.first().context("no trace was sent")?;
    other.api().json(&format!("/api/v2/traces/{first}"), &[]).await?;
    other.stop().await
}

const STACK: &str = "
apiVersion: tempo.grafana.com/v1alpha1
kind: TempoStack
metadata: {name: bucketed, namespace: default}
spec:
  storageSize: 1Gi
  storage: {secret: {name: bucket, type: s3}}
---
apiVersion: tempo.grafana.com/v1alpha1
kind: Collector
metadata: {name: bucketed, namespace: default}
spec:
  tempoRef: {kind: TempoStack, name: bucketed}
  config:
    receivers: {otlp: {protocols: {grpc: {}, http: {}}}}
    service: {pipelines: {traces: {receivers: [otlp]}}}
";

fn manifests(folder: &Path, minio: &Minio) -> Result<()> {
    std::fs::write(folder.join("stack.yaml"), STACK)?;
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: bucket, namespace: default}}\nstringData:\n  bucket: standalone\n  endpoint: {}\n  access_key_id: {}\n  access_key_secret: {}\n",
        minio.endpoint(),
        Minio::ACCESS_KEY,
        Minio::SECRET_KEY,
    );
    std::fs::write(folder.join("secret.yaml"), secret)?;
    Ok(())
}

#[tokio::test]
async fn standalone_uses_a_bucket_that_answers() -> Result<()> {
    let Some(minio) = Minio::start(&["standalone"]).await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    manifests(folder.path(), &minio)?;
    let first = Standalone::start(folder.path()).await?;
    let endpoint = format!("http://127.0.0.1:{}", first.port(4317));
    let sent = sent_ids(&endpoint, 20).await?;
    if sent.is_empty() {
        return Ok(());
    }
    let api = first.api();
    eventually("the traces", PATIENCE, || {
        let (api, sent) = (api.clone(), sent.clone());
        async move {
            let found = found_ids(&api).await?;
            ensure!(found == sent, "found {} of {} traces", found.len(), sent.len());
            Ok(())
        }
    })
    .await?;
    ensure!(
        first.stop().await?.success(),
        "standalone did not stop as it should"
    );

    // Another standalone has an empty data folder: what it finds lies in the bucket.
    let second = Standalone::start(folder.path()).await?;
    assert_eq!(found_ids(&second.api()).await?, sent);
    second.stop().await?;
    Ok(())
}

#[tokio::test]
async fn standalone_starts_a_minio_that_is_at_hand() -> Result<()> {
    let Some(program) = tool("minio") else {
        return Ok(());
    };
    let programs = program.parent().context("the folder of MinIO")?;
    let quickstart = repository().join("config/samples/quickstart");
    let standalone = Standalone::start_with_programs(&quickstart, programs).await?;
    assert_eq!(standalone.children(&["minio", "server"])?.len(), 1);
    let endpoint = format!("http://127.0.0.1:{}", standalone.port(4317));
    let sent = sent_ids(&endpoint, 20).await?;
    if sent.is_empty() {
        return Ok(());
    }
    let api = standalone.api();
    let all_found = || {
        let (api, sent) = (api.clone(), sent.clone());
        async move {
            let found = found_ids(&api).await?;
            ensure!(found == sent, "found {} of {} traces", found.len(), sent.len());
            Ok(())
        }
    };
    eventually("the traces", PATIENCE, all_found).await?;
    let ingester = address(&standalone, "tempo-quickstart-ingester-0")?;
    let (status, body) = Api::new(ingester).get("/flush", &[]).await?;
    ensure!(status == 204, "/flush answered {status}: {body}");
    // MinIO keeps an object as a folder of its name.
    let bucket = standalone.data().join("pods/tempo-quickstart-minio-0/data/tempo");
    ensure!(
        has_folder(&bucket, "spans.parquet")?,
        "there is no block in {}\n{}",
        bucket.display(),
        standalone.logs()
    );
    eventually("the traces in the bucket", PATIENCE, all_found).await?;
    ensure!(
        !standalone.data().join("storage").exists(),
        "a folder took the bucket's place"
    );
    ensure!(standalone.stop().await?.success(), "Ctrl-C did not end it well");
    Ok(())
}

/// Where a process listens, as the table says.
fn address(standalone: &Standalone, process: &str) -> Result<String> {
    let logs = standalone.logs();
    let start = format!("{process}: http");
    let line = logs.lines().find(|line| line.starts_with(&start));
    let (_, address) = line
        .and_then(|line| line.split_once(": "))
        .with_context(|| format!("no address of {process} in {logs}"))?;
    Ok(address.to_owned())
}

fn has_folder(root: &Path, name: &str) -> Result<bool> {
    for entry in std::fs::read_dir(root).with_context(|| format!("look into {}", root.display()))? {
        let path = entry?.path();
        if path.is_dir() && (path.ends_with(name) || has_folder(&path, name)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
