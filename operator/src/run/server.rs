//! `/metrics`, `/healthz` and `/readyz` of the operator.

use std::sync::Arc;

use axum::{Router, extract::State, http::StatusCode, routing::get};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Why the operator is not ready; empty when it is.
#[derive(Clone, Debug)]
pub struct Readiness {
    obstacle: Arc<Mutex<String>>,
}

impl Readiness {
    /// Not ready yet.
    pub fn starting() -> Self {
        Self {
            obstacle: Arc::new(Mutex::new("starting".to_owned())),
        }
    }

    /// Not ready, because of something.
    pub fn hinder(&self, obstacle: &str) {
        obstacle.clone_into(&mut self.obstacle.lock());
    }

    /// Ready.
    pub fn set_ready(&self) {
        self.obstacle.lock().clear();
    }
}

/// Serves until it is told to stop.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route(
            "/metrics",
            get(|State(metrics): State<Metrics>| async move { metrics.text() }),
        )
        .with_state(metrics)
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(move || async move { ready(&readiness) }));
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

fn ready(readiness: &Readiness) -> (StatusCode, String) {
    let obstacle = readiness.obstacle.lock().clone();
    if obstacle.is_empty() {
        (StatusCode::OK, "ok".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, obstacle)
    }
}
