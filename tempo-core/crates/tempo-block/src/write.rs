//! Writing blocks: a snapshot of a head becomes `spans.parquet`, `traces.parquet` and `catalogue` in the store.
//!
//! ```text
//! snapshot ─► source: spans by trace ─► plan: row groups ─► rows: their order ─► row_group ─► chunk ─┐
//!                                          row groups of other blocks ─► copied ─► builder ◄──────┘─► file ─► upload
//! ```
//! One row group is encoded at a time, as one piece of CPU work, and sent before the next one ([`BlockWriter`]).
//!
//! Not here: the commit that makes the block live (`log`), names and types of columns (`schema`).

mod attributes;
mod builder;
mod catalogue;
mod chunk;
mod columns;
mod copied;
mod file;
mod lists;
mod plan;
mod row_group;
mod rows;
mod source;
mod texts;
mod traces;
mod tree;
mod upload;
mod writer;

use std::sync::Arc;

use parquet::errors::ParquetError;
use tempo_model::TenantId;
use tempo_model::wire::WireError;
use tempo_runtime::{Environment, TaskFailed};
use ulid::Ulid;

pub(crate) use self::builder::Origin;
pub(crate) use self::copied::{RawChunk, RawRowGroup};
pub(crate) use self::source::GoesOn;
pub(crate) use self::writer::BlockWriter;

use self::attributes::AttributePlan;
use crate::catalogue::CatalogueError;
use crate::head::HeadSnapshot;
use crate::meta::BlockMeta;
use crate::schema::{MAX_ROW_GROUP_ROWS, MetadataError};
use crate::store::{Store, StoreError};

/// A block could not be written. Nothing lives of it; the caller may try again under another id.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store did not take a file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are no spans.
    #[error("write a block: there are no spans to write")]
    Empty,
    /// A file cannot be encoded.
    #[error("encode a block: {0}")]
    Encode(#[from] ParquetError),
    /// A file's metadata cannot be encoded.
    #[error("encode a block: {0}")]
    Metadata(#[from] MetadataError),
    /// The catalogue cannot be encoded.
    #[error("encode a block: {0}")]
    Catalogue(#[from] CatalogueError),
    /// An attribute's value is no OTLP.
    #[error("encode a block: read an attribute: {0}")]
    Value(#[from] WireError),
    /// The work was given up.
    #[error("encode a block: {0}")]
    Task(#[from] TaskFailed),
}

/// What is said of a block besides its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOptions {
    /// The block's name.
    pub id: Ulid,
    /// How often its spans were written anew.
    pub level: u8,
    /// Whether it may hold spans that stand in another block too.
    pub maybe_duplicates: bool,
    /// The most rows of a row group with more than one trace.
    pub max_row_group_rows: usize,
}

impl BlockOptions {
    /// A block cut from a head.
    pub fn of_head(id: Ulid) -> Self {
        Self {
            id,
            level: 0,
            maybe_duplicates: false,
            max_row_group_rows: MAX_ROW_GROUP_ROWS,
        }
    }
}

/// Writes the files of a block. The caller commits the meta that comes back, with `uploaded_since` taken before.
pub async fn block(
    environment: &Environment,
    store: &Store,
    tenant: &TenantId,
    snapshot: &Arc<HeadSnapshot>,
    options: BlockOptions,
) -> Result<Arc<BlockMeta>, WriteError> {
    let columns = {
        let snapshot = Arc::clone(snapshot);
        let choose = move || AttributePlan::of(&snapshot).columns;
        environment.run_cpu("choose columns", choose).await?
    };
    let mut writer = BlockWriter::new(environment, store, tenant, columns, options)?;
    match writer.add_snapshot(Arc::clone(snapshot), GoesOn::ByAge).await {
        Ok(()) => writer.finish().await,
        Err(error) => {
            writer.abandon().await;
            Err(error)
        }
    }
}
