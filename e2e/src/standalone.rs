//! A `tempo-operator standalone` of its own ports and data, stopped when dropped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::api::{Api, eventually};
use crate::binaries::binary;
use crate::ports;

const PUBLISHED: [u16; 3] = [3200, 4317, 4318];
const PATIENCE: Duration = Duration::from_mins(5);

/// A running standalone.
#[derive(Debug)]
pub struct Standalone {
    process: Child,
    data: TempDir,
    offset: u16,
}

impl Standalone {
    /// Starts the manifests at `manifests` on ports that are free, and waits until queries and OTLP are answered. No
    /// other program than ours is at hand.
    pub async fn start(manifests: &Path) -> Result<Self> {
        let nothing = tempfile::tempdir().context("make an empty folder")?;
        Self::start_with_programs(manifests, nothing.path()).await
    }

    /// The same with the programs of a folder at hand.
    pub async fn start_with_programs(manifests: &Path, programs: &Path) -> Result<Self> {
        let data = tempfile::tempdir().context("make a data folder")?;
        let offset = reserve_offset()?;
        let log = std::fs::File::create(data.path().join("standalone.log")).context("make the log file")?;
        let process = Command::new(binary("tempo-operator")?)
            .arg("standalone")
            .arg("-f")
            .arg(manifests)
            .arg("--data-dir")
            .arg(data.path())
            .args(["--port-offset", &offset.to_string()])
            .env("PATH", programs)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("start tempo-operator standalone")?;
        let mut standalone = Self {
            process,
            data,
            offset,
        };
        standalone.wait_until_ready().await?;
        Ok(standalone)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let (api, otlp) = (self.api(), self.port(4318));
        let waiting = eventually("the stack and the Collector", PATIENCE, || {
            let api = api.clone();
            async move {
                let (status, body) = api.get("/ready", &[]).await?;
                ensure!(status == 200, "/ready answered {status}: {body}");
                tokio::net::TcpStream::connect(("127.0.0.1", otlp))
                    .await
                    .context("the OTLP door is closed")?;
                Ok(())
            }
        });
        let ready = tokio::select! {
            ready = waiting => ready,
            status = self.process.wait() => Err(anyhow!("standalone ended: {status:?}")),
        };
        match ready {
            Ok(()) => Ok(()),
            Err(error) => bail!("{error:#}\n{}", self.logs()),
        }
    }

    /// The query API.
    pub fn api(&self) -> Api {
        Api::new(format!("http://127.0.0.1:{}", self.port(3200)))
    }

    /// Where a documented port is published.
    pub fn port(&self, documented: u16) -> u16 {
        documented + self.offset
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// The process ids of the children whose command line has all of `words`.
    pub fn children(&self, words: &[&str]) -> Result<Vec<u32>> {
        let parent = self.process.id().context("standalone has ended")?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
                continue;
            };
            if parent_of(&path) == Some(parent) && has_words(&path, words) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Ends the child whose command line has all of `words`, without a chance to clean up; its process id.
    pub async fn kill_child(&self, words: &[&str]) -> Result<u32> {
        let children = self.children(words)?;
        let [child] = children.as_slice() else {
            bail!("{} children have {words:?} in their command line", children.len());
        };
        ensure!(signal("KILL", *child).await?, "the child has ended already");
        Ok(*child)
    }

    /// Ends standalone itself without a chance to clean up; the process ids of the children that it had.
    pub async fn kill(mut self) -> Result<Vec<u32>> {
        let children = self.children(&[])?;
        self.process.kill().await?;
        Ok(children)
    }

    /// Everything that standalone and its components logged.
    pub fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = vec![self.data().join("standalone.log")];
        if let Ok(entries) = std::fs::read_dir(self.data().join("logs")) {
            files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
        let read = |file: &PathBuf| {
            format!(
                "== {}\n{}",
                file.display(),
                std::fs::read_to_string(file).unwrap_or_default()
            )
        };
        files.iter().map(read).collect::<Vec<_>>().join("\n")
    }

    /// Asks it to stop, as Ctrl-C does, and waits until it has.
    pub async fn stop(mut self) -> Result<std::process::ExitStatus> {
        let id = self.process.id().context("standalone has ended")?;
        ensure!(signal("INT", id).await?, "Ctrl-C did not reach standalone");
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        match ended {
            Ok(status) => Ok(status?),
            Err(_) => bail!("standalone did not stop within {PATIENCE:?}\n{}", self.logs()),
        }
    }
}

/// Sends a signal (`INT`, `KILL`, …) to a process.
pub(crate) async fn signal(name: &str, process: u32) -> Result<bool> {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status()
        .await?;
    Ok(status.success())
}

/// Whether a process runs: it exists, and is not just waiting for its parent to take notice of its end.
pub fn is_running(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.is_some_and(|state| !state.trim_start().starts_with('Z'))
}

fn parent_of(process: &Path) -> Option<u32> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))?
        .trim()
        .parse()
        .ok()
}

fn has_words(process: &Path, words: &[&str]) -> bool {
    let command = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    words.iter().all(|word| command.contains(word))
}

/// An offset at which every published port is free, and that no other test is given. Offsets lie a hundred apart:
/// standalone chooses its inner ports by its offset, those of neighbours beside each other.
fn reserve_offset() -> Result<u16> {
    const STEP: u16 = 100;
    let published = |step: &u16| PUBLISHED.map(|port| port + step * STEP).to_vec();
    let step = ports::first(10..150, published).context("no offset with free ports found")?;
    Ok(step * STEP)
}
