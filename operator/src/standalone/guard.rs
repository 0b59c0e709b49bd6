//! What ends the processes when standalone itself cannot: the hidden subcommand `guard`.
//!
//! Standalone holds the other end of its standard input. When that closes, for whatever reason (a `kill -9`
//! included), the guard asks every process of its group to stop, and ends those that do not.

use std::time::Duration;

use rustix::process::{Signal, getpgrp, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

const PATIENCE: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_millis(100);

/// The guard, seen from standalone. Dropping it closes its standard input.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
    group: u32,
}

impl Guard {
    /// Starts a guard with a process group of its own. As its standard output it holds the locked file, so that nobody
    /// else uses the data folder before the last process has ended.
    pub(super) fn start(lock: std::fs::File) -> std::io::Result<Self> {
        let process = Command::new(std::env::current_exe()?)
            .arg("guard")
            .stdin(std::process::Stdio::piped())
            .stdout(lock)
            .stderr(std::process::Stdio::null())
            .process_group(0)
            .spawn()?;
        let group = process
            .id()
            .ok_or_else(|| std::io::Error::other("the guard ended at once"))?;
        Ok(Self { process, group })
    }

    /// The process group that it watches over.
    pub(super) fn group(&self) -> u32 {
        self.group
    }

    /// Lets it go, when the processes of its group have ended.
    pub(super) async fn finish(mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait().await;
    }
}

/// Waits until standard input closes, then ends all other processes of the group.
pub async fn guard() -> std::io::Result<()> {
    // The group's signals are for the others.
    let _terminate = signal(SignalKind::terminate())?;
    let mut ignored = Vec::new();
    tokio::io::stdin().read_to_end(&mut ignored).await?;
    let group = getpgrp();
    let deadline = Instant::now() + PATIENCE;
    let mut asked = false;
    while has_others(group.as_raw_nonzero().get()) {
        if Instant::now() > deadline {
            kill_process_group(group, Signal::KILL)?;
        } else if !asked {
            kill_process_group(group, Signal::TERM)?;
            asked = true;
        }
        sleep(PERIOD).await;
    }
    Ok(())
}

/// Whether another process is in the group.
fn has_others(group: i32) -> bool {
    let own = std::process::id().to_string();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    processes.filter_map(Result::ok).any(|process| {
        let id = process.file_name();
        let is_process = id
            .to_str()
            .is_some_and(|id| id != own && id.parse::<u32>().is_ok());
        is_process && group_of(&process.path().join("stat")) == Some(group)
    })
}

/// The process group in `/proc/ID/stat`, unless the process has ended already.
fn group_of(stat: &std::path::Path) -> Option<i32> {
    let text = std::fs::read_to_string(stat).ok()?;
    // The name in parentheses may hold anything; what counts follows the last one.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    (state != "Z").then_some(group)
}
