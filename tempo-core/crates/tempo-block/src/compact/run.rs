//! Executing a compaction job.

use std::collections::BTreeSet;
use std::sync::Arc;

use tempo_model::{TenantId, TraceId};
use ulid::Ulid;

use super::Job;
use crate::meta::BlockMeta;
use crate::read::{ReadError, Reader};
use crate::write::WriteError;

/// A job could not be done. Its inputs are as they were.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// An input could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the output of a job as block `output`; `None` when nothing is left of the inputs. The spans of the traces in
/// `without` are left out, which takes a full merge. The caller commits: add the output, remove the inputs.
pub async fn run(
    _reader: &Reader,
    _tenant: &TenantId,
    _job: &Job,
    _output: Ulid,
    _without: &BTreeSet<TraceId>,
) -> Result<Option<Arc<BlockMeta>>, CompactError> {
    unimplemented!()
}
