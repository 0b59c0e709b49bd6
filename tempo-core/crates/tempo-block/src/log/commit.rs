//! Writing an entry: put-if-absent of the next number, until it is in or contradicts what came between.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{Error, PutMode};

use super::entry::{Entry, encode};
use super::reader::{Cursor, Look};
use super::{
    Blocks, BlocksRefusal, CHECKPOINT_INTERVAL, CommitError, CommitLog, Fold, Log, LogError, MAX_SLEEP,
    Transaction,
};
use crate::layout::{self, BlockFile, LogFile};
use crate::meta::{BlockMeta, MAX_META_BYTES};

/// How often one number is tried while the store fails or contradicts itself.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// After its first conflict a writer lets up to this many puts pass.
const FIRST_WAY: u32 = 32;

/// And never waits longer than this at once.
const MAX_WAY: Duration = Duration::from_secs(4);

enum Put {
    Created,
    /// Somebody has that number: perhaps we ourselves, by a request whose answer was lost.
    Taken,
    /// It may have been created or may still be.
    Unknown(LogError),
}

enum Attempt {
    /// In the log, at this position or before it.
    Committed(u64),
    /// Others came first; check again and take the next number. The put took so long.
    Conflict(Duration),
    /// The answer came too late (L6); the log was opened anew and does not hold the change.
    Overslept,
}

impl<F: Fold> Log<F> {
    /// Commits a change: it is in the log when this returns, at the position that it returns or before. On
    /// [`CommitError::Unknown`] it may be.
    pub async fn commit(&self, change: F::Change) -> Result<u64, CommitError<F::Refusal>> {
        self.commit_within(change, &Nothing).await
    }

    /// Commits after a look around. It is repeated when the log had to be opened anew, because only then can what the
    /// change needs have gone without an entry that says so (L8).
    async fn commit_within(
        &self,
        change: F::Change,
        surroundings: &dyn Surroundings<F>,
    ) -> Result<u64, CommitError<F::Refusal>> {
        let nonce = self.env.new_ulid();
        let entry = Entry { nonce, change };
        let body = self.decoded(&self.folder, encode(&entry))?;
        let body = Bytes::from(body);

        let mut cursor = self.cursor.lock().await;
        let mut lost = 0;
        // Who had to fight for its last entry is one of a crowd: those who wait from before go first.
        if let Some(took) = cursor.crowded.take() {
            self.give_way(&mut lost, took).await;
            self.read_on(&mut cursor).await?;
        }
        surroundings.look_around(&entry.change).await?;
        let position = loop {
            self.snapshot()
                .state
                .check(&entry.change)
                .map_err(CommitError::Refused)?;
            match self.attempt(&entry, &body, &mut cursor).await? {
                Attempt::Committed(position) => break position,
                Attempt::Conflict(took) => {
                    cursor.crowded = Some(took);
                    let waited = self.give_way(&mut lost, took).await;
                    // After a short wait the next number is as likely free as taken: try it without a look.
                    if waited > took && self.read_on(&mut cursor).await? {
                        surroundings.look_around(&entry.change).await?;
                    }
                }
                Attempt::Overslept => surroundings.look_around(&entry.change).await?,
            }
        };
        let due = position >= cursor.checkpoint + CHECKPOINT_INTERVAL;
        drop(cursor);
        if due {
            // The commit stands whether or not the checkpoint does; the next commit tries again.
            if let Err(error) = self.checkpoint().await {
                tracing::warn!(%error, "checkpoint of the commit log failed");
            }
        }
        Ok(position)
    }

    /// Newcomers step back the most and those who lost often hardly at all: the crowd at the next number stays small,
    /// and whoever waits longest is served next.
    async fn give_way(&self, lost: &mut u32, took: Duration) -> Duration {
        let most = (took * FIRST_WAY).min(MAX_WAY).as_micros() as u64 >> (2 * *lost).min(32);
        *lost += 1;
        let way = Duration::from_micros(self.env.random.next_u64() % most.max(1));
        self.env.clock.sleep(way).await;
        way
    }

