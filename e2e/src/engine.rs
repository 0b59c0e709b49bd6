//! A `tempo -target=all` of its own ports and data, killed when dropped.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::api::{Api, eventually};
use crate::binaries::binary;
use crate::minio::Minio;
use crate::ports::reserve_port;
use crate::standalone::signal;

const PATIENCE: Duration = Duration::from_mins(5);

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    process: Child,
    variables: Vec<(String, String)>,
    data: TempDir,
    http: u16,
    otlp: u16,
}

impl Engine {
    /// Starts an engine whose blocks lie in `bucket` of a MinIO, and waits until it is ready.
    pub async fn on_minio(minio: &Minio, bucket: &str) -> Result<Self> {
        let storage = Self::storage_at(minio.address(), bucket);
        let mut engine = Self::start(&storage, &[])?;
        engine.wait_until_ready().await?;
        Ok(engine)
    }

    /// The `storage.trace` for a bucket of a MinIO at an address (host and port).
    pub fn storage_at(address: &str, bucket: &str) -> String {
        format!(
            "{{backend: s3, s3: {{bucket: {bucket}, endpoint: \"{address}\", insecure: true, access_key: {}, secret_key: {}}}}}",
            Minio::ACCESS_KEY,
            Minio::SECRET_KEY,
        )
    }

    /// Starts an engine with this `storage.trace` (a flow mapping of YAML; the WAL's folder is added), in a process with
    /// these variables added to its environment. It may not be ready yet.
    pub fn start(storage: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let data = tempfile::tempdir().context("make a data folder")?;
        let (http, grpc, otlp) = (reserve_port()?, reserve_port()?, reserve_port()?);
        let storage = storage.replacen(
            '{',
            &format!("{{wal: {{path: {}}}, ", data.path().join("wal").display()),
            1,
        );
        let config = format!(
            "server: {{http_listen_address: 127.0.0.1, http_listen_port: {http}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}}}\n\
             distributor: {{receivers: {{otlp: {{protocols: {{grpc: {{endpoint: \"127.0.0.1:{otlp}\"}}}}}}}}}}\n\
             memberlist: {{bind_addr: [127.0.0.1], bind_port: {}}}\n\
             storage: {{trace: {storage}}}\n",
            reserve_port()?,
        );
        std::fs::write(data.path().join("tempo.yaml"), config).context("write the configuration")?;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<(String, String)> = variables.iter().map(owned).collect();
        Ok(Self {
            process: launch(data.path(), &variables)?,
            variables,
            data,
            http,
            otlp,
        })
    }

    /// Waits until it is ready.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let api = self.api();
        let ready = eventually("the engine", PATIENCE, || {
            let api = api.clone();
            async move {
                let (status, body) = api.get("/ready", &[]).await?;
                ensure!(status == 200, "/ready answered {status}: {body}");
                Ok(())
            }
        });
        match ready.await {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error:#}\n{}", self.log()),
        }
    }

    /// Waits until it says that it is not ready, with all of `words` in what it says.
    pub async fn wait_until_it_says(&self, words: &[&str]) -> Result<()> {
        let api = self.api();
        let said = eventually("a reason", PATIENCE, || {
            let api = api.clone();
            async move {
                let (status, body) = api.get("/ready", &[]).await?;
                let is_said = status == 503 && words.iter().all(|word| body.contains(word));
                ensure!(is_said, "/ready answered {status}: {body}");
                Ok(())
            }
        });
        said.await.with_context(|| self.log())
    }

    /// Whether the process has not ended by itself.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }

    /// Kills it, starts it again on the same data, and waits until it is ready.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.kill_and_launch().await?;
        self.wait_until_ready().await
    }

    /// Kills it and starts it again on the same data. It may not be ready yet.
    pub async fn kill_and_launch(&mut self) -> Result<()> {
        let id = self.process.id().context("the engine has ended")?;
        ensure!(signal("KILL", id).await?, "the engine could not be killed");
        self.process.wait().await.context("wait for the killed engine")?;
        self.process = launch(self.data.path(), &self.variables)?;
        Ok(())
    }

    /// Asks it to stop, as an orchestrator does, and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        let id = self.process.id().context("the engine has ended")?;
        ensure!(signal("TERM", id).await?, "the engine could not be told to stop");
        match tokio::time::timeout(PATIENCE, self.process.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            ended => bail!("the engine did not stop as it should: {ended:?}\n{}", self.log()),
        }
    }

    /// The query API.
    pub fn api(&self) -> Api {
        Api::new(format!("http://127.0.0.1:{}", self.http))
    }

    /// The URL of the OTLP/gRPC door.
    pub fn otlp(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp)
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("tempo.log")).unwrap_or_default()
    }
}

fn launch(data: &Path, variables: &[(String, String)]) -> Result<Child> {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(data.join("tempo.log"))
        .context("open the log file")?;
    Command::new(binary("tempo")?)
        .arg(format!("-config.file={}", data.join("tempo.yaml").display()))
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("start tempo")
}
