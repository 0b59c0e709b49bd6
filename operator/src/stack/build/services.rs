//! Services of a TempoStack. Their names and ports are what users' data sources and collectors point at.

use k8s_openapi::api::core::v1::{Service, ServicePort};

use super::{labels_of, name_of};
use crate::{
    configuration::{GOSSIP_PORT, GRPC_PORT, HTTP_PORT, OTLP_GRPC_PORT, OTLP_HTTP_PORT},
    kubernetes::{
        labels::{self, Application, GOSSIP_MEMBER, Labels},
        services::{self, ServicePorts, port},
    },
    stack::{component::Component, validate::ValidatedStack},
};

/// The Service that all members of the gossip are found by.
pub(super) const GOSSIP_RING: &str = "gossip-ring";
/// The Service that queriers find the query-frontends by.
pub(super) const FRONTEND_DISCOVERY: &str = "query-frontend-discovery";

const HTTP: (&str, i32) = ("http", HTTP_PORT);
const GRPC: (&str, i32) = ("grpc", GRPC_PORT);
const GOSSIP: (&str, i32) = ("http-memberlist", GOSSIP_PORT);
const GRPC_BALANCED: (&str, i32) = ("grpclb", 9096);
const OTLP: [(&str, i32); 2] = [("otlp-http", OTLP_HTTP_PORT), ("otlp-grpc", OTLP_GRPC_PORT)];
const JAEGER_UI: [(&str, i32); 3] = [
    ("jaeger-grpc", 16685),
    ("jaeger-ui", 16686),
    ("jaeger-metrics", 16687),
];

pub(super) fn build(stack: &ValidatedStack) -> Vec<Service> {
    let mut services: Vec<Service> = Component::ALL
        .into_iter()
        .map(|component| of_component(stack, component))
        .collect();
    services.push(gossip_ring(stack));
    services.push(frontend_discovery(stack));
    services
}

fn of_component(stack: &ValidatedStack, component: Component) -> Service {
    let name = name_of(stack, component.as_str());
    let labels = labels_of(stack, component.as_str());
    let service = |ports: ServicePorts<'_>| services::cluster(&stack.owner, &name, &labels, &labels, ports);
    match component {
        Component::Distributor => with_ports(service(&[OTLP[0], OTLP[1], HTTP]), legacy_receivers()),
        Component::Ingester => service(&[HTTP, GRPC]),
        Component::Compactor => service(&[GOSSIP, HTTP]),
        Component::Querier => service(&[GOSSIP, HTTP, GRPC]),
        Component::QueryFrontend => with_ports(service(&[HTTP, GRPC]), jaeger_ui(stack)),
    }
}

fn with_ports(mut service: Service, more: Vec<ServicePort>) -> Service {
    if let Some(ports) = service.spec.as_mut().and_then(|spec| spec.ports.as_mut()) {
        ports.extend(more);
    }
    service
}

/// The doors for Jaeger and Zipkin clients.
fn legacy_receivers() -> Vec<ServicePort> {
    vec![
        port("thrift-http", 14268, "TCP"),
        port("thrift-compact", 6831, "UDP"),
        port("thrift-binary", 6832, "UDP"),
        port("jaeger-grpc", 14250, "TCP"),
        port("http-zipkin", 9411, "TCP"),
    ]
}

fn jaeger_ui(stack: &ValidatedStack) -> Vec<ServicePort> {
    let ports = JAEGER_UI.map(|(name, number)| port(name, number, "TCP"));
    if stack.jaeger_ui.is_some() {
        ports.to_vec()
    } else {
        Vec::new()
    }
}

fn gossip_ring(stack: &ValidatedStack) -> Service {
    services::headless(
        &stack.owner,
        &name_of(stack, GOSSIP_RING),
        &labels_of(stack, GOSSIP_RING),
        &gossip_members(stack),
        &[GOSSIP],
    )
}

/// Labels that the pods of all members of the gossip have.
pub(super) fn gossip_members(stack: &ValidatedStack) -> Labels {
    let mut selector = labels::common(Application::TempoStack, &stack.owner.name);
    selector.insert(GOSSIP_MEMBER.to_owned(), "true".to_owned());
    selector
}

fn frontend_discovery(stack: &ValidatedStack) -> Service {
    let service = services::headless(
        &stack.owner,
        &name_of(stack, FRONTEND_DISCOVERY),
        &labels_of(stack, FRONTEND_DISCOVERY),
        &labels_of(stack, Component::QueryFrontend.as_str()),
        &[HTTP, GRPC, GRPC_BALANCED],
    );
    with_ports(service, jaeger_ui(stack))
}
