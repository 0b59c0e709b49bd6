//! The `health_check` extension: answers 200 while pipelines run, and 503 before and after.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use serde::Deserialize;
use serde_yaml::Value;

use crate::config::{Problem, Settings, read, values};

/// Settings of `health_check`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    /// Where it listens; `localhost:13133` by default.
    pub endpoint: String,
    /// The path that is answered; `/` by default.
    pub path: String,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            endpoint: "localhost:13133".to_owned(),
            path: "/".to_owned(),
        }
    }
}

impl Settings for HealthSettings {
    fn read(_: &str, path: &str, value: Value) -> Result<Self, Problem> {
        let settings: Self = read(path, value)?;
        values::host_port(&settings.endpoint)
            .map_err(|reason| Problem::new(format!("{path}::endpoint"), reason))?;
        if !settings.path.starts_with('/') {
            return Err(Problem::new(format!("{path}::path"), "must begin with a slash"));
        }
        Ok(settings)
    }
}

/// Whether pipelines run. Cheap to clone; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<AtomicBool>);

impl Health {
    /// Says whether pipelines run.
    pub fn set(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::Relaxed);
    }

    /// Answers at `path`.
    pub fn router(&self, path: &str) -> Router {
        let ready = Arc::clone(&self.0);
        let answer = move || async move {
            if ready.load(Ordering::Relaxed) {
                (StatusCode::OK, "Server available\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "Server not available\n")
            }
        };
        Router::new().route(path, any(answer))
    }
}
