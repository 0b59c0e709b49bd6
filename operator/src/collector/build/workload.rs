//! The Deployment, StatefulSet or DaemonSet of a Collector, and its pods.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec, StatefulSet, StatefulSetSpec},
    core::v1::{
        Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, PodSpec, PodTemplateSpec, Probe,
    },
};

use super::{
    CONFIG_FILE, CONTAINER, HEALTH_PORT, METRICS_PORT, config_digest, config_map_name, doors::HEADLESS,
    labels_of, metadata, name_of, part_name, selector,
};
use crate::{
    collector::validate::ValidatedCollector,
    crd::{
        CollectorSpec,
        collector::{CollectorMode, CollectorProbe, DnsPolicy, PodManagementPolicy},
    },
    kubernetes::{
        resources::{Prepared, Resources},
        volumes,
    },
    pod::{self, CONFIG_DIRECTORY, Pod},
};

const CONFIG_VOLUME: &str = "otc-internal";

/// Adds the workload that the mode asks for.
pub(super) fn add(resources: &mut Resources<Prepared>, collector: &ValidatedCollector) {
    let spec = &collector.spec;
    let (metadata, template) = (metadata(collector, name_of(collector)), template(collector));
    let selector = selector(collector);
    match spec.mode {
        CollectorMode::Deployment => resources.deployments.push(Deployment {
            metadata,
            spec: DeploymentSpec {
                replicas: Some(collector.replicas),
                selector,
                template,
                strategy: spec.deployment_update_strategy.clone(),
                ..DeploymentSpec::default()
            },
            ..Deployment::default()
        }),
        CollectorMode::Statefulset => resources.stateful_sets.push(StatefulSet {
            metadata,
            spec: StatefulSetSpec {
                replicas: Some(collector.replicas),
                selector,
                template,
                ..stateful(collector)
            },
            ..StatefulSet::default()
        }),
        CollectorMode::Daemonset => resources.daemon_sets.push(DaemonSet {
            metadata,
            spec: DaemonSetSpec {
                selector,
                template,
                update_strategy: spec.daemon_set_update_strategy.clone(),
                ..DaemonSetSpec::default()
            },
            ..DaemonSet::default()
        }),
        CollectorMode::Sidecar => {}
    }
}

/// What only a StatefulSet has.
fn stateful(collector: &ValidatedCollector) -> StatefulSetSpec {
    let spec = &collector.spec;
    let service = if spec.service_name.is_empty() {
        part_name(collector, HEADLESS)
    } else {
        spec.service_name.clone()
    };
    let policy = spec
        .pod_management_policy
        .unwrap_or(PodManagementPolicy::Parallel);
    StatefulSetSpec {
        service_name: Some(service),
        pod_management_policy: Some(<&str>::from(policy).to_owned()),
        volume_claim_templates: pod::non_empty(spec.volume_claim_templates.clone()),
        persistent_volume_claim_retention_policy: spec.persistent_volume_claim_retention_policy.clone(),
        ..StatefulSetSpec::default()
    }
}

fn template(collector: &ValidatedCollector) -> PodTemplateSpec {
    let spec = &collector.spec;
    let labels = labels_of(collector);
    let mut pod_volumes = vec![volumes::config_map(CONFIG_VOLUME, &config_map_name(collector))];
    pod_volumes.extend(collector.volumes.iter().cloned());
    let mut containers = vec![container(collector)];
    containers.extend(spec.additional_containers.iter().cloned());
    let mut template = Pod {
        labels: labels.clone(),
        selector: &labels,
        annotations: annotations(collector),
        containers,
        volumes: pod_volumes,
        settings: &collector.pod,
        grace_seconds: spec.termination_grace_period_seconds,
    }
    .template();
    template.spec = template.spec.map(|pod| with_user_fields(pod, spec));
    template
}

/// The pod with those of its fields that come from the spec as they are.
fn with_user_fields(pod: PodSpec, spec: &CollectorSpec) -> PodSpec {
    let on = |switch: bool| switch.then_some(true);
    PodSpec {
        init_containers: pod::non_empty(spec.init_containers.clone()),
        priority_class_name: Some(spec.priority_class_name.clone()).filter(|name| !name.is_empty()),
        host_network: on(spec.host_network),
        host_pid: on(spec.host_pid),
        host_users: spec.host_users,
        host_aliases: pod::non_empty(spec.host_aliases.clone()),
        share_process_namespace: on(spec.share_process_namespace),
        dns_policy: dns_policy(spec).map(|policy| <&str>::from(policy).to_owned()),
        dns_config: spec.pod_dns_config.clone(),
        ..pod
    }
}

