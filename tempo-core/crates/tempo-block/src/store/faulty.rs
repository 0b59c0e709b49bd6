//! A store that fails on purpose: what tests put between the engine and a store that works.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use super::Store;
use super::metered::Operation;

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing out of the ordinary.
    #[default]
    None,
    /// It fails and has no effect.
    Refused,
    /// It takes effect, but its answer is lost.
    AnswerLost,
    /// Of what is uploaded, only the first half arrives; then it fails.
    Torn,
    /// A create that should be refused overwrites, as servers do that do not know the condition.
    ConditionIgnored,
}

/// Decides over every request, each part of an upload among them; a decision that takes its time is latency.
#[async_trait]
pub trait Faults: fmt::Debug + Send + Sync + 'static {
    /// Called before a request is made.
    async fn before(&self, operation: Operation, path: &Path) -> Fault;

    /// Called when a request has had its effect, before its answer arrives.
    async fn after(&self, _operation: Operation, _path: &Path) {}
}

/// A store whose requests fail as [`Faults`] says.
#[derive(Debug, Clone)]
pub struct Faulty {
    inner: Store,
    faults: Arc<dyn Faults>,
}

impl Faulty {
    /// Puts `faults` before `inner`.
    pub fn new(inner: Store, faults: Arc<dyn Faults>) -> Self {
        Self { inner, faults }
    }

    async fn around<T>(
        &self,
        operation: Operation,
        path: &Path,
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let fault = self.faults.before(operation, path).await;
        if matches!(fault, Fault::Refused | Fault::Torn) {
            return Err(injected(fault));
        }
        let answer = request.await;
        self.faults.after(operation, path).await;
        if fault == Fault::AnswerLost {
            Err(injected(fault))
        } else {
            answer
        }
    }
}

fn injected(fault: Fault) -> Error {
    Error::Generic {
        store: "faulty",
        source: format!("injected fault: {fault:?}").into(),
    }
}

fn first_half(payload: PutPayload) -> PutPayload {
    let bytes = bytes::Bytes::from(payload);
    bytes.slice(..bytes.len() / 2).into()
}

impl fmt::Display for Faulty {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let fault = self.faults.before(Operation::Put, location).await;
        let answer = match fault {
            Fault::Refused => return Err(injected(fault)),
            Fault::Torn => self.inner.put_opts(location, first_half(payload), options).await,
            Fault::ConditionIgnored => {
                options.mode = PutMode::Overwrite;
                self.inner.put_opts(location, payload, options).await
            }
            Fault::None | Fault::AnswerLost => self.inner.put_opts(location, payload, options).await,
        };
        self.faults.after(Operation::Put, location).await;
        if matches!(fault, Fault::Torn | Fault::AnswerLost) {
            Err(injected(fault))
        } else {
            answer
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.inner.put_multipart_opts(location, options);
        Ok(Box::new(FaultyUpload {
            inner: self.around(Operation::Put, location, begun).await?,
            store: self.clone(),
            path: location.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.around(Operation::Get, location, self.inner.get_opts(location, options))
            .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .and_then(move |location| {
                let this = this.clone();
                async move {
                    let one = futures::stream::once(std::future::ready(Ok(location.clone()))).boxed();
                    let deleted = async { this.inner.delete_stream(one).try_collect::<Vec<_>>().await };
                    this.around(Operation::Delete, &location, deleted).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            let path = prefix.clone().unwrap_or_default();
            let listed = async { Ok(this.inner.list(prefix.as_ref())) };
            this.around(Operation::List, &path, listed).await
        };
        futures::stream::once(listing).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.cloned().unwrap_or_default();
        self.around(Operation::List, &path, self.inner.list_with_delimiter(prefix))
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.around(Operation::Copy, to, self.inner.copy_opts(from, to, options))
            .await
    }
}

/// An upload whose parts fail as [`Faults`] says; of a torn part nothing arrives.
#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    store: Faulty,
    path: Path,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.inner.put_part(data);
        let (store, path) = (self.store.clone(), self.path.clone());
        Box::pin(async move { store.around(Operation::Put, &path, part).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let completed = self.inner.complete();
        self.store.around(Operation::Put, &self.path, completed).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.store
            .around(Operation::Delete, &self.path, self.inner.abort())
            .await
    }
}
