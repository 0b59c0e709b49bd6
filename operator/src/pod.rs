//! Pods of our own image: what all of them have in common.

pub mod storage;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Affinity, Capabilities, Container, ContainerPort, EnvFromSource, EnvVar, EnvVarSource, HTTPGetAction,
        PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
        SecretKeySelector, SecurityContext, Toleration, TopologySpreadConstraint, Volume, VolumeMount,
        WeightedPodAffinityTerm,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use tempo_config::merge;

use crate::{
    configuration::ReceiverDirectories,
    digest::digest,
    environment::Environment,
    kubernetes::{labels::Labels, volumes},
    receivers::ReceiverTls,
    references::Dereferenced,
    validation::ValidationError,
};

/// Name of the container with the engine.
pub const TEMPO_CONTAINER: &str = "tempo";
/// Where the ConfigMap is mounted.
pub const CONFIG_DIRECTORY: &str = "/conf";
/// Where the engine keeps its data.
pub const DATA_DIRECTORY: &str = "/var/tempo";
/// Pod annotation with a digest of the configuration: a change rolls the pods.
pub const CONFIG_HASH: &str = "tempo.grafana.com/config.hash";
/// Pod annotation with a digest of the Secrets and ConfigMaps that the pods use.
pub const SECRETS_HASH: &str = "tempo.grafana.com/secrets.hash";
/// How long a pod that stores spans may take to hand them over before it is killed, in seconds.
pub const FLUSH_GRACE_SECONDS: i64 = 300;

/// Where and as whom pods run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodSettings {
    /// ServiceAccount.
    pub service_account: String,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Node taints that are tolerated.
    pub tolerations: Vec<Toleration>,
    /// Scheduling rules; without any, pods of one component avoid each other.
    pub affinity: Option<Affinity>,
    /// How pods are spread over the nodes.
    pub topology_spread: Vec<TopologySpreadConstraint>,
    /// Security settings.
    pub security_context: PodSecurityContext,
}

/// What every tempo container of a stack has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerSettings {
    /// Image.
    pub image: String,
    /// Environment variables: the operator's proxies, then the user's.
    pub env: Vec<EnvVar>,
    /// Sources of environment variables.
    pub env_from: Vec<EnvFromSource>,
}

impl ContainerSettings {
    /// Settings with the user's variables after those of the operator's environment.
    pub fn new(image: &str, env: &[EnvVar], env_from: &[EnvFromSource], environment: &Environment) -> Self {
        let given = |name: &str| env.iter().any(|variable| variable.name == name);
        let proxies = environment.proxy.iter().filter(|variable| !given(&variable.name));
        Self {
            image: image.to_owned(),
            env: proxies.chain(env).cloned().collect(),
            env_from: env_from.to_vec(),
        }
    }
}

/// The parts of a pod that differ from workload to workload.
pub struct Pod<'a> {
    /// Labels of the pod.
    pub labels: Labels,
    /// Selector of the pods of the same component.
    pub selector: &'a Labels,
    /// Annotations of the pod.
    pub annotations: BTreeMap<String, String>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// Where and as whom it runs.
    pub settings: &'a PodSettings,
    /// How long it may take to stop, in seconds; absent for Kubernetes' default.
    pub grace_seconds: Option<i64>,
}

impl Pod<'_> {
    /// The pod as a template of a workload.
    pub fn template(self) -> PodTemplateSpec {
        let Self {
            labels,
            selector,
            annotations,
            containers,
            volumes,
            settings,
            grace_seconds,
        } = self;
        let affinity = settings.affinity.clone().unwrap_or_else(|| apart(selector));
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(labels),
                annotations: (!annotations.is_empty()).then_some(annotations),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                service_account_name: Some(settings.service_account.clone()),
                automount_service_account_token: Some(false),
                node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
                tolerations: non_empty(settings.tolerations.clone()),
                affinity: Some(affinity),
                topology_spread_constraints: non_empty(settings.topology_spread.clone()),
                security_context: Some(settings.security_context.clone()),
                termination_grace_period_seconds: grace_seconds,
                containers,
                volumes: non_empty(volumes),
                ..PodSpec::default()
            }),
        }
    }
}

