//! The application: the roles of a target, what they stand on, and the order in which they start and stop.
//!
//! ```text
//! start: HTTP (not ready) → store probed → roles → gRPC and gossip → doors → ready
//! stop:  not ready → doors → roles (the ingester flushes) → gossip and gRPC → HTTP
//! ```
//! Not here: what the roles do.

mod control;
mod doors;
mod gossip;
mod http;
mod limit_metrics;
mod members;
mod readiness;
mod roles;
pub mod store;
mod store_metrics;
pub mod version;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tempo_block::read::Reader;
use tempo_block::store::{Store, StoreError, TidyUploads};
use tempo_config::Config;
use tempo_receiver::{Door, DoorSettings, TraceConsumer};
use tempo_runtime::membership::GossipError;
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::server::ServerError;
use tempo_runtime::tls::TlsError;
use tempo_runtime::{Environment, Shutdown};

use crate::ingester;
use crate::limits::{LimitsError, OverridesFile, TenantLimits};
use crate::target::Target;
use doors::Doors;
use gossip::Joined;
use http::{HttpServers, RequestMetrics, Shown};
use roles::{Parts, Roles};

pub use readiness::Readiness;

/// Clients get so much of the time that stopping may take, at each of its steps; roles get what is left.
const CLIENTS_PART_OF_DEADLINE: u32 = 5;

/// A process that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The store cannot even be opened; one that does not answer is waited for.
    #[error("open the store of storage.trace: {0}")]
    Store(#[from] StoreError),
    /// The file with the limits of tenants.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The gossip.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// The ingester.
    #[error("start the ingester: {0}")]
    Ingester(#[from] Box<ingester::StartError>),
    /// Certificates of a door.
    #[error("distributor.receivers: {0}")]
    Tls(#[from] TlsError),
    /// An endpoint that is not one.
    #[error(
        "endpoint '{endpoint}' of {purpose} in distributor.receivers is not host:port, such as 0.0.0.0:4317"
    )]
    Endpoint {
        /// What would listen there.
        purpose: &'static str,
        /// What was given.
        endpoint: String,
    },
    /// An address that is not one.
    #[error("{setting} is '{text}', which is not an IP address; is -config.expand-env=true missing?")]
    IpAddress {
        /// The setting.
        setting: &'static str,
        /// What was given.
        text: String,
    },
}

/// The ingester could not flush in time.
#[derive(Debug, thiserror::Error)]
#[error(
    "blocks of all spans were not stored in time (server.graceful_shutdown_timeout is {0:?}); what is in no block is in \
     the WAL, and is taken up at the next start"
)]
pub struct StopError(Duration);

/// A running process.
#[derive(Debug)]
pub struct App {
    config: Arc<Config>,
    readiness: Readiness,
    http: HttpServers,
    doors: Doors,
    joined: Option<Joined>,
    roles: Roles,
    /// Tasks that need no order.
    background: Shutdown,
    /// Triggered by `/shutdown`.
    end: Shutdown,
}

impl App {
    /// Starts what `target` plays. Returns when all of it runs, however long the store takes to answer.
    pub async fn start(environment: Environment, config: Config, target: Target) -> Result<Self, StartError> {
        // Before anything is hashed that came from outside.
        tempo_block::head::seed_hashes(environment.random.next_u64());
        let config = Arc::new(config);
        let opened = tempo_block::store::open(&store::settings(&config.storage.trace))?;
        let base = Base::new(environment, config, target);
        let opened = base.decorated(opened);
        let background = Shutdown::new();
        let limits = base.limits(&background).await?;
        limit_metrics::register(&limits, &base.metrics);
        let http = HttpServers::start(base.shown(&limits), &base.requests).await?;
        store::wait_for(&base.environment, &opened, &base.readiness).await;
        let parts = base.parts(&opened, &limits).await;
        let started = Roles::start(parts, base.end.clone()).await?;
        let mut app = Self {
            doors: Doors::default(),
            joined: started.joined,
            roles: started.roles,
            http,
            background,
            config: Arc::clone(&base.config),
            readiness: base.readiness.clone(),
            end: base.end.clone(),
        };
        // Requests for the roles are answered from here on.
        let _ = base.role_routes.set(base.requests.measure(started.routes));
        match app.open_doors(base.environment.clone(), started.consumer).await {
            Ok(()) => app.readiness.ready("roles"),
            Err(error) => {
                app.stop().await.ok();
                return Err(error);
            }
        }
        tracing::info!(target = target.name(), "everything runs");
        Ok(app)
    }

