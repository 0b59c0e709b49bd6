//! Which port of which process is published, and which Service leads to which process (pure).

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Service, apimachinery::pkg::util::intstr::IntOrString};

use super::{overlay::LOOPBACK, ports::Slot, process::Process};
use crate::{
    collector,
    configuration::{GOSSIP_PORT, HTTP_PORT, OTLP_GRPC_PORT, OTLP_HTTP_PORT},
    kubernetes::labels::{Application, COMPONENT, GOSSIP_MEMBER, INSTANCE, NAME},
    minio,
    stack::component::Component,
};

impl Process {
    /// The component that it is, such as `ingester`.
    pub(super) fn component(&self) -> &str {
        self.labels.get(COMPONENT).map_or("", String::as_str)
    }

    /// Name of the custom resource that it belongs to.
    pub(super) fn instance(&self) -> &str {
        self.labels.get(INSTANCE).map_or("", String::as_str)
    }

    /// Whether it is a Collector.
    pub(super) fn is_collector(&self) -> bool {
        self.labels.get(NAME).map(String::as_str) == Some(Application::Collector.as_str())
    }

    /// Whether it is a managed MinIO.
    pub(super) fn is_minio(&self) -> bool {
        self.component() == minio::COMPONENT
    }

    /// Whether it is of one stack or Collector with another.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.namespace == other.namespace
            && [NAME, INSTANCE]
                .iter()
                .all(|key| self.labels.get(*key) == other.labels.get(*key))
    }

    /// Whether it takes part in the gossip.
    pub(super) fn gossips(&self) -> bool {
        self.labels.contains_key(GOSSIP_MEMBER)
    }

    /// Its ports, with the number under which one may be published.
    fn slots(&self, has_collector: bool) -> Vec<(Slot, Option<u16>)> {
        self.ports
            .iter()
            .map(|port| {
                let documented = self
                    .is_published(&port.name, port.number, has_collector)
                    .then_some(port.number);
                ((self.name.clone(), port.number), documented)
            })
            .collect()
    }

    /// The query API, and OTLP: through the Collectors where there are any.
    fn is_published(&self, name: &str, number: u16, has_collector: bool) -> bool {
        let is = |port: i32| i32::from(number) == port;
        let component = self.component();
        if self.ordinal > 0 {
            return false;
        }
        if self.is_collector() {
            return ![collector::build::HEALTH_PORT, collector::build::METRICS_PORT].contains(&name);
        }
        let monolithic =
            self.labels.get(NAME).map(String::as_str) == Some(Application::TempoMonolithic.as_str());
        let answers = monolithic || component == Component::QueryFrontend.as_str();
        let receives = monolithic || component == Component::Distributor.as_str();
        (is(HTTP_PORT) && answers)
            || ((is(OTLP_GRPC_PORT) || is(OTLP_HTTP_PORT)) && receives && !has_collector)
    }
}

/// All ports of all processes. A number is published once, by the first process that may.
pub(super) fn slots(processes: &[Process]) -> Vec<(Slot, Option<u16>)> {
    let has_collector = processes.iter().any(Process::is_collector);
    let mut slots: Vec<_> = processes
        .iter()
        .flat_map(|process| process.slots(has_collector))
        .collect();
    let mut published = std::collections::BTreeSet::new();
    for (_, documented) in &mut slots {
        if documented.is_some_and(|number| !published.insert(number)) {
            *documented = None;
        }
    }
    slots
}

/// Where Services lead: `service:port` in every spelling to an address on this machine. `near` is the namespace of
/// the asker, whose Services need no namespace in their name.
pub(super) fn peers(
    services: &[Service],
    processes: &[Process],
    ports: &BTreeMap<Slot, u16>,
    near: &str,
) -> BTreeMap<String, String> {
    let mut peers = BTreeMap::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        let Some(spec) = &service.spec else { continue };
        let behind = processes.iter().find(|process| {
            let selector = spec.selector.iter().flatten();
            process.namespace == namespace
                && selector
                    .into_iter()
                    .all(|(key, value)| process.labels.get(key) == Some(value))
        });
        let Some(process) = behind else { continue };
        for port in spec.ports.iter().flatten() {
            let Some(here) = target(process, port.target_port.as_ref(), port.port)
                .and_then(|number| ports.get(&(process.name.clone(), number)))
            else {
                continue;
            };
            let mut hosts = vec![
                format!("{name}.{namespace}"),
                format!("{name}.{namespace}.svc"),
                format!("{name}.{namespace}.svc.cluster.local"),
            ];
            if namespace == near {
                hosts.push(name.to_owned());
            }
            for host in hosts {
                peers.insert(format!("{host}:{}", port.port), format!("{LOOPBACK}:{here}"));
            }
        }
    }
    peers
}

/// The number of the port of a pod that a port of a Service leads to.
fn target(process: &Process, target: Option<&IntOrString>, port: i32) -> Option<u16> {
    match target {
        Some(IntOrString::String(name)) => process
            .ports
            .iter()
            .find(|port| port.name == *name)
            .map(|port| port.number),
        Some(IntOrString::Int(number)) => u16::try_from(*number).ok(),
        None => u16::try_from(port).ok(),
    }
}

/// The addresses of all members of the gossip that a process takes part in.
pub(super) fn gossip(process: &Process, processes: &[Process], ports: &BTreeMap<Slot, u16>) -> Vec<String> {
    let number = u16::try_from(GOSSIP_PORT).unwrap_or_default();
    let members = processes
        .iter()
        .filter(|member| member.gossips() && member.is_of(process));
    members
        .filter_map(|member| ports.get(&(member.name.clone(), number)))
        .map(|port| format!("{LOOPBACK}:{port}"))
        .collect()
}
