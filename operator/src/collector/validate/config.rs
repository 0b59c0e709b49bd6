//! The configuration of a Collector, completed: addresses to listen on, and the exporter to its stack.

use serde_json::{Map, Value, json};

use super::{destination::Destination, ports, telemetry};
use crate::{
    crd::collector::CollectorConfig,
    validation::{Notice, NoticeKind, ValidationError},
};

/// Name of the exporter that is added for `tempoRef`, after its type.
const EXPORTER: &str = "tempo";
/// Types of exporters that speak OTLP over gRPC.
const OTLP_GRPC_TYPES: [&str; 2] = ["otlp", "otlp_grpc"];
/// The header with the tenant.
const TENANT_HEADER: &str = "X-Scope-OrgID";
/// Types of exporters that speak OTLP over HTTP.
const OTLP_HTTP_TYPES: [&str; 2] = ["otlphttp", "otlp_http"];

/// The type of a component: its id up to the slash.
pub(super) fn component_type(id: &str) -> &str {
    id.split_once('/').map_or(id, |(kind, _)| kind)
}

/// The configuration as the collector reads it.
pub(super) fn complete(
    config: Option<&CollectorConfig>,
    destination: Option<&Destination>,
    notices: &mut Vec<Notice>,
) -> Result<Value, ValidationError> {
    let mut tree = match config {
        Some(config) => serde_json::to_value(config).map_err(|error| error_at("", error.to_string()))?,
        None => usual(),
    };
    for section in ["receivers", "processors", "exporters", "connectors", "extensions"] {
        if tree.get(section).is_some_and(|value| !value.is_object()) {
            return Err(error_at(
                section,
                "must be an object with an entry for each component",
            ));
        }
    }
    // The API server forgets in which order keys were written; files must become the same objects.
    for section in tree
        .as_object_mut()
        .into_iter()
        .flat_map(|tree| tree.values_mut())
    {
        section.sort_all_objects();
    }
    ports::listen_everywhere(&mut tree);
    telemetry::listen_everywhere(&mut tree);
    if let Some(destination) = destination {
        export_to(&mut tree, destination, notices)?;
    }
    check_pipelines(&tree)?;
    Ok(tree)
}

/// The configuration of a Collector that says only where its traces go.
fn usual() -> Value {
    json!({
        "receivers": {"otlp": {"protocols": {"grpc": {}, "http": {}}}},
        "processors": {
            "batch": {},
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
        },
        "extensions": {"health_check": {}},
        "service": {
            "extensions": ["health_check"],
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": ["memory_limiter", "batch"]}},
        },
    })
}

/// Sends traces to a stack: OTLP exporters without an endpoint get that of the stack; traces pipelines
/// without an exporter get one for it.
fn export_to(
    tree: &mut Value,
    destination: &Destination,
    notices: &mut Vec<Notice>,
) -> Result<(), ValidationError> {
    let mut filled = Filled::default();
    let exporters = tree.get_mut("exporters").and_then(Value::as_object_mut);
    for (id, exporter) in exporters.into_iter().flatten() {
        let Some(is_http) = speaks_http(id) else { continue };
        if exporter.get("endpoint").is_none() && exporter.get("traces_endpoint").is_none() {
            filled.add(fill(exporter, destination, is_http, &format!("exporters.{id}"))?);
        }
    }
    let is_http = destination.exporter(false).is_none();
    let id = format!("{}/{EXPORTER}", if is_http { "otlp_http" } else { "otlp_grpc" });
    if export_pipelines(tree, &id) {
        let mut exporter = json!({});
        filled.add(fill(&mut exporter, destination, is_http, "exporters")?);
        tree_section(tree, "exporters").insert(id, exporter);
    }
    notices.extend(filled.notices(destination));
    Ok(())
}

/// What of a reference was used.
#[derive(Default)]
struct Filled {
    endpoint: bool,
    tls: bool,
}

impl Filled {
    fn add(&mut self, tls: bool) {
        self.endpoint = true;
        self.tls |= tls;
    }

    fn notices(&self, destination: &Destination) -> Vec<Notice> {
        let (tls, files) = (destination.speaks_tls(), &destination.files);
        let candidates = [
            (
                !self.endpoint,
                "is not used: every pipeline has an exporter, and every OTLP exporter an endpoint",
            ),
            (
                self.tls && tls && files.ca.is_none(),
                "the stack's receivers speak TLS: name the ConfigMap with their CA in caName, unless the system's CAs \
                 know the certificate",
            ),
            (
                !tls && !files.is_empty(),
                "caName and certName are not used: the stack's receivers do not speak TLS",
            ),
        ];
        candidates
            .into_iter()
            .filter(|(applies, _)| *applies)
            .map(|(_, message)| Notice::new(NoticeKind::Warning, "spec.tempoRef", message))
            .collect()
    }
}

