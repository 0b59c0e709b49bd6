//! Opening a log and following it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use tempo_runtime::Environment;
use tokio::sync::watch;

use super::entry::{Checkpoint, Entry, Unreadable, decode, decode_checkpoint};
use super::{Fold, Log, LogError, MAX_SLEEP, Snapshot};
use crate::layout::{CHECKPOINT_HINT, LogFile};
use crate::store::Store;

/// How often a checkpoint may vanish between listing and reading before opening gives up.
const OPEN_ATTEMPTS: usize = 5;

/// What a process remembers beside the snapshot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    /// When, on the boot clock, the request was sent whose answer last showed the end of the log (or its listing): up
    /// to 12 h from here nothing behind the snapshot can have been swept (L6).
    pub(super) last_look: Duration,
    /// The newest checkpoint that is known.
    pub(super) checkpoint: u64,
    /// How long a put took that lost against others, if the last commit met any.
    pub(super) crowded: Option<Duration>,
    /// Entries up to here are so old that nobody can still be at them.
    pub(super) horizon: u64,
}

/// The content of [`CHECKPOINT_HINT`].
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Hint {
    /// A checkpoint of this number was there once: later ones are looked for from here.
    pub(super) position: u64,
}

pub(super) enum Look<C> {
    Entry(Entry<C>),
    /// Nothing of that number yet.
    End,
    /// The answer came too late to mean anything.
    Overslept,
}

impl<F: Fold> Log<F> {
    pub(super) async fn open_folder(
        env: &Environment,
        store: &Store,
        folder: Path,
    ) -> Result<Self, LogError> {
        let log = Self {
            env: env.clone(),
            store: Arc::clone(store),
            folder,
            cursor: Arc::default(),
            snapshot: Arc::new(watch::Sender::new(Arc::default())),
        };
        {
            let mut cursor = log.cursor.lock().await;
            log.reopen(&mut cursor).await?;
        }
        Ok(log)
    }

    /// Reads on to the end of the log. Returns the position that was reached.
    pub async fn follow(&self) -> Result<u64, LogError> {
        let mut cursor = self.cursor.lock().await;
        self.read_on(&mut cursor).await?;
        Ok(self.position())
    }

    /// Follows; for whoever holds the cursor. Returns whether the log had to be opened anew.
    pub(super) async fn read_on(&self, cursor: &mut Cursor) -> Result<bool, LogError> {
        let trusted = self.read_from(self.snapshot(), cursor).await?;
        if !trusted {
            self.reopen(cursor).await?;
        }
        Ok(!trusted)
    }

    /// L6: forgets what was known and starts from the newest checkpoint.
    pub(super) async fn reopen(&self, cursor: &mut Cursor) -> Result<u64, LogError> {
        loop {
            let (loaded, snapshot) = self.load().await?;
            let mut fresh = Cursor {
                horizon: cursor.horizon,
                ..loaded
            };
            if self.read_from(snapshot, &mut fresh).await? {
                *cursor = fresh;
                return Ok(self.position());
            }
        }
    }

    /// Reads on from `snapshot` and publishes what is at the end; `false` if this took so long that it means nothing.
    /// Snapshot and cursor change together at the end or not at all, also when the caller goes away in between.
    async fn read_from(&self, mut snapshot: Arc<Snapshot<F>>, cursor: &mut Cursor) -> Result<bool, LogError> {
        loop {
            let asked = self.env.clock.since_boot();
            let next = snapshot.position + 1;
            match self.look(next, cursor).await? {
                Look::Entry(entry) => {
                    let snapshot = Arc::make_mut(&mut snapshot);
                    snapshot.position = next;
                    snapshot.state.apply(next, &entry.change);
                }
                Look::End => {
                    cursor.last_look = asked;
                    self.publish(snapshot);
                    return Ok(true);
                }
                Look::Overslept => return Ok(false),
            }
        }
    }

    /// Shows a snapshot to everyone, unless it is the one that they see.
    pub(super) fn publish(&self, snapshot: Arc<Snapshot<F>>) {
        self.snapshot.send_if_modified(|current| {
            let new = !Arc::ptr_eq(current, &snapshot);
            *current = snapshot;
            new
        });
    }

    /// Whether an answer that arrives now comes too late after the last look.
    pub(super) fn overslept(&self, cursor: &Cursor) -> bool {
        self.env.clock.since_boot().saturating_sub(cursor.last_look) > MAX_SLEEP
    }

