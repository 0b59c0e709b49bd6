//! A Collector and the stack that it points to become a complete description of what to build (pure).

mod config;
mod destination;
mod ports;
mod supported;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, ResourceRequirements, SecurityContext, Volume, VolumeMount,
};
use kube::ResourceExt;

pub use self::ports::CollectorPort;
use crate::{
    crd::{
        Collector, CollectorSpec,
        collector::{CollectorMode, ConfigMapMount, DisruptionBudgetSpec},
    },
    environment::Environment,
    kubernetes::{names, owner::Owner, volumes},
    pod::{self, ContainerSettings, PodSettings},
    references::{Dereferenced, References},
    validation::{Notice, NoticeKind, ValidationError},
};

/// A Collector that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedCollector {
    /// Identity of the custom resource.
    pub owner: Owner,
    /// Kind of workload.
    pub mode: CollectorMode,
    /// Number of pods.
    pub replicas: i32,
    /// The configuration file.
    pub configuration: String,
    /// What the collector listens on.
    pub ports: Vec<CollectorPort>,
    /// Port of the `health_check` extension, if that runs.
    pub health_port: Option<i32>,
    /// Whether the ServiceAccount is the operator's to make.
    pub own_service_account: bool,
    /// The container.
    pub container: CollectorContainer,
    /// Where and as whom the pods run.
    pub pod: PodSettings,
    /// Annotations of the pods.
    pub pod_annotations: BTreeMap<String, String>,
    /// Volumes of the pods.
    pub volumes: Vec<Volume>,
    /// Claims of a StatefulSet.
    pub claims: Vec<PersistentVolumeClaim>,
    /// Priority class of the pods.
    pub priority_class: Option<String>,
    /// Whether the pods use the network of their node.
    pub host_network: bool,
    /// How long a pod may take to stop, in seconds.
    pub grace_seconds: Option<i64>,
    /// How many pods may be away at once.
    pub disruption_budget: DisruptionBudgetSpec,
    /// Digest of the Secrets and ConfigMaps that the pods use.
    pub secrets_hash: String,
    /// What the owner of the Collector should know.
    pub notices: Vec<Notice>,
}

/// The container of a Collector.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorContainer {
    /// Image and environment.
    pub settings: ContainerSettings,
    /// When the image is pulled.
    pub image_pull_policy: Option<String>,
    /// The command.
    pub command: Vec<String>,
    /// Arguments after `--config`.
    pub args: Vec<String>,
    /// Compute resources.
    pub resources: Option<ResourceRequirements>,
    /// Security settings.
    pub security_context: SecurityContext,
    /// Mounts, besides that of the configuration.
    pub mounts: Vec<VolumeMount>,
}

/// What a Collector points to.
pub fn references(collector: &Collector) -> References {
    let spec = &collector.spec;
    let (secrets, config_maps) = pod::environment_references(&spec.env, &spec.env_from);
    let (volume_secrets, volume_config_maps) = volumes::references(&spec.volumes);
    let mounted = spec.configmaps.iter().map(|mounted| mounted.name.clone());
    References {
        secrets: secrets.into_iter().chain(volume_secrets).collect(),
        config_maps: config_maps
            .into_iter()
            .chain(volume_config_maps)
            .chain(mounted)
            .collect(),
        service_accounts: Some(spec.service_account.clone())
            .filter(|name| !name.is_empty())
            .into_iter()
            .collect(),
        stacks: spec
            .tempo_ref
            .iter()
            .map(|stack| (stack.kind, stack.name.clone()))
            .collect::<BTreeSet<_>>(),
    }
}

