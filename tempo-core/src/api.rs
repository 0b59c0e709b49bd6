//! Tempo's query API over HTTP, and a page for people without Grafana.
//!
//! ```text
//! request ─ tenant ─ parameters ─► Frontend ─► JSON or protobuf (by Accept), gzip
//! ```
//! Not here: `/ready`, `/metrics` and `/status`, which every role has (`app`); how queries are answered (`frontend`).

mod answer;
mod legacy;
mod page;
mod parameters;
mod search;
mod tags;
mod traces;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::routing::any;
use http::request::Parts;
use tempo_config::Config;
use tempo_model::TenantId;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use self::answer::Failure;
use crate::frontend::Frontend;
use crate::tenancy::{TENANT_HEADER, Tenancy};

/// Shorter answers are not worth compressing.
const COMPRESS_ABOVE_BYTES: u64 = 1024;

/// How the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What comes before `/api`: empty, or a path such as `/tempo`.
    pub prefix: String,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let prefix = config.http_api_prefix.trim_matches('/');
        Self {
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("/{prefix}")
            },
        }
    }
}

/// What handlers work with.
#[derive(Debug, Clone)]
struct Api {
    frontend: Arc<Frontend>,
    tenancy: Tenancy,
}

/// The routes, for the server of a query-frontend: `/api/…` under the prefix, and the page at `/` and `/trace/{id}`.
pub fn router(frontend: Arc<Frontend>, tenancy: Tenancy, settings: &Settings) -> Router {
    // As upstream: the method does not matter.
    let api = Router::new()
        .route("/api/echo", any(|| async { "echo" }))
        .route("/api/traces/{traceID}", any(traces::v1))
        .route("/api/v2/traces/{traceID}", any(traces::v2))
        .route("/api/search", any(search::search))
        .route("/api/search/tags", any(tags::names_v1))
        .route("/api/v2/search/tags", any(tags::names_v2))
        .route("/api/search/tag/{tagName}/values", any(tags::values_v1))
        .route("/api/v2/search/tag/{tagName}/values", any(tags::values_v2))
        .route("/api/metrics/query_range", any(search::metrics))
        .route("/api/metrics/query", any(search::metrics));
    let api = match settings.prefix.as_str() {
        "" => api,
        prefix => Router::new().nest(prefix, api),
    };
    api.merge(page::routes())
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_ABOVE_BYTES)))
        .with_state(Api { frontend, tenancy })
}

/// The tenants whose spans a request asks for.
#[derive(Debug)]
struct Tenants(Vec<TenantId>);

impl FromRequestParts<Api> for Tenants {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Failure> {
        let header = parts.headers.get(TENANT_HEADER);
        // A header that is not text names no tenant that there can be.
        let header = header.map(|value| value.to_str().unwrap_or("\u{fffd}"));
        Ok(Self(api.tenancy.of_query(header)?))
    }
}