    async fn attempt(
        &self,
        entry: &Entry<F::Change>,
        body: &Bytes,
        cursor: &mut Cursor,
    ) -> Result<Attempt, LogError> {
        let number = self.position() + 1;
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let asked = self.env.clock.since_boot();
            let put = self.put(number, body.clone()).await;
            let took = self.env.clock.since_boot().saturating_sub(asked);
            if self.overslept(cursor) {
                return self.wake_up(entry, cursor).await;
            }
            match put {
                Put::Created => {
                    self.fold_next(number, &entry.change);
                    cursor.last_look = asked;
                    return Ok(Attempt::Committed(number));
                }
                Put::Taken => {}
                Put::Unknown(error) => last = Some(error),
            }
            match self.look(number, cursor).await {
                Ok(Look::Entry(found)) => {
                    self.fold_next(number, &found.change);
                    let own = found.nonce == entry.nonce;
                    return Ok(if own {
                        Attempt::Committed(number)
                    } else {
                        Attempt::Conflict(took)
                    });
                }
                Ok(Look::Overslept) => return self.wake_up(entry, cursor).await,
                // L2: a store that says "exists" and then "not found" is asked again, as is one that failed.
                Ok(Look::End) => {}
                Err(error @ LogError::Unreadable { .. }) => return Err(error),
                Err(error) => last = Some(error),
            }
            let jitter = self.env.random.next_u64() % (pause.as_millis() as u64).max(1);
            self.env.clock.sleep(pause + Duration::from_millis(jitter)).await;
            pause *= 2;
        }
        Err(last.unwrap_or_else(|| LogError::Unstable {
            folder: self.folder.to_string(),
        }))
    }

    /// L6: what the store answered means nothing any more; only the fold tells whether the change is in.
    async fn wake_up(&self, entry: &Entry<F::Change>, cursor: &mut Cursor) -> Result<Attempt, LogError> {
        let position = self.reopen(cursor).await?;
        let held = self.snapshot().state.holds(&entry.change);
        Ok(if held {
            Attempt::Committed(position)
        } else {
            Attempt::Overslept
        })
    }

    fn fold_next(&self, number: u64, change: &F::Change) {
        let mut snapshot = self.snapshot();
        let next = Arc::make_mut(&mut snapshot);
        next.position = number;
        next.state.apply(number, change);
        self.publish(snapshot);
    }

    async fn put(&self, number: u64, body: Bytes) -> Put {
        let path = self.path(LogFile::Entry(number));
        match self
            .store
            .put_opts(&path, body.into(), PutMode::Create.into())
            .await
        {
            Ok(_) => Put::Created,
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Put::Taken,
            Err(source) => Put::Unknown(self.failed("write", &path, source)),
        }
    }
}

/// What a change needs outside the log.
#[async_trait]
trait Surroundings<F: Fold>: Sync {
    async fn look_around(&self, change: &F::Change) -> Result<(), CommitError<F::Refusal>>;
}

/// For changes that need nothing.
struct Nothing;

#[async_trait]
impl<F: Fold> Surroundings<F> for Nothing {
    async fn look_around(&self, _: &F::Change) -> Result<(), CommitError<F::Refusal>> {
        Ok(())
    }
}

/// The files of added blocks must be there, and too young to be anybody's to delete.
#[async_trait]
impl Surroundings<Blocks> for CommitLog {
    async fn look_around(&self, transaction: &Transaction) -> Result<(), CommitError<BlocksRefusal>> {
        let now = self.env.clock.since_boot();
        let began = transaction.uploaded_since.unwrap_or(now);
        if now.saturating_sub(began) > MAX_SLEEP {
            return Err(CommitError::UploadTooOld);
        }
        for meta in &transaction.add {
            self.check_files(meta).await?;
        }
        Ok(())
    }
}

impl CommitLog {
    /// Commits a transaction: see [`Log::commit`]. The files of added blocks must be in the store, and their upload may
    /// not have begun more than 12 h ago ([`Transaction::uploaded_since`]): younger files are nobody's to delete (L8).
    pub async fn commit(&self, transaction: Transaction) -> Result<u64, CommitError<BlocksRefusal>> {
        for meta in &transaction.add {
            let bytes = serde_json::to_vec(meta).map_or(usize::MAX, |json| json.len());
            if bytes > MAX_META_BYTES {
                return Err(CommitError::MetaTooLarge {
                    block: meta.id,
                    bytes,
                });
            }
        }
        self.log.commit_within(transaction, self).await
    }

    async fn check_files(&self, meta: &BlockMeta) -> Result<(), CommitError<BlocksRefusal>> {
        let folder = layout::block_folder(self.tenant(), meta.id);
        let listed = self.store.list(Some(&folder)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|source| self.failed("list", &folder, source))?;
        for (file, expected) in [
            (BlockFile::Spans, meta.spans_file.bytes),
            (BlockFile::Traces, meta.traces_file.bytes),
            (BlockFile::Catalogue, meta.catalogue_file.bytes),
        ] {
            let path = file.path(self.tenant(), meta.id);
            if !listed
                .iter()
                .any(|object| object.location == path && object.size == expected)
            {
                return Err(CommitError::FileMissing {
                    file: path.to_string(),
                });
            }
        }
        Ok(())
    }
}
