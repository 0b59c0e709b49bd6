//! The segment that is being written, and what becomes of it when the disk refuses.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tempo_model::TenantId;
use tempo_runtime::{File, FileSystem};
use ulid::Ulid;

use super::index::{ClosedSegment, Held, Index, SegmentId};
use super::record::{Record, SEGMENT_HEADER_BYTES, SegmentHeader, WAL_VERSION, encode};
use super::{Durability, Settings, WalError};

/// Encoded records are handed to the file in pieces of about this size.
const WRITE_BYTES: usize = 1 << 20;

/// Writes the segments of one epoch, one after the other.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    files: Arc<dyn FileSystem>,
    dir: PathBuf,
    settings: Settings,
    epoch: Ulid,
    index: Arc<Mutex<Index>>,
    /// The next number of each tenant.
    next: HashMap<TenantId, u64>,
    open: Option<OpenSegment>,
    next_segment: u32,
    /// Good length of the segment before the one to open next.
    previous_length: u64,
}

#[derive(Debug)]
struct OpenSegment {
    id: SegmentId,
    path: PathBuf,
    file: Box<dyn File>,
    /// Everything up to here was written whole, and synced if the settings say so.
    good_length: u64,
    held: Held,
}

impl SegmentWriter {
    pub(super) fn new(
        files: Arc<dyn FileSystem>,
        dir: PathBuf,
        epoch: Ulid,
        settings: Settings,
        index: Arc<Mutex<Index>>,
    ) -> Self {
        Self {
            files,
            dir,
            settings,
            epoch,
            index,
            next: HashMap::new(),
            open: None,
            next_segment: 0,
            previous_length: 0,
        }
    }

    /// Numbers and writes the records, all or none. On an error the file ends where it ended before.
    pub(super) fn write(&mut self, mut records: Vec<Record>) -> Result<Vec<Record>, WalError> {
        if records.is_empty() {
            return Ok(records);
        }
        self.close_if(|segment, settings| segment.good_length >= settings.segment_bytes)?;
        let next = self.number(&mut records);
        let durability = self.settings.durability;
        let mut segment = match self.open.take() {
            Some(segment) => segment,
            None => self.create()?,
        };
        match segment.append(&records, durability) {
            Ok(()) => {
                for record in &records {
                    segment.held.add(record);
                }
                self.next.extend(next);
                self.open = Some(segment);
                Ok(records)
            }
            Err(failure) => {
                self.recover(segment, failure.usable);
                Err(failure.error)
            }
        }
    }

    /// Gives each record the next number of its tenant; the tenants' next numbers count once all is written.
    fn number(&self, records: &mut [Record]) -> HashMap<TenantId, u64> {
        let mut next: HashMap<TenantId, u64> = HashMap::new();
        for record in records {
            let number = next
                .entry(record.tenant.clone())
                .or_insert_with(|| self.next.get(&record.tenant).copied().unwrap_or_default());
            record.number = *number;
            *number += 1;
        }
        next
    }

    /// After a failed write: cut the file back and go on with it, or leave it and open another next time. The next
    /// segment's header says how much of this one is good, so what is left at its end is never replayed.
    fn recover(&mut self, mut segment: OpenSegment, usable: bool) {
        let cut = segment.file.truncate(segment.good_length).is_ok();
        if usable && cut {
            self.open = Some(segment);
        } else {
            self.close(segment);
        }
    }

    /// Closes the segment that is being written, if there is one: the next record opens another.
    pub(super) fn close_open(&mut self) -> Result<(), WalError> {
        self.close_if(|_, _| true)
    }

    fn close_if(&mut self, due: impl Fn(&OpenSegment, &Settings) -> bool) -> Result<(), WalError> {
        let Some(mut segment) = self.open.take_if(|segment| due(segment, &self.settings)) else {
            return Ok(());
        };
        // Only the last segment of an epoch may have a torn end, hence the sync even where appends are not synced.
        if let Err(error) = segment.file.sync() {
            let error = WalError::io("sync", &segment.path)(error);
            self.open = Some(segment);
            return Err(error);
        }
        self.close(segment);
        Ok(())
    }

    fn close(&mut self, segment: OpenSegment) {
        let OpenSegment {
            id,
            good_length,
            held,
            ..
        } = segment;
        self.previous_length = good_length;
        self.index.lock().close(ClosedSegment {
            id,
            bytes: good_length,
            damaged: false,
            held,
        });
    }

    fn create(&mut self) -> Result<OpenSegment, WalError> {
        let id = SegmentId {
            epoch: self.epoch,
            number: self.next_segment,
        };
        let path = id.path(&self.dir);
        let header = SegmentHeader {
            version: WAL_VERSION,
            epoch: self.epoch,
            segment: self.next_segment,
            previous_length: self.previous_length,
        };
        let open = || {
            let mut file = self.files.open_append(&path)?;
            // An attempt that failed may have left a part of the header.
            file.truncate(0)?;
            file.append(&header.encode())?;
            file.sync()?;
            self.files.sync_dir(&self.dir)?;
            Ok(file)
        };
        let file = open().map_err(WalError::io("open", &path))?;
        self.next_segment += 1;
        let good_length = SEGMENT_HEADER_BYTES as u64;
        self.index.lock().count(good_length);
        Ok(OpenSegment {
            id,
            path,
            file,
            good_length,
            held: Held::default(),
        })
    }
}

struct Failure {
    error: WalError,
    /// Whether the file can be written again once it is cut back: not after a failed sync, when nobody knows what of
    /// it is on the disk.
    usable: bool,
}

impl OpenSegment {
    fn append(&mut self, records: &[Record], durability: Durability) -> Result<(), Failure> {
        let mut length = self.good_length;
        let mut buffer = Vec::with_capacity(WRITE_BYTES.min(64 << 10));
        let mut records = records.iter().peekable();
        while let Some(record) = records.next() {
            encode(record, &mut buffer);
            if buffer.len() >= WRITE_BYTES || records.peek().is_none() {
                let written = self.file.append(&buffer);
                written.map_err(|error| Failure {
                    error: self.error("append to", error),
                    usable: true,
                })?;
                length += buffer.len() as u64;
                buffer.clear();
            }
        }
        if durability == Durability::Synced {
            let synced = self.file.sync();
            synced.map_err(|error| Failure {
                error: self.error("sync", error),
                usable: false,
            })?;
        }
        self.good_length = length;
        Ok(())
    }

    fn error(&self, operation: &'static str, error: std::io::Error) -> WalError {
        WalError::io(operation, &self.path)(error)
    }
}
