//! What can go wrong with a WAL, and whether trying again helps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MAX_PAYLOAD_BYTES;

/// A WAL that could not do what it was asked. Clones share the cause: all appends of a batch get the same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WalError {
    /// No space left; nothing of the batch was kept. Retry when there is space again.
    #[error("append to {}: the disk is full; free space or give the volume more, then retry", path.display())]
    DiskFull {
        /// The segment.
        path: PathBuf,
    },
    /// The WAL holds as much as it may. Retry when blocks were committed.
    #[error("the write-ahead log holds {bytes} of at most {max} bytes; retry when blocks were committed")]
    LimitReached {
        /// Bytes on disk and queued.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A payload beyond [`MAX_PAYLOAD_BYTES`]. Never retried.
    #[error("a payload of {bytes} bytes is more than a record can have ({MAX_PAYLOAD_BYTES})")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The disk answered with an error. Nothing of the batch counts as written; a retry goes to a new segment.
    #[error("{operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// A segment of a later version. Nothing was touched.
    #[error("{} is of WAL version {version}, which this release cannot read; start the release that wrote it, let it flush, then change over", path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// Another process writes to the same folder. Nothing was touched.
    #[error("another process has the write-ahead log in {} open; stop it, or give this one a folder of its own", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The file that names the disk does not. Nothing was touched: with another name, the records in the folder would
    /// not be taken for this disk's.
    #[error("{} does not hold the id of this disk (a ULID); put it back, or move the folder away to start with an empty one", path.display())]
    NoReplica {
        /// The file.
        path: PathBuf,
    },
    /// The WAL has stopped: the process is ending, or the sink panicked.
    #[error("the write-ahead log is closed")]
    Closed,
}

impl WalError {
    /// Whether the same append may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::DiskFull { .. } | Self::LimitReached { .. } | Self::Io { .. }
        )
    }

    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) {
                Self::DiskFull {
                    path: path.to_owned(),
                }
            } else {
                Self::Io {
                    operation,
                    path: path.to_owned(),
                    source: Arc::new(source),
                }
            }
        }
    }
}
