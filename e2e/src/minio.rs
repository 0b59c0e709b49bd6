//! A real MinIO of its own port and data, stopped when dropped.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::api::eventually;
use crate::binaries::{binary, tool};
use crate::ports::reserve_port;

const PATIENCE: Duration = Duration::from_mins(5);

/// A running MinIO.
#[derive(Debug)]
pub struct Minio {
    _process: Child,
    _data: TempDir,
    address: String,
}

impl Minio {
    /// The root user.
    pub const ACCESS_KEY: &'static str = "tempo-test";
    /// The root user's password.
    pub const SECRET_KEY: &'static str = "tempo-test-secret";

    /// Starts it with an empty folder and creates `buckets` with our own binary; `None`, with a note, when MinIO is not
    /// built.
    pub async fn start(buckets: &[&str]) -> Result<Option<Self>> {
        let Some(program) = tool("minio") else {
            return Ok(None);
        };
        let data = tempfile::tempdir().context("make MinIO's folder")?;
        let address = format!("127.0.0.1:{}", reserve_port()?);
        let process = Command::new(program)
            .args(["server", "--quiet", "--address", &address])
            .args(["--console-address", &format!("127.0.0.1:{}", reserve_port()?)])
            .arg(data.path())
            .env("MINIO_ROOT_USER", Self::ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", Self::SECRET_KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start MinIO")?;
        let minio = Self {
            _process: process,
            _data: data,
            address,
        };
        eventually("MinIO", PATIENCE, || minio.connect()).await?;
        minio.ensure_buckets(buckets).await?;
        Ok(Some(minio))
    }

    async fn connect(&self) -> Result<()> {
        tokio::net::TcpStream::connect(&self.address)
            .await
            .with_context(|| format!("connect to {}", self.address))?;
        Ok(())
    }

    async fn ensure_buckets(&self, buckets: &[&str]) -> Result<()> {
        let output = Command::new(binary("tempo-operator")?)
            .args(["ensure-bucket", "--endpoint", &self.endpoint()])
            .args(buckets.iter().map(|bucket| format!("--bucket={bucket}")))
            .env("S3_ACCESS_KEY", Self::ACCESS_KEY)
            .env("S3_SECRET_KEY", Self::SECRET_KEY)
            .stdin(Stdio::null())
            .output()
            .await
            .context("run tempo-operator ensure-bucket")?;
        ensure!(
            output.status.success(),
            "ensure-bucket failed: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// The URL of its S3 API.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Host and port of its S3 API.
    pub fn address(&self) -> &str {
        &self.address
    }
}
