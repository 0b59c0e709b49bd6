//! All processes: brought in line with a layout, and stopped in order.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    board::{Board, Row, State},
    guard::Guard,
    layout::{Layout, Placed, Stage},
    process::Directory,
    programs::Programs,
    supervisor::{Ending, Launch, supervise},
};

/// A log that is larger is set aside when its process starts.
const LARGEST_LOG: u64 = 16 << 20;

/// A layout that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum FleetError {
    /// A program is nowhere.
    #[error("{program} is neither in {beside} nor on PATH; build it with: cargo build --workspace --bins")]
    NoProgram {
        /// Name of the program.
        program: String,
        /// Where this program is.
        beside: String,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The guard cannot be started.
    #[error("cannot start the guard of the processes")]
    Guard(#[source] std::io::Error),
}

/// The running processes.
#[derive(Debug)]
pub(super) struct Fleet {
    data: PathBuf,
    programs: Programs,
    board: Board,
    guard: Guard,
    kill: CancellationToken,
    running: BTreeMap<String, Running>,
}

#[derive(Debug)]
struct Running {
    placed: Placed,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Fleet {
    /// No process yet. `lock` is the file that keeps others off the data folder; `kill` ends the patience with
    /// processes that do not stop.
    pub(super) fn new(
        data: &Path,
        programs: Programs,
        lock: File,
        board: Board,
        kill: CancellationToken,
    ) -> Result<Self, FleetError> {
        make_folder(&data.join("logs"))?;
        Ok(Self {
            data: data.to_owned(),
            programs,
            board,
            guard: Guard::start(lock).map_err(FleetError::Guard)?,
            kill,
            running: BTreeMap::new(),
        })
    }

    /// Starts, restarts and stops processes until what runs is what is placed. What has not changed goes on.
    pub(super) async fn apply(&mut self, layout: Layout) -> Result<(), FleetError> {
        let programs = layout
            .processes
            .iter()
            .map(|placed| self.program(placed))
            .collect::<Result<Vec<_>, _>>()?;
        let goes_on = |running: &Running| {
            layout
                .processes
                .iter()
                .any(|placed| same(placed, &running.placed))
        };
        let ending: Vec<String> = self
            .running
            .iter()
            .filter(|(_, running)| !goes_on(running))
            .map(|(name, _)| name.clone())
            .collect();
        self.stop(&ending).await;
        self.board.change(|view| {
            let before: BTreeMap<String, Row> = std::mem::take(&mut view.rows).into_iter().collect();
            view.rows = layout
                .processes
                .iter()
                .map(|placed| row(placed, &before))
                .collect();
            view.notes = layout.notes;
        });
        for (placed, program) in layout.processes.into_iter().zip(programs) {
            Self::put_files(&placed)?;
            if !self.running.contains_key(&placed.process.name) {
                self.start(placed, program)?;
            }
        }
        self.board.change(|view| view.problem = None);
        Ok(())
    }

    fn program(&self, placed: &Placed) -> Result<PathBuf, FleetError> {
        let name = placed.process.command.first().map_or("", String::as_str);
        self.programs.find(name).ok_or_else(|| FleetError::NoProgram {
            program: name.to_owned(),
            beside: self.programs.beside(),
        })
    }

    fn start(&mut self, placed: Placed, program: PathBuf) -> Result<(), FleetError> {
        let name = placed.process.name.clone();
        for (path, directory) in &placed.process.directories {
            if *directory == Directory::Scratch {
                clear(Path::new(path), &self.data)?;
            }
            make_folder(Path::new(path))?;
        }
        let stop = CancellationToken::new();
        let launch = Launch {
            placed: placed.clone(),
            program,
            log: self.log(&name)?,
            group: self.guard.group(),
        };
        let ending = Ending {
            stop: stop.clone(),
            kill: self.kill.clone(),
        };
        let task = tokio::spawn(supervise(launch, self.board.clone(), ending));
        self.running.insert(name, Running { placed, stop, task });
        Ok(())
    }

    fn put_files(placed: &Placed) -> Result<(), FleetError> {
        make_folder(&placed.folder)?;
        for (path, text) in &placed.process.files {
            put_file(Path::new(path), text)?;
        }
        Ok(())
    }

    /// The log of a process; one that has grown large is set aside.
    fn log(&self, name: &str) -> Result<PathBuf, FleetError> {
        let log = self.data.join("logs").join(format!("{name}.log"));
        if std::fs::metadata(&log).is_ok_and(|file| file.len() > LARGEST_LOG) {
            std::fs::rename(&log, log.with_extension("log.old")).map_err(|source| FleetError::Write {
                path: log.clone(),
                source,
            })?;
        }
        Ok(log)
    }

    /// Stops processes stage by stage: first what lets data in, last what keeps it.
    async fn stop(&mut self, names: &[String]) {
        for stage in [
            Stage::Collector,
            Stage::Door,
            Stage::Work,
            Stage::Store,
            Stage::Bucket,
        ] {
            let of_stage: Vec<Running> = names
                .iter()
                .filter(|name| {
                    self.running
                        .get(*name)
                        .is_some_and(|running| running.placed.stage == stage)
                })
                .cloned()
                .collect::<Vec<_>>()
                .into_iter()
                .filter_map(|name| self.running.remove(&name))
                .collect();
            for running in &of_stage {
                running.stop.cancel();
            }
            for running in of_stage {
                // A supervisor that panicked has dropped, and so ended, its process.
                let _ = running.task.await;
            }
        }
    }

    /// Stops all processes.
    pub(super) async fn finish(mut self) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        self.stop(&names).await;
        self.guard.finish().await;
    }
}

/// Whether a process can go on: its files are read again while it runs, or are part of its revision.
fn same(one: &Placed, other: &Placed) -> bool {
    let mut one = one.clone();
    one.process.files.clone_from(&other.process.files);
    one == *other
}

fn row(placed: &Placed, before: &BTreeMap<String, Row>) -> (String, Row) {
    let name = &placed.process.name;
    let (state, restarts) = match before.get(name) {
        Some(row) if row.state != State::Stopped => (row.state.clone(), row.restarts),
        _ => (State::Starting, 0),
    };
    let addresses = placed.addresses.clone();
    (
        name.clone(),
        Row {
            state,
            restarts,
            addresses,
        },
    )
}

fn make_folder(path: &Path) -> Result<(), FleetError> {
    std::fs::create_dir_all(path).map_err(|source| FleetError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Empties a folder of ours.
fn clear(path: &Path, data: &Path) -> Result<(), FleetError> {
    if !path.starts_with(data) || !path.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(path).map_err(|source| FleetError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that only its owner may read, all of it at once; one that is right already stays.
fn put_file(path: &Path, text: &str) -> Result<(), FleetError> {
    if std::fs::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let fresh = path.with_extension("new");
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|source| FleetError::Write {
        path: path.to_owned(),
        source,
    })
}
