//! A validated Collector becomes Kubernetes objects (pure).

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, DaemonSetSpec, Deployment, DeploymentSpec, StatefulSet, StatefulSetSpec},
        core::v1::{
            ConfigMap, Container, ContainerPort, EnvVar, EnvVarSource, ObjectFieldSelector, PodTemplateSpec,
            Service, ServiceAccount, ServicePort,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::validate::{CollectorPort, ValidatedCollector};
use crate::{
    crd::collector::CollectorMode,
    digest::digest,
    kubernetes::{
        labels::{self, Application, Labels},
        names,
        resources::{Prepared, Resources},
        services, volumes,
    },
    pod::{self, CONFIG_DIRECTORY, Pod},
};

/// Component label of all objects.
pub const COMPONENT: &str = "collector";
/// Name of the container.
pub const CONTAINER: &str = "otc-container";
/// File of the ConfigMap.
pub const CONFIG_FILE: &str = "collector.yaml";
const CONFIG_VOLUME: &str = "otc-internal";

/// All objects of a Collector. A sidecar has none of its own.
pub fn build(collector: &ValidatedCollector) -> Resources<Prepared> {
    let mut resources = Resources::default();
    if collector.mode == CollectorMode::Sidecar {
        return resources;
    }
    resources.service_accounts.extend(service_account(collector));
    resources.config_maps.push(config_map(collector));
    resources.services = build_services(collector);
    resources
        .pod_disruption_budgets
        .extend(disruption_budget(collector));
    let (metadata, template) = (metadata(collector), template(collector));
    let selector = LabelSelector {
        match_labels: Some(labels_of(collector)),
        ..LabelSelector::default()
    };
    match collector.mode {
        CollectorMode::Deployment | CollectorMode::Sidecar => resources.deployments.push(Deployment {
            metadata,
            spec: DeploymentSpec {
                replicas: Some(collector.replicas),
                selector,
                template,
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
                service_name: Some(headless_name(collector)),
                pod_management_policy: Some("Parallel".to_owned()),
                volume_claim_templates: pod::non_empty(collector.claims.clone()),
                ..StatefulSetSpec::default()
            },
            ..StatefulSet::default()
        }),
        CollectorMode::Daemonset => resources.daemon_sets.push(DaemonSet {
            metadata,
            spec: DaemonSetSpec {
                selector,
                template,
                ..DaemonSetSpec::default()
            },
            ..DaemonSet::default()
        }),
    }
    resources
}

fn name_of(collector: &ValidatedCollector) -> String {
    names::collector(&collector.owner.name)
}

fn headless_name(collector: &ValidatedCollector) -> String {
    format!("{}-headless", name_of(collector))
}

fn labels_of(collector: &ValidatedCollector) -> Labels {
    labels::component(Application::Collector, &collector.owner.name, COMPONENT)
}

fn metadata(collector: &ValidatedCollector) -> ObjectMeta {
    collector.owner.metadata(name_of(collector), labels_of(collector))
}

fn service_account(collector: &ValidatedCollector) -> Option<ServiceAccount> {
    collector.own_service_account.then(|| ServiceAccount {
        metadata: metadata(collector),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}

fn config_map(collector: &ValidatedCollector) -> ConfigMap {
    ConfigMap {
        metadata: metadata(collector),
        data: Some(BTreeMap::from([(
            CONFIG_FILE.to_owned(),
            collector.configuration.clone(),
        )])),
        ..ConfigMap::default()
    }
}

/// The Service that applications send to, and its headless twin; none without a port.
fn build_services(collector: &ValidatedCollector) -> Vec<Service> {
    if collector.ports.is_empty() {
        return Vec::new();
    }
    let (owner, labels) = (&collector.owner, labels_of(collector));
    let mut base = services::cluster(owner, &name_of(collector), &labels, &labels, &[]);
    let mut headless = services::headless(owner, &headless_name(collector), &labels, &labels, &[]);
    for service in [&mut base, &mut headless] {
        if let Some(spec) = &mut service.spec {
            spec.ports = Some(collector.ports.iter().map(service_port).collect());
        }
    }
    if let Some(spec) = base
        .spec
        .as_mut()
        .filter(|_| collector.mode == CollectorMode::Daemonset)
    {
        spec.internal_traffic_policy = Some("Local".to_owned());
    }
    vec![base, headless]
}

fn service_port(port: &CollectorPort) -> ServicePort {
    ServicePort {
        name: Some(port.name.clone()),
        port: port.service_port,
        target_port: Some(IntOrString::Int(port.container_port)),
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
        ..ServicePort::default()
    }
}

/// A budget for the modes in which pods can move.
fn disruption_budget(collector: &ValidatedCollector) -> Option<PodDisruptionBudget> {
    if collector.mode == CollectorMode::Daemonset {
        return None;
    }
    let budget = &collector.disruption_budget;
    let max_unavailable = match (&budget.max_unavailable, &budget.min_available) {
        (None, None) => Some(IntOrString::Int(1)),
        (max_unavailable, _) => max_unavailable.clone(),
    };
    Some(PodDisruptionBudget {
        metadata: metadata(collector),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable,
            min_available: budget.min_available.clone(),
            selector: Some(LabelSelector {
                match_labels: Some(labels_of(collector)),
                ..LabelSelector::default()
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}

fn template(collector: &ValidatedCollector) -> PodTemplateSpec {
    let labels = labels_of(collector);
    let mut annotations = collector.pod_annotations.clone();
    annotations.insert(
        pod::CONFIG_HASH.to_owned(),
        digest([collector.configuration.as_bytes()]),
    );
    annotations.insert(pod::SECRETS_HASH.to_owned(), collector.secrets_hash.clone());
    let mut pod_volumes = vec![volumes::config_map(CONFIG_VOLUME, &name_of(collector))];
    pod_volumes.extend(collector.volumes.iter().cloned());
    let mut template = Pod {
        labels: labels.clone(),
        selector: &labels,
        annotations,
        containers: vec![container(collector)],
        volumes: pod_volumes,
        settings: &collector.pod,
        grace_seconds: collector.grace_seconds,
    }
    .template();
    if let Some(spec) = &mut template.spec {
        spec.priority_class_name.clone_from(&collector.priority_class);
        if collector.host_network {
            spec.host_network = Some(true);
            spec.dns_policy = Some("ClusterFirstWithHostNet".to_owned());
        }
    }
    template
}

fn container(collector: &ValidatedCollector) -> Container {
    let container = &collector.container;
    let mut args = vec![format!("--config={CONFIG_DIRECTORY}/{CONFIG_FILE}")];
    args.extend(container.args.iter().cloned());
    let mut mounts = vec![pod::mount(CONFIG_VOLUME, CONFIG_DIRECTORY, true)];
    mounts.extend(container.mounts.iter().cloned());
    let mut environment = vec![pod_name_variable()];
    environment.extend(container.settings.env.iter().cloned());
    Container {
        name: CONTAINER.to_owned(),
        image: Some(container.settings.image.clone()),
        image_pull_policy: container.image_pull_policy.clone(),
        command: Some(container.command.clone()),
        args: Some(args),
        env: Some(environment),
        env_from: pod::non_empty(container.settings.env_from.clone()),
        ports: pod::non_empty(container_ports(collector)),
        liveness_probe: collector.health_port.map(|_| pod::http_probe("/", HEALTH_PORT)),
        readiness_probe: collector.health_port.map(|_| pod::http_probe("/", HEALTH_PORT)),
        resources: container.resources.clone(),
        security_context: Some(container.security_context.clone()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// Name of the port of the `health_check` extension.
pub const HEALTH_PORT: &str = "health-check";

fn container_ports(collector: &ValidatedCollector) -> Vec<ContainerPort> {
    let receivers = collector.ports.iter().map(|port| ContainerPort {
        name: Some(port.name.clone()),
        container_port: port.container_port,
        protocol: Some(port.protocol.clone()),
        ..ContainerPort::default()
    });
    receivers
        .chain(collector.health_port.map(|number| pod::port(HEALTH_PORT, number)))
        .collect()
}

fn pod_name_variable() -> EnvVar {
    EnvVar {
        name: "POD_NAME".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "metadata.name".to_owned(),
                api_version: None,
            }),
            ..EnvVarSource::default()
        }),
    }
}
