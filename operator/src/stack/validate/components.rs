//! Replicas, resources and pods of each component.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ResourceRequirements, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::ResourceExt;

use crate::{
    crd::{TempoStack, TempoStackSpec, common::ComponentSpec},
    environment::Environment,
    kubernetes::labels::{self, Application, Labels},
    pod::{self, PodSettings},
    sizing,
    stack::component::Component,
    validation::ValidationError,
};

/// Settings of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentSettings {
    /// Number of pods.
    pub replicas: i32,
    /// Compute resources of the tempo container.
    pub resources: ResourceRequirements,
    /// Where and as whom the pods run.
    pub pod: PodSettings,
}

/// Settings of every component of a stack that has its defaults.
pub(super) fn settings(
    stack: &TempoStack,
    environment: &Environment,
) -> Result<BTreeMap<Component, ComponentSettings>, ValidationError> {
    Component::ALL
        .into_iter()
        .map(|component| Ok((component, component_settings(stack, component, environment)?)))
        .collect()
}

fn component_settings(
    stack: &TempoStack,
    component: Component,
    environment: &Environment,
) -> Result<ComponentSettings, ValidationError> {
    let spec = &stack.spec;
    let template = component.template(&spec.template);
    let replicas = template.replicas.unwrap_or(1);
    let selector = labels::component(Application::TempoStack, &stack.name_any(), component.as_str());
    let path = format!("spec.template.{}.podSecurityContext", component.as_str());
    Ok(ComponentSettings {
        replicas,
        resources: resources(spec, template, component, replicas)?,
        pod: PodSettings {
            service_account: spec.service_account.clone(),
            node_selector: template.node_selector.clone(),
            tolerations: template.tolerations.clone(),
            affinity: None,
            topology_spread: topology_spread(spec, &selector),
            security_context: pod::pod_security_context(
                &environment.pod_security_context,
                template.pod_security_context.as_ref(),
                &path,
            )?,
        },
    })
}

/// The component's own resources, or what the size or the total give it.
fn resources(
    spec: &TempoStackSpec,
    template: &ComponentSpec,
    component: Component,
    replicas: i32,
) -> Result<ResourceRequirements, ValidationError> {
    if let Some(resources) = &template.resources {
        return Ok(resources.into());
    }
    if let Some(size) = spec.size {
        return Ok((&sizing::requests(size, component)).into());
    }
    let Some(total) = &spec.resources.total else {
        return Ok(ResourceRequirements::default());
    };
    let share = sizing::split(total, component, replicas)
        .map_err(|error| ValidationError::configuration("spec.resources.total", error.to_string()))?;
    Ok((&share).into())
}

fn topology_spread(spec: &TempoStackSpec, selector: &Labels) -> Vec<TopologySpreadConstraint> {
    let constraint = |zone: &crate::crd::tempostack::ReplicationZone| TopologySpreadConstraint {
        max_skew: zone.max_skew,
        topology_key: zone.topology_key.clone(),
        when_unsatisfiable: "DoNotSchedule".to_owned(),
        label_selector: Some(LabelSelector {
            match_labels: Some(selector.clone()),
            ..LabelSelector::default()
        }),
        ..TopologySpreadConstraint::default()
    };
    spec.replication_zones.iter().map(constraint).collect()
}
