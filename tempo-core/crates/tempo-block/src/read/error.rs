//! Why a block could not be read.

use std::sync::Arc;

use object_store::path::Path;
use tempo_runtime::TaskFailed;
use tempo_traceql::columns::FetchError;
use ulid::Ulid;

use crate::catalogue::CatalogueError;
use crate::schema::{MetadataError, ValueError};
use crate::store::StoreError;

/// A block could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file of it is not there: the block was removed since the log was read. Read the log again.
    #[error("read {file}: it is gone; its block was compacted or removed since the log was read")]
    Gone {
        /// The file.
        file: Path,
    },
    /// The store did not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes are not what was written.
    #[error("read {file} at byte {offset}: {problem}; the file is damaged")]
    Damaged {
        /// The file.
        file: Path,
        /// Where what could not be read starts.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// The metadata at the end of a file cannot be used.
    #[error("read the metadata of {file}: {source}")]
    Metadata {
        /// The file.
        file: Path,
        /// Why.
        source: MetadataError,
    },
    /// The catalogue cannot be used.
    #[error("read {file}: {source}")]
    Catalogue {
        /// The file.
        file: Path,
        /// Why.
        source: CatalogueError,
    },
    /// An attribute in a list cannot be read.
    #[error("read attributes of {file}: {source}; the file is damaged")]
    Value {
        /// The file.
        file: Path,
        /// Why.
        source: ValueError,
    },
    /// The block is of a format that no reader here knows.
    #[error("block {block} has format {found}, which this version does not read: upgrade tempo")]
    Format {
        /// The block.
        block: Ulid,
        /// Its format.
        found: u16,
    },
    /// A part of a head or a block could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The work ended without an answer.
    #[error(transparent)]
    Task(#[from] TaskFailed),
    /// Somebody else read the same at the same time, and failed.
    #[error(transparent)]
    Shared(Arc<Self>),
}

impl ReadError {
    /// Explains what the store answered when `file` was read.
    pub(crate) fn of_store(file: &Path, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::Gone { file: file.clone() },
            other => StoreError::explain("read", file, other).into(),
        }
    }

    /// Something that cannot be decoded.
    pub(crate) fn damaged(file: &Path, offset: u64, problem: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.clone(),
            offset,
            problem: problem.into(),
        }
    }

    /// Whether a file was gone: the log, read again, says what took the block's place.
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Gone { .. } => true,
            Self::Shared(other) => other.is_gone(),
            Self::Fetch(error) => error.source.downcast_ref::<Self>().is_some_and(Self::is_gone),
            _ => false,
        }
    }
}
