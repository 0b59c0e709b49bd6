//! The containers of built workloads as processes, exactly as Kubernetes would start them (pure). What differs on
//! this machine is the overlay's business.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, PodTemplateSpec, Volume},
    apimachinery::pkg::{apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::variables::{self, VariableError};
use crate::{
    digest::digest,
    kubernetes::{
        labels::Labels,
        resources::{Prepared, Resources},
    },
    references::{ConfigMapData, Dereferenced, SecretData},
};

/// How long a process may take to stop where its pod does not say.
const GRACE: Duration = Duration::from_secs(30);

/// A process that is to run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Process {
    /// Name of its pod; with the namespace's where that is not `default`, and the container's where there are several.
    pub(super) name: String,
    /// Namespace of its pod.
    pub(super) namespace: String,
    /// Labels of its pod.
    pub(super) labels: Labels,
    /// Number of its pod among the replicas.
    pub(super) ordinal: i32,
    /// Command and arguments.
    pub(super) command: Vec<String>,
    /// Environment variables.
    pub(super) environment: BTreeMap<String, String>,
    /// Content of files by absolute path.
    pub(super) files: BTreeMap<String, String>,
    /// Directories that it may write, by absolute path.
    pub(super) directories: BTreeMap<String, Directory>,
    /// What it listens on.
    pub(super) ports: Vec<Port>,
    /// What tells whether it is ready.
    pub(super) readiness: Option<Readiness>,
    /// Whether it does its work once and ends: a Job.
    pub(super) once: bool,
    /// How long it may take to stop.
    pub(super) grace: Duration,
    /// Changes when the process must be started anew.
    pub(super) revision: String,
}

/// A directory that a process may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directory {
    /// It outlives the process: a claim.
    Kept,
    /// It goes with the pod.
    Scratch,
}

/// A port of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// Its name.
    pub(super) name: String,
    /// Its number.
    pub(super) number: u16,
}

/// A path that answers 200 when the process is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Readiness {
    /// Number of the port.
    pub(super) port: u16,
    /// The path.
    pub(super) path: String,
}

/// A container that cannot be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    /// An environment variable comes from nowhere.
    #[error("pod {pod}: {problem}")]
    Variable {
        /// The pod.
        pod: String,
        /// What is missing.
        problem: VariableError,
    },
    /// A volume has no source here.
    #[error(
        "pod {pod}: volume {volume} needs {source_name}, which is not among the files; give it with -f too"
    )]
    Volume {
        /// The pod.
        pod: String,
        /// The volume.
        volume: String,
        /// Kind and name of what is missing.
        source_name: String,
    },
    /// The program is that of the image.
    #[error("pod {pod}: the container names no command, and there is no image here to ask; set spec.command")]
    NoCommand {
        /// The pod.
        pod: String,
    },
}

/// What pods can be given: what was found for the custom resource, and what was built for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// Secrets by name.
    pub(super) secrets: BTreeMap<String, SecretData>,
    /// ConfigMaps by name.
    pub(super) config_maps: BTreeMap<String, ConfigMapData>,
}

impl Sources {
    /// The sources of the pods of one custom resource.
    pub(super) fn of(found: Dereferenced, built: &Resources<Prepared>) -> Self {
        let mut sources = Self {
            secrets: found.secrets,
            config_maps: found.config_maps,
        };
        for secret in &built.secrets {
            let text = secret.string_data.iter().flatten();
            let data = text
                .map(|(key, value)| (key.clone(), value.clone().into_bytes()))
                .collect();
            sources
                .secrets
                .insert(secret.metadata.name.clone().unwrap_or_default(), data);
        }
        for config_map in &built.config_maps {
            let data = config_map.data.clone().unwrap_or_default();
            sources
                .config_maps
                .insert(config_map.metadata.name.clone().unwrap_or_default(), data);
        }
        sources
    }
}

/// The processes of all workloads, by name.
pub(super) fn processes(
    resources: &Resources<Prepared>,
    sources: &Sources,
) -> Result<Vec<Process>, ProcessError> {
    let mut processes = Vec::new();
    for workload in workloads(resources) {
        for ordinal in 0..workload.replicas {
            processes.append(&mut pod(&workload, ordinal, sources)?);
        }
    }
    processes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(processes)
}

/// What workloads of all kinds have in common.
struct Workload<'a> {
    metadata: &'a ObjectMeta,
    replicas: i32,
    template: &'a PodTemplateSpec,
    /// Whether it is a Job.
    once: bool,
    /// Volumes that are claims of the workload.
    claims: Vec<&'a str>,
}

fn workloads(resources: &Resources<Prepared>) -> Vec<Workload<'_>> {
    let stateful_sets = resources.stateful_sets.iter().map(|set| Workload {
        metadata: &set.metadata,
        replicas: set.spec.replicas.unwrap_or(1),
        template: &set.spec.template,
        once: false,
        claims: set
            .spec
            .volume_claim_templates
            .iter()
            .flatten()
            .filter_map(|claim| claim.metadata.name.as_deref())
            .collect(),
    });
    let deployments = resources.deployments.iter().map(|deployment| Workload {
        metadata: &deployment.metadata,
        replicas: deployment.spec.replicas.unwrap_or(1),
        template: &deployment.spec.template,
        once: false,
        claims: Vec::new(),
    });
    let daemon_sets = resources.daemon_sets.iter().map(|set| Workload {
        metadata: &set.metadata,
        replicas: 1,
        template: &set.spec.template,
        once: false,
        claims: Vec::new(),
    });
    let jobs = resources.jobs.iter().filter_map(|job| {
        Some(Workload {
            metadata: &job.metadata,
            replicas: 1,
            template: &job.spec.as_ref()?.template,
            once: true,
            claims: Vec::new(),
        })
    });
    stateful_sets
        .chain(deployments)
        .chain(daemon_sets)
        .chain(jobs)
        .collect()
}

