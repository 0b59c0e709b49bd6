//! What an ingester does before it takes anything in: it makes blocks of what earlier processes left in the WAL, ends
//! their streams, and opens its own.
//!
//! All of the older records are in blocks before the first push: memory is bounded by the limits of heads, queries find
//! them where they find everything, and only one stream of this disk is ever open.

use std::collections::BTreeMap;
use std::sync::Arc;

use tempo_block::log::{
    Blocks, CommitError, LogError, Replica, Snapshot, StreamChange, StreamLog, StreamRefusal, StreamState,
};
use tempo_block::wal::{Record, RecordSink, Replay, Replayed, WalError};
use tempo_model::TenantId;
use tempo_runtime::TaskFailed;
use ulid::Ulid;

use super::Shared;
use super::seen::Fingerprint;
use crate::rpc::messages::PushResponse;

/// An ingester that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The WAL cannot be used.
    #[error("storage.trace.wal.path: {0}")]
    Wal(#[from] WalError),
    /// The commit log of a tenant or the log of streams cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log of streams did not take an entry.
    #[error("log of streams: {0}")]
    Stream(#[from] CommitError<StreamRefusal>),
    /// The process is ending.
    #[error(transparent)]
    Task(#[from] TaskFailed),
}

type Known = BTreeMap<TenantId, Arc<Snapshot<Blocks>>>;

impl Shared {
    /// Makes blocks of what the WAL holds and ends the streams that it belongs to.
    pub(super) async fn replay(
        self: &Arc<Self>,
        streams: &StreamLog,
        mut replay: Replay,
    ) -> Result<(), StartError> {
        let snapshot = streams.snapshot();
        for epoch in replay.epochs() {
            let state = snapshot.state.get(epoch).map(|stream| &stream.state);
            if matches!(state, None | Some(StreamState::Lost)) {
                tracing::warn!(%epoch, "the log of streams does not know an epoch of the WAL, or has given it up; its segments are set aside");
                replay.set_aside(epoch).await?;
            }
        }
        let mut known = Known::new();
        while let Some(Replayed { records, .. }) = replay.next().await? {
            self.take_up(records, &mut known).await?;
            self.heads.wait_for_room().await;
        }
        let last = self.heads.cut_all();
        self.heads.wait_committed(last).await;
        self.truncate().await;
        self.end_earlier_streams(streams).await
    }

    /// Takes the records into heads that no block holds.
    async fn take_up(self: &Arc<Self>, records: Vec<Record>, known: &mut Known) -> Result<(), StartError> {
        let mut fresh = Vec::new();
        for record in records {
            if !known.contains_key(&record.tenant) {
                let log = self.logs.get(&record.tenant).await?;
                log.follow().await?;
                known.insert(record.tenant.clone(), log.snapshot());
            }
            let is_stored = known
                .get(&record.tenant)
                .is_some_and(|log| log.state.is_covered(record.epoch, record.number));
            self.remember(&record);
            if is_stored {
                self.heads.mark_stored(&record);
            } else {
                fresh.push(record);
            }
        }
        let count = fresh.len();
        let this = Arc::clone(self);
        self.environment
            .run_cpu("ingester replay", move || this.heads.apply(&fresh))
            .await?;
        tracing::info!(records = count, "replayed a segment of the WAL");
        Ok(())
    }

    /// A client that never heard an answer may send the same again.
    fn remember(&self, record: &Record) {
        let fingerprint = Fingerprint {
            hash: record.hash,
            bytes: record.payload.len(),
        };
        let now = self.environment.clock.since_boot();
        self.seen
            .lock()
            .stored(fingerprint, now, &PushResponse::default());
    }

    /// Closes and finishes the streams of this disk that earlier processes opened: all of their records are in blocks.
    async fn end_earlier_streams(&self, streams: &StreamLog) -> Result<(), StartError> {
        let (disk, snapshot) = (self.wal.replica(), streams.snapshot());
        let is_ours = |replicas: &[Replica]| replicas.first().is_some_and(|replica| replica.disk == disk);
        let earlier = snapshot
            .state
            .iter()
            .filter(|(_, stream)| is_ours(&stream.replicas));
        for (epoch, stream) in earlier {
            if stream.state == StreamState::Open {
                self.end(streams, StreamChange::close(epoch, self.heads.ends(epoch)))
                    .await?;
            }
            self.end(streams, StreamChange::Finish { epoch }).await?;
        }
        Ok(())
    }

    /// Commits the end of a stream; one that has come further already is fine.
    pub(super) async fn end(&self, streams: &StreamLog, change: StreamChange) -> Result<(), StartError> {
        match streams.commit(change).await {
            Ok(_) | Err(CommitError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens this process's own stream: nothing is acknowledged before.
    pub(super) async fn open_stream(&self, streams: &StreamLog) -> Result<Ulid, StartError> {
        let epoch = self.wal.epoch();
        let replicas = vec![Replica {
            disk: self.wal.replica(),
            address: self.settings.address.clone(),
        }];
        streams.commit(StreamChange::Open { epoch, replicas }).await?;
        Ok(epoch)
    }
}
