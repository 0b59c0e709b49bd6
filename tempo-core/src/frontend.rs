//! The query-frontend: from a question of a client to jobs for queriers, and from their answers to one.
//!
//! ```text
//! question ─ check ─ log position P ─ what ingesters have beside P ─┐
//!                                   └ blocks live at P, newest first ┴─► jobs ─► queriers ─► combine ─► answer
//! ```
//! Not here: HTTP and its texts (`api`), how a job is executed (the querier).

use std::time::Duration;

use tempo_block::store::Store;
use tempo_config::Config;
use tempo_runtime::Environment;
use tempo_runtime::metrics::MetricsRegistry;

use crate::limits::TenantLimits;
use crate::rpc::QuerierApi;
use crate::rpc::peers::Peers;

/// How the query-frontend works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many requests of one tenant may be under way.
    pub max_outstanding_per_tenant: usize,
    /// How often a failed job is tried again.
    pub max_retries: usize,
    /// How many jobs of one query run at once.
    pub concurrent_jobs: usize,
    /// How long a query may take.
    pub timeout: Duration,
    /// The longest query text, in bytes.
    pub max_query_bytes: usize,
    /// How many traces a search gives when it does not say.
    pub default_limit: usize,
    /// How many traces a search may ask for; 0 is no limit.
    pub max_limit: usize,
    /// The longest time range of a search; 0 is no limit.
    pub max_duration: Duration,
    /// How many spans of a set are given when the search does not say.
    pub default_spans_per_span_set: usize,
    /// How many spans of a set a search may ask for; 0 is no limit.
    pub max_spans_per_span_set: usize,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let frontend = &config.query_frontend;
        Self {
            max_outstanding_per_tenant: frontend.max_outstanding_per_tenant,
            max_retries: frontend.max_retries,
            concurrent_jobs: frontend.search.concurrent_jobs,
            timeout: config.server.http_server_write_timeout.0,
            max_query_bytes: frontend.max_query_expression_size_bytes,
            default_limit: frontend.search.default_result_limit,
            max_limit: frontend.search.max_result_limit,
            max_duration: frontend.search.max_duration.0,
            default_spans_per_span_set: frontend.search.default_spans_per_span_set,
            max_spans_per_span_set: frontend.search.max_spans_per_span_set,
        }
    }
}

/// The role.
#[derive(Debug)]
pub struct Frontend {
    environment: Environment,
    store: Store,
    queriers: Peers<dyn QuerierApi>,
    limits: TenantLimits,
    settings: Settings,
}

impl Frontend {
    /// A query-frontend that reads the logs of tenants in `store` and sends jobs to `queriers`.
    pub fn new(
        environment: Environment,
        store: Store,
        queriers: Peers<dyn QuerierApi>,
        limits: TenantLimits,
        settings: Settings,
        _registry: &MetricsRegistry,
    ) -> Self {
        Self {
            environment,
            store,
            queriers,
            limits,
            settings,
        }
    }
}
