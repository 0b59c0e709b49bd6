//! The engine's configuration file: one struct that the engine loads and the operator renders, so that they cannot
//! drift apart.
//!
//! ```text
//! text ─ expand (${VAR}) ─ parse ─► Config ─ merge of the 3.x dialect's sections ─ flags ─► Loaded { config, warnings }
//! ```
//!
//! Both dialects of Tempo are read: 2.x (`ingester`, `compactor`) as it is, 3.x (`live_store`, `backend_worker`,
//! `backend_scheduler`) by mapping. Unknown keys are warnings with their path, wrong values are errors with line and
//! column. Not here: what the values do.

mod arguments;
mod duration;
mod effect;
mod expand;
mod load;
mod overrides;
mod sections;
mod storage;
mod tree;
mod yaml;

pub use arguments::{ArgumentError, Arguments};
pub use duration::{GoDuration, ParseDurationError};
pub use expand::expand_environment;
pub use load::{ConfigError, Loaded, load, load_overrides};
pub use overrides::{
    CompactionLimits, GlobalLimits, IngestionLimits, Limits, Overrides, PerTenantOverrides, ReadLimits,
};
pub use sections::{
    Compaction, Compactor, Config, Distributor, FrontendSearch, FrontendWorker, Ingester, KeyValueStore,
    Lifecycler, McpServer, Memberlist, OtlpProtocols, OtlpReceiver, Querier, QueryFrontend, ReceiverEndpoint,
    Receivers, Ring, Server, Sync, TlsFiles, UsageReport,
};
pub use storage::{
    AzureStorage, Backend, BlockCache, GcsStorage, LocalStorage, S3Storage, Storage, TraceStorage, WalStorage,
};
pub use tree::{masked, merge, without_defaults};
