//! All objects of one custom resource, by kind, in the order in which they are applied.

use std::marker::PhantomData;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    batch::v1::Job,
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use serde::Serialize;
use serde_json::Value;

use crate::crd::common::{DELETE, VolumeRetentionPolicy};

/// State of [`Resources`] as built, before anything of it is in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prepared;

/// State of [`Resources`] as the cluster returned them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied;

/// The objects of one custom resource. Fields stand in the order of application: workloads come last, so
/// that no pod starts before its configuration is there.
///
/// Take it apart without `..`, so that a kind added here cannot be forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources<State> {
    /// ServiceAccounts.
    pub service_accounts: Vec<ServiceAccount>,
    /// Secrets that the operator generates.
    pub secrets: Vec<Secret>,
    /// ConfigMaps.
    pub config_maps: Vec<ConfigMap>,
    /// How many ConfigMaps that are no longer wanted stay, the newest first: pods of an earlier version may still mount
    /// them.
    pub earlier_config_maps: usize,
    /// Services.
    pub services: Vec<Service>,
    /// NetworkPolicies.
    pub network_policies: Vec<NetworkPolicy>,
    /// Ingresses.
    pub ingresses: Vec<Ingress>,
    /// PodDisruptionBudgets.
    pub pod_disruption_budgets: Vec<PodDisruptionBudget>,
    /// StatefulSets.
    pub stateful_sets: Vec<StatefulSet>,
    /// Deployments.
    pub deployments: Vec<Deployment>,
    /// DaemonSets.
    pub daemon_sets: Vec<DaemonSet>,
    /// Jobs. Their pod templates are immutable; their names carry a hash of what they do.
    pub jobs: Vec<Job>,
    /// HorizontalPodAutoscalers.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// What is known about the objects.
    pub state: PhantomData<State>,
}

impl Resources<Prepared> {
    /// Sets what becomes of the volumes of all StatefulSets.
    pub fn set_volume_retention(&mut self, policy: &VolumeRetentionPolicy) {
        for set in &mut self.stateful_sets {
            set.spec.persistent_volume_claim_retention_policy = policy.for_stateful_set();
        }
    }
}

/// A name that is longer than the cluster allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name:?} would have {length} characters, and {most} are allowed", length = name.len())]
pub struct LongName {
    kind: &'static str,
    name: String,
    most: usize,
}

impl LongName {
    /// How many characters there are too many.
    pub fn excess(&self) -> usize {
        self.name.len().saturating_sub(self.most)
    }
}

impl<State> Resources<State> {
    /// The name that exceeds by most what the cluster allows. Names of Services and Jobs become host names and label
    /// values, that of a StatefulSet becomes one together with a hash.
    pub fn longest_name(&self) -> Option<LongName> {
        const LABEL: usize = 63;
        const HASH: usize = 11;
        let services = self.services.iter().map(|it| ("Service", &it.metadata, LABEL));
        let jobs = self.jobs.iter().map(|it| ("Job", &it.metadata, LABEL));
        let sets = self.stateful_sets.iter();
        let sets = sets.map(|it| ("StatefulSet", &it.metadata, LABEL - HASH));
        let names = services.chain(jobs).chain(sets);
        let names = names.map(|(kind, metadata, most)| LongName {
            kind,
            name: metadata.name.clone().unwrap_or_default(),
            most,
        });
        names
            .filter(|name| name.excess() > 0)
            .max_by_key(LongName::excess)
    }

    /// Whether there are volumes that stay when the custom resource is deleted.
    pub fn keeps_volumes(&self) -> bool {
        self.stateful_sets.iter().any(|set| {
            let policy = set.spec.persistent_volume_claim_retention_policy.as_ref();
            let is_deleted = policy.is_some_and(|policy| policy.when_deleted.as_deref() == Some(DELETE));
            let claims = set.spec.volume_claim_templates.as_ref();
            !is_deleted && claims.is_some_and(|claims| !claims.is_empty())
        })
    }

    /// Every object as JSON with `apiVersion` and `kind`, in the order of application; within a kind by name.
    pub fn to_json(&self) -> Result<Vec<Value>, serde_json::Error> {
        let Self {
            service_accounts,
            secrets,
            config_maps,
            earlier_config_maps: _,
            services,
            network_policies,
            ingresses,
            pod_disruption_budgets,
            stateful_sets,
            deployments,
            daemon_sets,
            jobs,
            autoscalers,
            state: PhantomData,
        } = self;
        let mut objects = Vec::new();
        append(&mut objects, service_accounts)?;
        append(&mut objects, secrets)?;
        append(&mut objects, config_maps)?;
        append(&mut objects, services)?;
        append(&mut objects, network_policies)?;
        append(&mut objects, ingresses)?;
        append(&mut objects, pod_disruption_budgets)?;
        append(&mut objects, stateful_sets)?;
        append(&mut objects, deployments)?;
        append(&mut objects, daemon_sets)?;
        append(&mut objects, jobs)?;
        append(&mut objects, autoscalers)?;
        Ok(objects)
    }
}

fn append<K: Serialize>(objects: &mut Vec<Value>, of_one_kind: &[K]) -> Result<(), serde_json::Error> {
    let mut values = of_one_kind
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<Vec<_>, _>>()?;
    values.sort_by_cached_key(|value| value.pointer("/metadata/name").map(ToString::to_string));
    objects.append(&mut values);
    Ok(())
}
