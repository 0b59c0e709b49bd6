//! `tempo-operator standalone`: custom resources run as processes on this machine, without a cluster.
//!
//! ```text
//! files ─ layout (the operator's own validate and build, then the overlay) ─► Layout ─ fleet ─► processes
//!   ▲ looked at every second                                                       │ board
//!   └──────────────── changed: a new layout                                        ▼
//!                                                                             display (table)
//! ```
//!
//! A process is what the kubelet would start: command, arguments, environment and files of the built pod. The overlay
//! changes addresses, ports and paths, and nothing else. Every process has its log in `DATA_DIR/logs`, its volumes in
//! `DATA_DIR/pods`, and a stack its blocks in `DATA_DIR/storage`.

mod board;
mod display;
mod fleet;
pub mod guard;
mod layout;
mod network;
mod overlay;
mod ports;
mod process;
mod programs;
mod storage;
mod supervisor;
mod variables;

use std::{
    fs::{File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{board::Board, fleet::Fleet, layout::layout, ports::Ports, programs::Programs};
use crate::{environment::Environment, manifest::documents};

/// How often files are looked at.
const WATCH_PERIOD: Duration = Duration::from_secs(1);

/// How long the processes of a killed standalone may take to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(15);

/// What to run, and where.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A file, a folder with files (*.yaml, *.yml, *.json), or - for standard input; may be given several times.
    #[arg(short, long = "filename", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
    /// The folder for blocks, write-ahead logs, rendered files and logs.
    #[arg(long, value_name = "FOLDER", default_value = ".cache/quickstart")]
    data_dir: PathBuf,
    /// Is added to every published port: 3200 (queries), 4317 and 4318 (OTLP).
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    port_offset: u16,
}

/// Runs the resources until Ctrl-C or SIGTERM.
pub async fn standalone(arguments: Arguments) -> anyhow::Result<()> {
    let data = data_folder(&arguments.data_dir)?;
    let lock = lock(&data).await?;
    // Everything is on loopback: a proxy would only be in the way.
    let environment = Environment::from_variables(|name| {
        let is_proxy = name.to_ascii_lowercase().ends_with("_proxy");
        std::env::var(name).ok().filter(|_| !is_proxy)
    })?;
    let (stop, kill) = on_signals()?;
    let board = Board::default();
    let mut ports = Ports::new(arguments.port_offset);
    let mut seen = fingerprint(&arguments.files);
    let programs = Programs::of_this_process();
    let first = layout(&arguments.files, &data, &mut ports, &environment, &programs).await?;
    let mut fleet = Fleet::new(&data, programs.clone(), lock, board.clone(), kill)?;
    let display = tokio::spawn(display::show(board.subscribe(), demo(arguments.port_offset)));
    let outcome = fleet.apply(first).await;
    let mut looks = interval(WATCH_PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while outcome.is_ok() {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = looks.tick() => {}
        }
        let now = fingerprint(&arguments.files);
        if now == seen {
            continue;
        }
        let changed = change(
            &arguments.files,
            &data,
            &mut ports,
            &environment,
            &programs,
            &mut fleet,
        );
        match changed.await {
            Ok(()) => seen = now,
            // Tried again at the next look: what is wrong need not be in the files.
            Err(error) => board.change(|view| {
                view.problem = Some(format!(
                    "the files have changed and cannot be used, what ran goes on: {error:#}"
                ));
            }),
        }
    }
    fleet.finish().await;
    // With the last one who writes to it gone, the display shows the end and ends itself.
    drop(board);
    let _ = display.await;
    Ok(outcome?)
}

/// Brings what runs in line with files that have changed.
async fn change(
    files: &[PathBuf],
    data: &Path,
    ports: &mut Ports,
    environment: &Environment,
    programs: &Programs,
    fleet: &mut Fleet,
) -> anyhow::Result<()> {
    let layout = layout(files, data, ports, environment, programs).await?;
    Ok(fleet.apply(layout).await?)
}

/// What to type to send traces.
fn demo(port_offset: u16) -> String {
    match port_offset {
        0 => "make demo".to_owned(),
        offset => format!("make demo PORT_OFFSET={offset}"),
    }
}

/// The data folder as an absolute path, made if it is not there.
fn data_folder(path: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(path).with_context(|| format!("make the data folder {}", path.display()))?;
    path.canonicalize()
        .with_context(|| format!("find the data folder {}", path.display()))
}

/// Makes sure that nobody else uses the data folder, as long as the file is open. The processes of a standalone that
/// was killed are waited for.
async fn lock(data: &Path) -> anyhow::Result<File> {
    let path = data.join("lock");
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("open {}", path.display()))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
        let owner = std::fs::read_to_string(&path).unwrap_or_default();
        if Path::new("/proc").join(&owner).exists() || Instant::now() > deadline {
            bail!(
                "{} is used by another standalone (process {owner}); end that, or choose another --data-dir (make run DATA_DIR=…)",
                data.display()
            );
        }
        sleep(WATCH_PERIOD).await;
    }
    file.set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(file)
}

/// Tokens for the first signal, which stops, and for the second, which ends the patience.
fn on_signals() -> anyhow::Result<(CancellationToken, CancellationToken)> {
    let listen = |kind| signal(kind).context("listen to signals");
    let (mut interrupt, mut terminate, mut hang_up) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
        listen(SignalKind::hangup())?,
    );
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let tokens = [stop.clone(), kill.clone()];
    tokio::spawn(async move {
        for token in tokens {
            any(&mut interrupt, &mut terminate, &mut hang_up).await;
            token.cancel();
        }
    });
    Ok((stop, kill))
}

async fn any(interrupt: &mut Signal, terminate: &mut Signal, hang_up: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}

/// What tells that files have changed: their names, times and lengths.
fn fingerprint(paths: &[PathBuf]) -> Vec<(PathBuf, Option<(SystemTime, u64)>)> {
    let files = documents::files(paths).unwrap_or_default();
    files
        .into_iter()
        .map(|file| {
            let state = std::fs::metadata(&file)
                .and_then(|metadata| Ok((metadata.modified()?, metadata.len())))
                .ok();
            (file, state)
        })
        .collect()
}
