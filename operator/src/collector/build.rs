//! A validated Collector becomes Kubernetes objects (pure).

mod autoscaler;
mod doors;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, ServiceAccount},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::validate::ValidatedCollector;
use crate::{
    crd::collector::CollectorMode,
    digest::digest,
    kubernetes::{
        labels::{self, Application, Labels},
        names,
        resources::{Prepared, Resources},
    },
};

/// Component label of all objects.
pub const COMPONENT: &str = "collector";
/// Name of the container.
pub const CONTAINER: &str = "otc-container";
/// File of the ConfigMap.
pub const CONFIG_FILE: &str = "collector.yaml";
/// Name of the port of the `health_check` extension.
pub const HEALTH_PORT: &str = "health-check";
/// Name of the port of the collector's own metrics.
pub const METRICS_PORT: &str = "metrics";
/// How much of the digest of a configuration stands in the name of its ConfigMap.
const DIGITS: usize = 8;

/// All objects of a Collector. A sidecar has none of its own.
pub fn build(collector: &ValidatedCollector) -> Resources<Prepared> {
    let mut resources = Resources::default();
    if collector.spec.mode == CollectorMode::Sidecar {
        return resources;
    }
    resources.service_accounts.extend(service_account(collector));
    resources.config_maps.push(config_map(collector));
    resources.earlier_config_maps = collector.config_versions;
    resources.services = doors::services(collector);
    resources
        .network_policies
        .extend(doors::network_policy(collector));
    resources.ingresses.extend(doors::ingress(collector));
    resources
        .pod_disruption_budgets
        .extend(disruption_budget(collector));
    workload::add(&mut resources, collector);
    resources.autoscalers.extend(autoscaler::build(collector));
    resources
}

fn name_of(collector: &ValidatedCollector) -> String {
    names::collector(&collector.owner.name)
}

fn part_name(collector: &ValidatedCollector, part: &str) -> String {
    names::collector_part(&collector.owner.name, part)
}

/// Another configuration has another name, so that pods keep the file that they were started with.
fn config_map_name(collector: &ValidatedCollector) -> String {
    part_name(
        collector,
        config_digest(collector).get(..DIGITS).unwrap_or_default(),
    )
}

fn config_digest(collector: &ValidatedCollector) -> String {
    digest([collector.configuration.as_bytes()])
}

fn labels_of(collector: &ValidatedCollector) -> Labels {
    labels::component(Application::Collector, &collector.owner.name, COMPONENT)
}

fn selector(collector: &ValidatedCollector) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels_of(collector)),
        ..LabelSelector::default()
    }
}

fn metadata(collector: &ValidatedCollector, name: String) -> ObjectMeta {
    collector.owner.metadata(name, labels_of(collector))
}

fn service_account(collector: &ValidatedCollector) -> Option<ServiceAccount> {
    collector.spec.service_account.is_empty().then(|| ServiceAccount {
        metadata: metadata(collector, name_of(collector)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}

fn config_map(collector: &ValidatedCollector) -> ConfigMap {
    let file = (CONFIG_FILE.to_owned(), collector.configuration.clone());
    ConfigMap {
        metadata: metadata(collector, config_map_name(collector)),
        data: Some(BTreeMap::from([file])),
        ..ConfigMap::default()
    }
}

/// A budget for the modes in which pods can move.
fn disruption_budget(collector: &ValidatedCollector) -> Option<PodDisruptionBudget> {
    if collector.spec.mode == CollectorMode::Daemonset {
        return None;
    }
    let budget = collector.spec.pod_disruption_budget.clone().unwrap_or_default();
    let max_unavailable = match (budget.max_unavailable, &budget.min_available) {
        (None, None) => Some(IntOrString::Int(1)),
        (max_unavailable, _) => max_unavailable,
    };
    Some(PodDisruptionBudget {
        metadata: metadata(collector, name_of(collector)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable,
            min_available: budget.min_available,
            selector: Some(selector(collector)),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
