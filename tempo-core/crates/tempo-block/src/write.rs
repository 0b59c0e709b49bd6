//! Writing blocks: a snapshot of a head becomes `spans.parquet`, `traces.parquet` and `catalogue` in the store.
//!
//! Not here: the commit that makes the block live (`log`), names and types of columns (`schema`).

use std::sync::Arc;

use tempo_model::TenantId;
use tempo_runtime::Environment;
use ulid::Ulid;

use crate::head::HeadSnapshot;
use crate::meta::BlockMeta;
use crate::schema::MAX_ROW_GROUP_ROWS;
use crate::store::{Store, StoreError};

/// A block could not be written. Nothing lives of it; the caller may try again under another id.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The store did not take a file.
    #[error(transparent)]
    Store(#[from] StoreError),
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
    _environment: &Environment,
    _store: &Store,
    _tenant: &TenantId,
    _snapshot: &Arc<HeadSnapshot>,
    _options: BlockOptions,
) -> Result<Arc<BlockMeta>, WriteError> {
    unimplemented!()
}
