//! Running the engine: configuration, logs, signals, and the application between them.

use std::path::Path;

use anyhow::{Context, Result};
use tempo_config::{Arguments, Loaded};
use tempo_runtime::Environment;
use tempo_runtime::telemetry::{self, LogFormat};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::App;
use crate::target::Target;

/// Runs the engine as Go-style flags say, until a signal asks it to stop.
pub(super) async fn run(words: Vec<String>) -> Result<()> {
    let arguments = Arguments::parse(words)?;
    if arguments.help {
        anyhow::bail!("use `tempo --help` alone to see the help");
    }
    if arguments.version {
        super::print_version();
        return Ok(());
    }
    let Loaded { config, warnings } = load(&arguments)?;
    let target: Target = config.target.parse()?;
    if arguments.verify {
        for warning in &warnings {
            eprintln!("Warning: {warning}");
        }
        println!("the configuration is good");
        return Ok(());
    }
    telemetry::init(&config.server.log_level, log_format(&config.server.log_format)?)?;
    for warning in &warnings {
        tracing::warn!("configuration: {warning}");
    }
    let mut signals = Signals::listen()?;
    let starting = App::start(Environment::system(), config, target);
    let app = tokio::select! {
        app = starting => app?,
        name = signals.next() => {
            tracing::info!(signal = name, "stopped while starting");
            return Ok(());
        }
    };
    tokio::select! {
        name = signals.next() => tracing::info!(signal = name, "stopping"),
        () = app.ended() => tracing::info!("stopping on request"),
    }
    tokio::select! {
        stopped = app.stop() => stopped.context("stop"),
        name = signals.next() => anyhow::bail!("second {name}: ended at once; what was not flushed is in the WAL"),
    }
}

/// Reads the file that the arguments name and lets their flags win over it.
pub(super) fn load(arguments: &Arguments) -> Result<Loaded> {
    let text = match &arguments.config_file {
        None => String::new(),
        Some(file) => std::fs::read_to_string(Path::new(file))
            .with_context(|| format!("read the configuration {file}"))?,
    };
    let loaded = tempo_config::load(&text, arguments, |name| std::env::var(name).ok());
    loaded.with_context(|| {
        arguments
            .config_file
            .clone()
            .unwrap_or_else(|| "the command line".to_owned())
    })
}

fn log_format(name: &str) -> Result<LogFormat> {
    match name {
        "logfmt" => Ok(LogFormat::Logfmt),
        "json" => Ok(LogFormat::Json),
        _ => anyhow::bail!("log format '{name}' is not known; use logfmt or json"),
    }
}

/// The signals that ask a process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("wait for SIGINT")?,
        })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
