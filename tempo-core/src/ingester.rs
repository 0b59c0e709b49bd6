//! The ingester: keeps fresh spans and makes blocks of them.
//!
//! ```text
//! push ─ seen? ─ room? ─ limits ─► WAL (synced) ─► head ─► OK      recent ─► heads that are in no block at the position
//!                                          │ cut by bytes, age, flush
//!                                          ▼
//!                                block ─► commit ─► WAL truncated, head let go after a grace
//! ```
//! Parts: `seen` (pushes that are sent again), `live` (limits on traces), `heads` (all tenants), `tenant` (one tenant and the handover to blocks),
//! `records` (sets of WAL records), `flush` (from head to block), `replay` (what earlier processes left). Not here: the
//! WAL, heads, blocks and the commit log themselves (`tempo-block`), and limits on how much clients may send.

mod flush;
mod heads;
mod live;
mod metrics;
mod records;
mod replay;
mod seen;
mod settings;
mod tenant;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use tempo_block::log::{LogError, StreamChange, StreamLog};
use tempo_block::scan::Source;
use tempo_block::store::Store;
use tempo_block::wal::{Flags, Replay, Wal, WalError};
use tempo_model::TenantId;
use tempo_model::wire::WireError;
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::{Environment, Shutdown};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use ulid::Ulid;

use self::heads::{Heads, Job};
use self::live::LiveTraces;
use self::metrics::Metrics;
use self::seen::{Begun, Fingerprint, Outcome, Seen};
use self::tenant::View;
use crate::answer;
use crate::commit_logs::CommitLogs;
use crate::limits::TenantLimits;
use crate::rpc::messages::{PushRequest, PushResponse, RecentRequest, RecentResponse};
use crate::rpc::{CallError, CallErrorKind, IngesterApi};

pub use replay::StartError;
pub use settings::Settings;

/// Pushes under way are counted in units of so many bytes.
const UNIT: u64 = 1024;

/// The role. Cheap to clone; clones are one ingester.
#[derive(Debug, Clone)]
pub struct Ingester {
    shared: Arc<Shared>,
    streams: StreamLog,
}

/// What the tasks of an ingester share.
#[derive(Debug)]
struct Shared {
    environment: Environment,
    store: Store,
    settings: Settings,
    metrics: Metrics,
    logs: CommitLogs,
    wal: Wal,
    heads: Arc<Heads>,
    seen: Mutex<Seen>,
    live: LiveTraces,
    /// Room for pushes that are under way.
    in_flight: Arc<Semaphore>,
    accepting: AtomicBool,
    /// Places for heads that are written at once.
    flushes: Semaphore,
    truncating: tokio::sync::Mutex<()>,
    /// Ends the tasks.
    ended: Shutdown,
}

impl Ingester {
    /// Starts an ingester: what earlier processes left in the WAL is made into blocks, then its own stream is opened.
    /// Blocks that the store does not take are tried again until it does; dropping the future gives up.
    pub async fn start(
        environment: Environment,
        store: Store,
        limits: TenantLimits,
        settings: Settings,
        registry: &MetricsRegistry,
    ) -> Result<Self, StartError> {
        let streams = StreamLog::open(&environment, &store).await?;
        let metrics = Metrics::new(registry);
        let live = LiveTraces::new(limits.clone(), &settings);
        let (heads, jobs) = Heads::new(environment.clone(), settings.clone(), limits, metrics.clone());
        let heads = Arc::new(heads);
        let (wal, replay) = Wal::open(
            &environment,
            &settings.wal_folder,
            settings.wal,
            Arc::clone(&heads) as _,
        )
        .await?;
        let shared = Arc::new(Shared {
            logs: CommitLogs::new(environment.clone(), Arc::clone(&store)),
            in_flight: Arc::new(Semaphore::new(units(settings.max_in_flight_bytes) as usize)),
            flushes: Semaphore::new(settings.concurrent_flushes),
            environment,
            store,
            settings,
            metrics,
            wal,
            heads,
            seen: Mutex::default(),
            live,
            accepting: AtomicBool::new(true),
            truncating: tokio::sync::Mutex::default(),
            ended: Shutdown::new(),
        });
        shared.start_tasks(jobs);
        let ingester = Self { shared, streams };
        match ingester.catch_up(replay).await {
            Ok(epoch) => tracing::info!(%epoch, "ingester takes spans in"),
            Err(error) => {
                ingester.shared.ended.trigger();
                return Err(error);
            }
        }
        Ok(ingester)
    }

    async fn catch_up(&self, replay: Replay) -> Result<Ulid, StartError> {
        self.shared.replay(&self.streams, replay).await?;
        self.shared.open_stream(&self.streams).await
    }