    pub(super) async fn look(&self, number: u64, cursor: &Cursor) -> Result<Look<F::Change>, LogError> {
        let path = self.path(LogFile::Entry(number));
        let read = self.read(&path).await;
        if self.overslept(cursor) {
            return Ok(Look::Overslept);
        }
        match read? {
            None => Ok(Look::End),
            Some(bytes) => self.decoded(&path, decode(&bytes)).map(Look::Entry),
        }
    }

    /// The newest checkpoint, or the empty beginning.
    async fn load(&self) -> Result<(Cursor, Arc<Snapshot<F>>), LogError> {
        for _ in 0..OPEN_ATTEMPTS {
            let last_look = self.env.clock.since_boot();
            let Some(number) = self.newest_checkpoint().await? else {
                return Ok((
                    Cursor {
                        last_look,
                        ..Cursor::default()
                    },
                    Arc::default(),
                ));
            };
            let path = self.path(LogFile::Checkpoint(number));
            // One that is gone between listing and reading was swept after a newer one.
            let Some(bytes) = self.read(&path).await? else {
                continue;
            };
            let unpacked = self.env.run_cpu("log checkpoint", move || {
                decode_checkpoint::<Checkpoint<F>>(&bytes)
            });
            let Checkpoint { position, state } = self.decoded(&path, unpacked.await?)?;
            let cursor = Cursor {
                last_look,
                checkpoint: number,
                ..Cursor::default()
            };
            return Ok((cursor, Arc::new(Snapshot { position, state })));
        }
        Err(LogError::Unstable {
            folder: self.folder.to_string(),
        })
    }

    async fn newest_checkpoint(&self) -> Result<Option<u64>, LogError> {
        let hint = self.read_hint().await?;
        if hint.position > 0 {
            let listed = self.list_from(hint.position).await?;
            if let Some(newest) = newest(&listed) {
                return Ok(Some(newest));
            }
        }
        let listed = self.list_from(0).await?;
        let newest = newest(&listed);
        let first = listed.iter().find_map(|file| match file {
            LogFile::Entry(number) => Some(*number),
            LogFile::Checkpoint(_) => None,
        });
        match (newest, first) {
            (None, Some(first)) if first > 1 => Err(LogError::Unreadable {
                object: self.folder.to_string(),
                reason: Unreadable::Damaged(format!("it starts at entry {first} and has no checkpoint")),
            }),
            _ => Ok(newest),
        }
    }

    /// A hint that is missing or unreadable costs a longer listing, no more.
    pub(super) async fn read_hint(&self) -> Result<Hint, LogError> {
        let bytes = self.read(&self.folder.clone().join(CHECKPOINT_HINT)).await?;
        Ok(bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default())
    }

    async fn list_from(&self, number: u64) -> Result<Vec<LogFile>, LogError> {
        let offset = self.folder.clone().join(LogFile::listing_start(number));
        let listed = self
            .store
            .list_with_offset(Some(&self.folder), &offset)
            .try_collect::<Vec<_>>()
            .await;
        let listed = listed.map_err(|source| self.failed("list", &self.folder, source))?;
        let mut files: Vec<LogFile> = listed
            .iter()
            .filter_map(|object| LogFile::parse(object.location.filename()?))
            .collect();
        files.sort_unstable_by_key(|file| file.number());
        Ok(files)
    }

    pub(super) async fn read(&self, path: &Path) -> Result<Option<Bytes>, LogError> {
        let read = async { self.store.get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.failed("read", path, source)),
        }
    }

    pub(super) fn path(&self, file: LogFile) -> Path {
        self.folder.clone().join(file.name())
    }

    pub(super) fn failed(&self, operation: &'static str, path: &Path, source: Error) -> LogError {
        LogError::Store {
            operation,
            object: format!("{}/{path}", self.store),
            source,
        }
    }

    pub(super) fn decoded<T>(&self, path: &Path, decoded: Result<T, Unreadable>) -> Result<T, LogError> {
        decoded.map_err(|reason| LogError::Unreadable {
            object: format!("{}/{path}", self.store),
            reason,
        })
    }
}

fn newest(files: &[LogFile]) -> Option<u64> {
    files.iter().rev().find_map(|file| match file {
        LogFile::Checkpoint(number) => Some(*number),
        LogFile::Entry(_) => None,
    })
}
