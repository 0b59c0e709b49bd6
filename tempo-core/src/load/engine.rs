//! An engine as a process of its own, with its data in a folder and on ports that were free: for the benchmark and for
//! tests.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

/// How long an engine may take until it is ready.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long an answer of `/ready` may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at `/ready`; short, as starts are timed by it.
const PAUSE: Duration = Duration::from_millis(2);

/// A process that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It cannot be run.
    #[error("{operation}: {source}")]
    Run {
        /// What was tried.
        operation: &'static str,
        /// Why it did not work.
        source: std::io::Error,
    },
    /// It ended.
    #[error("the engine ended ({status}) while it was started:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it logged.
        log: String,
    },
    /// It is not ready.
    #[error("the engine is not ready after {START_PATIENCE:?}: {last}\n{log}")]
    NotReady {
        /// What it said last.
        last: String,
        /// What it logged.
        log: String,
    },
    /// A path that is not one.
    #[error("{url}: {reason}")]
    Url {
        /// The whole of it.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// It does not answer.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
}

/// The ports of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// HTTP.
    pub http: u16,
    /// The internal gRPC.
    pub grpc: u16,
    /// OTLP/gRPC.
    pub otlp_grpc: u16,
    /// OTLP/HTTP.
    pub otlp_http: u16,
    /// Gossip.
    pub gossip: u16,
}

impl Ports {
    /// Ports of the loopback interface that are free now.
    pub fn free() -> std::io::Result<Self> {
        Ok(Self {
            http: free_port()?,
            grpc: free_port()?,
            otlp_grpc: free_port()?,
            otlp_http: free_port()?,
            gossip: free_port()?,
        })
    }
}

/// A port that is free now, another one at each call. It lies below those that Linux gives to outgoing connections, so
/// that none of these takes it before it is bound.
fn free_port() -> std::io::Result<u16> {
    const CANDIDATES: std::ops::Range<u16> = 10_000..20_000;
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() % 1000 * 10;
    (0..CANDIDATES.len())
        .map(|_| start + u32::from(GIVEN.fetch_add(1, Ordering::Relaxed)))
        .map(|place| CANDIDATES.start + (place as usize % CANDIDATES.len()) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| std::io::Error::other("no port of the loopback interface is free"))
}

/// A running engine. It is killed when dropped.
#[derive(Debug)]
pub struct Engine {
    process: Child,
    started: Instant,
    ports: Ports,
    log: PathBuf,
    client: reqwest::Client,
}

impl Engine {
    /// The configuration of an engine that listens on `ports` of the loopback interface and keeps its data in `folder`.
    pub fn configuration(folder: &Path, ports: Ports) -> String {
        let Ports {
            http,
            grpc,
            otlp_grpc,
            otlp_http,
            gossip,
        } = ports;
        let folder = folder.display();
        format!(
            "server: {{http_listen_address: 127.0.0.1, http_listen_port: {http}, grpc_listen_address: 127.0.0.1, \
             grpc_listen_port: {grpc}}}\n\
             distributor:\n  receivers:\n    otlp:\n      protocols:\n        \
             grpc: {{endpoint: '127.0.0.1:{otlp_grpc}'}}\n        http: {{endpoint: '127.0.0.1:{otlp_http}'}}\n\
             memberlist: {{bind_addr: [127.0.0.1], bind_port: {gossip}}}\n\
             storage: {{trace: {{backend: local, local: {{path: '{folder}/traces'}}, wal: {{path: '{folder}/wal'}}}}}}\n"
        )
    }

    /// Starts `binary` with the configuration, which is written into `folder` as are the logs, and does not wait.
    pub async fn spawn(
        binary: &Path,
        arguments: &[&str],
        folder: &Path,
        configuration: &str,
        ports: Ports,
    ) -> Result<Self, EngineError> {
        let failed = |operation| move |source| EngineError::Run { operation, source };
        let name = arguments
            .first()
            .map_or("tempo", |target| target.trim_start_matches("-target="));
        let file = folder.join(format!("{name}.yaml"));
        tokio::fs::write(&file, configuration)
            .await
            .map_err(failed("write the configuration"))?;
        let log = folder.join(format!("{name}.log"));
        let output = std::fs::File::options().create(true).append(true).open(&log);
        let client = reqwest::Client::new();
        let started = Instant::now();
        let process = Command::new(binary)
            .args(arguments)
            .arg(format!("-config.file={}", file.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output.map_err(failed("open the log"))?)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed("start the engine"))?;
        Ok(Self {
            process,
            started,
            ports,
            log,
            client,
        })
    }

    /// Starts `binary` with all roles and waits until it is ready.
    pub async fn start(binary: &Path, folder: &Path, ports: Ports) -> Result<Self, EngineError> {
        let configuration = Self::configuration(folder, ports);
        let mut engine = Self::spawn(binary, &["-target=all"], folder, &configuration, ports).await?;
        engine.wait_until_ready().await?;
        Ok(engine)
    }

    /// Waits until `/ready` says so; returns how long after the start of the process that was.
    pub async fn wait_until_ready(&mut self) -> Result<Duration, EngineError> {
        let mut last = String::new();
        let waiting = async {
            loop {
                if let Some(status) = self.process.try_wait().ok().flatten() {
                    return Err(EngineError::Ended {
                        status,
                        log: std::fs::read_to_string(&self.log).unwrap_or_default(),
                    });
                }
                match self
                    .client
                    .get(format!("http://127.0.0.1:{}/ready", self.ports.http))
                    // What listens there may be another program, which never answers.
                    .timeout(ANSWER_PATIENCE)
                    .send()
                    .await
                {
                    Ok(answer) if answer.status().is_success() => return Ok(self.started.elapsed()),
                    Ok(answer) => last = answer.text().await.unwrap_or_default(),
                    Err(error) => last = error.to_string(),
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(START_PATIENCE, waiting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(EngineError::NotReady {
                last,
                log: self.log(),
            }),
        }
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Its process id; `None` when it has ended.
    pub fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The status code and the text of `GET path`.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<(u16, String), EngineError> {
        let base = format!("http://127.0.0.1:{}{path}", self.ports.http);
        let url = reqwest::Url::parse_with_params(&base, parameters).map_err(|error| EngineError::Url {
            url: base,
            reason: error.to_string(),
        })?;
        let answer = self.client.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Kills it, as a power cut would but for what the operating system has.
    pub async fn kill(&mut self) -> Result<ExitStatus, EngineError> {
        let failed = |source| EngineError::Run {
            operation: "kill the engine",
            source,
        };
        self.process.start_kill().map_err(failed)?;
        self.process.wait().await.map_err(failed)
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self) -> Result<ExitStatus, EngineError> {
        self.process.wait().await.map_err(|source| EngineError::Run {
            operation: "wait for the engine",
            source,
        })
    }

    /// Asks it to stop by SIGTERM and waits until it has.
    pub async fn stop(&mut self) -> Result<ExitStatus, EngineError> {
        self.terminate()?;
        self.wait().await
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) -> Result<(), EngineError> {
        let process = self
            .process
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id as i32));
        let gone = || std::io::Error::from(std::io::ErrorKind::NotFound);
        process
            .ok_or_else(gone)
            .and_then(|process| {
                rustix::process::kill_process(process, rustix::process::Signal::TERM).map_err(Into::into)
            })
            .map_err(|source| EngineError::Run {
                operation: "send SIGTERM to the engine",
                source,
            })
    }
}
