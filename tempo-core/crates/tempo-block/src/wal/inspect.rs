//! Looking at a WAL from outside, whether a process has it open or not. Nothing is changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempo_model::TenantId;
use tempo_runtime::FileSystem;
use ulid::Ulid;

use super::WalError;
use super::index::find_segments;
use super::record::Record;
use super::replay::{Damage, read_segment};

/// A segment, as it is on the disk.
#[derive(Debug, Clone)]
pub struct InspectedSegment {
    /// The file.
    pub path: PathBuf,
    /// The epoch that wrote it.
    pub epoch: Ulid,
    /// Its length.
    pub bytes: u64,
    /// The records in it, by tenant.
    pub tenants: BTreeMap<TenantId, InspectedRecords>,
    /// What of it is no record.
    pub damage: Vec<Damage>,
}

/// The records of a tenant in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InspectedRecords {
    /// How many.
    pub count: u64,
    /// The lowest number.
    pub first: u64,
    /// The highest number.
    pub last: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
}

/// Reads the segments in `dir` one after the other, oldest epoch first. A segment that is removed meanwhile is left out.
pub fn inspect(files: &dyn FileSystem, dir: &Path) -> Result<Vec<InspectedSegment>, WalError> {
    let mut inspected = Vec::new();
    for segment in find_segments(files, dir)? {
        let path = segment.id.path(dir);
        let bytes = match files.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(WalError::io("read", &path)(error)),
        };
        let (replayed, _) = read_segment(&segment, path.clone(), &bytes);
        inspected.push(InspectedSegment {
            path,
            epoch: replayed.epoch,
            bytes: bytes.len() as u64,
            tenants: by_tenant(&replayed.records),
            damage: replayed.damage,
        });
    }
    Ok(inspected)
}

fn by_tenant(records: &[Record]) -> BTreeMap<TenantId, InspectedRecords> {
    let mut tenants = BTreeMap::new();
    for record in records {
        let held = tenants.entry(record.tenant.clone()).or_insert(InspectedRecords {
            count: 0,
            first: record.number,
            last: record.number,
            payload_bytes: 0,
        });
        held.count += 1;
        held.last = record.number;
        held.payload_bytes += record.payload.len() as u64;
    }
    tenants
}
