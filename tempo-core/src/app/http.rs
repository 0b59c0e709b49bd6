//! The HTTP servers of a process: what every process answers at once, and what its roles answer once they are there.

mod requests;
mod status;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tempo_config::{Config, Server};
use tempo_runtime::Shutdown;
use tempo_runtime::metrics::{CONTENT_TYPE as OPEN_METRICS, MetricsRegistry};
use tempo_runtime::server::{self, ServerError};
use tower::ServiceExt;

use super::Readiness;
use crate::api;
use crate::limits::TenantLimits;
use crate::target::Target;

pub(super) use requests::RequestMetrics;

/// What the pages show. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) config: Arc<Config>,
    pub(super) target: Target,
    pub(super) readiness: Readiness,
    pub(super) metrics: MetricsRegistry,
    pub(super) limits: TenantLimits,
    /// What the roles answer; until they are there everything of theirs is answered with why.
    pub(super) roles: Arc<OnceLock<Router>>,
}

/// Servers that run.
#[derive(Debug)]
pub(super) struct HttpServers {
    shutdown: Shutdown,
    /// Where the main one listens.
    pub(super) address: SocketAddr,
}

impl HttpServers {
    /// Binds and serves the main server, and the internal one when it is on.
    pub(super) async fn start(shown: Shown, requests: &RequestMetrics) -> Result<Self, ServerError> {
        let shutdown = Shutdown::new();
        let config = Arc::clone(&shown.config);
        let prefix = api::Settings::from(&*config).prefix;
        let own = requests.measure(own_routes(&prefix).with_state(shown.clone()));
        let router = own
            .clone()
            .fallback_service(any(of_roles).with_state(shown.clone()));
        let address = serve("HTTP", &config.server, router, &shutdown).await?;
        if config.internal_server.enable {
            serve("internal HTTP", &config.internal_server, own, &shutdown).await?;
        }
        Ok(Self { shutdown, address })
    }

    /// Lets requests in flight end.
    pub(super) async fn stop(&self) {
        self.shutdown.trigger();
        self.shutdown.finished().await;
    }
}

async fn serve(
    purpose: &'static str,
    settings: &Server,
    router: Router,
    shutdown: &Shutdown,
) -> Result<SocketAddr, ServerError> {
    let listener = server::bind(purpose, &settings.http_listen_address, settings.http_listen_port).await?;
    let address = listener
        .local_addr()
        .map_err(|source| ServerError::Serve { purpose, source })?;
    tracing::info!(%address, "listening for {purpose}");
    let (shutdown, guard) = (shutdown.clone(), shutdown.guard());
    tokio::spawn(async move {
        if let Err(error) = server::serve_http(purpose, listener, None, router, shutdown).await {
            tracing::error!(%error, "a server has ended");
        }
        drop(guard);
    });
    Ok(address)
}

/// What a process answers whatever it plays. `prefix` is what comes before `/api`.
fn own_routes(prefix: &str) -> Router<Shown> {
    let routes = Router::new()
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/status/buildinfo", get(status::build_info))
        .merge(status::routes());
    if prefix.is_empty() {
        return routes;
    }
    routes.route(&format!("{prefix}/api/status/buildinfo"), get(status::build_info))
}

async fn ready(State(shown): State<Shown>) -> Response {
    let missing = shown.readiness.missing();
    if missing.is_empty() {
        return "ready\n".into_response();
    }
    let reasons = missing.iter().map(|(part, reason)| format!("{part}: {reason}"));
    let lines: Vec<String> = std::iter::once("not ready".to_owned()).chain(reasons).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines.join("\n") + "\n").into_response()
}

async fn metrics(State(shown): State<Shown>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], shown.metrics.render()).into_response()
}

/// Hands a request to the roles.
async fn of_roles(State(shown): State<Shown>, request: Request) -> Response {
    match shown.roles.get() {
        Some(router) => match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            "starting; /ready says what is missing\n",
        )
            .into_response(),
    }
}
