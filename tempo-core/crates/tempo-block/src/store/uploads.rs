//! Leaves no parts behind: an upload that is dropped before its end is aborted, whether the writer failed, was cancelled,
//! or went away while the store was still answering that the upload has begun.
//!
//! Not here: what a killed process leaves; only a rule of the bucket clears that up (`docs/storage.md`).

use std::fmt;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tempo_runtime::Environment;
use tokio::sync::oneshot;

use super::Store;

/// A store whose uploads end with their writers.
#[derive(Debug)]
pub struct TidyUploads {
    inner: Store,
    environment: Environment,
}

impl TidyUploads {
    /// Aborts what is dropped of the uploads to `inner` in tasks of `environment`.
    pub fn new(environment: Environment, inner: Store) -> Self {
        Self { inner, environment }
    }
}

impl fmt::Display for TidyUploads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for TidyUploads {
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // Begun in a task of its own, which hears of its name even when nobody waits for it any more.
        let (begun, waiting) = oneshot::channel();
        let (inner, environment, path) = (
            Store::clone(&self.inner),
            self.environment.clone(),
            location.clone(),
        );
        self.environment.spawn("begin upload", async move {
            let upload = inner.put_multipart_opts(&path, options).await;
            let tidy = upload.map(|upload| TidyUpload {
                upload: Some(upload),
                path,
                environment,
            });
            // Where nobody waits, the upload is dropped here, and so aborted.
            let _ = begun.send(tidy);
        });
        let upload = waiting.await.unwrap_or_else(|_| Err(ended(location)))?;
        Ok(Box::new(upload))
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// An upload that is aborted when it is dropped before its end.
#[derive(Debug)]
struct TidyUpload {
    /// `None` once it has ended.
    upload: Option<Box<dyn MultipartUpload>>,
    path: Path,
    environment: Environment,
}

fn ended(path: &Path) -> Error {
    Error::Generic {
        store: "upload",
        source: format!("the upload of {path} has ended").into(),
    }
}

#[async_trait]
impl MultipartUpload for TidyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        match &mut self.upload {
            Some(upload) => upload.put_part(data),
            None => Box::pin(std::future::ready(Err(ended(&self.path)))),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let upload = self.upload.as_mut().ok_or_else(|| ended(&self.path))?;
        // What was not completed is aborted like everything else.
        let completed = upload.complete().await?;
        self.upload = None;
        Ok(completed)
    }

    async fn abort(&mut self) -> Result<()> {
        if let Some(upload) = &mut self.upload {
            upload.abort().await?;
            self.upload = None;
        }
        Ok(())
    }
}

impl Drop for TidyUpload {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            let path = std::mem::take(&mut self.path);
            self.environment.spawn("abort upload", async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%path, %error, "parts of an upload are left behind");
                }
            });
        }
    }
}
