//! How a Collector is reached: Services, an Ingress, a NetworkPolicy.

use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort},
        networking::v1::{
            HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule,
            IngressServiceBackend, IngressSpec, NetworkPolicy, NetworkPolicyEgressRule,
            NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec, ServiceBackendPort,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{HEALTH_PORT, METRICS_PORT, labels_of, metadata, name_of, part_name, selector};
use crate::{
    collector::validate::{CollectorPort, ValidatedCollector},
    crd::{
        collector::{CollectorMode, IngressRuleType},
        common::IngressType,
    },
    kubernetes::{names, services},
    pod::non_empty,
};

/// Label that tells the Services of a Collector apart: `base`, `headless`, `monitoring` or `extension`.
pub(super) const SERVICE_TYPE: &str = "tempo.grafana.com/collector-service-type";
/// The part of the name of the headless Service.
pub(super) const HEADLESS: &str = "headless";

/// The Service that applications send to and its headless twin, where there is a port; one for metrics and one for the
/// health check, where there are these.
pub(super) fn services(collector: &ValidatedCollector) -> Vec<Service> {
    let ports: Vec<ServicePort> = collector.ports.iter().map(service_port).collect();
    let mut services = Vec::new();
    if !ports.is_empty() {
        let mut base = service(collector, &name_of(collector), "base", ports.clone());
        if collector.spec.mode == CollectorMode::Daemonset
            && let Some(spec) = &mut base.spec
        {
            spec.internal_traffic_policy = Some("Local".to_owned());
        }
        let mut headless = service(collector, &part_name(collector, HEADLESS), HEADLESS, ports);
        if let Some(spec) = &mut headless.spec {
            spec.cluster_ip = Some("None".to_owned());
            spec.publish_not_ready_addresses = Some(true);
        }
        services.extend([base, headless]);
    }
    let health = collector.health.as_ref().map(|health| health.port);
    for (part, port, number) in [
        ("monitoring", METRICS_PORT, collector.metrics_port),
        ("extension", HEALTH_PORT, health),
    ] {
        let ports = number.map(|number| vec![services::port(port, number, "TCP")]);
        services.extend(ports.map(|ports| service(collector, &part_name(collector, part), part, ports)));
    }
    services
}

fn service(collector: &ValidatedCollector, name: &str, kind: &str, ports: Vec<ServicePort>) -> Service {
    let labels = labels_of(collector);
    let mut service = services::cluster(&collector.owner, name, &labels, &labels, &[]);
    let labels = service.metadata.labels.get_or_insert_default();
    labels.insert(SERVICE_TYPE.to_owned(), kind.to_owned());
    let wanted = &collector.spec;
    if let Some(spec) = &mut service.spec {
        spec.ports = Some(ports);
        let families = wanted
            .ip_families
            .iter()
            .map(|family| <&str>::from(family).to_owned());
        spec.ip_families = non_empty(families.collect());
        spec.ip_family_policy = wanted
            .ip_family_policy
            .map(|policy| <&str>::from(policy).to_owned());
        spec.traffic_distribution.clone_from(&wanted.traffic_distribution);
        spec.session_affinity = wanted
            .session_affinity
            .map(|affinity| <&str>::from(affinity).to_owned());
        spec.session_affinity_config = wanted
            .session_affinity
            .and_then(|_| wanted.session_affinity_config.clone());
    }
    service
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

/// Lets the pods be reached at their ports only. Where they send to is not restricted.
pub(super) fn network_policy(collector: &ValidatedCollector) -> Option<NetworkPolicy> {
    let receivers = collector
        .ports
        .iter()
        .map(|port| (port.container_port, port.protocol.as_str()));
    let health = collector.health.as_ref().map(|health| health.port);
    let own = collector.metrics_port.into_iter().chain(health);
    let ports = receivers
        .chain(own.map(|number| (number, "TCP")))
        .map(|(number, protocol)| NetworkPolicyPort {
            port: Some(IntOrString::Int(number)),
            protocol: Some(protocol.to_owned()),
            end_port: None,
        });
    collector.spec.network_policy.enabled.then(|| NetworkPolicy {
        metadata: metadata(collector, part_name(collector, "networkpolicy")),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(collector)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule {
                ports: Some(ports.collect()),
                from: None,
            }]),
            egress: Some(vec![NetworkPolicyEgressRule::default()]),
        }),
    })
}

/// Publishes the receivers, if they are wanted outside the cluster. (Routes are not built.)
pub(super) fn ingress(collector: &ValidatedCollector) -> Option<Ingress> {
    let wanted = collector.spec.ingress.as_ref()?;
    let ports: Vec<&CollectorPort> = collector
        .ports
        .iter()
        .filter(|port| port.is_receiver && port.protocol == "TCP")
        .collect();
    if wanted.kind != IngressType::Ingress || ports.is_empty() {
        return None;
    }
    let host = Some(wanted.hostname.clone()).filter(|host| !host.is_empty());
    let rules = match wanted.rule_type {
        IngressRuleType::Path => {
            let paths = ports
                .iter()
                .map(|port| path(collector, port, format!("/{}", port.name)));
            vec![rule(host, paths.collect())]
        }
        IngressRuleType::Subdomain => ports
            .iter()
            .map(|port| {
                let host = format!("{}.{}", port.name, wanted.hostname);
                rule(Some(host), vec![path(collector, port, "/".to_owned())])
            })
            .collect(),
    };
    let mut metadata = metadata(collector, names::with_suffix(&collector.owner.name, "-ingress"));
    metadata.annotations = (!wanted.annotations.is_empty()).then(|| wanted.annotations.clone());
    Some(Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: wanted.ingress_class_name.clone(),
            rules: Some(rules),
            tls: non_empty(wanted.tls.clone()),
            ..IngressSpec::default()
        }),
        ..Ingress::default()
    })
}

fn rule(host: Option<String>, paths: Vec<HTTPIngressPath>) -> IngressRule {
    IngressRule {
        host,
        http: Some(HTTPIngressRuleValue { paths }),
    }
}

fn path(collector: &ValidatedCollector, port: &CollectorPort, path: String) -> HTTPIngressPath {
    HTTPIngressPath {
        path: Some(path),
        path_type: "Prefix".to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: name_of(collector),
                port: Some(ServiceBackendPort {
                    name: Some(port.name.clone()),
                    number: None,
                }),
            }),
            ..IngressBackend::default()
        },
    }
}