    async fn open_doors(
        &mut self,
        environment: Environment,
        consumer: Option<Arc<dyn TraceConsumer>>,
    ) -> Result<(), StartError> {
        if let Some(consumer) = consumer {
            let patience = Some(self.config.server.http_server_read_timeout.0);
            let settings = DoorSettings {
                read_timeout: patience
                    .filter(|patience| !patience.is_zero())
                    .unwrap_or(Duration::MAX),
                ..DoorSettings::default()
            };
            let door = Door::new(environment, consumer, settings);
            self.doors = Doors::open(self.config.distributor.receivers.otlp.as_ref(), door).await?;
        }
        Ok(())
    }

    /// Where HTTP listens.
    pub fn http_address(&self) -> SocketAddr {
        self.http.address
    }

    /// Completes when somebody has asked for the end by `/shutdown`.
    pub async fn ended(&self) {
        self.end.triggered().await;
    }

    /// Stops in the order in which nothing that was acknowledged is lost.
    pub async fn stop(self) -> Result<(), StopError> {
        let deadline = self.config.server.graceful_shutdown_timeout.0;
        self.readiness.blocked("process", "it is stopping");
        // Clients that hold on to their connections must not take the time that flushing needs, nor flushing the time in
        // which the others are told.
        let patience = deadline / CLIENTS_PART_OF_DEADLINE;
        let roles_until = tokio::time::Instant::now() + deadline.saturating_sub(2 * patience);
        at_most(patience, "senders", self.doors.close()).await;
        let stopped = tokio::time::timeout_at(roles_until, self.roles.stop()).await;
        // Until here queries found in this process what is in no block.
        if let Some(joined) = &self.joined {
            at_most(patience, "other processes", joined.leave()).await;
        }
        self.background.trigger();
        at_most(patience, "HTTP clients", self.http.stop()).await;
        stopped.map_err(|_| StopError(deadline))
    }
}

/// Waits for `ending`, but not for ever.
async fn at_most(patience: Duration, whose: &str, ending: impl Future<Output = ()>) {
    if tokio::time::timeout(patience, ending).await.is_err() {
        tracing::warn!("{whose} hold on to their connections; they are cut off");
    }
}

/// What is there before any role is.
struct Base {
    environment: Environment,
    config: Arc<Config>,
    target: Target,
    readiness: Readiness,
    metrics: MetricsRegistry,
    requests: RequestMetrics,
    role_routes: Arc<OnceLock<axum::Router>>,
    end: Shutdown,
}

impl Base {
    fn new(environment: Environment, config: Arc<Config>, target: Target) -> Self {
        let metrics = MetricsRegistry::default();
        version::register(&metrics);
        let readiness = Readiness::default();
        readiness.blocked("roles", "they are being started");
        Self {
            environment,
            config,
            target,
            readiness,
            requests: RequestMetrics::new(&metrics),
            metrics,
            role_routes: Arc::default(),
            end: Shutdown::new(),
        }
    }

    /// The store, measured, and without uploads that nobody ends.
    fn decorated(&self, opened: Store) -> Store {
        for warning in store::warnings(&self.config.storage.trace) {
            tracing::warn!("{warning}");
        }
        let measured = store_metrics::measured(&self.environment, opened, &self.metrics);
        Arc::new(TidyUploads::new(self.environment.clone(), measured))
    }

    /// The limits of tenants, which follow their file until shutdown.
    async fn limits(&self, shutdown: &Shutdown) -> Result<TenantLimits, LimitsError> {
        let overrides = &self.config.overrides;
        let limits = TenantLimits::new(overrides.defaults.clone());
        if let Some(file) = OverridesFile::of(overrides) {
            for warning in file.load(&limits).await? {
                tracing::warn!("overrides of tenants: {warning}");
            }
            let following = file.follow(self.environment.clone(), limits.clone(), shutdown.clone());
            self.environment.spawn("overrides", following);
        }
        Ok(limits)
    }

    async fn parts<'a>(&'a self, store: &Store, limits: &'a TenantLimits) -> Parts<'a> {
        Parts {
            environment: &self.environment,
            config: &self.config,
            target: self.target,
            reader: self.reader(store).await,
            limits,
            metrics: &self.metrics,
            readiness: &self.readiness,
        }
    }

    /// Reads blocks, with a cache where queries are executed.
    async fn reader(&self, store: &Store) -> Reader {
        let reader = Reader::new(self.environment.clone(), Arc::clone(store));
        if !self.target.plays(Target::Querier) {
            return reader;
        }
        let settings = &self.config.storage.trace.block_cache;
        Reader {
            cache: store::block_cache(&self.environment, settings).await,
            ..reader
        }
    }

    fn shown(&self, limits: &TenantLimits) -> Shown {
        Shown {
            config: Arc::clone(&self.config),
            target: self.target,
            readiness: self.readiness.clone(),
            metrics: self.metrics.clone(),
            limits: limits.clone(),
            roles: Arc::clone(&self.role_routes),
        }
    }
}