/// Checks a Collector, as its user wrote it, against what was found.
pub fn validate(
    collector: &Collector,
    found: &Dereferenced,
    environment: &Environment,
) -> Result<ValidatedCollector, ValidationError> {
    let spec = &collector.spec;
    let owner = Owner::of(collector);
    check(spec, found)?;
    let destination = destination::resolve(spec.tempo_ref.as_ref(), &owner.namespace, found)?;
    let mut notices = notices(spec);
    let config = config::complete(&spec.config, destination.as_ref(), &mut notices)?;
    if spec.image.is_empty() && spec.command.is_empty() {
        supported::check(&config)?;
    }
    let ports = ports::of(&config, &spec.ports)?;
    let configuration = serde_yaml::to_string(&config)
        .map_err(|error| ValidationError::configuration("spec.config", error.to_string()))?;
    Ok(ValidatedCollector {
        mode: spec.mode,
        replicas: spec.replicas.unwrap_or(1),
        configuration,
        ports,
        health_port: ports::health_check(&config),
        own_service_account: spec.service_account.is_empty(),
        container: container(spec, environment),
        pod: pod_settings(spec, &collector.name_any(), environment)?,
        pod_annotations: spec.pod_annotations.clone(),
        volumes: spec
            .volumes
            .iter()
            .cloned()
            .chain(spec.configmaps.iter().map(mounted_volume))
            .collect(),
        claims: spec.volume_claim_templates.clone(),
        priority_class: Some(spec.priority_class_name.clone()).filter(|name| !name.is_empty()),
        host_network: spec.host_network,
        grace_seconds: spec.termination_grace_period_seconds,
        disruption_budget: spec.pod_disruption_budget.clone().unwrap_or_default(),
        secrets_hash: pod::secrets_digest(found),
        notices,
        owner,
    })
}

fn check(spec: &CollectorSpec, found: &Dereferenced) -> Result<(), ValidationError> {
    let account = &spec.service_account;
    if !account.is_empty() && !found.service_accounts.contains(account) {
        return Err(ValidationError::configuration(
            "spec.serviceAccount",
            format!("ServiceAccount {account:?} not found"),
        ));
    }
    if spec.mode != CollectorMode::Statefulset && !spec.volume_claim_templates.is_empty() {
        return Err(ValidationError::configuration(
            "spec.volumeClaimTemplates",
            "volumeClaimTemplates need mode statefulset",
        ));
    }
    Ok(())
}

fn notices(spec: &CollectorSpec) -> Vec<Notice> {
    let candidates = [
        (
            spec.mode == CollectorMode::Sidecar,
            Notice::new(
                NoticeKind::NotBuilt,
                "spec.mode",
                "sidecars are not injected yet; use mode deployment",
            ),
        ),
        (
            spec.args.contains_key("config"),
            Notice::new(
                NoticeKind::Warning,
                "spec.args.config",
                "is not used: the operator sets --config",
            ),
        ),
    ];
    candidates
        .into_iter()
        .filter_map(|(applies, notice)| applies.then_some(notice))
        .collect()
}

fn container(spec: &CollectorSpec, environment: &Environment) -> CollectorContainer {
    let image = if spec.image.is_empty() {
        &environment.collector_image
    } else {
        &spec.image
    };
    let command = if spec.command.is_empty() {
        vec!["tempo-collector".to_owned()]
    } else {
        spec.command.clone()
    };
    let args = spec
        .args
        .iter()
        .filter(|(key, _)| *key != "config")
        .map(|(key, value)| format!("--{key}={value}"));
    CollectorContainer {
        settings: ContainerSettings::new(image, &spec.env, &spec.env_from, environment),
        image_pull_policy: spec.image_pull_policy.clone(),
        command,
        args: args.collect(),
        resources: spec.resources.as_ref().map(Into::into),
        security_context: spec
            .security_context
            .clone()
            .unwrap_or_else(pod::container_security_context),
        mounts: spec
            .volume_mounts
            .iter()
            .cloned()
            .chain(spec.configmaps.iter().map(config_map_mount))
            .collect(),
    }
}

fn config_map_volume_name(mounted: &ConfigMapMount) -> String {
    format!("configmap-{}", mounted.name)
}

fn mounted_volume(mounted: &ConfigMapMount) -> Volume {
    volumes::config_map(&config_map_volume_name(mounted), &mounted.name)
}

fn config_map_mount(mounted: &ConfigMapMount) -> VolumeMount {
    let volume = config_map_volume_name(mounted);
    pod::mount(
        &volume,
        &format!("/var/conf/{}/{volume}", mounted.mountpath.trim_matches('/')),
        true,
    )
}

fn pod_settings(
    spec: &CollectorSpec,
    name: &str,
    environment: &Environment,
) -> Result<PodSettings, ValidationError> {
    let own = names::collector(name);
    Ok(PodSettings {
        service_account: if spec.service_account.is_empty() {
            own
        } else {
            spec.service_account.clone()
        },
        node_selector: spec.node_selector.clone(),
        tolerations: spec.tolerations.clone(),
        affinity: spec.affinity.clone(),
        topology_spread: spec.topology_spread_constraints.clone(),
        security_context: pod::pod_security_context(
            &environment.pod_security_context,
            spec.pod_security_context.as_ref(),
            "spec.podSecurityContext",
        )?,
    })
}
