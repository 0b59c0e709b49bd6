//! From a cut head to a committed block, tried until it works: spans stay in memory and in the WAL meanwhile.
//!
//! ```text
//! job ─► are its records stored already? ─┬─ none ─► write the block ─► commit ─► truncate the WAL, let go later
//!              ▲                          ├─ all ──► done: the answer to an earlier commit was lost
//!              │                          └─ some ─► the head is made anew from the others
//!              └────── any failure, after a pause ──────┘
//! ```

use std::sync::Arc;
use std::time::Duration;

use tempo_block::head::Head;
use tempo_block::log::{BlocksRefusal, CommitError, LogError, Transaction};
use tempo_block::meta::BlockMeta;
use tempo_block::wal::WalError;
use tempo_block::write::{self, BlockOptions, WriteError};
use tempo_runtime::TaskFailed;

use super::Shared;
use super::heads::Job;
use super::records::{Coverage, Records};
use super::tenant::{Committed, CutHead};
use crate::backoff::Backoff;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An attempt that failed.
#[derive(Debug, thiserror::Error)]
enum FlushError {
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Commit(#[from] CommitError<BlocksRefusal>),
    #[error("make a head anew: {0}")]
    Wal(#[from] WalError),
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

/// What one attempt leaves to the next.
#[derive(Debug, Default)]
struct Progress {
    /// A block in the store that no attempt has committed for sure, and when its upload began.
    written: Option<(Arc<BlockMeta>, Duration)>,
    /// The last log position at which the records were not stored.
    not_stored_at: u64,
    /// Whether the log may have gone on without us.
    must_follow: bool,
}

/// Writes and commits a head, however often it takes, and lets it go a grace later.
pub(super) async fn flush(shared: Arc<Shared>, job: Job) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut progress = Progress::default();
    while !shared.ended.is_triggered() {
        let attempt = async {
            // Closed never.
            let _permit = shared.flushes.acquire().await;
            shared.attempt(&job, &mut progress).await
        };
        match attempt.await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => {
                shared.metrics.flush_failed();
                tracing::warn!(tenant = %job.tenant, %error, "a block was not stored; its spans stay in the WAL and in memory until it is");
                progress.must_follow = true;
                backoff.pause(&shared.environment).await;
            }
        }
    }
    shared.truncate().await;
    if !shared.heads.runs_short() {
        shared.environment.clock.sleep(shared.settings.linger).await;
    }
    shared.heads.let_go(&job);
}

impl Shared {
    /// Whether the head's records are stored now; `false` asks for another attempt at once.
    async fn attempt(&self, job: &Job, progress: &mut Progress) -> Result<bool, FlushError> {
        let Some(head) = self.heads.uncommitted(job) else {
            return Ok(true);
        };
        let log = self.logs.get(&job.tenant).await?;
        if progress.must_follow {
            log.follow().await?;
        }
        let before = log.snapshot();
        match head.records.coverage(&before.state) {
            Coverage::Nothing => progress.not_stored_at = before.position,
            Coverage::All => {
                self.committed(job, progress.not_stored_at, before.position);
                return Ok(true);
            }
            Coverage::Part => {
                let rest = head.records.not_in(&before.state);
                let rest = self.rebuilt(job, rest, head.maybe_duplicates).await?;
                self.heads.replace(job, rest, before.position);
                *progress = Progress::default();
                return Ok(false);
            }
        }
        let started = self.environment.clock.since_boot();
        let transaction = self.transaction(job, &head, progress).await?;
        let bytes = transaction.add.iter().map(|meta| meta.bytes()).sum();
        match log.commit(transaction).await {
            Ok(position) => {
                self.committed(job, progress.not_stored_at, position);
                let took = self.environment.clock.since_boot().saturating_sub(started);
                self.metrics.flushed(took.as_secs_f64(), bytes);
                Ok(true)
            }
            Err(error) => {
                // Only where nobody knows what became of the commit may the same block be tried again.
                if !matches!(error, CommitError::Unknown(_)) {
                    progress.written = None;
                }
                Err(error.into())
            }
        }
    }

    /// Writes the head's block, unless an attempt before has.
    async fn transaction(
        &self,
        job: &Job,
        head: &CutHead,
        progress: &mut Progress,
    ) -> Result<Transaction, FlushError> {
        if progress.written.is_none() && head.snapshot.spans() > 0 {
            let began = self.environment.clock.since_boot();
            let options = BlockOptions {
                maybe_duplicates: head.maybe_duplicates,
                ..BlockOptions::of_head(self.environment.new_ulid())
            };
            let meta = write::block(
                &self.environment,
                &self.store,
                &job.tenant,
                &head.snapshot,
                options,
            )
            .await?;
            progress.written = Some((meta, began));
        }
        Ok(Transaction {
            add: progress
                .written
                .iter()
                .map(|(meta, _)| Arc::clone(meta))
                .collect(),
            covers: head.records.as_covers(),
            uploaded_since: progress.written.as_ref().map(|(_, began)| *began),
            ..Transaction::default()
        })
    }

    fn committed(&self, job: &Job, after: u64, by: u64) {
        self.heads.committed(job, Committed { after, by });
    }

    /// A head of some records, read from the WAL.
    async fn rebuilt(
        &self,
        job: &Job,
        records: Records,
        maybe_duplicates: bool,
    ) -> Result<CutHead, FlushError> {
        let mut payloads = Vec::new();
        for (stream, ranges) in records.iter() {
            payloads.extend(self.wal.read_again(stream, &job.tenant, ranges).await?);
        }
        let (settings, now) = (
            self.heads.settings_of(&job.tenant),
            self.environment.clock.unix_nanos(),
        );
        let head = self.environment.run_cpu("ingester rebuild", move || {
            let mut head = Head::new(settings);
            for record in payloads {
                // One that is malformed was reported when it came.
                let _ = head.append(&record.payload, now);
            }
            head
        });
        let mut head = head.await?;
        Ok(CutHead {
            bytes: head.bytes() as u64,
            snapshot: head.snapshot(),
            records,
            maybe_duplicates,
        })
    }

    /// Removes the segments of the WAL of which all is stored. L4: only what a confirmed commit covers is marked so.
    pub(super) async fn truncate(&self) {
        let _one_at_a_time = self.truncating.lock().await;
        let stored = |stream, tenant: &_, range| self.heads.is_stored(stream, tenant, range);
        if let Err(error) = self.wal.truncate(stored).await {
            tracing::warn!(%error, "segments of the write-ahead log stay longer than needed");
        }
        self.metrics.wal_bytes(self.wal.bytes());
    }
}
