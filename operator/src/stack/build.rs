//! A validated TempoStack becomes Kubernetes objects (pure).

pub mod config;
mod services;
mod workloads;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, ServiceAccount},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

use super::{component::Component, validate::ValidatedStack};
use crate::{
    configuration::BuildError,
    digest::digest,
    ingress,
    kubernetes::{
        labels::{self, Application, Labels},
        names,
        resources::{Prepared, Resources},
    },
    minio, pod,
};

/// All objects of a stack.
pub fn build(stack: &ValidatedStack) -> Result<Resources<Prepared>, BuildError> {
    let files = config::files(stack)?;
    let annotations = annotations(&files, stack);
    let mut resources = Resources {
        service_accounts: service_account(stack).into_iter().collect(),
        config_maps: vec![config_map(stack, files)],
        services: services::build(stack),
        ingresses: ingress(stack).into_iter().collect(),
        pod_disruption_budgets: disruption_budgets(stack),
        ..Resources::default()
    };
    for (component, settings) in &stack.components {
        match component {
            Component::Ingester => {
                resources
                    .stateful_sets
                    .push(workloads::ingester(stack, settings, &annotations));
            }
            _ => resources
                .deployments
                .push(workloads::deployment(stack, *component, settings, &annotations)),
        }
    }
    if let Some(minio) = &stack.minio {
        minio::build(minio, &stack.owner, Application::TempoStack, &mut resources);
    }
    resources.set_volume_retention(&stack.volume_retention);
    Ok(resources)
}

/// Labels of a component's objects.
fn labels_of(stack: &ValidatedStack, component: &str) -> Labels {
    labels::component(Application::TempoStack, &stack.owner.name, component)
}

/// Name of a component's objects.
fn name_of(stack: &ValidatedStack, component: &str) -> String {
    names::tempo(&stack.owner.name, component)
}

/// Annotations that roll the pods when something that they read only at start has changed. Limits of
/// tenants are read again while running and do not count.
fn annotations(files: &BTreeMap<String, String>, stack: &ValidatedStack) -> BTreeMap<String, String> {
    let read_at_start = files.iter().filter(|(name, _)| *name != config::OVERRIDES_FILE);
    let hash = digest(read_at_start.flat_map(|(name, text)| [name.as_bytes(), text.as_bytes()]));
    BTreeMap::from([
        (pod::CONFIG_HASH.to_owned(), hash),
        (pod::SECRETS_HASH.to_owned(), stack.secrets_hash.clone()),
    ])
}

fn service_account(stack: &ValidatedStack) -> Option<ServiceAccount> {
    if !stack.own_service_account {
        return None;
    }
    let mut metadata = stack
        .owner
        .metadata(stack.service_account.clone(), labels_of(stack, "serviceaccount"));
    let annotations = pod::storage::service_account_annotations(&stack.storage);
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    Some(ServiceAccount {
        metadata,
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}

fn config_map(stack: &ValidatedStack, files: BTreeMap<String, String>) -> ConfigMap {
    ConfigMap {
        metadata: stack
            .owner
            .metadata(name_of(stack, ""), labels_of(stack, "config")),
        data: Some(files),
        ..ConfigMap::default()
    }
}

fn ingress(stack: &ValidatedStack) -> Option<k8s_openapi::api::networking::v1::Ingress> {
    let settings = stack.jaeger_ui.as_ref()?.ingress.as_ref()?;
    let component = Component::QueryFrontend.as_str();
    let name = name_of(stack, component);
    Some(ingress::build(
        settings,
        &stack.owner,
        &name,
        labels_of(stack, component),
        &name,
        "jaeger-ui",
    ))
}

/// One budget for each component but the compactor, whose work can wait.
fn disruption_budgets(stack: &ValidatedStack) -> Vec<PodDisruptionBudget> {
    Component::ALL
        .into_iter()
        .filter(|component| *component != Component::Compactor)
        .map(|component| {
            let labels = labels_of(stack, component.as_str());
            PodDisruptionBudget {
                metadata: stack
                    .owner
                    .metadata(name_of(stack, component.as_str()), labels.clone()),
                spec: Some(PodDisruptionBudgetSpec {
                    max_unavailable: Some(IntOrString::Int(1)),
                    selector: Some(LabelSelector {
                        match_labels: Some(labels),
                        ..LabelSelector::default()
                    }),
                    ..PodDisruptionBudgetSpec::default()
                }),
                ..PodDisruptionBudget::default()
            }
        })
        .collect()
}
