//! The top level of the file and the sections of the roles. Defaults are Tempo's unless a comment says why not.

use serde::{Deserialize, Serialize};

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
            if let Some(wal) = live_store.wal {
                self.storage.trace.wal = wal;
            }
        }
        if let Some(compaction) = self.backend_worker.take().and_then(|worker| worker.compaction) {
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
    /// How long reading a request may take.
    pub http_server_read_timeout: GoDuration,
    /// How long answering a request may take.
    pub http_server_write_timeout: GoDuration,
    /// The largest gRPC message taken in.
    pub grpc_server_max_recv_msg_size: u64,
    /// The largest gRPC message sent.
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
            grpc_server_max_recv_msg_size: 16 << 20,
            grpc_server_max_send_msg_size: 16 << 20,
            graceful_shutdown_timeout: GoDuration::seconds(30),
            log_level: "info".to_owned(),
            log_format: "logfmt".to_owned(),
        }
    }
}

/// `distributor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Distributor {
    /// Where spans come in.
    pub receivers: Receivers,
    /// The longest attribute key or value; longer ones are cut and counted.
    pub max_attribute_bytes: u64,
    /// How long a client over its limits should wait.
    pub retry_after_on_resource_exhausted: GoDuration,
    /// The ring's own section; read, and not needed: membership is one gossip.
    pub ring: Ring,
}

impl Default for Distributor {
    fn default() -> Self {
        Self {
            receivers: Receivers::default(),
            max_attribute_bytes: 2048,
            retry_after_on_resource_exhausted: GoDuration::seconds(5),
            ring: Ring::default(),
        }
    }
}

/// `distributor.receivers`: the receivers that we have. Others (jaeger, zipkin, kafka) are reported as unknown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Receivers {
    /// OTLP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpReceiver>,
}

/// An OTLP receiver.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OtlpReceiver {
    /// Its doors.
    pub protocols: OtlpProtocols,
}

/// The doors of an OTLP receiver; one that is named without anything has its default endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OtlpProtocols {
    /// OTLP/gRPC.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub grpc: Option<ReceiverEndpoint>,
    /// OTLP/HTTP.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub http: Option<ReceiverEndpoint>,
}

/// A key that is there without a value (`grpc:`) stands for the default.
fn named<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<ReceiverEndpoint>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

/// Where a door listens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiverEndpoint {
    /// Host and port; `localhost` and the protocol's port when empty.
    pub endpoint: String,
    /// TLS, when given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
}

/// Files with a server's TLS identity.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsFiles {
    /// The certificate.
    pub cert_file: String,
    /// The key.
    pub key_file: String,
    /// The CA that clients' certificates must be of; none are asked for when empty.
    pub client_ca_file: String,
    /// The lowest TLS version.
    pub min_version: String,
}

/// `ingester`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ingester {
    /// The ring's section; the replication factor is in it.
    pub lifecycler: Lifecycler,
    /// The age at which a head becomes a block. Upstream: 30m.
    pub max_block_duration: GoDuration,
    /// The bytes of memory at which a head becomes a block. Upstream counts bytes of its WAL: 500 MiB.
    pub max_block_bytes: u64,
    /// How often heads are looked at.
    pub flush_check_period: GoDuration,
    /// How long a flushed head stays readable in memory.
    pub complete_block_timeout: GoDuration,
    /// How many heads are flushed at once.
    pub concurrent_flushes: usize,
    /// What an acknowledgement means; ours.
    pub sync: Sync,
}

impl Default for Ingester {
    fn default() -> Self {
        Self {
            lifecycler: Lifecycler::default(),
            max_block_duration: GoDuration::seconds(30 * 60),
            max_block_bytes: 64_000_000,
            flush_check_period: GoDuration::seconds(10),
            complete_block_timeout: GoDuration::seconds(60),
            concurrent_flushes: 2,
            sync: Sync::default(),
        }
    }
}

/// What an acknowledged span has survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// A power cut: it is synced to the disk.
    #[default]
    Synced,
    /// A killed process: it is written to the operating system. Faster on slow disks.
    Written,
}

/// `ingester.lifecycler`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycler {
    /// The ring.
    pub ring: Ring,
    /// Upstream keeps its tokens there; read and ignored.
    pub tokens_file_path: String,
    /// The address that other members should use.
    pub address: String,
    /// The zone.
    pub availability_zone: String,
    /// Use IPv6.
    pub enable_inet6: bool,
}

/// A ring's section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ring {
    /// Where upstream keeps its ring; read and ignored.
    pub kvstore: KeyValueStore,
    /// How many ingesters keep each record.
    pub replication_factor: usize,
    /// Keep replicas in different zones.
    pub zone_awareness_enabled: bool,
    /// The address that other members should use.
    pub instance_addr: String,
    /// Use IPv6.
    pub enable_inet6: bool,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            kvstore: KeyValueStore::default(),
            replication_factor: 1,
            zone_awareness_enabled: false,
            instance_addr: String::new(),
            enable_inet6: false,
        }
    }
}