fn pod(workload: &Workload<'_>, ordinal: i32, sources: &Sources) -> Result<Vec<Process>, ProcessError> {
    let Some(spec) = &workload.template.spec else {
        return Ok(Vec::new());
    };
    let pod_name = format!(
        "{}-{ordinal}",
        workload.metadata.name.as_deref().unwrap_or_default()
    );
    let namespace = workload.metadata.namespace.clone().unwrap_or_default();
    let labels = workload
        .template
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.labels.clone());
    let grace = spec
        .termination_grace_period_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    let processes = spec.containers.iter().map(|container| {
        let (files, directories) = mounts(container, workload, &pod_name, sources)?;
        let environment =
            variables::environment(container, &pod_name, &namespace, sources).map_err(|problem| {
                ProcessError::Variable {
                    pod: pod_name.clone(),
                    problem,
                }
            })?;
        let command = command(container, &environment).ok_or_else(|| ProcessError::NoCommand {
            pod: pod_name.clone(),
        })?;
        Ok(Process {
            name: process_name(&namespace, &pod_name, container, spec.containers.len()),
            namespace: namespace.clone(),
            labels: labels.clone().unwrap_or_default(),
            ordinal,
            command,
            environment,
            files,
            directories,
            ports: ports(container),
            readiness: readiness(container),
            once: workload.once,
            grace: grace.map_or(GRACE, Duration::from_secs),
            revision: revision(workload.template),
        })
    });
    processes.collect()
}

/// The name of the pod, where that says enough.
fn process_name(namespace: &str, pod: &str, container: &Container, containers: usize) -> String {
    let pod = match namespace {
        "default" => pod.to_owned(),
        _ => format!("{namespace}.{pod}"),
    };
    match containers {
        1 => pod,
        _ => format!("{pod}.{}", container.name),
    }
}

/// Kubernetes starts a pod anew when its template has changed, and only then.
fn revision(template: &PodTemplateSpec) -> String {
    let text = serde_json::to_vec(template).unwrap_or_default();
    digest([text.as_slice()])
}

fn command(container: &Container, environment: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let command = container.command.as_ref().filter(|command| !command.is_empty())?;
    let words = command.iter().chain(container.args.iter().flatten());
    Some(words.map(|word| variables::expand(word, environment)).collect())
}

type Mounts = (BTreeMap<String, String>, BTreeMap<String, Directory>);

fn mounts(
    container: &Container,
    workload: &Workload<'_>,
    pod: &str,
    sources: &Sources,
) -> Result<Mounts, ProcessError> {
    let (mut files, mut directories) = Mounts::default();
    let volumes = || {
        workload
            .template
            .spec
            .iter()
            .flat_map(|spec| spec.volumes.iter().flatten())
    };
    for mount in container.volume_mounts.iter().flatten() {
        if workload.claims.contains(&mount.name.as_str()) {
            directories.insert(mount.mount_path.clone(), Directory::Kept);
            continue;
        }
        let Some(volume) = volumes().find(|volume| volume.name == mount.name) else {
            continue;
        };
        match content(volume, sources) {
            Content::Files(content) => files.extend(
                content
                    .into_iter()
                    .map(|(name, text)| (format!("{}/{name}", mount.mount_path), text)),
            ),
            Content::Directory(directory) => {
                directories.insert(mount.mount_path.clone(), directory);
            }
            Content::Missing(source_name) => {
                return Err(ProcessError::Volume {
                    pod: pod.to_owned(),
                    volume: volume.name.clone(),
                    source_name,
                });
            }
        }
    }
    Ok((files, directories))
}

enum Content {
    Files(BTreeMap<String, String>),
    Directory(Directory),
    Missing(String),
}

fn content(volume: &Volume, sources: &Sources) -> Content {
    if let Some(source) = &volume.config_map {
        return match sources.config_maps.get(&source.name) {
            Some(data) => Content::Files(data.clone()),
            None => Content::Missing(format!("ConfigMap {:?}", source.name)),
        };
    }
    if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        return match sources.secrets.get(name) {
            Some(data) => Content::Files(
                data.iter()
                    .map(|(key, value)| (key.clone(), String::from_utf8_lossy(value).into_owned()))
                    .collect(),
            ),
            None => Content::Missing(format!("Secret {name:?}")),
        };
    }
    if volume.persistent_volume_claim.is_some() {
        return Content::Directory(Directory::Kept);
    }
    Content::Directory(Directory::Scratch)
}

fn ports(container: &Container) -> Vec<Port> {
    let ports = container.ports.iter().flatten();
    ports
        .filter_map(|port| {
            Some(Port {
                name: port.name.clone().unwrap_or_default(),
                number: u16::try_from(port.container_port).ok()?,
            })
        })
        .collect()
}

fn readiness(container: &Container) -> Option<Readiness> {
    let get = container.readiness_probe.as_ref()?.http_get.as_ref()?;
    let port = match &get.port {
        IntOrString::Int(number) => u16::try_from(*number).ok()?,
        IntOrString::String(name) => {
            let ports = ports(container);
            ports.iter().find(|port| port.name == *name)?.number
        }
    };
    Some(Readiness {
        port,
        path: get.path.clone().unwrap_or_else(|| "/".to_owned()),
    })
}
