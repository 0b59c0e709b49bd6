//! `querier` and `query_frontend`: what answers queries.

use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

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
