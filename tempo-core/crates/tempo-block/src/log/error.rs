//! What can go wrong with a log.

use super::entry::Unreadable;

/// A log that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed. Trying again may help.
    #[error("{operation} {object}: {source}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// On which object.
        object: String,
        /// The cause.
        source: object_store::Error,
    },
    /// An entry or a checkpoint that cannot be understood. Trying again does not help.
    #[error("read {object}: {reason}")]
    Unreadable {
        /// The object.
        object: String,
        /// Why, and what to do.
        reason: Unreadable,
    },
    /// Another process spoke of a position that is not in the store: it uses another bucket or prefix.
    #[error(
        "{folder} ends at {reached} but a peer speaks of {position}; check that all components use the same bucket and prefix"
    )]
    NotThere {
        /// The log.
        folder: String,
        /// What the peer spoke of.
        position: u64,
        /// Where the log ends.
        reached: u64,
    },
    /// The log changed under the reader time and again.
    #[error(
        "open {folder}: its checkpoints vanish while they are read; is a lifecycle rule of the bucket deleting them?"
    )]
    Unstable {
        /// The log.
        folder: String,
    },
    /// The process is ending.
    #[error("{0}")]
    Task(#[from] tempo_runtime::TaskFailed),
}

/// A change that is not known to be committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<R: std::error::Error + 'static> {
    /// The log says something that the change contradicts; it was not committed.
    #[error("commit refused: {0}")]
    Refused(R),
    /// A file of a block that was to be added is not in the store; it was not committed.
    #[error("commit refused: {file} is not in the store; write the block anew")]
    FileMissing {
        /// The file.
        file: String,
    },
    /// The block's meta is too large for the log; it was not committed.
    #[error(
        "commit refused: the meta of block {block} takes {bytes} bytes, more than {}",
        crate::meta::MAX_META_BYTES
    )]
    MetaTooLarge {
        /// The block.
        block: ulid::Ulid,
        /// The length of its meta.
        bytes: usize,
    },
    /// The upload began more than 12 h ago; it was not committed.
    #[error("commit refused: the upload of its blocks began more than 12 hours ago; write them anew")]
    UploadTooOld,
    /// Whether it was committed is not known: the log answers that when the store does again. Committing the same
    /// records once more is safe, as what is covered is refused.
    #[error("commit: {0}")]
    Unknown(#[from] LogError),
}
