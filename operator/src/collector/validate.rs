//! A Collector and the stack that it points to become a complete description of what to build (pure).

mod config;
mod destination;
mod pods;
mod ports;
mod rules;
mod supported;
mod telemetry;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ResourceRequirements, SecurityContext, Volume, VolumeMount};
use kube::ResourceExt;

pub use self::ports::{CollectorPort, HealthCheck};
use crate::{
    crd::{Collector, CollectorSpec},
    environment::Environment,
    kubernetes::{owner::Owner, volumes},
    pod::{self, ContainerSettings, PodSettings},
    references::{Dereferenced, References},
    validation::{Notice, ValidationError},
};

/// How many earlier ConfigMaps stay.
const CONFIG_VERSIONS: i32 = 3;

/// A Collector that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedCollector {
    /// Identity of the custom resource.
    pub owner: Owner,
    /// What its user wrote, checked. What follows from other things too stands in the fields below.
    pub spec: CollectorSpec,
    /// Number of pods.
    pub replicas: i32,
    /// The configuration file.
    pub configuration: String,
    /// How many earlier ConfigMaps stay.
    pub config_versions: usize,
    /// What the collector listens on.
    pub ports: Vec<CollectorPort>,
    /// The `health_check` extension, if that runs.
    pub health: Option<HealthCheck>,
    /// Port of the collector's own metrics, if it serves any.
    pub metrics_port: Option<i32>,
    /// The container.
    pub container: CollectorContainer,
    /// Where and as whom the pods run.
    pub pod: PodSettings,
    /// Volumes of the pods.
    pub volumes: Vec<Volume>,
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
    let mut references = References {
        service_accounts: Some(spec.service_account.clone())
            .filter(|name| !name.is_empty())
            .into_iter()
            .collect(),
        stacks: spec
            .tempo_ref
            .iter()
            .map(|stack| (stack.kind, stack.name.clone()))
            .collect::<BTreeSet<_>>(),
        ..References::default()
    };
    let mut add = |(secrets, config_maps): (Vec<String>, Vec<String>)| {
        references.secrets.extend(secrets);
        references.config_maps.extend(config_maps);
    };
    add(pod::environment_references(&spec.env, &spec.env_from));
    for container in spec.init_containers.iter().chain(&spec.additional_containers) {
        let list = |env: &Option<Vec<_>>| env.clone().unwrap_or_default();
        let from = container.env_from.clone().unwrap_or_default();
        add(pod::environment_references(&list(&container.env), &from));
    }
    add(volumes::references(&spec.volumes));
    let mounted = spec.configmaps.iter().map(|mounted| mounted.name.clone());
    add((Vec::new(), mounted.collect()));
    if let Some(stack) = &spec.tempo_ref {
        let secrets = stack.cert_name.iter().cloned().collect();
        add((secrets, stack.ca_name.iter().cloned().collect()));
    }
    references
}

/// Checks a Collector, as its user wrote it, against what was found.
pub fn validate(
    collector: &Collector,
    found: &Dereferenced,
    environment: &Environment,
) -> Result<ValidatedCollector, ValidationError> {
    let spec = &collector.spec;
    let owner = Owner::of(collector);
    rules::check(spec, found)?;
    let destination = destination::resolve(spec.tempo_ref.as_ref(), &owner.namespace, found)?;
    let mut notices = rules::notices(spec);
    let config = config::complete(spec.config.as_ref(), destination.as_ref(), &mut notices)?;
    if spec.image.is_empty() && spec.command.is_empty() {
        supported::check(&config, &spec.env)?;
    }
    let health = ports::health_check(&config);
    notices.extend(rules::unused_probes(spec, health.is_some()));
    let configuration = serde_yaml::to_string(&config)
        .map_err(|error| ValidationError::configuration("spec.config", error.to_string()))?;
    let files = destination.map(|destination| destination.files);
    let image = pods::image(collector, environment, &mut notices);
    Ok(ValidatedCollector {
        replicas: replicas(spec),
        configuration,
        config_versions: usize::try_from(spec.config_versions.unwrap_or(CONFIG_VERSIONS)).unwrap_or(1),
        ports: ports::of(&config, &spec.ports)?,
        health,
        metrics_port: telemetry::metrics_port(&config),
        container: pods::container(spec, &image, files.as_ref(), environment),
        pod: pods::settings(spec, &collector.name_any(), environment)?,
        volumes: pods::volumes(spec, files.as_ref()),
        secrets_hash: pod::secrets_digest(found),
        spec: spec.clone(),
        notices,
        owner,
    })
}

/// Number of pods; an autoscaler changes it, and sets its bounds.
fn replicas(spec: &CollectorSpec) -> i32 {
    match &spec.autoscaler {
        Some(autoscaler) => {
            let least = autoscaler.min_replicas.unwrap_or(1);
            spec.replicas
                .unwrap_or(least)
                .max(least)
                .min(autoscaler.max_replicas)
        }
        None => spec.replicas.unwrap_or(1),
    }
}
