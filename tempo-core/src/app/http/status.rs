//! The status pages: what runs here, with which settings.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use comfy_table::{Table, presets};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempo_config::{Config, ConfigError, masked};
use tempo_model::TenantId;

use super::Shown;
use crate::app::version;
use crate::target::Target;

/// What every process answers.
const OWN_ENDPOINTS: [&str; 12] = [
    "GET /ready",
    "GET /metrics",
    "GET /status",
    "GET /status/version",
    "GET /status/services",
    "GET /status/endpoints",
    "GET /status/config",
    "GET /status/runtime_config",
    "GET /status/overrides",
    "GET /status/overrides/{tenant}",
    "GET /memberlist",
    "GET /api/status/buildinfo",
];
const INGESTER_ENDPOINTS: [&str; 2] = ["GET, POST /flush", "GET, POST /shutdown"];
const QUERY_ENDPOINTS: [&str; 9] = [
    "GET /",
    "GET /api/echo",
    "GET /api/traces/{traceID}",
    "GET /api/v2/traces/{traceID}",
    "GET /api/search",
    "GET /api/search/tags",
    "GET /api/v2/search/tags",
    "GET /api/search/tag/{tagName}/values",
    "GET /api/v2/search/tag/{tagName}/values",
];

pub(super) fn routes() -> Router<Shown> {
    Router::new()
        .route("/status", get(everything))
        .route("/status/version", get(|| async { version::text() }))
        .route("/status/services", get(services))
        .route("/status/endpoints", get(endpoints))
        .route("/status/config", get(config))
        .route("/status/runtime_config", get(runtime_config))
        .route("/status/overrides", get(overrides))
        .route("/status/overrides/{tenant}", get(overrides_of))
        .route(
            "/status/usage-stats",
            get(|| async { "usage-stats is not enabled\n" }),
        )
        .route("/status/{page}", get(unknown))
}

pub(super) async fn build_info() -> Json<Value> {
    Json(json!({
        "version": version::COMPATIBLE,
        "revision": version::REVISION,
        "branch": version::BRANCH,
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

async fn everything(State(shown): State<Shown>) -> Response {
    let config = match shown.config.to_masked_yaml() {
        Ok(config) => config,
        Err(error) => return failed(&error),
    };
    let sections = [
        ("version", version::text()),
        ("services", services_table(&shown)),
        ("endpoints", endpoints_table(shown.target)),
        ("config", format!("---\n{config}")),
    ];
    let sections = sections.map(|(name, body)| format!("GET /status/{name}\n{body}\n"));
    sections.concat().into_response()
}

async fn services(State(shown): State<Shown>) -> String {
    services_table(&shown)
}

fn services_table(shown: &Shown) -> String {
    let mut table = ascii_table();
    table.set_header(["SERVICE NAME", "STATUS", "FAILURE CASE"]);
    for (part, state) in shown.readiness.states() {
        let (status, reason) = match state {
            Ok(()) => ("Running", String::new()),
            Err(reason) => ("Starting", reason),
        };
        table.add_row([part, status, &reason]);
    }
    format!("{table}\n")
}

async fn endpoints(State(shown): State<Shown>) -> String {
    endpoints_table(shown.target)
}

fn endpoints_table(target: Target) -> String {
    let mut endpoints = OWN_ENDPOINTS.to_vec();
    if target.plays(Target::Ingester) {
        endpoints.extend(INGESTER_ENDPOINTS);
    }
    if target.plays(Target::QueryFrontend) {
        endpoints.extend(QUERY_ENDPOINTS);
    }
    let mut table = ascii_table();
    table.set_header(["ENDPOINT"]);
    for endpoint in endpoints {
        table.add_row([endpoint]);
    }
    format!("{table}\n")
}

fn ascii_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_FULL_CONDENSED);
    table
}

#[derive(Debug, Default, Deserialize)]
struct Mode {
    /// `diff` shows what differs from the defaults, `defaults` the defaults, anything else what is in effect.
    #[serde(default)]
    mode: String,
}

async fn config(State(shown): State<Shown>, Query(Mode { mode }): Query<Mode>) -> Response {
    let yaml = match mode.as_str() {
        "diff" => shown
            .config
            .to_tree()
            .and_then(|tree| Config::tree_to_yaml(&masked(&tree))),
        "defaults" => Config::default().to_masked_yaml(),
        _ => shown.config.to_masked_yaml(),
    };
    yaml_answer(yaml)
}

/// What of the configuration is read again and again: the limits of single tenants.
async fn runtime_config(State(shown): State<Shown>) -> Response {
    let own = shown.limits.of_named_tenants();
    let own: BTreeMap<_, _> = own.iter().map(|(tenant, limits)| (tenant, &**limits)).collect();
    limits_answer(&json!({ "overrides": own }))
}

async fn overrides(State(shown): State<Shown>) -> String {
    let mut text =
        "tenants with limits of their own (* is everyone else); see /status/overrides/{tenant}\n".to_owned();
    for tenant in shown.limits.of_named_tenants().keys() {
        text.push_str(tenant);
        text.push('\n');
    }
    text
}

async fn overrides_of(State(shown): State<Shown>, Path(tenant): Path<String>) -> Response {
    match tenant.parse::<TenantId>() {
        Ok(tenant) => limits_answer(&*shown.limits.of(&tenant)),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

fn limits_answer(limits: &impl Serialize) -> Response {
    let tree = serde_json::to_value(limits).map_err(ConfigError::from);
    yaml_answer(tree.and_then(|tree| Config::tree_to_yaml(&tree)))
}

async fn unknown(Path(page): Path<String>) -> Response {
    let text = format!("there is no page /status/{page}; /status/endpoints lists those that are\n");
    (StatusCode::NOT_FOUND, text).into_response()
}

fn yaml_answer(yaml: Result<String, ConfigError>) -> Response {
    match yaml {
        Ok(yaml) => format!("---\n{yaml}").into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}
