//! Deployments and the StatefulSet of a TempoStack.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, StatefulSet, StatefulSetSpec},
        core::v1::{
            Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, PodTemplateSpec, Volume,
            VolumeMount,
        },
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

use super::{config, labels_of, name_of};
use crate::{
    configuration::{GOSSIP_PORT, GRPC_PORT, HTTP_PORT, OTLP_GRPC_PORT, OTLP_HTTP_PORT},
    kubernetes::{
        labels::{GOSSIP_MEMBER, Labels},
        volumes,
    },
    pod::{
        self, CONFIG_DIRECTORY, DATA_DIRECTORY, FLUSH_GRACE_SECONDS, Pod, TEMPO_CONTAINER, receiver_volumes,
        storage::StorageAdditions,
    },
    stack::{
        component::Component,
        validate::{ComponentSettings, ValidatedStack},
    },
};

const CONFIG_VOLUME: &str = "tempo-conf";
const SCRATCH_VOLUME: &str = "tempo-tmp-storage";
const DATA_VOLUME: &str = "data";

type Annotations = BTreeMap<String, String>;

/// A component that keeps nothing.
pub(super) fn deployment(
    stack: &ValidatedStack,
    component: Component,
    settings: &ComponentSettings,
    annotations: &Annotations,
) -> Deployment {
    let labels = labels_of(stack, component.as_str());
    let template = template(stack, component, settings, annotations, None);
    Deployment {
        metadata: stack
            .owner
            .metadata(name_of(stack, component.as_str()), labels.clone()),
        spec: DeploymentSpec {
            replicas: Some(settings.replicas),
            selector: selector(labels),
            template,
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

/// The ingesters, each with a volume for its write-ahead log.
pub(super) fn ingester(
    stack: &ValidatedStack,
    settings: &ComponentSettings,
    annotations: &Annotations,
) -> StatefulSet {
    let component = Component::Ingester;
    let labels = labels_of(stack, component.as_str());
    let template = template(stack, component, settings, annotations, Some(FLUSH_GRACE_SECONDS));
    let claim = volumes::claim_template(
        DATA_VOLUME,
        &labels,
        &stack.ingester_storage_size,
        stack.ingester_storage_class.as_ref(),
    );
    StatefulSet {
        metadata: stack
            .owner
            .metadata(name_of(stack, component.as_str()), labels.clone()),
        spec: StatefulSetSpec {
            replicas: Some(settings.replicas),
            pod_management_policy: Some("Parallel".to_owned()),
            selector: selector(labels),
            template,
            volume_claim_templates: Some(vec![claim]),
            ..StatefulSetSpec::default()
        },
        ..StatefulSet::default()
    }
}

fn selector(labels: Labels) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

fn template(
    stack: &ValidatedStack,
    component: Component,
    settings: &ComponentSettings,
    annotations: &Annotations,
    grace_seconds: Option<i64>,
) -> PodTemplateSpec {
    let selector = labels_of(stack, component.as_str());
    let mut labels = selector.clone();
    labels.insert(GOSSIP_MEMBER.to_owned(), "true".to_owned());
    let storage = StorageAdditions::of(&stack.storage);
    let (receiver_volumes, receiver_mounts) = receiver_files(stack, component);
    let container = container(stack, component, settings, &storage, receiver_mounts);
    let mut pod_volumes = vec![volumes::config_map(CONFIG_VOLUME, &name_of(stack, ""))];
    if component != Component::Ingester {
        pod_volumes.push(volumes::empty_directory(SCRATCH_VOLUME, None));
    }
    pod_volumes.extend(storage.volumes);
    pod_volumes.extend(receiver_volumes);
    Pod {
        labels,
        selector: &selector,
        annotations: annotations.clone(),
        containers: vec![container],
        volumes: pod_volumes,
        settings: &settings.pod,
        grace_seconds,
    }
    .template()
}

fn container(
    stack: &ValidatedStack,
    component: Component,
    settings: &ComponentSettings,
    storage: &StorageAdditions,
    receiver_mounts: Vec<VolumeMount>,
) -> Container {
    let data_volume = if component == Component::Ingester {
        DATA_VOLUME
    } else {
        SCRATCH_VOLUME
    };
    let mut mounts = vec![
        pod::mount(CONFIG_VOLUME, CONFIG_DIRECTORY, true),
        pod::mount(data_volume, DATA_DIRECTORY, false),
    ];
    mounts.extend(storage.mounts.iter().cloned());
    mounts.extend(receiver_mounts);
    Container {
        name: TEMPO_CONTAINER.to_owned(),
        image: Some(stack.container.image.clone()),
        command: Some(vec!["tempo".to_owned()]),
        args: Some(args(component, storage)),
        env: pod::non_empty(environment(stack, storage)),
        env_from: pod::non_empty(stack.container.env_from.clone()),
        ports: Some(ports(component)),
        readiness_probe: Some(pod::http_probe("/ready", "http")),
        resources: Some(settings.resources.clone()),
        security_context: Some(pod::container_security_context()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn args(component: Component, storage: &StorageAdditions) -> Vec<String> {
    let file = match component {
        Component::QueryFrontend => config::FRONTEND_FILE,
        _ => config::FILE,
    };
    let mut args = vec![
        format!("-target={}", component.as_str()),
        format!("-config.file={CONFIG_DIRECTORY}/{file}"),
        "-log.level=info".to_owned(),
        "-config.expand-env=true".to_owned(),
    ];
    args.extend(storage.args.iter().cloned());
    args
}

fn environment(stack: &ValidatedStack, storage: &StorageAdditions) -> Vec<EnvVar> {
    let mut environment = storage.env.clone();
    if stack.configuration.pod_addresses {
        environment.push(EnvVar {
            name: config::POD_ADDRESS_VARIABLE.to_owned(),
            value: None,
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: "status.podIP".to_owned(),
                    api_version: None,
                }),
                ..EnvVarSource::default()
            }),
        });
    }
    environment.extend(stack.container.env.iter().cloned());
    environment
}

/// What a component listens on. All of them gossip and have an HTTP and a gRPC server.
fn ports(component: Component) -> Vec<ContainerPort> {
    let mut ports = Vec::new();
    if component == Component::Distributor {
        ports.push(pod::port("otlp-http", OTLP_HTTP_PORT));
        ports.push(pod::port("otlp-grpc", OTLP_GRPC_PORT));
    }
    ports.push(pod::port("http", HTTP_PORT));
    ports.push(pod::port("grpc", GRPC_PORT));
    ports.push(pod::port("http-memberlist", GOSSIP_PORT));
    ports
}

/// Certificates of the distributor's receivers.
fn receiver_files(stack: &ValidatedStack, component: Component) -> (Vec<Volume>, Vec<VolumeMount>) {
    match &stack.configuration.receiver_tls {
        Some(tls) if component == Component::Distributor => {
            receiver_volumes(tls, "receiver", &config::receiver_directories())
        }
        _ => (Vec::new(), Vec::new()),
    }
}
