//! The StatefulSet of a TempoMonolithic.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec},
        core::v1::{Container, ContainerPort, PersistentVolumeClaim, PodTemplateSpec, Volume, VolumeMount},
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{COMPONENT, config, doors, labels_of, name_of};
use crate::{
    kubernetes::volumes,
    monolithic::validate::{Medium, ValidatedMonolithic},
    pod::{
        self, CONFIG_DIRECTORY, DATA_DIRECTORY, FLUSH_GRACE_SECONDS, Pod, TEMPO_CONTAINER, receiver_volumes,
        storage::StorageAdditions,
    },
};

const CONFIG_VOLUME: &str = "tempo-conf";
const DATA_VOLUME: &str = "tempo-storage";

type VolumesAndMounts = (Vec<Volume>, Vec<VolumeMount>);

pub(super) fn stateful_set(
    monolithic: &ValidatedMonolithic,
    annotations: BTreeMap<String, String>,
) -> StatefulSet {
    let labels = labels_of(monolithic, COMPONENT);
    StatefulSet {
        metadata: monolithic.owner.metadata(name_of(monolithic, ""), labels.clone()),
        spec: StatefulSetSpec {
            replicas: Some(1),
            pod_management_policy: Some("Parallel".to_owned()),
            selector: LabelSelector {
                match_labels: Some(labels),
                ..LabelSelector::default()
            },
            template: template(monolithic, annotations),
            volume_claim_templates: pod::non_empty(claims(monolithic)),
            ..StatefulSetSpec::default()
        },
        ..StatefulSet::default()
    }
}

fn claims(monolithic: &ValidatedMonolithic) -> Vec<PersistentVolumeClaim> {
    let storage = &monolithic.storage;
    match &storage.medium {
        Medium::Memory => Vec::new(),
        Medium::Volume(class) => {
            let labels = labels_of(monolithic, COMPONENT);
            vec![volumes::claim_template(
                DATA_VOLUME,
                &labels,
                &storage.size,
                class.as_ref(),
            )]
        }
    }
}

fn template(monolithic: &ValidatedMonolithic, annotations: BTreeMap<String, String>) -> PodTemplateSpec {
    let labels = labels_of(monolithic, COMPONENT);
    let storage = monolithic
        .storage
        .objects
        .as_ref()
        .map(StorageAdditions::of)
        .unwrap_or_default();
    let (receiver_volumes, receiver_mounts) = receiver_files(monolithic);
    let container = container(monolithic, &storage, receiver_mounts);
    let mut pod_volumes = vec![volumes::config_map(CONFIG_VOLUME, &name_of(monolithic, "config"))];
    if monolithic.storage.medium == Medium::Memory {
        let size = Some(&monolithic.storage.size);
        pod_volumes.push(volumes::empty_directory(DATA_VOLUME, size));
    }
    pod_volumes.extend(storage.volumes);
    pod_volumes.extend(receiver_volumes);
    Pod {
        labels: labels.clone(),
        selector: &labels,
        annotations,
        containers: vec![container],
        volumes: pod_volumes,
        settings: &monolithic.pod,
        grace_seconds: Some(FLUSH_GRACE_SECONDS),
    }
    .template()
}

fn container(
    monolithic: &ValidatedMonolithic,
    storage: &StorageAdditions,
    receiver_mounts: Vec<VolumeMount>,
) -> Container {
    let mut args = vec![
        format!("-config.file={CONFIG_DIRECTORY}/{}", config::FILE),
        "-log.level=info".to_owned(),
        "-config.expand-env=true".to_owned(),
    ];
    args.extend(storage.args.iter().cloned());
    let environment = storage.env.iter().chain(&monolithic.container.env);
    let mut mounts = vec![
        pod::mount(CONFIG_VOLUME, CONFIG_DIRECTORY, true),
        pod::mount(DATA_VOLUME, DATA_DIRECTORY, false),
    ];
    mounts.extend(storage.mounts.iter().cloned());
    mounts.extend(receiver_mounts);
    Container {
        name: TEMPO_CONTAINER.to_owned(),
        image: Some(monolithic.container.image.clone()),
        command: Some(vec!["tempo".to_owned()]),
        args: Some(args),
        env: pod::non_empty(environment.cloned().collect()),
        env_from: pod::non_empty(monolithic.container.env_from.clone()),
        ports: Some(ports(monolithic)),
        readiness_probe: Some(pod::http_probe("/ready", "http")),
        resources: Some(monolithic.resources.clone()),
        security_context: Some(pod::container_security_context()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn ports(monolithic: &ValidatedMonolithic) -> Vec<ContainerPort> {
    doors(monolithic)
        .into_iter()
        .map(|(name, number)| pod::port(name, number))
        .collect()
}

/// Certificates of the receivers.
fn receiver_files(monolithic: &ValidatedMonolithic) -> VolumesAndMounts {
    let configuration = &monolithic.configuration;
    let (mut volumes, mut mounts) = VolumesAndMounts::default();
    for (receiver, protocol) in [(&configuration.grpc, "grpc"), (&configuration.http, "http")] {
        let tls = receiver.as_ref().and_then(|receiver| receiver.tls.as_ref());
        let Some(tls) = tls else { continue };
        let directories = config::receiver_directories(protocol);
        let (more_volumes, more_mounts) =
            receiver_volumes(tls, &format!("receiver-{protocol}"), &directories);
        volumes.extend(more_volumes);
        mounts.extend(more_mounts);
    }
    (volumes, mounts)
}
