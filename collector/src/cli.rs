//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tempo_runtime::telemetry::{self, LogFormat};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::config::{self, Config, Kind};
use crate::service::Service;

/// Receives, processes and forwards traces. Configured in OpenTelemetry Collector YAML.
#[derive(Debug, Parser)]
#[command(name = "tempo-collector", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, clap::Args)]
struct Configuration {
    /// The configuration; may be given several times: what a later file says wins.
    #[arg(long = "config", value_name = "FILE", required = true)]
    files: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The configuration; may be given several times: what a later file says wins.
    #[arg(long = "config", value_name = "FILE")]
    files: Vec<String>,
    /// How many seconds queues may take to empty after SIGTERM; what is left then is lost.
    #[arg(long, default_value_t = 25, value_name = "SECONDS")]
    drain_timeout: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration and say what is wrong with it.
    Validate(Configuration),
    /// List the components that there are.
    Components,
    /// Print the version.
    Version,
}

impl Cli {
    /// Does what was asked for.
    pub async fn execute(self) -> ExitCode {
        let outcome = match self.command {
            Some(Command::Validate(configuration)) => load(&configuration.files).map(|_| ()),
            Some(Command::Components) => {
                print_components();
                Ok(())
            }
            Some(Command::Version) => {
                println!("tempo-collector {}", env!("CARGO_PKG_VERSION"));
                Ok(())
            }
            None => run(self.run).await,
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("Error: {message}");
                ExitCode::FAILURE
            }
        }
    }
}

fn load(files: &[String]) -> Result<Config, String> {
    if files.is_empty() {
        return Err("no configuration; name one with --config FILE".to_owned());
    }
    let path = |file: &String| PathBuf::from(file.strip_prefix("file:").unwrap_or(file));
    let paths: Vec<PathBuf> = files.iter().map(path).collect();
    config::load(&paths).map_err(|error| error.to_string())
}

fn print_components() {
    for kind in [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Extension] {
        println!("{}:", kind.section());
        for type_name in kind.types() {
            println!("  - {type_name}");
        }
    }
}

async fn run(arguments: Run) -> Result<(), String> {
    let config = load(&arguments.files)?;
    let told = &config.service.telemetry;
    let format = if told.json_logs {
        LogFormat::Json
    } else {
        LogFormat::Logfmt
    };
    telemetry::init(&told.log_level, format).map_err(|error| error.to_string())?;
    let listen = |kind| signal(kind).map_err(|error| format!("wait for signals: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    let mut running = Running::start(config, Duration::from_secs(arguments.drain_timeout)).await?;
    tracing::info!("everything is ready");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => running = running.reload(&arguments.files).await?,
        }
    }
    tracing::info!("stopping: no more spans are taken, what waits is sent");
    if running.stop().await {
        Ok(())
    } else {
        Err(format!(
            "not everything was sent within {} seconds; the rest is lost",
            arguments.drain_timeout
        ))
    }
}

/// A service, and those before it that still send on what they took.
struct Running {
    config: Config,
    service: Service,
    drain_timeout: Duration,
    earlier: JoinSet<bool>,
}

impl Running {
    async fn start(config: Config, drain_timeout: Duration) -> Result<Self, String> {
        let service = Service::start(&config).await.map_err(|error| error.to_string())?;
        Ok(Self {
            config,
            service,
            drain_timeout,
            earlier: JoinSet::new(),
        })
    }

    /// Puts a service with the files as they are now in the place of this one. One that is no good changes nothing.
    async fn reload(mut self, files: &[String]) -> Result<Self, String> {
        let config = match load(files) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(error, "the new configuration is not used; what ran goes on");
                return Ok(self);
            }
        };
        self.service.release(self.drain_timeout).await;
        let (started, config) = match Service::start(&config).await {
            Ok(service) => (Ok(service), config),
            Err(error) => {
                tracing::error!(%error, "the new configuration cannot be used; the earlier one is");
                (Service::start(&self.config).await, self.config)
            }
        };
        let service = started.map_err(|error| error.to_string())?;
        let (earlier, deadline) = (self.service, self.drain_timeout);
        self.earlier.spawn(async move { earlier.drain(deadline).await });
        tracing::info!("the configuration was read again");
        Ok(Self {
            config,
            service,
            drain_timeout: deadline,
            earlier: self.earlier,
        })
    }

    /// Stops all services; whether everything was sent.
    async fn stop(self) -> bool {
        let (own, earlier) = tokio::join!(self.service.stop(self.drain_timeout), self.earlier.join_all());
        own && earlier.into_iter().all(|drained| drained)
    }
}
