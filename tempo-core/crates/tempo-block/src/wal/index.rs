//! What lies in the WAL's folder: names, lengths, and which record numbers each closed segment holds.
//!
//! ```text
//! replica                           the ULID of this disk
//! lock                              locked by the process that writes here
//! <epoch>-<10 digits>.wal           a segment
//! <epoch>-<10 digits>.wal.damaged   one that had damage, kept for a look after its records were committed
//! <epoch>-<10 digits>.wal.aside     one of an epoch that the log of streams does not know; never replayed
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempo_model::TenantId;
use tempo_runtime::{FileLock, FileSystem};
use ulid::Ulid;

use super::WalError;
use super::record::{Record, SEGMENT_HEADER_BYTES, SegmentHeader, WAL_VERSION};
use crate::ranges::Ranges;

/// Names a segment of this WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SegmentId {
    pub(super) epoch: Ulid,
    pub(super) number: u32,
}

impl SegmentId {
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}-{:010}.wal", self.epoch, self.number))
    }

    fn parse(path: &Path) -> Option<Self> {
        let (epoch, number) = path
            .file_name()?
            .to_str()?
            .strip_suffix(".wal")?
            .split_once('-')?;
        Some(Self {
            epoch: epoch.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// A segment that an older epoch left.
#[derive(Debug, Clone)]
pub(super) struct FoundSegment {
    pub(super) id: SegmentId,
    pub(super) bytes: u64,
    /// How much of it was acknowledged, as the segment after it says.
    pub(super) good_length: Option<u64>,
    /// Whether the epoch has no segment after it.
    pub(super) last: bool,
}

/// Lists the segments in `dir`, oldest epoch first. A later version is an error: skipping it would lose records.
pub(super) fn find_segments(files: &dyn FileSystem, dir: &Path) -> Result<Vec<FoundSegment>, WalError> {
    let listed = files.list(dir).map_err(WalError::io("list", dir))?;
    let mut ids: Vec<SegmentId> = listed.iter().filter_map(|path| SegmentId::parse(path)).collect();
    ids.sort_unstable();
    let mut found: Vec<FoundSegment> = Vec::with_capacity(ids.len());
    for id in ids {
        let path = id.path(dir);
        let bytes = files.len(&path).map_err(WalError::io("measure", &path))?;
        let head = files
            .read_at(&path, 0, SEGMENT_HEADER_BYTES)
            .map_err(WalError::io("read", &path))?;
        let header = SegmentHeader::decode(&head);
        if let Some(SegmentHeader { version, .. }) = header.filter(|header| header.version != WAL_VERSION) {
            return Err(WalError::Version { path, version });
        }
        if let Some(before) = found.last_mut().filter(|before| before.id.epoch == id.epoch) {
            before.last = false;
            before.good_length = header.map(|header| header.previous_length);
        }
        found.push(FoundSegment {
            id,
            bytes,
            good_length: None,
            last: true,
        });
    }
    Ok(found)
}

/// Makes the folder if need be and keeps other processes out of it.
pub(super) fn lock(files: &dyn FileSystem, dir: &Path) -> Result<Box<dyn FileLock>, WalError> {
    files.create_dir_all(dir).map_err(WalError::io("make", dir))?;
    let path = dir.join("lock");
    files.lock(&path).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => WalError::InUse { dir: dir.to_owned() },
        _ => WalError::io("lock", &path)(error),
    })
}

/// Reads the name of this disk, or gives it the name `fresh` if it has none yet.
pub(super) fn replica_id(files: &dyn FileSystem, dir: &Path, fresh: Ulid) -> Result<Ulid, WalError> {
    let path = dir.join("replica");
    match files.read(&path) {
        Ok(text) => {
            let known = std::str::from_utf8(&text)
                .ok()
                .and_then(|text| text.trim().parse().ok());
            known.ok_or(WalError::NoReplica { path })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            mint_replica_id(files, dir, &path, fresh).map_err(WalError::io("write", &path))
        }
        Err(error) => Err(WalError::io("read", &path)(error)),
    }
}

fn mint_replica_id(files: &dyn FileSystem, dir: &Path, path: &Path, fresh: Ulid) -> io::Result<Ulid> {
    let draft = dir.join("replica.new");
    let mut file = files.open_append(&draft)?;
    file.truncate(0)?;
    file.append(fresh.to_string().as_bytes())?;
    file.sync()?;
    files.rename(&draft, path)?;
    files.sync_dir(dir)?;
    if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
        files.sync_dir(above)?;
    }
    Ok(fresh)
}

/// A closed segment.
#[derive(Debug, Clone)]
pub(super) struct ClosedSegment {
    pub(super) id: SegmentId,
    pub(super) bytes: u64,
    pub(super) damaged: bool,
    pub(super) held: Held,
}