/// Where upstream keeps a ring.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyValueStore {
    /// `memberlist` or `inmemory`.
    pub store: String,
}

/// `querier`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Querier {
    /// How many jobs run at once.
    pub max_concurrent_queries: usize,
    /// Where the query-frontend is; read, and not needed: membership is one gossip.
    pub frontend_worker: FrontendWorker,
}

impl Default for Querier {
    fn default() -> Self {
        Self {
            max_concurrent_queries: 20,
            frontend_worker: FrontendWorker::default(),
        }
    }
}

/// `querier.frontend_worker`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendWorker {
    /// Host and port of the query-frontend.
    pub frontend_address: String,
}

/// `query_frontend`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueryFrontend {
    /// How many requests of one tenant may wait.
    pub max_outstanding_per_tenant: usize,
    /// How often a failed job is tried again.
    pub max_retries: usize,
    /// How much of the newest time is hidden. Ours: nothing; what is acknowledged is found.
    pub query_end_cutoff: GoDuration,
    /// The longest query text.
    pub max_query_expression_size_bytes: usize,
    /// Search.
    pub search: FrontendSearch,
    /// The MCP server.
    pub mcp_server: McpServer,
}

impl Default for QueryFrontend {
    fn default() -> Self {
        Self {
            max_outstanding_per_tenant: 2000,
            max_retries: 2,
            query_end_cutoff: GoDuration::default(),
            max_query_expression_size_bytes: 131_072,
            search: FrontendSearch::default(),
            mcp_server: McpServer::default(),
        }
    }
}

/// `query_frontend.search`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendSearch {
    /// How many jobs of one search run at once.
    pub concurrent_jobs: usize,
    /// How many traces a search gives when it does not say.
    pub default_result_limit: usize,
    /// How many traces a search may ask for; 0 is no limit.
    pub max_result_limit: usize,
    /// The longest time range; 0 is no limit.
    pub max_duration: GoDuration,
    /// How many spans of a set are given when the search does not say.
    pub default_spans_per_span_set: usize,
    /// How many spans of a set a search may ask for; 0 is no limit.
    pub max_spans_per_span_set: usize,
    /// Upstream asks blocks only for what is older. Ours: nothing; the commit log says what lies where.
    pub query_backend_after: GoDuration,
}

impl Default for FrontendSearch {
    fn default() -> Self {
        Self {
            concurrent_jobs: 1000,
            default_result_limit: 20,
            max_result_limit: 262_144,
            max_duration: GoDuration::seconds(168 * 3600),
            default_spans_per_span_set: 3,
            max_spans_per_span_set: 100,
            query_backend_after: GoDuration::default(),
        }
    }
}

/// `query_frontend.mcp_server`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct McpServer {
    /// Whether `/api/mcp` is served; not built yet.
    pub enabled: bool,
}

/// `compactor`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Compactor {
    /// What is compacted and how long it is kept.
    pub compaction: Compaction,
    /// The ring's section; read, and not needed.
    pub ring: Ring,
}

/// `compactor.compaction`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// Blocks of one window of this length are merged.
    pub compaction_window: GoDuration,
    /// The largest block that is made, in traces.
    pub max_compaction_objects: u64,
    /// The largest block that is made, in bytes.
    pub max_block_bytes: u64,
    /// How long blocks are kept.
    pub block_retention: GoDuration,
    /// How long the files of removed blocks stay.
    pub compacted_block_retention: GoDuration,
    /// How often work is looked for.
    pub compaction_cycle: GoDuration,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            compaction_window: GoDuration::seconds(3600),
            max_compaction_objects: 6_000_000,
            max_block_bytes: 100 << 30,
            block_retention: GoDuration::seconds(336 * 3600),
            compacted_block_retention: GoDuration::seconds(3600),
            compaction_cycle: GoDuration::seconds(30),
        }
    }
}

/// `memberlist`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memberlist {
    /// Host and port (7946 when left out) of members to start from; the headless Service in a cluster.
    pub join_members: Vec<String>,
    /// The addresses that gossip listens on; all when empty.
    pub bind_addr: Vec<String>,
    /// The port that gossip listens on.
    pub bind_port: u16,
    /// The address that other members should use.
    pub advertise_addr: String,
    /// Only members of the same label gossip with each other.
    pub cluster_label: String,
    /// Whether a process ends when it finds nobody; ours goes on looking.
    pub abort_if_cluster_join_fails: bool,
    /// How often members talk.
    pub gossip_interval: GoDuration,
}

impl Default for Memberlist {
    fn default() -> Self {
        Self {
            join_members: Vec::new(),
            bind_addr: Vec::new(),
            bind_port: 7946,
            advertise_addr: String::new(),
            cluster_label: String::new(),
            abort_if_cluster_join_fails: false,
            gossip_interval: GoDuration::seconds(1),
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
