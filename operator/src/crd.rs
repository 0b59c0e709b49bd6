//! The custom resources: API types only, and the CustomResourceDefinitions made of them.

#![allow(
    unreachable_pub,
    reason = "the schema derive makes public helper types in its own scope"
)]

pub mod collector;
pub mod common;
mod quantity;
pub mod status;
pub mod tempomonolithic;
pub mod tempostack;
pub mod tenants;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

pub use self::{
    collector::{Collector, CollectorSpec},
    quantity::{Quantity, QuantityError},
    tempomonolithic::{TempoMonolithic, TempoMonolithicSpec},
    tempostack::{TempoStack, TempoStackSpec},
};

/// Group and version of all kinds.
pub const API_VERSION: &str = "tempo.grafana.com/v1alpha1";

/// The CustomResourceDefinitions of all kinds.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    [TempoStack::crd(), TempoMonolithic::crd(), Collector::crd()]
        .into_iter()
        .map(without_embedded_texts)
        .collect()
}

/// A definition as the text of its file under `crds/`.
pub fn to_yaml(definition: &CustomResourceDefinition) -> Result<String, serde_yaml::Error> {
    let text = serde_yaml::to_string(definition)?;
    Ok(format!(
        "# Made by `tempo-operator crds --dir crds`; not to be edited.\n{text}"
    ))
}

/// The file name of a definition, such as `tempo.grafana.com_tempostacks.yaml`.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", definition.spec.group, definition.spec.names.plural)
}

/// Fields whose schema is one of Kubernetes' own types. Their descriptions are left out: they are
/// documented elsewhere and would make the definitions larger than `kubectl apply` can annotate.
const KUBERNETES_FIELDS: &[&str] = &[
    "additionalContainers",
    "affinity",
    "behavior",
    "conditions",
    "daemonSetUpdateStrategy",
    "deploymentUpdateStrategy",
    "env",
    "envFrom",
    "hostAliases",
    "initContainers",
    "instanceSelector",
    "lifecycle",
    "podDnsConfig",
    "podSecurityContext",
    "ports",
    "securityContext",
    "tolerations",
    "topologySpreadConstraints",
    "volumeClaimTemplates",
    "volumeMounts",
    "volumes",
    "claims",
];

fn without_embedded_texts(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            remove_embedded_texts(schema);
        }
    }
    definition
}

fn remove_embedded_texts(schema: &mut JSONSchemaProps) {
    for (name, property) in schema.properties.iter_mut().flatten() {
        if KUBERNETES_FIELDS.contains(&name.as_str()) {
            for_each_child(property, &mut remove_texts);
        } else {
            remove_embedded_texts(property);
        }
    }
    for_each_container(schema, &mut remove_embedded_texts);
}

fn remove_texts(schema: &mut JSONSchemaProps) {
    schema.description = None;
    for_each_child(schema, &mut remove_texts);
}

fn for_each_child(schema: &mut JSONSchemaProps, visit: &mut dyn FnMut(&mut JSONSchemaProps)) {
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        visit(property);
    }
    for_each_container(schema, visit);
}

/// Visits the schemas of a list's items and of a map's values.
fn for_each_container(schema: &mut JSONSchemaProps, visit: &mut dyn FnMut(&mut JSONSchemaProps)) {
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        visit(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        visit(values);
    }
}