/// The record numbers that a segment holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(HashMap<TenantId, Ranges>);

impl Held {
    pub(super) fn add(&mut self, record: &Record) {
        if let Some(ranges) = self.0.get_mut(&record.tenant) {
            ranges.insert(record.number..record.number + 1);
        } else {
            self.0
                .insert(record.tenant.clone(), (record.number..record.number + 1).into());
        }
    }

    fn ranges(&self) -> impl Iterator<Item = (&TenantId, Range<u64>)> {
        self.0
            .iter()
            .flat_map(|(tenant, ranges)| ranges.iter().map(move |range| (tenant, range)))
    }
}

/// The closed segments and the bytes of all.
#[derive(Debug)]
pub(super) struct Index {
    closed: BTreeMap<SegmentId, ClosedSegment>,
    /// Segments of older epochs that were found and not closed yet: not replayed.
    unread: HashMap<Ulid, usize>,
    /// Epochs that may be reported as finished.
    older: BTreeSet<Ulid>,
    bytes: u64,
    max_bytes: u64,
}

impl Index {
    pub(super) fn new(max_bytes: u64, bytes: u64) -> Self {
        Self {
            closed: BTreeMap::new(),
            unread: HashMap::new(),
            older: BTreeSet::new(),
            bytes,
            max_bytes,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), WalError> {
        let wanted = self.bytes.saturating_add(bytes);
        if wanted > self.max_bytes {
            return Err(WalError::LimitReached {
                bytes: self.bytes,
                max: self.max_bytes,
            });
        }
        self.bytes = wanted;
        Ok(())
    }

    pub(super) fn release(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Counts bytes that no append asked for: segment headers.
    pub(super) fn count(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(super) fn expect_older(&mut self, segments: &[FoundSegment]) {
        for segment in segments {
            *self.unread.entry(segment.id.epoch).or_default() += 1;
            self.older.insert(segment.id.epoch);
        }
    }

    pub(super) fn close(&mut self, segment: ClosedSegment) {
        self.mark_read(segment.id.epoch);
        self.closed.insert(segment.id, segment);
    }

    /// An older segment that is out of the way without having been replayed.
    pub(super) fn set_aside(&mut self, segment: &FoundSegment) {
        self.mark_read(segment.id.epoch);
        self.release(segment.bytes);
        self.older.remove(&segment.id.epoch);
    }

    fn mark_read(&mut self, epoch: Ulid) {
        if let Some(unread) = self.unread.get_mut(&epoch) {
            *unread = unread.saturating_sub(1);
        }
    }

    pub(super) fn covered(
        &self,
        covered: impl Fn(Ulid, &TenantId, Range<u64>) -> bool,
    ) -> Vec<ClosedSegment> {
        let all_covered = |segment: &&ClosedSegment| {
            segment
                .held
                .ranges()
                .all(|(tenant, range)| covered(segment.id.epoch, tenant, range))
        };
        self.closed.values().filter(all_covered).cloned().collect()
    }

    pub(super) fn forget(&mut self, segment: &ClosedSegment) {
        if self.closed.remove(&segment.id).is_some() {
            self.release(segment.bytes);
        }
    }

    /// The older epochs of which no segment is left, each reported once.
    pub(super) fn take_finished(&mut self, current: Ulid) -> Vec<Ulid> {
        let left: BTreeSet<Ulid> = self.closed.keys().map(|id| id.epoch).collect();
        let unread = |epoch: &Ulid| self.unread.get(epoch).is_some_and(|count| *count > 0);
        let finished: Vec<Ulid> = self
            .older
            .iter()
            .filter(|epoch| **epoch != current && !left.contains(epoch) && !unread(epoch))
            .copied()
            .collect();
        self.older.retain(|epoch| !finished.contains(epoch));
        finished
    }
}

/// Takes a closed segment out of the log's way.
pub(super) fn discard(files: &dyn FileSystem, dir: &Path, segment: &ClosedSegment) -> Result<(), WalError> {
    let path = segment.id.path(dir);
    if segment.damaged {
        return rename_away(files, dir, segment.id, "wal.damaged");
    }
    files.remove_file(&path).map_err(WalError::io("remove", &path))?;
    files.sync_dir(dir).map_err(WalError::io("sync", dir))
}

pub(super) fn rename_away(
    files: &dyn FileSystem,
    dir: &Path,
    id: SegmentId,
    extension: &str,
) -> Result<(), WalError> {
    let path = id.path(dir);
    files
        .rename(&path, &path.with_extension(extension))
        .and_then(|()| files.sync_dir(dir))
        .map_err(WalError::io("rename", &path))
}
