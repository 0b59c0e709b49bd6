//! Counts what is asked of a store.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tempo_runtime::Clock;

use super::Store;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An object or a part of one is written, or an upload in parts is begun, completed or aborted.
    Put,
    /// An object, a range of it, or its metadata is read.
    Get,
    /// Objects are listed; one listing counts once, however many pages it has.
    List,
    /// An object is deleted.
    Delete,
    /// An object is copied.
    Copy,
}

impl Operation {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Put, Self::Get, Self::List, Self::Delete, Self::Copy];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
        }
    }
}

/// What was counted for one kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Requests, those that failed among them.
    pub requests: u64,
    /// Requests that failed; a conditional create that was refused and an object that is not there are answers.
    pub failures: u64,
    /// Bytes of objects that were written or read.
    pub bytes: u64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As asked.
    Done,
    /// There is no such object.
    NotFound,
    /// A conditional create found the object there.
    Refused,
    /// It failed.
    Failed,
}

impl Outcome {
    fn of<T>(result: &Result<T>) -> Self {
        use object_store::Error::{AlreadyExists, NotFound, Precondition};
        match result {
            Ok(_) => Self::Done,
            Err(NotFound { .. }) => Self::NotFound,
            Err(AlreadyExists { .. } | Precondition { .. }) => Self::Refused,
            Err(_) => Self::Failed,
        }
    }
}

/// Hears how long requests took: the time to the answer, without the reading of a body.
pub trait RequestTimes: fmt::Debug + Send + Sync {
    /// A request was answered.
    fn answered(&self, operation: Operation, outcome: Outcome, took: Duration);
}

/// What was counted, by kind of request. Shared between the store and whoever shows the figures.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    counters: [Counter; 5],
    times: Option<(Arc<dyn Clock>, Arc<dyn RequestTimes>)>,
}

#[derive(Debug, Default)]
struct Counter {
    requests: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
}

impl StoreMetrics {
    /// The figures of one kind of request.
    pub fn count(&self, operation: Operation) -> Count {
        let Counter {
            requests,
            failures,
            bytes,
        } = self.counter(operation);
        Count {
            requests: requests.load(Ordering::Relaxed),
            failures: failures.load(Ordering::Relaxed),
            bytes: bytes.load(Ordering::Relaxed),
        }
    }

    /// Metrics that also tell `times` of every request, by `clock`.
    pub fn timed(clock: Arc<dyn Clock>, times: Arc<dyn RequestTimes>) -> Self {
        Self {
            times: Some((clock, times)),
            ..Self::default()
        }
    }

    fn counter(&self, operation: Operation) -> &Counter {
        let [put, get, list, delete, copy] = &self.counters;
        match operation {
            Operation::Put => put,
            Operation::Get => get,
            Operation::List => list,
            Operation::Delete => delete,
            Operation::Copy => copy,
        }
    }

    fn begin(&self) -> Option<Duration> {
        self.times.as_ref().map(|(clock, _)| clock.since_boot())
    }

    fn record<T>(
        &self,
        operation: Operation,
        begun: Option<Duration>,
        result: &Result<T>,
        bytes: impl FnOnce(&T) -> u64,
    ) {
        let counter = self.counter(operation);
        let outcome = Outcome::of(result);
        counter.requests.fetch_add(1, Ordering::Relaxed);
        if let Ok(answer) = result {
            counter.bytes.fetch_add(bytes(answer), Ordering::Relaxed);
        }
        if outcome == Outcome::Failed {
            counter.failures.fetch_add(1, Ordering::Relaxed);
        }
        if let (Some((clock, times)), Some(begun)) = (&self.times, begun) {
            times.answered(operation, outcome, clock.since_boot().saturating_sub(begun));
        }
    }
}

/// A store that counts.
#[derive(Debug)]
pub struct Metered {
    inner: Store,
    metrics: Arc<StoreMetrics>,
}

impl Metered {
    /// Counts what goes to `inner` into `metrics`.
    pub fn new(inner: Store, metrics: Arc<StoreMetrics>) -> Self {
        Self { inner, metrics }
    }

    /// Counts a listing when its first objects are there.
    fn listing(
        &self,
        objects: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let metrics = Arc::clone(&self.metrics);
        let counted = async move {
            let begun = metrics.begin();
            let mut objects = objects.peekable();
            match Pin::new(&mut objects).peek().await {
                Some(first) => metrics.record(Operation::List, begun, first, |_| 0),
                None => metrics.record(Operation::List, begun, &Ok(()), |()| 0),
            }
            objects
        };
        futures::stream::once(counted).flatten().boxed()
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(formatter)
    }
}

#[async_trait]
impl ObjectStore for Metered {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes = payload.content_length() as u64;
        let begun = self.metrics.begin();
        let result = self.inner.put_opts(location, payload, options).await;
        self.metrics.record(Operation::Put, begun, &result, |_| bytes);
        result
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.metrics.begin();
        let result = self.inner.put_multipart_opts(location, options).await;
        self.metrics.record(Operation::Put, begun, &result, |_| 0);
        let metrics = Arc::clone(&self.metrics);
        Ok(Box::new(MeteredUpload {
            inner: result?,
            metrics,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let begun = self.metrics.begin();
        let result = self.inner.get_opts(location, options).await;
        let length = |answer: &GetResult| {
            if head {
                0
            } else {
                answer.range.end - answer.range.start
            }
        };
        self.metrics.record(Operation::Get, begun, &result, length);
        result
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let begun = self.metrics.begin();
        let result = self.inner.get_ranges(location, ranges).await;
        let length = |answer: &Vec<Bytes>| answer.iter().map(|bytes| bytes.len() as u64).sum();
        self.metrics.record(Operation::Get, begun, &result, length);
        result
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let metrics = Arc::clone(&self.metrics);
        let deleted = self.inner.delete_stream(locations);
        deleted
            .inspect(move |result| metrics.record(Operation::Delete, None, result, |_| 0))
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let begun = self.metrics.begin();
        let result = self.inner.list_with_delimiter(prefix).await;
        self.metrics.record(Operation::List, begun, &result, |_| 0);
        result
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let begun = self.metrics.begin();
        let result = self.inner.copy_opts(from, to, options).await;
        self.metrics.record(Operation::Copy, begun, &result, |()| 0);
        result
    }
}

/// An upload whose parts are counted.
#[derive(Debug)]
struct MeteredUpload {
    inner: Box<dyn MultipartUpload>,
    metrics: Arc<StoreMetrics>,
}

#[async_trait]
impl MultipartUpload for MeteredUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let bytes = data.content_length() as u64;
        let (part, metrics) = (self.inner.put_part(data), Arc::clone(&self.metrics));
        Box::pin(async move {
            let begun = metrics.begin();
            let result = part.await;
            metrics.record(Operation::Put, begun, &result, |()| bytes);
            result
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let begun = self.metrics.begin();
        let result = self.inner.complete().await;
        self.metrics.record(Operation::Put, begun, &result, |_| 0);
        result
    }

    async fn abort(&mut self) -> Result<()> {
        let begun = self.metrics.begin();
        let result = self.inner.abort().await;
        self.metrics.record(Operation::Put, begun, &result, |()| 0);
        result
    }
}
