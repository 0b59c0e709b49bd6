//! The write-ahead log of an ingester: one physical log that carries the streams of all tenants.
//!
//! [`Wal::append`] completes when its record is on disk *and* has gone through the [`RecordSink`], so that a head is
//! always a prefix of the synced records, in the order of their numbers:
//!
//! ```text
//! append ─► queue ─► writer: write all that waits, one sync ─► applier: sink.apply(records) ─► answers
//! ```
//! One sync is under way at a time and whoever comes meanwhile shares the next one; nothing waits for a timer. While
//! the sink takes in one batch, the next is being written.
//!
//! Every [`Wal::open`] starts a new *epoch*; a stream is (epoch, tenant) and its records are numbered from 0. The
//! records of older epochs come out of [`Replay`]. Parts: `record` (bytes, pure), `scan` (bytes to records, pure),
//! `segment` (the file being written), `index` (what closed segments hold), `writer` (the two tasks), `replay`.
//!
//! Not here: replication, who is asked to append, what a head is, the commit log.

mod error;
mod index;
mod inspect;
mod record;
mod replay;
mod scan;
mod segment;
mod writer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tempo_model::TenantId;
use tempo_runtime::{Environment, FileLock};
use tokio::sync::{mpsc, oneshot};
use ulid::Ulid;

pub use error::WalError;
pub use inspect::{InspectedRecords, InspectedSegment, inspect};
pub use record::{Flags, Record, WAL_VERSION};
pub use replay::{Damage, Replay, Replayed};

use index::Index;
use writer::{Pending, Request};

/// The largest payload of one record, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 256 << 20;

/// How many appends wait for the writer before further ones wait for a place.
const QUEUE: usize = 1024;

/// When an append is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The record is on the disk: it survives a power cut.
    #[default]
    Synced,
    /// The record is with the operating system: it survives a killed process, not a power cut.
    Written,
}

/// How a WAL is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A segment file is closed once it is this long. Replay holds one segment in memory.
    pub segment_bytes: u64,
    /// When an append is done.
    pub durability: Durability,
    /// The most bytes on disk, of all epochs; appends beyond are refused until blocks are committed.
    pub max_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // Below 32 MiB, from where on the C library gives memory back at once: a replay then takes every page of every
            // segment anew from the kernel, which is a twentieth of its time.
            segment_bytes: 16 << 20,
            durability: Durability::Synced,
            max_bytes: 4 << 30,
        }
    }
}

/// Where a record was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The stream's epoch.
    pub epoch: Ulid,
    /// The record's number in the tenant's stream.
    pub number: u64,
}

/// Takes in what is on disk: the only way of a record into a head.
pub trait RecordSink: Send + Sync + 'static {
    /// Takes in records; called with each record once, a tenant's in the order of their numbers, never concurrently,
    /// on the CPU pool. Their senders are answered when it returns.
    fn apply(&self, records: &[Record]);
}

/// The write-ahead log. Cheap to clone; it closes when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Wal {
    epoch: Ulid,
    replica: Ulid,
    env: Environment,
    dir: Arc<PathBuf>,
    index: Arc<Mutex<Index>>,
    queue: mpsc::Sender<Request>,
    /// Keeps other processes out of the folder.
    _lock: Arc<dyn FileLock>,
}

impl Wal {
    /// Opens the WAL in `dir`, which is made if need be and belongs to one process at a time, and starts a new epoch.
    /// What older epochs left is in the [`Replay`]; new records may be appended before it is read.
    pub async fn open(
        env: &Environment,
        dir: &Path,
        settings: Settings,
        sink: Arc<dyn RecordSink>,
    ) -> Result<(Self, Replay), WalError> {
        let epoch = env.new_ulid();
        let (files, path, fresh) = (Arc::clone(&env.files), dir.to_owned(), env.new_ulid());
        let (lock, replica, found) = env
            .run_cpu("wal open", move || {
                let lock = index::lock(&*files, &path)?;
                let replica = index::replica_id(&*files, &path, fresh)?;
                Ok((lock, replica, index::find_segments(&*files, &path)?))
            })
            .await
            .map_err(|_| WalError::Closed)??;

        let on_disk = found.iter().map(|segment| segment.bytes).sum();
        let index = Arc::new(Mutex::new(Index::new(settings.max_bytes, on_disk)));
        let queue = writer::start(env, dir, epoch, settings, Arc::clone(&index), sink);
        let wal = Self {
            epoch,
            replica,
            env: env.clone(),
            dir: Arc::new(dir.to_owned()),
            index,
            queue,
            _lock: lock.into(),
        };
        Ok((wal.clone(), Replay::new(wal, found)))
    }

    /// The epoch that this process writes.
    pub fn epoch(&self) -> Ulid {
        self.epoch
    }

    /// The name of this disk, minted when the folder was made: an emptied disk is another replica.
    pub fn replica(&self) -> Ulid {
        self.replica
    }

    /// Bytes on disk and on their way there.
    pub fn bytes(&self) -> u64 {
        self.index.lock().bytes()
    }

    /// Appends a record. When the answer comes it is durable as the settings say and the sink has it.
    ///
    /// A caller that goes away does not undo it: the record may be written all the same.
    pub async fn append(
        &self,
        tenant: &TenantId,
        payload: Bytes,
        hash: u64,
        flags: Flags,
    ) -> Result<Appended, WalError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(WalError::TooLarge { bytes: payload.len() });
        }
        let bytes = record::encoded_length(tenant, &payload);
        self.index.lock().reserve(bytes)?;
        let (answer, answered) = oneshot::channel();
        let pending = Pending {
            tenant: tenant.clone(),
            payload,
            hash,
            flags,
            answer,
        };
        if self.queue.send(Request::Append(pending)).await.is_err() {
            self.index.lock().release(bytes);
            return Err(WalError::Closed);
        }
        answered.await.unwrap_or(Err(WalError::Closed))
    }

    /// Closes the segment that is being written, so that [`Wal::truncate`] may remove it: for an orderly end.
    pub async fn close_segment(&self) -> Result<(), WalError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.queue.send(Request::Close(answer)).await;
        sent.map_err(|_| WalError::Closed)?;
        answered.await.unwrap_or(Err(WalError::Closed))
    }

    /// Whether it has stopped for good: every append from now on is refused. That is so once the sink or a write has
    /// panicked; only a new process takes the folder up again.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Whether nothing is on disk.
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Removes closed segments of which `covered` says that each range of numbers they hold is in committed blocks.
    /// Damaged segments are not removed but set aside as `*.damaged`. Segments that [`Replay`] has not given out yet
    /// stay. Returns the older epochs of which nothing is left.
    pub async fn truncate(
        &self,
        covered: impl Fn(Ulid, &TenantId, Range<u64>) -> bool,
    ) -> Result<Vec<Ulid>, WalError> {
        let removable = self.index.lock().covered(covered);
        for segment in removable {
            let (files, dir, doomed) = (
                Arc::clone(&self.env.files),
                Arc::clone(&self.dir),
                segment.clone(),
            );
            self.env
                .run_cpu("wal truncate", move || index::discard(&*files, &dir, &doomed))
                .await
                .map_err(|_| WalError::Closed)??;
            self.index.lock().forget(&segment);
        }
        Ok(self.index.lock().take_finished(self.epoch))
    }
}
