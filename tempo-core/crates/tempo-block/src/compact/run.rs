//! Executing a compaction job.
//!
//! ```text
//! inputs ─┬─ copy: row groups as they are, with the columns of all inputs ──────────────────┬─► one block
//!         └─ merge: traces in order of time, in pieces ─ deduplicated ─ head ─ row groups ──┘
//! ```
//! Memory is bounded: copying holds one row group, merging one row group of an input and one piece. Of each trace a
//! merge keeps a few bytes besides.
//!
//! Not here: which blocks are put together (`policy`).

mod copy;
mod input;
mod merge;
mod pace;
mod pieces;

use std::collections::BTreeSet;
use std::sync::Arc;

use tempo_model::{TenantId, TraceId};
use ulid::Ulid;

pub use self::pace::Pace;

use self::input::{Input, fit_together};
use self::pace::Pacer;
use super::{Job, Method};
use crate::meta::BlockMeta;
use crate::read::{BlockCache, CacheSettings, ReadError, Reader};
use crate::schema::MAX_ROW_GROUP_ROWS;
use crate::write::{BlockOptions, BlockWriter, WriteError};

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

/// How a job is executed, besides what its policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Traces whose spans are left out, which takes a full merge.
    pub without: BTreeSet<TraceId>,
    /// How fast it goes.
    pub pace: Pace,
    /// Row groups that are damaged are left out, which takes a full merge: what can be read of a damaged block is saved.
    pub salvage: bool,
    /// What the spans that are merged at once may take in memory, about.
    pub piece_bytes: u64,
}

impl Default for Options {
    /// All traces, all row groups, at full pace, in pieces of 64 MiB.
    fn default() -> Self {
        Self {
            without: BTreeSet::new(),
            pace: Pace::default(),
            salvage: false,
            piece_bytes: 64 << 20,
        }
    }
}

/// Writes the output of a job as block `output`; `None` when nothing is left of the inputs. Inputs that do not fit into
/// one file as they are take a full merge too. The caller commits: add the output, remove the inputs.
pub async fn run(
    reader: &Reader,
    tenant: &TenantId,
    job: &Job,
    output: Ulid,
    options: &Options,
) -> Result<Option<Arc<BlockMeta>>, CompactError> {
    let mut pacer = Pacer::new(&reader.environment, options.pace);
    let reader = &unshared(reader);
    let mut inputs = Vec::new();
    for meta in &job.inputs {
        inputs.push(Input::open(reader, tenant, meta).await?);
    }
    let may_copy = options.without.is_empty() && !options.salvage;
    let copies = job.method == Method::Copy && may_copy && fit_together(&inputs);
    let of_block = BlockOptions {
        id: output,
        level: job.level(),
        // What a merge leaves, because its other half is in a block of another job, is not merged again.
        maybe_duplicates: copies && job.inputs.iter().any(|meta| meta.maybe_duplicates),
        max_row_group_rows: MAX_ROW_GROUP_ROWS,
    };
    let columns = input::columns(&inputs);
    let mut writer = BlockWriter::new(&reader.environment, &reader.store, tenant, columns, of_block)?;
    // Boxed: what reading and writing hold would be a part of every future that compacts.
    let written = if copies {
        Box::pin(copy::all(&inputs, &mut writer, &mut pacer)).await
    } else {
        Box::pin(merge::all(&inputs, options, &mut writer, &mut pacer)).await
    };
    match written {
        Ok(()) if writer.is_empty() => {
            writer.abandon().await;
            Ok(None)
        }
        Ok(()) => Ok(Some(Box::pin(writer.finish()).await?)),
        Err(error) => {
            writer.abandon().await;
            Err(error)
        }
    }
}

/// A reader whose cache is its own: what is compacted is read once, and would only drive out what queries need.
fn unshared(reader: &Reader) -> Reader {
    let settings = CacheSettings {
        chunk_bytes: 0,
        ..CacheSettings::default()
    };
    Reader {
        cache: BlockCache::new(settings),
        ..reader.clone()
    }
}

#[cfg(test)]
mod tests;
