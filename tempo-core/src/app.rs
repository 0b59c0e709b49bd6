//! The application: the roles of a target, what they stand on, and the order in which they start and stop.
//!
//! ```text
//! start: HTTP (not ready) → store probed → roles → gRPC and gossip → doors → ready
//! stop:  not ready → doors → gossip and gRPC → roles (the ingester flushes) → HTTP
//! ```
//! Not here: what the roles do.

mod doors;
mod gossip;
mod http;
mod readiness;
pub mod store;
pub mod version;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tempo_block::store::StoreError;
use tempo_config::Config;
use tempo_runtime::membership::GossipError;
use tempo_runtime::metrics::MetricsRegistry;
use tempo_runtime::server::ServerError;
use tempo_runtime::tls::TlsError;
use tempo_runtime::{Environment, Shutdown};

use crate::target::Target;
use http::{HttpServers, RequestMetrics, Shown};

pub use readiness::Readiness;

/// A process that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The store cannot even be opened; one that does not answer is waited for.
    #[error("open the store of storage.trace: {0}")]
    Store(#[from] StoreError),
    /// The gossip.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// Certificates of a door.
    #[error("distributor.receivers: {0}")]
    Tls(#[from] TlsError),
    /// An endpoint that is not one.
    #[error("endpoint '{endpoint}' of {purpose} in distributor.receivers is not host:port, such as 0.0.0.0:4317")]
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

/// A running process.
#[derive(Debug)]
pub struct App {
    config: Arc<Config>,
    readiness: Readiness,
    http: HttpServers,
    end: Shutdown,
}

impl App {
    /// Starts what `target` plays. Returns when all of it runs, however long the store takes to answer.
    pub async fn start(environment: Environment, config: Config, target: Target) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let metrics = MetricsRegistry::default();
        version::register(&metrics);
        let readiness = Readiness::default();
        readiness.blocked("roles", "they are being started");
        let opened = tempo_block::store::open(&store::settings(&config.storage.trace))?;
        let shown = Shown {
            config: Arc::clone(&config),
            target,
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            roles: Arc::new(OnceLock::new()),
        };
        let http = HttpServers::start(shown.clone(), &RequestMetrics::new(&metrics)).await?;
        store::wait_for(&environment, &opened, &readiness).await;
        Ok(Self {
            config,
            readiness,
            http,
            end: Shutdown::new(),
        })
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
        let stopping = async {
            self.http.stop().await;
        };
        tokio::time::timeout(deadline, stopping).await.map_err(|_| StopError { deadline })
    }
}

/// Not everything could be stopped in time.
#[derive(Debug, thiserror::Error)]
#[error("not everything ended within {deadline:?}; what was not flushed is in the WAL, and is taken up at the next start")]
pub struct StopError {
    deadline: std::time::Duration,
}
