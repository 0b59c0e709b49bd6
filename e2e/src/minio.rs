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
    data: TempDir,
    address: String,
}

/// How a MinIO is started.
#[derive(Debug, Default)]
pub struct MinioOptions<'a> {
    /// Buckets that it has from the start.
    pub buckets: &'a [&'a str],
    /// Speak HTTPS with this certificate.
    pub certificate: Option<&'a Certificate>,
    /// Settings, as variables of its environment.
    pub settings: &'a [(&'a str, &'a str)],
}

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Minio {
    /// The root user.
    pub const ACCESS_KEY: &'static str = "tempo-test";
    /// The root user's password.
    pub const SECRET_KEY: &'static str = "tempo-test-secret";

    /// Starts it with an empty folder and creates `buckets` with our own binary; `None`, with a note, when MinIO is not
    /// built.
    pub async fn start(buckets: &[&str]) -> Result<Option<Self>> {
        let minio = Self::with(&MinioOptions::default()).await?;
        if let Some(minio) = &minio {
            minio.ensure_buckets(buckets).await?;
        }
        Ok(minio)
    }

    /// Starts it with these options; `None`, with a note, when MinIO is not built.
    pub async fn with(options: &MinioOptions<'_>) -> Result<Option<Self>> {
        let Some(program) = tool("minio") else {
            return Ok(None);
        };
        let data = tempfile::tempdir().context("make MinIO's folder")?;
        let address = format!("127.0.0.1:{}", reserve_port()?);
        let certificates = data.path().join("certificates");
        std::fs::create_dir_all(&certificates)?;
        if let Some(certificate) = options.certificate {
            std::fs::write(certificates.join("public.crt"), &certificate.certificate)?;
            std::fs::write(certificates.join("private.key"), &certificate.key)?;
        }
        let mut command = Command::new(program);
        command
            .args(["server", "--quiet", "--address", &address])
            .args(["--console-address", &format!("127.0.0.1:{}", reserve_port()?)])
            .arg("--certs-dir")
            .arg(certificates)
            .arg(data.path().join("disk"))
            .env("MINIO_ROOT_USER", Self::ACCESS_KEY)
            .env("MINIO_ROOT_PASSWORD", Self::SECRET_KEY)
            .envs(options.settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let minio = Self {
            _process: command.spawn().context("start MinIO")?,
            data,
            address,
        };
        for bucket in options.buckets {
            minio.make_bucket(bucket)?;
        }
        eventually("MinIO", PATIENCE, || minio.connect()).await?;
        Ok(Some(minio))
    }

    /// Makes a bucket without asking MinIO: a folder on its disk is one.
    pub fn make_bucket(&self, bucket: &str) -> Result<()> {
        std::fs::create_dir_all(self.data.path().join("disk").join(bucket)).context("make a bucket")
    }

    /// How many uploads have begun and are neither complete nor aborted, by what lies on its disk.
    pub fn open_uploads(&self) -> usize {
        let uploads = self.data.path().join("disk/.minio.sys/multipart");
        let objects = std::fs::read_dir(uploads).into_iter().flatten().flatten();
        objects
            .filter_map(|object| std::fs::read_dir(object.path()).ok())
            .map(Iterator::count)
            .sum()
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