    /// Whether it can store anything, or why not.
    pub fn health(&self) -> Result<(), String> {
        if self.shared.wal.is_closed() {
            return Err(
                "the write-ahead log has stopped after a panic, which the log tells; start the process again"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Cuts every head and waits until all of them are in committed blocks.
    pub async fn flush(&self) {
        let last = self.shared.heads.cut_all();
        self.shared.heads.wait_committed(last).await;
    }

    /// The commit logs as it knows them, for others in the same process.
    pub fn logs(&self) -> CommitLogs {
        self.shared.logs.clone()
    }

    /// Takes nothing more in, makes blocks of everything and closes the stream. Whoever does not wait for it loses
    /// nothing: the WAL has what is in no block.
    pub async fn shutdown(&self) -> Result<(), StartError> {
        let shared = &self.shared;
        shared.accepting.store(false, Ordering::SeqCst);
        // Pushes that were let in before hold their room until they are stored.
        let all = units(shared.settings.max_in_flight_bytes);
        let _all = shared.in_flight.acquire_many(all).await;
        self.flush().await;
        let epoch = shared.wal.epoch();
        let close = StreamChange::close(epoch, shared.heads.ends(epoch));
        let ended = self.end_stream(close, StreamChange::Finish { epoch }).await;
        shared.ended.trigger();
        ended
    }

    /// The WAL goes before the stream: segments of a stream that nobody knows would be set aside at the next start.
    async fn end_stream(&self, close: StreamChange, finish: StreamChange) -> Result<(), StartError> {
        self.shared.end(&self.streams, close).await?;
        self.shared.wal.close_segment().await?;
        self.shared.truncate().await;
        if self.shared.wal.is_empty() {
            self.shared.end(&self.streams, finish).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl IngesterApi for Ingester {
    async fn push(&self, request: PushRequest) -> Result<PushResponse, CallError> {
        let tenant = tenant_of(&request.tenant)?;
        if request.payload.is_empty() {
            return Ok(PushResponse::default());
        }
        let shared = &self.shared;
        let fingerprint = Fingerprint::of(&tenant, &request.payload);
        let now = shared.environment.clock.since_boot();
        let begun = shared.seen.lock().begin(fingerprint, now);
        let outcome = match begun {
            Begun::Stored(said) => {
                shared.metrics.repeated();
                return Ok(said);
            }
            Begun::UnderWay(outcome) => outcome,
            Begun::New(sender) => {
                let outcome = sender.subscribe();
                shared.begin(tenant, request, fingerprint, sender);
                outcome
            }
        };
        outcome_of(outcome).await
    }

    async fn recent(&self, request: RecentRequest) -> Result<RecentResponse, CallError> {
        let tenant = tenant_of(&request.tenant)?;
        let query = request
            .query
            .ok_or_else(|| CallError::new(CallErrorKind::InvalidArgument, "the request has no query"))?;
        let shared = &self.shared;
        let log = shared.logs.get(&tenant).await;
        let log = log.map_err(|error| of_log(&error))?;
        let snapshot = log.at_least(request.position).await;
        let snapshot = snapshot.map_err(|error| of_log(&error))?;
        let streams = vec![shared.wal.epoch().to_string()];
        match shared.heads.view(&tenant, request.position, &snapshot) {
            View::Heads(heads) => {
                let sources: Vec<Source> = heads.into_iter().map(Source::Head).collect();
                let partial = answer::answer_all(&shared.environment, &sources, &query).await?;
                Ok(RecentResponse {
                    partial: Some(partial),
                    moved_to: 0,
                    streams,
                })
            }
            View::MovedTo(moved_to) => Ok(RecentResponse {
                partial: None,
                moved_to,
                streams,
            }),
            View::Rebuilding => Err(CallError::new(
                CallErrorKind::Unavailable,
                "a head is being made anew, because others have stored a part of it; try again",
            )),
        }
    }
}

impl Shared {
    fn start_tasks(self: &Arc<Self>, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let this = Arc::clone(self);
        self.environment.spawn("ingester flushes", async move {
            loop {
                tokio::select! {
                    biased;
                    () = this.ended.triggered() => return,
                    job = jobs.recv() => match job {
                        Some(job) => this.environment.spawn("ingester flush", flush::flush(Arc::clone(&this), job)),
                        None => return,
                    }
                }
            }
        });
        let this = Arc::clone(self);
        self.environment.spawn("ingester check", async move {
            loop {
                tokio::select! {
                    biased;
                    () = this.ended.triggered() => return,
                    () = this.environment.clock.sleep(this.settings.check_period) => this.look_around(),
                }
            }
        });
    }

    fn look_around(&self) {
        let wal_bytes = self.wal.bytes();
        self.metrics.wal_bytes(wal_bytes);
        let now = self.environment.clock.since_boot();
        self.metrics.live_traces(self.live.sweep(now));
        self.heads
            .look_around(wal_bytes > self.settings.wal.max_bytes / 2);
    }

    /// Stores a push in a task of its own: a caller that goes away may come back and ask for the same, and must then
    /// find what became of it.
    fn begin(
        self: &Arc<Self>,
        tenant: TenantId,
        request: PushRequest,
        fingerprint: Fingerprint,
        sender: watch::Sender<Outcome>,
    ) {
        let this = Arc::clone(self);
        let room = self.room_for(request.payload.len() as u64);
        self.environment.spawn("ingester push", async move {
            let stored = match room {
                Ok(_room) => this.take_in(&tenant, request, fingerprint.hash).await,
                Err(error) => Err(error),
            };
            let now = this.environment.clock.since_boot();
            match &stored {
                Ok(said) => this.seen.lock().stored(fingerprint, now, said),
                Err(_) => this.seen.lock().failed(fingerprint),
            }
            sender.send_replace(Some(stored));
        });
    }

    /// Stores what of a push the tenant's limits allow.
    async fn take_in(
        &self,
        tenant: &TenantId,
        mut request: PushRequest,
        hash: u64,
    ) -> Result<PushResponse, CallError> {
        self.wait_for_memory().await?;
        let now = self.environment.clock.since_boot();
        let mut admitted = self
            .live
            .admit(tenant, request.payload, now)
            .map_err(|error| malformed(&error))?;
        request.payload = std::mem::take(&mut admitted.payload);
        if !request.payload.is_empty() {
            let stored = self.store(tenant, request, hash).await;
            stored.inspect_err(|_| self.live.take_back(tenant, &admitted))?;
        }
        Ok(PushResponse {
            rejected: admitted.rejected,
        })
    }

    async fn store(&self, tenant: &TenantId, request: PushRequest, hash: u64) -> Result<(), CallError> {
        let flags = if request.maybe_duplicate {
            Flags::MAYBE_DUPLICATE
        } else {
            Flags::default()
        };
        let appended = self.wal.append(tenant, request.payload, hash, flags).await;
        let appended = appended.map_err(|error| of_wal(&error))?;
        match self.heads.take_malformed(tenant, appended) {
            None => Ok(()),
            Some(error) => Err(malformed(&error)),
        }
    }

    /// Waits a while for memory, so that senders slow down smoothly where blocks are made more slowly than spans come.
    async fn wait_for_memory(&self) -> Result<(), CallError> {
        if !self.heads.are_full() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.heads.wait_for_memory() => Ok(()),
            () = self.environment.clock.sleep(self.settings.patience) => {
                let (held, most) = (self.heads.bytes(), self.settings.max_head_bytes);
                Err(exhausted(format!(
                    "the ingester holds {held} of at most {most} bytes of spans that are not in blocks yet; send them \
                     again. If it lasts, see in the ingester's log why blocks are not stored"
                )))
            }
        }
    }

    /// Room for a push, or why there is none.
    fn room_for(&self, bytes: u64) -> Result<OwnedSemaphorePermit, CallError> {
        let most = self.settings.max_in_flight_bytes;
        let room = Arc::clone(&self.in_flight).try_acquire_many_owned(units(bytes).min(units(most)));
        let room = room.map_err(|_| {
            exhausted(format!(
                "pushes of {most} bytes are under way in the ingester; send them again in a second, or add ingesters"
            ))
        })?;
        // Asked last: `shutdown` waits for all room after it says no.
        if self.accepting.load(Ordering::SeqCst) {
            Ok(room)
        } else {
            Err(CallError::new(
                CallErrorKind::Refused,
                "the ingester is shutting down; send the spans to another, or again when it is back",
            ))
        }
    }
}

/// A number of bytes in [`UNIT`]s.
fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT))
        .unwrap_or(u32::MAX)
        .clamp(1, u32::MAX >> 3)
}

async fn outcome_of(mut outcome: watch::Receiver<Outcome>) -> Result<PushResponse, CallError> {
    let known = outcome.wait_for(Option::is_some).await;
    match known.as_deref() {
        Ok(Some(stored)) => stored.clone(),
        _ => Err(CallError::new(
            CallErrorKind::Unavailable,
            "the ingester is ending; send the spans again",
        )),
    }
}

fn tenant_of(name: &str) -> Result<TenantId, CallError> {
    name.parse()
        .map_err(|error| CallError::new(CallErrorKind::InvalidArgument, format!("tenant: {error}")))
}

fn malformed(error: &WireError) -> CallError {
    CallError::new(
        CallErrorKind::InvalidArgument,
        format!("the payload is not an ExportTraceServiceRequest: {error}"),
    )
}

fn exhausted(message: String) -> CallError {
    CallError::new(CallErrorKind::ResourceExhausted, message)
}

fn of_wal(error: &WalError) -> CallError {
    let kind = match error {
        WalError::DiskFull { .. } | WalError::LimitReached { .. } => CallErrorKind::ResourceExhausted,
        WalError::TooLarge { .. } => CallErrorKind::InvalidArgument,
        WalError::Io { .. } | WalError::Closed => CallErrorKind::Unavailable,
        WalError::Version { .. } | WalError::InUse { .. } | WalError::NoReplica { .. } => {
            CallErrorKind::Internal
        }
    };
    CallError::new(kind, error.to_string())
}

fn of_log(error: &LogError) -> CallError {
    let kind = match error {
        LogError::Store { .. } | LogError::Unstable { .. } | LogError::Task(_) => CallErrorKind::Unavailable,
        LogError::Unreadable { .. } | LogError::NotThere { .. } => CallErrorKind::Internal,
    };
    CallError::new(kind, error.to_string())
}