/// A list as Kubernetes wants it: absent when empty.
pub fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// A preference for nodes and zones without another pod of the same selector.
fn apart(selector: &Labels) -> Affinity {
    let term = |weight, topology_key: &str| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: PodAffinityTerm {
            label_selector: Some(LabelSelector {
                match_labels: Some(selector.clone()),
                ..LabelSelector::default()
            }),
            topology_key: topology_key.to_owned(),
            ..PodAffinityTerm::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                term(100, "kubernetes.io/hostname"),
                term(75, "topology.kubernetes.io/zone"),
            ]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// What the `restricted` Pod Security Standard asks of a container, and a root file system that nobody writes.
pub fn container_security_context() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// The operator's pod security settings with the user's over them.
pub fn pod_security_context(
    default: &PodSecurityContext,
    user: Option<&PodSecurityContext>,
    path: &str,
) -> Result<PodSecurityContext, ValidationError> {
    let Some(user) = user else {
        return Ok(default.clone());
    };
    let merged = || {
        let mut merged = serde_json::to_value(default)?;
        merge(&mut merged, &serde_json::to_value(user)?);
        serde_json::from_value(merged)
    };
    merged().map_err(|error: serde_json::Error| ValidationError::configuration(path, error.to_string()))
}

/// A TCP port of a container.
pub fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

/// A probe that asks for a path by HTTP.
pub fn http_probe(path: &str, port: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            ..HTTPGetAction::default()
        }),
        initial_delay_seconds: Some(1),
        period_seconds: Some(5),
        timeout_seconds: Some(1),
        ..Probe::default()
    }
}

/// An environment variable whose value is a key of a Secret.
pub fn secret_variable(name: &str, secret: &str, key: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.to_owned(),
                key: key.to_owned(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    }
}

/// A mount of a volume.
pub fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// Names of the Secrets and ConfigMaps that environment variables are read from.
pub fn environment_references(env: &[EnvVar], env_from: &[EnvFromSource]) -> (Vec<String>, Vec<String>) {
    let sources = || env.iter().filter_map(|variable| variable.value_from.as_ref());
    let secrets = sources()
        .filter_map(|source| Some(source.secret_key_ref.as_ref()?.name.clone()))
        .chain(
            env_from
                .iter()
                .filter_map(|source| Some(source.secret_ref.as_ref()?.name.clone())),
        );
    let config_maps = sources()
        .filter_map(|source| Some(source.config_map_key_ref.as_ref()?.name.clone()))
        .chain(
            env_from
                .iter()
                .filter_map(|source| Some(source.config_map_ref.as_ref()?.name.clone())),
        );
    (secrets.collect(), config_maps.collect())
}

/// A digest of everything that was found in Secrets and ConfigMaps: pods roll when any of it changes.
pub fn secrets_digest(found: &Dereferenced) -> String {
    let mut parts: Vec<&[u8]> = Vec::new();
    for (name, data) in &found.secrets {
        parts.push(name.as_bytes());
        parts.extend(
            data.iter()
                .flat_map(|(key, value)| [key.as_bytes(), value.as_slice()]),
        );
    }
    for (name, data) in &found.config_maps {
        parts.push(name.as_bytes());
        parts.extend(
            data.iter()
                .flat_map(|(key, value)| [key.as_bytes(), value.as_bytes()]),
        );
    }
    digest(parts)
}

/// Volumes and mounts of the certificates of a receiver.
pub fn receiver_volumes(
    tls: &ReceiverTls,
    name: &str,
    directories: &ReceiverDirectories,
) -> (Vec<Volume>, Vec<VolumeMount>) {
    let certificate = format!("{name}-cert");
    let mut all_volumes = vec![volumes::secret(&certificate, &tls.certificate)];
    let mut mounts = vec![mount(&certificate, &directories.certificate, true)];
    if let Some((config_map, _)) = &tls.client_ca {
        let ca = format!("{name}-ca");
        all_volumes.push(volumes::config_map(&ca, config_map));
        mounts.push(mount(&ca, &directories.ca, true));
    }
    (all_volumes, mounts)
}
