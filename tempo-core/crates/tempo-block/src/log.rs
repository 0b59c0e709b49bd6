//! The commit log: the one truth about which blocks live and which WAL records they hold.
//!
//! A log is a folder of numbered entries, each created with put-if-absent; that refusal is the only consensus there is.
//! [`Log`] is the machinery: commit, follow, checkpoints, sweeping, the rule for sleepers. What entries mean is a
//! [`Fold`]: [`Blocks`] for the log of a tenant ([`CommitLog`]), [`Streams`] for the log of the whole stack
//! ([`StreamLog`]). The rules are explained in `docs/durability.md`; their identifiers (L1–L9) stand at the code.
//!
//! ```text
//! commit ─► check against the fold ─► put N+1 if absent ─┬─ created ────────► fold it, done
//!                 ▲                                      ├─ own nonce ──────► the answer was lost: done
//!                 └── read N+1, N+2, … ◄─────────────────┴─ somebody else's
//! ```
//! Parts: `entry` (bytes, pure), `blocks` and `streams` (folds, pure), `reader` (opening and following), `commit`,
//! `checkpoint` (writing them, sweeping entries), `clean` (files of blocks that nobody lists).
//!
//! Not here: blocks' files, who compacts what, the WAL.

mod blocks;
mod checkpoint;
mod clean;
mod commit;
mod entry;
mod error;
mod reader;
mod streams;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempo_model::TenantId;
use tempo_runtime::Environment;
use tokio::sync::watch;

pub use blocks::{Blocks, BlocksRefusal, Cover, Transaction};
pub use clean::{Cleaned, Grace};
pub use entry::LOG_VERSION;
pub use error::{CommitError, LogError};
pub use streams::{Replica, Stream, StreamChange, StreamRefusal, StreamState, Streams};

use crate::layout;
use crate::store::Store;
use reader::Cursor;

/// A look at the log that is older than this when its answer arrives is thrown away and the log opened anew (L6).
pub const MAX_SLEEP: Duration = Duration::from_hours(12);

/// Entries stay this long, on the store's clock, after a checkpoint that holds them was written (L7). Twice
/// [`MAX_SLEEP`], so that whoever may still trust its last look finds every entry after it.
pub const MIN_ENTRY_AGE: Duration = Duration::from_hours(24);

/// A checkpoint is written every so many entries.
pub const CHECKPOINT_INTERVAL: u64 = 64;

/// What the entries of a log mean.
pub trait Fold: Debug + Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What one entry says.
    type Change: Debug + Clone + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// Why a change cannot follow what the log says.
    type Refusal: Debug + Clone + std::error::Error + Send + Sync + 'static;

    /// Whether the change may be committed after what was folded so far. Pure; called again after every conflict.
    fn check(&self, change: &Self::Change) -> Result<(), Self::Refusal>;

    /// Folds a committed change in. Never refuses: what is in the log has happened.
    fn apply(&mut self, position: u64, change: &Self::Change);

    /// Whether the change is already in. Asked by a writer that slept too long to trust the answer to its put.
    fn holds(&self, change: &Self::Change) -> bool;

    /// Forgets what nobody can need any more: what only matters to writers whose last look was at or before `horizon`.
    fn forget(&mut self, horizon: u64);
}

/// What a log says at one position.
#[derive(Debug, Clone, Default)]
pub struct Snapshot<F> {
    /// The number of the last entry; 0 before the first.
    pub position: u64,
    /// The fold of all entries up to there.
    pub state: F,
}

/// One log. Cheap to clone; clones share what they know.
#[derive(Debug)]
pub struct Log<F: Fold> {
    env: Environment,
    store: Store,
    folder: Path,
    /// Held while following or committing, so that a process has one request for the next entry under way.
    cursor: Arc<tokio::sync::Mutex<Cursor>>,
    snapshot: Arc<watch::Sender<Arc<Snapshot<F>>>>,
}

impl<F: Fold> Clone for Log<F> {
    fn clone(&self) -> Self {
        Self {
            env: self.env.clone(),
            store: Arc::clone(&self.store),
            folder: self.folder.clone(),
            cursor: Arc::clone(&self.cursor),
            snapshot: Arc::clone(&self.snapshot),
        }
    }
}

/// The log of WAL streams, one for the whole stack.
pub type StreamLog = Log<Streams>;

impl<F: Fold> Log<F> {
    /// What is known of the log without asking the store.
    pub fn snapshot(&self) -> Arc<Snapshot<F>> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// The number of the last entry that is known here.
    pub fn position(&self) -> u64 {
        self.snapshot.borrow().position
    }

    /// Tells of every new snapshot; the latest one is always at hand.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot<F>>> {
        self.snapshot.subscribe()
    }

    /// The snapshot at `position` or later: follows until it is there. For a position that another process named, which
    /// has therefore been committed.
    pub async fn at_least(&self, position: u64) -> Result<Arc<Snapshot<F>>, LogError> {
        if self.position() < position {
            let reached = self.follow().await?;
            if reached < position {
                return Err(LogError::NotThere {
                    folder: self.folder.to_string(),
                    position,
                    reached,
                });
            }
        }
        Ok(self.snapshot())
    }
}

impl StreamLog {
    /// Opens the log of WAL streams.
    pub async fn open(env: &Environment, store: &Store) -> Result<Self, LogError> {
        Self::open_folder(env, store, layout::log_folder(&Path::from(layout::STREAMS))).await
    }
}

/// The log of a tenant's blocks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommitLog {
    tenant: TenantId,
    log: Log<Blocks>,
}

impl CommitLog {
    /// Opens a tenant's log; that of a tenant without data is empty.
    pub async fn open(env: &Environment, store: &Store, tenant: &TenantId) -> Result<Self, LogError> {
        let folder = layout::log_folder(&layout::tenant_folder(tenant));
        let log = Log::open_folder(env, store, folder).await?;
        Ok(Self {
            tenant: tenant.clone(),
            log,
        })
    }

    /// Whose log it is.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}

impl std::ops::Deref for CommitLog {
    type Target = Log<Blocks>;

    fn deref(&self) -> &Self::Target {
        &self.log
    }
}
