//! What every process is doing, for whoever waits for one and for the table.

use std::{collections::BTreeMap, fmt, sync::Arc};

use tokio::sync::watch;

/// What a process is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It starts when others are ready; these are not.
    Waiting(Vec<String>),
    /// It runs, and is not ready yet.
    Starting,
    /// It answers.
    Ready,
    /// It has done its work, once and for all.
    Done,
    /// It ended, for this reason, and is started again later.
    Ended(String),
    /// It was asked to stop.
    Stopping,
    /// It has stopped.
    Stopped,
}

impl State {
    /// Whether others can count on it.
    fn is_good(&self) -> bool {
        matches!(self, Self::Ready | Self::Done)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(others) => write!(formatter, "waits for {}", others.join(", ")),
            Self::Starting => formatter.write_str("starting"),
            Self::Ready => formatter.write_str("ready"),
            Self::Done => formatter.write_str("done"),
            Self::Ended(reason) => formatter.write_str(reason),
            Self::Stopping => formatter.write_str("stopping"),
            Self::Stopped => formatter.write_str("stopped"),
        }
    }
}

/// A process in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What it is doing.
    pub(super) state: State,
    /// How often it was started again.
    pub(super) restarts: u32,
    /// Where users find it.
    pub(super) addresses: Vec<String>,
}

/// Everything that is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Processes by name, in the order in which they start.
    pub(super) rows: Vec<(String, Row)>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
    /// Why the files as they are now are not what runs.
    pub(super) problem: Option<String>,
}

impl View {
    /// Whether every process answers.
    pub(super) fn all_ready(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|(_, row)| row.state.is_good())
    }

    /// Whether processes were asked to stop.
    pub(super) fn is_stopping(&self) -> bool {
        let stops = |row: &Row| matches!(row.state, State::Stopping | State::Stopped);
        self.rows.iter().any(|(_, row)| stops(row))
    }

    fn missing(&self, names: &[String]) -> Vec<String> {
        let ready: BTreeMap<&String, bool> = self
            .rows
            .iter()
            .map(|(name, row)| (name, row.state.is_good()))
            .collect();
        names
            .iter()
            .filter(|name| ready.get(name) != Some(&true))
            .cloned()
            .collect()
    }
}

/// Where processes write down what they do. Cheap to clone; clones share one board.
#[derive(Clone, Debug)]
pub(super) struct Board(Arc<watch::Sender<View>>);

impl Default for Board {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(View::default())))
    }
}

impl Board {
    /// The view, whenever it changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<View> {
        self.0.subscribe()
    }

    /// Changes the view as a whole.
    pub(super) fn change(&self, change: impl FnOnce(&mut View)) {
        self.0.send_modify(change);
    }

    /// Writes down what a process is doing.
    pub(super) fn set(&self, name: &str, state: State) {
        self.0.send_if_modified(|view| {
            let Some((_, row)) = view.rows.iter_mut().find(|(row, _)| row == name) else {
                return false;
            };
            let changed = row.state != state;
            row.restarts += u32::from(changed && matches!(state, State::Ended(_)));
            row.state = state;
            changed
        });
    }

    /// Completes when all of `needs` are ready; until then `name` is shown as waiting for the others.
    pub(super) async fn wait(&self, name: &str, needs: &[String]) {
        let mut view = self.subscribe();
        loop {
            let missing = view.borrow_and_update().missing(needs);
            if missing.is_empty() {
                return;
            }
            self.set(name, State::Waiting(missing));
            // The sender lives as long as this board.
            if view.changed().await.is_err() {
                return;
            }
        }
    }
}