/// Whether an exporter speaks OTLP over HTTP, or gRPC; absent for other exporters.
fn speaks_http(id: &str) -> Option<bool> {
    let kind = component_type(id);
    let is_http = OTLP_HTTP_TYPES.contains(&kind);
    (is_http || OTLP_GRPC_TYPES.contains(&kind)).then_some(is_http)
}

/// Adds the exporter to the traces pipelines that have none; whether there were any.
fn export_pipelines(tree: &mut Value, id: &str) -> bool {
    let pipelines = tree
        .pointer_mut("/service/pipelines")
        .and_then(Value::as_object_mut);
    let mut added = false;
    for (name, pipeline) in pipelines.into_iter().flatten() {
        let has_exporters = pipeline
            .get("exporters")
            .and_then(Value::as_array)
            .is_some_and(|exporters| !exporters.is_empty());
        if component_type(name) == "traces" && !has_exporters {
            pipeline["exporters"] = json!([id]);
            added = true;
        }
    }
    added
}

/// Fills in what the user left open of the exporter at `path`; whether that was TLS.
fn fill(
    exporter: &mut Value,
    destination: &Destination,
    is_http: bool,
    path: &str,
) -> Result<bool, ValidationError> {
    let (endpoint, tls) = destination.exporter(is_http).ok_or_else(|| {
        let protocol = if is_http { "HTTP" } else { "gRPC" };
        let message = format!(
            "the stack of spec.tempoRef does not receive OTLP over {protocol}; turn it on in its spec.ingestion.otlp"
        );
        error_at(path, message)
    })?;
    if !exporter.is_object() {
        *exporter = json!({});
    }
    exporter["endpoint"] = json!(endpoint);
    let fills_tls = exporter.get("tls").is_none();
    if fills_tls {
        exporter["tls"] = tls;
    }
    if let Some(tenant) = &destination.tenant {
        let headers = tree_section(exporter, "headers");
        let is_named = headers
            .keys()
            .any(|name| name.eq_ignore_ascii_case(TENANT_HEADER));
        if !is_named {
            headers.insert(TENANT_HEADER.to_owned(), Value::String(tenant.clone()));
        }
    }
    Ok(fills_tls)
}

/// A section of a tree, made if it is not there.
fn tree_section<'a>(tree: &'a mut Value, name: &str) -> &'a mut Map<String, Value> {
    let section = &mut tree[name];
    if !section.is_object() {
        *section = Value::Object(Map::new());
    }
    match section {
        Value::Object(map) => map,
        _ => unreachable!("it was just made an object"),
    }
}

/// Every pipeline has receivers and exporters, and names only components that exist.
fn check_pipelines(tree: &Value) -> Result<(), ValidationError> {
    let pipelines = tree.pointer("/service/pipelines").and_then(Value::as_object);
    if pipelines.is_none_or(Map::is_empty) {
        return Err(error_at(
            "service.pipelines",
            "there must be at least one pipeline",
        ));
    }
    for (id, pipeline) in pipelines.into_iter().flatten() {
        for role in ["receivers", "exporters"] {
            if ids(pipeline, role).next().is_none() {
                return Err(error_at(
                    &format!("service.pipelines.{id}"),
                    format!("has no {role}"),
                ));
            }
        }
        for role in ["receivers", "processors", "exporters"] {
            for component in ids(pipeline, role) {
                if !is_defined(tree, role, component) {
                    let path = format!("service.pipelines.{id}.{role}");
                    return Err(error_at(
                        &path,
                        format!("{component:?} is not defined under {role}"),
                    ));
                }
            }
        }
    }
    let service = tree.get("service").unwrap_or(&Value::Null);
    match ids(service, "extensions").find(|id| !is_defined(tree, "extensions", id)) {
        Some(id) => Err(error_at(
            "service.extensions",
            format!("{id:?} is not defined under extensions"),
        )),
        None => Ok(()),
    }
}

/// Ids of the components of a pipeline in one role, or of the service's extensions.
pub(super) fn ids<'a>(pipeline: &'a Value, role: &str) -> impl Iterator<Item = &'a str> {
    pipeline
        .get(role)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Whether a component is there; a connector stands for a receiver and an exporter.
fn is_defined(tree: &Value, role: &str, id: &str) -> bool {
    let defined = |section: &str| tree.get(section).is_some_and(|section| section.get(id).is_some());
    defined(role) || (role != "processors" && role != "extensions" && defined("connectors"))
}

pub(super) fn error_at(path: &str, message: impl Into<String>) -> ValidationError {
    let path = if path.is_empty() {
        "spec.config".to_owned()
    } else {
        format!("spec.config.{path}")
    };
    ValidationError::configuration(path, message)
}
