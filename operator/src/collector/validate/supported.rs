//! What the operator's own collector can run, by its own judgement; another image may know more.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::EnvVar;
use serde_json::Value;
use tempo_collector::config::{self, ComponentId, ConfigError, Kind, Problem, expand};

use super::config::{component_type, error_at};
use crate::validation::ValidationError;

const WAY_OUT: &str = "or set spec.image and spec.command to a collector that has it";

/// Whether the operator's own collector can run a configuration in a container with these variables; it refuses also
/// what no pipeline uses.
pub(super) fn check(tree: &Value, variables: &[EnvVar]) -> Result<(), ValidationError> {
    check_components(tree)?;
    let sources = Container::of(variables);
    let read = serde_yaml::to_value(tree)
        .map_err(|error| error_at("", error.to_string()))
        .map(|tree| config::from_tree(tree, &sources))?;
    let Err(ConfigError::Invalid { problems }) = read else {
        return Ok(());
    };
    let mut certain = problems
        .iter()
        .filter(|problem| !sources.is_unknown_in(tree, &problem.path));
    let Some(first) = certain.next() else {
        return Ok(());
    };
    let Problem { path, reason } = first;
    let reasons: Vec<String> = std::iter::once(reason.clone())
        .chain(certain.map(ToString::to_string))
        .collect();
    Err(error_at(&path.replace("::", "."), reasons.join("; ")))
}

fn check_components(tree: &Value) -> Result<(), ValidationError> {
    for kind in [Kind::Receiver, Kind::Processor, Kind::Exporter, Kind::Extension] {
        let section = kind.section();
        for id in keys(tree.get(section)) {
            if let Err(reason) = ComponentId::parse(kind, id) {
                let message = format!("tempo-collector: {reason}; {WAY_OUT}");
                return Err(error_at(&format!("{section}.{id}"), message));
            }
        }
    }
    if let Some(id) = keys(tree.get("connectors")).next() {
        let message = format!(
            "tempo-collector has no connectors; name receivers and exporters in pipelines, {WAY_OUT}"
        );
        return Err(error_at(&format!("connectors.{id}"), message));
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

/// What the operator knows of the container that will read the configuration: variables whose value stands in the spec
/// and refers to no other.
struct Container<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Container<'a> {
    fn of(variables: &'a [EnvVar]) -> Self {
        let known = variables
            .iter()
            .filter_map(|variable| Some((variable.name.as_str(), variable.value.as_deref()?)))
            .filter(|(_, value)| !value.contains("$("));
        Self(known.collect())
    }

    /// Whether what stands at a path such as `exporters::otlp_grpc` refers to something that is not known here.
    fn is_unknown_in(&self, tree: &Value, path: &str) -> bool {
        let mut place = tree;
        for step in path.split("::").filter(|step| !step.is_empty()) {
            let index = step.parse::<usize>().ok();
            let next = place
                .get(step)
                .or_else(|| index.and_then(|index| place.get(index)));
            // A path may end in a key that is not there.
            let Some(next) = next else { break };
            place = next;
        }
        self.refers_to_unknown(place)
    }

    fn refers_to_unknown(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains("${") && !self.knows_all_of(text),
            Value::Array(items) => items.iter().any(|item| self.refers_to_unknown(item)),
            Value::Object(fields) => fields.values().any(|field| self.refers_to_unknown(field)),
            _ => false,
        }
    }

    fn knows_all_of(&self, text: &str) -> bool {
        text.split("${").skip(1).all(|reference| {
            let name = reference.split('}').next().unwrap_or_default();
            let name = name.strip_prefix("env:").unwrap_or(name);
            self.0.contains_key(name)
        })
    }
}

impl expand::Sources for Container<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Ok(String::new())
    }
}
