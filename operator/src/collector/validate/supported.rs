//! What the operator's own collector can run; another image may know more.

use serde_json::Value;

use super::config::{component_type, error_at};
use crate::validation::ValidationError;

/// The types of components in each section, as `collector/src/config/id.rs` has them; a test compares the two.
const TYPES: [(&str, &[&str]); 4] = [
    ("receivers", &["otlp"]),
    ("processors", &["batch", "memory_limiter"]),
    ("exporters", &["debug", "otlp_grpc", "otlp_http"]),
    ("extensions", &["health_check"]),
];
/// Old spellings of exporters, which are taken too.
const OLD_EXPORTERS: [&str; 3] = ["otlp", "otlphttp", "logging"];
const WAY_OUT: &str = "or set spec.image and spec.command to a collector that has it";

/// Whether the operator's own collector can run a configuration; it refuses also what no pipeline uses.
pub(super) fn check(tree: &Value) -> Result<(), ValidationError> {
    for (section, types) in TYPES {
        for id in keys(tree.get(section)) {
            let kind = component_type(id).trim();
            let is_old = section == "exporters" && OLD_EXPORTERS.contains(&kind);
            if !types.contains(&kind) && !is_old {
                return Err(error_at(
                    &format!("{section}.{id}"),
                    format!(
                        "tempo-collector has no {section} of type {kind:?}; use one of: {}; {WAY_OUT}",
                        types.join(", ")
                    ),
                ));
            }
        }
    }
    if let Some(id) = keys(tree.get("connectors")).next() {
        return Err(error_at(
            &format!("connectors.{id}"),
            format!(
                "tempo-collector has no connectors; name receivers and exporters in pipelines, {WAY_OUT}"
            ),
        ));
    }
    match keys(tree.pointer("/service/pipelines")).find(|id| component_type(id) != "traces") {
        Some(id) => Err(error_at(
            &format!("service.pipelines.{id}"),
            format!("tempo-collector has traces pipelines only; call it traces or traces/NAME, {WAY_OUT}"),
        )),
        None => Ok(()),
    }
}

fn keys(section: Option<&Value>) -> impl Iterator<Item = &String> {
    section
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|map| map.keys())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_those_of_the_collector() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../collector/src/config/id.rs");
        let source = std::fs::read_to_string(source).unwrap();
        for ((section, types), kind) in TYPES
            .iter()
            .zip(["Receiver", "Processor", "Exporter", "Extension"])
        {
            let line = format!("Self::{kind} => &{types:?},");
            assert!(source.contains(&line), "{section}: {line}");
        }
        for old in OLD_EXPORTERS {
            assert!(source.contains(&format!("(Self::Exporter, \"{old}\")")), "{old}");
        }
    }
}
