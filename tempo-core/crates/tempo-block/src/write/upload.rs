//! Sending a file to the store while it is being written.

use bytes::Bytes;
use object_store::buffered::BufWriter;
use tempo_model::TenantId;
use tokio::io::AsyncWriteExt;
use ulid::Ulid;

use crate::layout::BlockFile;
use crate::store::{Store, StoreError};

/// An upload under way: one put if the file is small, several parts if it is large.
pub(super) struct Upload {
    writer: BufWriter,
    path: object_store::path::Path,
}

impl Upload {
    /// Begins a file of a block.
    pub(super) fn new(store: &Store, tenant: &TenantId, block: Ulid, file: BlockFile) -> Self {
        let path = file.path(tenant, block);
        Self {
            writer: BufWriter::new(store.clone(), path.clone()),
            path,
        }
    }

    /// Sends more. After an error the upload is given up.
    pub(super) async fn put(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        match self.writer.put(bytes).await {
            Ok(()) => Ok(()),
            Err(source) => {
                // What is left of it is no block's file, and the store's own rules clear it up.
                let _ = self.writer.abort().await;
                Err(StoreError::explain("write", &self.path, source))
            }
        }
    }

    /// Gives the upload up.
    pub(super) async fn abandon(mut self) {
        // What is left of it is no block's file, and the store's own rules clear it up.
        let _ = self.writer.abort().await;
    }

    /// Ends the file; only now it is there.
    pub(super) async fn finish(mut self) -> Result<(), StoreError> {
        let ended = self.writer.shutdown().await;
        ended.map_err(|error| StoreError::explain("write", &self.path, store_error(error)))
    }
}

/// What the store said, which the writer has wrapped.
fn store_error(error: std::io::Error) -> object_store::Error {
    error
        .downcast::<object_store::Error>()
        .unwrap_or_else(|other| object_store::Error::Generic {
            store: "upload",
            source: other.into(),
        })
}
