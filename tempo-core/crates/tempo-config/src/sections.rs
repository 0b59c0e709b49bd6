//! The top level of the file, the servers, and the 3.x names of sections; the roles' sections are in the files below.
//! Defaults are Tempo's unless a comment says why not.

mod cluster;
mod compact;
mod ingest;
mod query;
mod receive;

use serde::{Deserialize, Serialize};

pub use cluster::{KeyValueStore, Memberlist, Ring};
pub use compact::{Compaction, Compactor};
pub use ingest::{Ingester, Lifecycler, Sync};
pub use query::{FrontendSearch, FrontendWorker, McpServer, Querier, QueryFrontend};
pub use receive::{Distributor, OtlpProtocols, OtlpReceiver, ReceiverEndpoint, Receivers, TlsFiles};

use crate::duration::GoDuration;
use crate::overrides::Overrides;
use crate::storage::Storage;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which role this process plays; `-target` wins.
    pub target: String,
    /// Whether requests name a tenant in `X-Scope-OrgID`; otherwise all is of `single-tenant`.
    pub multitenancy_enabled: bool,
    /// What comes before `/api/...`.
    pub http_api_prefix: String,
    /// Offer the gRPC API on the HTTP port too.
    pub stream_over_http_enabled: bool,
    /// The HTTP and gRPC servers.
    pub server: Server,
    /// A second HTTP server for health checks.
    pub internal_server: Server,
    /// The distributor.
    pub distributor: Distributor,
    /// The ingester.
    pub ingester: Ingester,
    /// The querier.
    pub querier: Querier,
    /// The query-frontend.
    pub query_frontend: QueryFrontend,
    /// The compactor.
    pub compactor: Compactor,
    /// Where things are stored.
    pub storage: Storage,
    /// Limits.
    pub overrides: Overrides,
    /// How processes find each other.
    pub memberlist: Memberlist,
    /// Upstream's usage report: we send none, whatever this says.
    pub usage_report: UsageReport,
    /// The 3.x name of the ingester's section.
    #[serde(skip_serializing)]
    pub(crate) live_store: Option<LiveStore>,
    /// The 3.x name of the compactor's section.
    #[serde(skip_serializing)]
    pub(crate) backend_worker: Option<BackendWorker>,
    /// Where 3.x says what is to be compacted.
    #[serde(skip_serializing)]
    pub(crate) backend_scheduler: Option<BackendScheduler>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            target: "all".to_owned(),
            multitenancy_enabled: false,
            http_api_prefix: String::new(),
            stream_over_http_enabled: false,
            server: Server::default(),
            internal_server: Server {
                http_listen_port: 3101,
                enable: false,
                ..Server::default()
            },
            distributor: Distributor::default(),
            ingester: Ingester::default(),
            querier: Querier::default(),
            query_frontend: QueryFrontend::default(),
            compactor: Compactor::default(),
            storage: Storage::default(),
            overrides: Overrides::default(),
            memberlist: Memberlist::default(),
            usage_report: UsageReport::default(),
            live_store: None,
            backend_worker: None,
            backend_scheduler: None,
        }
    }
}

impl Config {
    /// Moves what 3.x sections and flat names say to where the engine looks.
    pub(crate) fn adopt_other_dialects(&mut self) {
        if let Some(live_store) = self.live_store.take() {
            let ingester = &mut self.ingester;
            ingester.max_block_duration = live_store
                .max_block_duration
                .unwrap_or(ingester.max_block_duration);
            ingester.max_block_bytes = live_store.max_block_bytes.unwrap_or(ingester.max_block_bytes);
            ingester.trace_idle_period = live_store.max_trace_idle.unwrap_or(ingester.trace_idle_period);
            if let Some(wal) = live_store.wal {
                self.storage.trace.wal = wal;
            }
        }
        let worker = self.backend_worker.take().and_then(|worker| worker.compaction);
        let scheduler = self.backend_scheduler.take();
        let scheduler = scheduler.and_then(|scheduler| scheduler.provider.compaction.compaction);
        if let Some(compaction) = scheduler.or(worker) {
            self.compactor.compaction = compaction;
        }
        self.overrides.adopt_flat_names();
    }
}

/// `server`, and `internal_server`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Whether `internal_server` is on.
    pub enable: bool,
    /// The address that HTTP listens on; all when empty.
    pub http_listen_address: String,
    /// The port that HTTP listens on.
    pub http_listen_port: u16,
    /// The address that gRPC listens on; all when empty.
    pub grpc_listen_address: String,
    /// The port that gRPC listens on.
    pub grpc_listen_port: u16,
    /// How long the body of a request with spans may take to come; zero is for ever.
    pub http_server_read_timeout: GoDuration,
    /// How long answering a request may take.
    pub http_server_write_timeout: GoDuration,
    /// How many calls a gRPC connection may have under way.
    pub grpc_server_max_concurrent_streams: u32,
    /// Upstream's largest gRPC message taken in. Read, and not needed: messages between roles are bounded by what they hold.
    pub grpc_server_max_recv_msg_size: u64,
    /// Upstream's largest gRPC message sent; as above.
    pub grpc_server_max_send_msg_size: u64,
    /// How long requests in flight may go on at the end.
    pub graceful_shutdown_timeout: GoDuration,
    /// `debug`, `info`, `warn` or `error`.
    pub log_level: String,
    /// `logfmt` or `json`.
    pub log_format: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            enable: false,
            http_listen_address: String::new(),
            http_listen_port: 3200,
            grpc_listen_address: String::new(),
            grpc_listen_port: 9095,
            http_server_read_timeout: GoDuration::seconds(30),
            http_server_write_timeout: GoDuration::seconds(30),
            grpc_server_max_concurrent_streams: 100,
            grpc_server_max_recv_msg_size: 16 << 20,
            grpc_server_max_send_msg_size: 16 << 20,
            graceful_shutdown_timeout: GoDuration::seconds(30),
            log_level: "info".to_owned(),
            log_format: "logfmt".to_owned(),
        }
    }
}

/// `usage_report`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageReport {
    /// Upstream's switch.
    pub reporting_enabled: bool,
}

/// `live_store` (3.x): what of it our ingester has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LiveStore {
    max_trace_idle: Option<GoDuration>,
    max_block_duration: Option<GoDuration>,
    max_block_bytes: Option<u64>,
    wal: Option<crate::storage::WalStorage>,
}

/// `backend_worker` (3.x): what of it our compactor has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BackendWorker {
    compaction: Option<Compaction>,
}

/// `backend_scheduler` (3.x): what of it our compactor has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BackendScheduler {
    provider: SchedulerProvider,
}

/// `backend_scheduler.provider`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct SchedulerProvider {
    compaction: CompactionProvider,
}

/// `backend_scheduler.provider.compaction`; its own `compaction` has the keys of `compactor.compaction`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct CompactionProvider {
    compaction: Option<Compaction>,
}
