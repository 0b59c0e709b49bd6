//! The configuration of a Collector, completed: addresses to listen on, and the exporter to its stack.

use serde_json::{Map, Value, json};

use super::{destination::Destination, ports};
use crate::{
    crd::collector::CollectorConfig,
    validation::{Notice, NoticeKind, ValidationError},
};

/// Id of the exporter that is added for `tempoRef`.
const EXPORTER: &str = "otlp_grpc/tempo";
/// Types of exporters that speak OTLP over gRPC.
const OTLP_GRPC_TYPES: [&str; 2] = ["otlp", "otlp_grpc"];

/// The type of a component: its id up to the slash.
pub(super) fn component_type(id: &str) -> &str {
    id.split_once('/').map_or(id, |(kind, _)| kind)
}

/// The configuration as the collector reads it.
pub(super) fn complete(
    config: &CollectorConfig,
    destination: Option<&Destination>,
    notices: &mut Vec<Notice>,
) -> Result<Value, ValidationError> {
    let mut tree = serde_json::to_value(config).map_err(|error| error_at("", error.to_string()))?;
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
    if let Some(destination) = destination {
        export_to(&mut tree, destination, notices);
    }
    check_pipelines(&tree, config)?;
    Ok(tree)
}

/// Sends traces to a stack: OTLP exporters without an endpoint get that of the stack; traces pipelines
/// without an exporter get one for it.
fn export_to(tree: &mut Value, destination: &Destination, notices: &mut Vec<Notice>) {
    let mut used = false;
    if let Some(exporters) = tree.get_mut("exporters").and_then(Value::as_object_mut) {
        for (id, exporter) in exporters.iter_mut() {
            if OTLP_GRPC_TYPES.contains(&component_type(id)) && exporter.get("endpoint").is_none() {
                fill(exporter, destination);
                used = true;
            }
        }
    }
    if export_pipelines(tree) {
        let mut exporter = json!({});
        fill(&mut exporter, destination);
        tree_section(tree, "exporters").insert(EXPORTER.to_owned(), exporter);
        used = true;
    }
    if !used {
        notices.push(Notice::new(
            NoticeKind::Warning,
            "spec.tempoRef",
            "is not used: every pipeline has an exporter, and every OTLP exporter an endpoint",
        ));
    }
    if destination.tls {
        notices.push(Notice::new(
            NoticeKind::Warning,
            "spec.tempoRef",
            "the stack's receivers speak TLS: give the exporter tls.ca_file, unless the system's CAs know the certificate",
        ));
    }
}

/// Adds the exporter to the traces pipelines that have none; whether there were any.
fn export_pipelines(tree: &mut Value) -> bool {
    let pipelines = tree
        .pointer_mut("/service/pipelines")
        .and_then(Value::as_object_mut);
    let mut added = false;
    for (id, pipeline) in pipelines.into_iter().flatten() {
        let has_exporters = pipeline
            .get("exporters")
            .and_then(Value::as_array)
            .is_some_and(|exporters| !exporters.is_empty());
        if component_type(id) == "traces" && !has_exporters {
            pipeline["exporters"] = json!([EXPORTER]);
            added = true;
        }
    }
    added
}

/// Fills in what the user left open.
fn fill(exporter: &mut Value, destination: &Destination) {
    if !exporter.is_object() {
        *exporter = json!({});
    }
    exporter["endpoint"] = json!(destination.endpoint);
    if exporter.get("tls").is_none() {
        exporter["tls"] = json!({"insecure": !destination.tls});
    }
    if let Some(tenant) = &destination.tenant {
        tree_section(exporter, "headers")
            .entry("X-Scope-OrgID")
            .or_insert_with(|| Value::String(tenant.clone()));
    }
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
fn check_pipelines(tree: &Value, config: &CollectorConfig) -> Result<(), ValidationError> {
    if config.service.pipelines.is_empty() {
        return Err(error_at(
            "service.pipelines",
            "there must be at least one pipeline",
        ));
    }
    let pipelines = tree.pointer("/service/pipelines").and_then(Value::as_object);
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
    match config
        .service
        .extensions
        .iter()
        .find(|id| !is_defined(tree, "extensions", id))
    {
        Some(id) => Err(error_at(
            "service.extensions",
            format!("{id:?} is not defined under extensions"),
        )),
        None => Ok(()),
    }
}

/// Ids of the components of a pipeline in one role.
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
