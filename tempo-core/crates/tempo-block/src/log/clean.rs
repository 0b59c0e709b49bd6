//! Deleting the files of blocks that are not live.
//!
//! A block that an entry removed goes a grace after that entry. A block that no entry names (an upload that nobody
//! committed) is first *condemned* by an entry, after which it can never be added (L9), and goes a grace after that
//! one: so no writer, however long it slept, can commit a block whose files are being deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::path::Path;
use ulid::Ulid;

use super::checkpoint::StoreSeconds;
use super::{BlocksRefusal, CommitError, CommitLog, Transaction};
use crate::layout;

/// How long files outlive their use, on the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// After the entry that removed the block: at least the longest query.
    pub removed: Duration,
    /// After the upload of a block that no entry names, until it is condemned.
    pub unlisted: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            removed: Duration::from_hours(1),
            unlisted: super::MIN_ENTRY_AGE,
        }
    }
}

/// What one clean-up did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleaned {
    /// Blocks whose files were deleted.
    pub deleted: usize,
    /// Blocks that were condemned; their files go a grace later.
    pub condemned: usize,
}

#[derive(Default)]
struct Files {
    paths: Vec<Path>,
    newest: StoreSeconds,
}

impl CommitLog {
    /// Deletes what may be deleted. Any number of processes may do so at once.
    pub async fn clean(&self, grace: Grace) -> Result<Cleaned, CommitError<BlocksRefusal>> {
        self.follow().await?;
        let now = self.store_now().await?;
        let written = self.list_files().await?;
        let blocks = self.list_blocks().await?;
        let snapshot = self.snapshot();

        let older = |than: Duration, since: StoreSeconds| now - since >= than.as_secs() as i64;
        let mut doomed = Vec::new();
        let mut condemn = Vec::new();
        for (block, files) in blocks {
            if snapshot.state.block(block).is_some() {
                continue;
            }
            match snapshot.state.removed_at(block) {
                // An entry that was swept is older than any grace.
                Some(entry)
                    if written
                        .get(&(entry, false))
                        .is_none_or(|since| older(grace.removed, *since)) =>
                {
                    doomed.push(files.paths);
                }
                None if older(grace.unlisted, files.newest) => condemn.push(block),
                Some(_) | None => {}
            }
        }
        let cleaned = Cleaned {
            deleted: doomed.len(),
            condemned: condemn.len(),
        };
        if !condemn.is_empty() {
            self.commit(Transaction {
                condemn,
                ..Transaction::default()
            })
            .await?;
        }
        self.delete(doomed.into_iter().flatten().collect()).await?;
        Ok(cleaned)
    }

    async fn list_blocks(&self) -> Result<BTreeMap<Ulid, Files>, super::LogError> {
        let folder = layout::blocks_folder(self.tenant());
        let mut blocks: BTreeMap<Ulid, Files> = BTreeMap::new();
        let mut listed = self.store.list(Some(&folder));
        while let Some(object) = listed
            .try_next()
            .await
            .map_err(|source| self.failed("list", &folder, source))?
        {
            if let Some(block) = layout::block_of_path(self.tenant(), &object.location) {
                let files = blocks.entry(block).or_default();
                files.newest = files.newest.max(object.last_modified.timestamp());
                files.paths.push(object.location);
            }
        }
        Ok(blocks)
    }
}