/// Whose names the pods can look up: what the user says, else what follows from the rest.
fn dns_policy(spec: &CollectorSpec) -> Option<DnsPolicy> {
    let nameservers = spec
        .pod_dns_config
        .as_ref()
        .and_then(|config| config.nameservers.as_ref());
    let has_nameservers = nameservers.is_some_and(|servers| !servers.is_empty());
    spec.dns_policy
        .or_else(|| has_nameservers.then_some(DnsPolicy::None))
        .or_else(|| spec.host_network.then_some(DnsPolicy::ClusterFirstWithHostNet))
}

/// The user's annotations, digests of what the pods are started with, and where Prometheus finds the metrics.
fn annotations(collector: &ValidatedCollector) -> BTreeMap<String, String> {
    let spec = &collector.spec;
    let digests = [
        (pod::CONFIG_HASH, config_digest(collector)),
        (pod::SECRETS_HASH, collector.secrets_hash.clone()),
    ];
    let port = collector
        .metrics_port
        .filter(|_| !spec.observability.metrics.disable_prometheus_annotations);
    let prometheus = port.map(|port| {
        [
            ("prometheus.io/scrape", "true".to_owned()),
            ("prometheus.io/port", port.to_string()),
            ("prometheus.io/path", "/metrics".to_owned()),
        ]
    });
    let own = |(name, value): (&str, String)| (name.to_owned(), value);
    let mut annotations: BTreeMap<_, _> = prometheus.into_iter().flatten().map(own).collect();
    annotations.extend(spec.pod_annotations.clone());
    annotations.extend(digests.map(own));
    annotations
}

fn container(collector: &ValidatedCollector) -> Container {
    let (spec, container) = (&collector.spec, &collector.container);
    let mut args = vec![format!("--config={CONFIG_DIRECTORY}/{CONFIG_FILE}")];
    args.extend(container.args.iter().cloned());
    let mut mounts = vec![pod::mount(CONFIG_VOLUME, CONFIG_DIRECTORY, true)];
    mounts.extend(container.mounts.iter().cloned());
    Container {
        name: CONTAINER.to_owned(),
        image: Some(container.settings.image.clone()),
        image_pull_policy: spec.image_pull_policy.clone(),
        command: Some(container.command.clone()),
        args: Some(args),
        env: Some(environment(&container.settings.env)),
        env_from: pod::non_empty(container.settings.env_from.clone()),
        ports: pod::non_empty(ports(collector)),
        liveness_probe: probe(collector, Some(&spec.liveness_probe.clone().unwrap_or_default())),
        readiness_probe: probe(collector, Some(&spec.readiness_probe.clone().unwrap_or_default())),
        startup_probe: probe(collector, spec.startup_probe.as_ref()),
        lifecycle: spec.lifecycle.clone(),
        resources: container.resources.clone(),
        security_context: Some(container.security_context.clone()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// A probe of the health check, where there are both.
fn probe(collector: &ValidatedCollector, timings: Option<&CollectorProbe>) -> Option<Probe> {
    let health = collector.health.as_ref()?;
    Some(timings?.applied_to(pod::http_probe(&health.path, HEALTH_PORT)))
}

/// Ports of the receivers, and the collector's own. A number stands once.
fn ports(collector: &ValidatedCollector) -> Vec<ContainerPort> {
    let mut ports: Vec<ContainerPort> = Vec::new();
    let receivers = collector.ports.iter().map(|port| ContainerPort {
        name: Some(port.name.clone()),
        container_port: port.container_port,
        host_port: port.host_port,
        protocol: Some(port.protocol.clone()),
        ..ContainerPort::default()
    });
    let health = collector.health.as_ref();
    let own = [
        (HEALTH_PORT, health.map(|health| health.port)),
        (METRICS_PORT, collector.metrics_port),
    ];
    let own = own
        .into_iter()
        .filter_map(|(name, number)| Some(pod::port(name, number?)));
    for port in receivers.chain(own) {
        let is_new = |taken: &ContainerPort| {
            taken.container_port != port.container_port || taken.protocol != port.protocol
        };
        if ports.iter().all(is_new) {
            ports.push(port);
        }
    }
    ports
}

/// The name of the pod, unless the user has another, and the user's variables.
fn environment(given: &[EnvVar]) -> Vec<EnvVar> {
    const POD_NAME: &str = "POD_NAME";
    let is_given = given.iter().any(|variable| variable.name == POD_NAME);
    let pod_name = (!is_given).then(|| EnvVar {
        name: POD_NAME.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.name".to_owned(),
                api_version: None,
            }),
            ..EnvVarSource::default()
        }),
    });
    pod_name.into_iter().chain(given.iter().cloned()).collect()
}
