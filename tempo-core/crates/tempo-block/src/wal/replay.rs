//! What older epochs left in the WAL, one segment in memory at a time.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tempo_model::TenantId;
use tempo_runtime::FileSystem;
use ulid::Ulid;

use super::index::{ClosedSegment, FoundSegment, Held, find_segments, rename_away};
use super::record::Record;
use super::scan::{Scan, scan};
use super::{Wal, WalError};
use crate::ranges::Ranges;

/// Bytes of a segment that should be records and are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// Where it starts.
    pub offset: u64,
    /// How long it is; 0 where the segment should be longer than it is.
    pub length: u64,
}

/// A segment that was read.
#[derive(Debug)]
pub struct Replayed {
    /// The stream's epoch.
    pub epoch: Ulid,
    /// Its records in the order in which they were acknowledged; those of committed ranges are among them.
    pub records: Vec<Record>,
    /// What could not be read. The segment is kept as `*.damaged` when its records are committed.
    pub damage: Vec<Damage>,
}

/// Gives out the records of older epochs. Dropping it early loses nothing: they stay for the next start.
#[derive(Debug)]
pub struct Replay {
    wal: Wal,
    segments: VecDeque<FoundSegment>,
}

impl Replay {
    pub(super) fn new(wal: Wal, segments: Vec<FoundSegment>) -> Self {
        wal.index.lock().expect_older(&segments);
        Self {
            wal,
            segments: segments.into(),
        }
    }

    /// The epochs that are still to be read, oldest first.
    pub fn epochs(&self) -> Vec<Ulid> {
        let epochs: BTreeSet<Ulid> = self.segments.iter().map(|segment| segment.id.epoch).collect();
        epochs.into_iter().collect()
    }

    /// Sets an epoch aside: its segments are renamed and not replayed. For epochs that the log of streams does not
    /// know: their records were never acknowledged, or were given up.
    pub async fn set_aside(&mut self, epoch: Ulid) -> Result<(), WalError> {
        let (doomed, rest): (VecDeque<_>, VecDeque<_>) = self
            .segments
            .drain(..)
            .partition(|segment| segment.id.epoch == epoch);
        self.segments = rest;
        for segment in doomed {
            let (files, dir, id) = (self.files(), Arc::clone(&self.wal.dir), segment.id);
            let renamed = self.wal.env.run_cpu("wal set aside", move || {
                rename_away(&*files, &dir, id, "wal.aside")
            });
            renamed.await.map_err(|_| WalError::Closed)??;
            self.wal.index.lock().set_aside(&segment);
        }
        Ok(())
    }

    /// Reads the next segment; `None` when all were read.
    pub async fn next(&mut self) -> Result<Option<Replayed>, WalError> {
        let Some(segment) = self.segments.front().cloned() else {
            return Ok(None);
        };
        let (files, path) = (self.files(), segment.id.path(&self.wal.dir));
        let read = self.wal.env.run_cpu("wal replay", move || {
            let bytes = files.read(&path).map_err(WalError::io("read", &path))?;
            Ok(read_segment(&segment, path, &bytes))
        });
        let (replayed, closed) = read.await.map_err(|_| WalError::Closed)??;
        for Damage { path, offset, length } in &replayed.damage {
            tracing::error!(file = %path.display(), offset, length, "write-ahead log segment is damaged; reading on behind it");
        }
        self.segments.pop_front();
        self.wal.index.lock().close(closed);
        Ok(Some(replayed))
    }

    fn files(&self) -> Arc<dyn FileSystem> {
        Arc::clone(&self.wal.env.files)
    }
}

impl Wal {
    /// Reads records of a tenant's stream once more: for a block that has to be made anew because others have stored a
    /// part of what it was made from. Records in truncated segments are not found.
    pub async fn read_again(
        &self,
        epoch: Ulid,
        tenant: &TenantId,
        wanted: &Ranges,
    ) -> Result<Vec<Record>, WalError> {
        let (files, dir) = (Arc::clone(&self.env.files), Arc::clone(&self.dir));
        let (tenant, wanted) = (tenant.clone(), wanted.clone());
        let read = self.env.run_cpu("wal read again", move || {
            let mut found = Vec::new();
            for segment in find_segments(&*files, &dir)? {
                if segment.id.epoch == epoch {
                    let path = segment.id.path(&dir);
                    let bytes = files.read(&path).map_err(WalError::io("read", &path))?;
                    let (replayed, _) = read_segment(&segment, path, &bytes);
                    found.extend(
                        replayed
                            .records
                            .into_iter()
                            .filter(|record| record.tenant == tenant && wanted.contains(record.number)),
                    );
                }
            }
            Ok(found)
        });
        read.await.map_err(|_| WalError::Closed)?
    }
}

pub(super) fn read_segment(
    segment: &FoundSegment,
    path: PathBuf,
    bytes: &Bytes,
) -> (Replayed, ClosedSegment) {
    let good_length = segment.good_length.map_or(bytes.len(), |length| length as usize);
    let good = bytes.slice(..good_length.min(bytes.len()));
    let mut scan = scan(segment.id.epoch, &good);
    if segment.last
        && let Some(tail) = scan.torn_tail(good.len())
    {
        tracing::info!(file = %path.display(), offset = tail.offset, length = tail.length, "left out a record that was being written when the process ended");
    }
    let Scan { records, gaps } = scan;
    let mut damage: Vec<Damage> = gaps
        .into_iter()
        .map(|gap| Damage {
            path: path.clone(),
            offset: gap.offset as u64,
            length: gap.length as u64,
        })
        .collect();
    if good_length > bytes.len() {
        damage.push(Damage {
            path,
            offset: bytes.len() as u64,
            length: 0,
        });
    }
    let mut held = Held::default();
    for record in &records {
        held.add(record);
    }
    let closed = ClosedSegment {
        id: segment.id,
        bytes: segment.bytes,
        damaged: !damage.is_empty(),
        held,
    };
    (
        Replayed {
            epoch: segment.id.epoch,
            records,
            damage,
        },
        closed,
    )
}
