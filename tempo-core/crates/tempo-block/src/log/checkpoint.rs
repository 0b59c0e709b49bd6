//! Checkpoints, and the sweeping of entries that one has held for long enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode};

use super::entry::{Checkpoint, encode_checkpoint};
use super::reader::Hint;
use super::{Fold, Log, LogError, MIN_ENTRY_AGE};
use crate::layout::{CHECKPOINT_HINT, LogFile};

/// Seconds since the Unix epoch on the store's clock. Never compared with a clock of ours.
pub(super) type StoreSeconds = i64;

impl<F: Fold> Log<F> {
    /// Writes a checkpoint of what is known here, unless there is one. Returns its position.
    pub async fn checkpoint(&self) -> Result<u64, LogError> {
        let horizon = self.cursor.lock().await.horizon;
        let snapshot = self.snapshot();
        let position = snapshot.position;
        if position == 0 {
            return Ok(0);
        }
        let path = self.path(LogFile::Checkpoint(position));
        let packed = self.env.run_cpu("log checkpoint", move || {
            let mut state = snapshot.state.clone();
            state.forget(horizon);
            encode_checkpoint(&Checkpoint { position, state })
        });
        let packed = self.decoded(&path, packed.await?)?;
        match self
            .store
            .put_opts(&path, packed.into(), PutMode::Create.into())
            .await
        {
            // Somebody else's checkpoint of this position says the same.
            Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
            Err(source) => return Err(self.failed("write", &path, source)),
        }
        let newest = {
            let mut cursor = self.cursor.lock().await;
            cursor.checkpoint = cursor.checkpoint.max(position);
            cursor.checkpoint
        };
        self.write_hint(newest).await?;
        Ok(position)
    }

    async fn write_hint(&self, position: u64) -> Result<Path, LogError> {
        let path = self.folder.clone().join(CHECKPOINT_HINT);
        let hint = serde_json::json!(Hint { position }).to_string();
        self.store
            .put(&path, hint.into())
            .await
            .map_err(|source| self.failed("write", &path, source))?;
        Ok(path)
    }

    /// The store's clock, read off an object that was just written.
    pub(super) async fn store_now(&self) -> Result<StoreSeconds, LogError> {
        let newest = self.cursor.lock().await.checkpoint;
        let path = self.write_hint(newest).await?;
        let written = self
            .store
            .head(&path)
            .await
            .map_err(|source| self.failed("read", &path, source))?;
        Ok(written.last_modified.timestamp())
    }

    /// When each object of the log was written.
    pub(super) async fn list_files(&self) -> Result<BTreeMap<(u64, bool), StoreSeconds>, LogError> {
        let listed = self.store.list(Some(&self.folder)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|source| self.failed("list", &self.folder, source))?;
        Ok(listed
            .iter()
            .filter_map(|object| {
                let file = LogFile::parse(object.location.filename()?)?;
                Some((
                    (file.number(), file.is_checkpoint()),
                    object.last_modified.timestamp(),
                ))
            })
            .collect())
    }

    /// L7: deletes the entries that a checkpoint of at least 24 h holds, and the checkpoints before it. Returns how many
    /// objects were deleted.
    pub async fn sweep(&self) -> Result<usize, LogError> {
        let now = self.store_now().await?;
        let files = self.list_files().await?;
        let old = |written: &StoreSeconds| now - written >= MIN_ENTRY_AGE.as_secs() as i64;
        let held = files
            .iter()
            .rev()
            .find_map(|((number, checkpoint), written)| (*checkpoint && old(written)).then_some(*number));
        let Some(held) = held else { return Ok(0) };
        let doomed: Vec<Path> = files
            .keys()
            .filter(|(number, checkpoint)| {
                if *checkpoint {
                    *number < held
                } else {
                    *number <= held
                }
            })
            .map(|&(number, checkpoint)| {
                self.path(if checkpoint {
                    LogFile::Checkpoint(number)
                } else {
                    LogFile::Entry(number)
                })
            })
            .collect();
        let deleted = self.delete(doomed).await?;
        self.forget(held).await;
        Ok(deleted)
    }

    async fn forget(&self, horizon: u64) {
        let mut cursor = self.cursor.lock().await;
        cursor.horizon = cursor.horizon.max(horizon);
        let mut snapshot = self.snapshot();
        Arc::make_mut(&mut snapshot).state.forget(cursor.horizon);
        self.publish(snapshot);
    }

    /// Deletes objects; those that are gone already are fine.
    pub(super) async fn delete(&self, paths: Vec<Path>) -> Result<usize, LogError> {
        let count = paths.len();
        let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        let mut deleted = self.store.delete_stream(paths);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(source) => return Err(self.failed("delete below", &self.folder, source)),
            }
        }
        Ok(count)
    }
}
