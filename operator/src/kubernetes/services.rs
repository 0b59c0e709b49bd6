//! Services: the doors of components.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{labels::Labels, owner::Owner};

/// Names and numbers of TCP ports.
pub type ServicePorts<'a> = &'a [(&'a str, i32)];

/// A Service with a virtual address.
pub fn cluster(
    owner: &Owner,
    name: &str,
    labels: &Labels,
    selector: &Labels,
    ports: ServicePorts<'_>,
) -> Service {
    Service {
        metadata: owner.metadata(name.to_owned(), labels.clone()),
        spec: Some(ServiceSpec {
            ports: Some(
                ports
                    .iter()
                    .map(|(name, number)| port(name, *number, "TCP"))
                    .collect(),
            ),
            selector: Some(selector.clone()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// A Service without an address: its name resolves to the pods, ready or not.
pub fn headless(
    owner: &Owner,
    name: &str,
    labels: &Labels,
    selector: &Labels,
    ports: ServicePorts<'_>,
) -> Service {
    let mut service = cluster(owner, name, labels, selector, ports);
    if let Some(spec) = &mut service.spec {
        spec.cluster_ip = Some("None".to_owned());
        spec.publish_not_ready_addresses = Some(true);
    }
    service
}

/// A port whose target is the container port of the same name.
pub fn port(name: &str, number: i32, protocol: &str) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        protocol: Some(protocol.to_owned()),
        target_port: Some(IntOrString::String(name.to_owned())),
        ..ServicePort::default()
    }
}
