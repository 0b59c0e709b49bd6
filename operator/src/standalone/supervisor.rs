//! One process: started, watched, started again, stopped.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, State},
    layout::Placed,
    overlay::LOOPBACK,
    process::Process,
};

const PROBE_PERIOD: Duration = Duration::from_millis(250);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that ran this long starts again at once.
const STEADY: Duration = Duration::from_mins(1);
/// Nobody waits longer for a process on their own machine, whatever its pod may take.
const LONGEST_GRACE: Duration = Duration::from_secs(30);
/// What processes inherit; the rest of their environment is their pod's.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "TZ", "RUST_BACKTRACE"];

/// What a process is started with.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// The process.
    pub(super) placed: Placed,
    /// Its program.
    pub(super) program: PathBuf,
    /// The file that it writes its log to.
    pub(super) log: PathBuf,
    /// The process group that it joins.
    pub(super) group: u32,
}

/// How to end a process.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// Asks it to stop.
    pub(super) stop: CancellationToken,
    /// Ends its time to stop.
    pub(super) kill: CancellationToken,
}

/// Keeps a process running until it is asked to stop; then waits until it has.
pub(super) async fn supervise(launch: Launch, board: Board, ending: Ending) {
    let name = &launch.placed.process.name;
    tokio::select! {
        () = board.wait(name, &launch.placed.needs) => {}
        () = ending.stop.cancelled() => return board.set(name, State::Stopped),
    }
    let mut pause = SHORTEST_PAUSE;
    loop {
        board.set(name, State::Starting);
        let started = Instant::now();
        let ended = match spawn(&launch) {
            Ok(child) => run(child, &launch, &board, &ending).await,
            Err(error) => Some(format!("cannot start {}: {error}", launch.program.display())),
        };
        let Some(reason) = ended else { return };
        if started.elapsed() > STEADY {
            pause = SHORTEST_PAUSE;
        }
        board.set(name, State::Ended(format!("{reason}; starts again in {pause:?}")));
        tokio::select! {
            () = sleep(pause) => {}
            () = ending.stop.cancelled() => return board.set(name, State::Stopped),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn spawn(launch: &Launch) -> std::io::Result<Child> {
    let process = &launch.placed.process;
    let log = OpenOptions::new().create(true).append(true).open(&launch.log)?;
    let inherited = INHERITED
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)));
    Command::new(&launch.program)
        .args(process.command.iter().skip(1))
        .env_clear()
        .envs(inherited)
        .envs(&process.environment)
        .current_dir(&launch.placed.folder)
        .stdin(Stdio::null())
        .stdout(File::try_clone(&log)?)
        .stderr(log)
        .process_group(i32::try_from(launch.group).unwrap_or_default())
        .kill_on_drop(true)
        .spawn()
}

/// Watches a running process: why it ended, or nothing when it was asked to.
async fn run(mut child: Child, launch: &Launch, board: &Board, ending: &Ending) -> Option<String> {
    let process = &launch.placed.process;
    tokio::select! {
        status = child.wait() => match status {
            Ok(status) if process.once && status.success() => {
                board.set(&process.name, State::Done);
                ending.stop.cancelled().await;
            }
            status => return Some(told(status, &launch.log)),
        },
        () = watch(process, |state| board.set(&process.name, state)) => {}
        () = ending.stop.cancelled() => {}
    }
    board.set(&process.name, State::Stopping);
    ask_to_stop(&child);
    tokio::select! {
        _ = timeout(process.grace.min(LONGEST_GRACE), child.wait()) => {}
        () = ending.kill.cancelled() => {}
    }
    // It has ended, or is made to now.
    let _ = child.kill().await;
    board.set(&process.name, State::Stopped);
    None
}

fn ask_to_stop(child: &Child) {
    let id = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended in this moment, which is what was wanted.
        let _ = kill_process(id, Signal::TERM);
    }
}

/// Tells again and again whether the process is ready; never completes.
async fn watch(process: &Process, told: impl Fn(State)) {
    let Some(readiness) = &process.readiness else {
        if !process.once {
            told(State::Ready);
        }
        return std::future::pending().await;
    };
    let url = format!("http://{LOOPBACK}:{}{}", readiness.port, readiness.path);
    let client = reqwest::Client::builder()
        .timeout(PROBE_TIMEOUT)
        .no_proxy()
        .build();
    let Ok(client) = client else {
        return std::future::pending().await;
    };
    loop {
        let ready = client
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success());
        told(if ready { State::Ready } else { State::Starting });
        sleep(PROBE_PERIOD).await;
    }
}

/// Why a process ended: its status, and the last that it said.
fn told(status: std::io::Result<ExitStatus>, log: &Path) -> String {
    let status = match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    match last_line(log) {
        Some(line) => format!("ended with {status}: {line}"),
        None => format!("ended with {status}"),
    }
}

/// The last line of a log, shortened.
fn last_line(log: &Path) -> Option<String> {
    const LONGEST: usize = 200;
    let text = std::fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.chars().take(LONGEST).collect())
}
