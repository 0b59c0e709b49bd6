//! The world of the model: a store in memory whose every operation waits for a scheduler, with a clock that the
//! scheduler moves, and a record of everything that was ever committed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;
use tempo_block::layout::LogFile;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// What the scheduler says to an operation that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    /// Fail without effect.
    Refuse,
    /// Take effect, then fail.
    LoseAnswer,
}

/// Which operations are points where actors may be interleaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grain {
    /// Before and after every operation.
    Every,
    /// Before each read and create of a log entry: small enough to enumerate.
    LogEntries,
}

#[derive(Debug)]
pub(crate) struct World {
    objects: InMemory,
    start: Instant,
    grain: Grain,
    gated: AtomicBool,
    written: Mutex<HashMap<Path, Instant>>,
    waiting: Mutex<BTreeMap<usize, oneshot::Sender<Verdict>>>,
    pub(crate) changed: Notify,
    /// Every entry by number, as it was first created: what the log says, whatever is swept later.
    pub(crate) history: Mutex<BTreeMap<u64, bytes::Bytes>>,
}

impl World {
    pub(crate) fn new(grain: Grain) -> Arc<Self> {
        Arc::new(Self {
            objects: InMemory::new(),
            start: Instant::now(),
            grain,
            gated: AtomicBool::new(false),
            written: Mutex::default(),
            waiting: Mutex::default(),
            changed: Notify::new(),
            history: Mutex::default(),
        })
    }

    pub(crate) fn close_gates(&self) {
        self.gated.store(true, Ordering::Relaxed);
    }

    /// The actors that wait for a verdict.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        self.waiting.lock().keys().copied().collect()
    }

    pub(crate) fn release(&self, actor: usize, verdict: Verdict) {
        if let Some(gate) = self.waiting.lock().remove(&actor) {
            // An actor that was killed at its gate does not listen.
            let _ = gate.send(verdict);
        }
    }

    pub(crate) fn forget_gate(&self, actor: usize) {
        self.waiting.lock().remove(&actor);
    }

    pub(crate) async fn exists(&self, path: &Path) -> bool {
        use object_store::ObjectStoreExt;
        self.objects.head(path).await.is_ok()
    }

    fn is_gate(&self, path: &Path, listing: bool) -> bool {
        let entry = path
            .filename()
            .and_then(LogFile::parse)
            .is_some_and(|file| !file.is_checkpoint());
        self.gated.load(Ordering::Relaxed) && (self.grain == Grain::Every || (entry && !listing))
    }

    #[allow(
        clippy::default_trait_access,
        reason = "the type is of a crate that we do not depend on"
    )]
    fn stamp(&self, object: &mut ObjectMeta) {
        let written = self
            .written
            .lock()
            .get(&object.location)
            .copied()
            .unwrap_or(self.start);
        object.last_modified = Default::default();
        object.last_modified += written - self.start;
    }
}

/// The store as one actor has it.
#[derive(Debug, Clone)]
pub(crate) struct ActorStore {
    pub(crate) world: Arc<World>,
    pub(crate) actor: usize,
}

impl fmt::Display for ActorStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "model store of actor {}", self.actor)
    }
}

fn injected() -> Error {
    Error::Generic {
        store: "model",
        source: "injected".into(),
    }
}

impl ActorStore {
    async fn gate(&self) -> Verdict {
        let (open, opened) = oneshot::channel();
        self.world.waiting.lock().insert(self.actor, open);
        self.world.changed.notify_one();
        opened.await.unwrap_or(Verdict::Refuse)
    }

    async fn around<T>(
        &self,
        path: &Path,
        listing: bool,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if !self.world.is_gate(path, listing) {
            return operation.await;
        }
        let verdict = self.gate().await;
        if verdict == Verdict::Refuse {
            return Err(injected());
        }
        let answer = operation.await;
        if self.world.grain == Grain::Every {
            // The answer is on its way: the actor may sleep here for days.
            self.gate().await;
        }
        if verdict == Verdict::LoseAnswer {
            Err(injected())
        } else {
            answer
        }
    }

    async fn put(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let created = self
            .world
            .objects
            .put_opts(location, payload.clone(), options)
            .await?;
        self.world.written.lock().insert(location.clone(), Instant::now());
        if let Some(LogFile::Entry(number)) = location.filename().and_then(LogFile::parse) {
            self.world
                .history
                .lock()
                .entry(number)
                .or_insert_with(|| payload.into());
        }
        Ok(created)
    }
}

#[async_trait]
impl ObjectStore for ActorStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.around(location, false, self.put(location, payload, options))
            .await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(injected())
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let read = async {
            let mut result = self.world.objects.get_opts(location, options).await?;
            self.world.stamp(&mut result.meta);
            Ok(result)
        };
        self.around(location, false, read).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Path| {
            let this = this.clone();
            async move {
                use object_store::ObjectStoreExt;
                this.around(&location, false, this.world.objects.delete(&location))
                    .await?;
                Ok(location)
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        let listing = async move {
            let list = async {
                this.world
                    .objects
                    .list(Some(&prefix))
                    .try_collect::<Vec<_>>()
                    .await
            };
            let mut listed = this.around(&prefix, true, list).await?;
            for object in &mut listed {
                this.world.stamp(object);
            }
            Ok::<_, Error>(futures::stream::iter(listed.into_iter().map(Ok)))
        };
        futures::stream::once(listing).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(injected())
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(injected())
    }
}
