//! What a collector listens on, read from its configuration.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::config::{component_type, ids};
use crate::{
    collector::build::{HEALTH_PORT, METRICS_PORT},
    crd::collector::CollectorPortSpec,
    validation::ValidationError,
};

/// A port of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorPort {
    /// Name, a DNS label of at most 15 characters.
    pub name: String,
    /// Number of the port on the pod.
    pub container_port: i32,
    /// Number of the port on the Service.
    pub service_port: i32,
    /// `TCP` or `UDP`.
    pub protocol: String,
    /// What is spoken there, such as `grpc`.
    pub app_protocol: Option<String>,
    /// Number of the port on the node.
    pub host_port: Option<i32>,
    /// Whether it is a receiver's.
    pub is_receiver: bool,
}

/// The `health_check` extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Number of its port.
    pub port: i32,
    /// The path that it answers.
    pub path: String,
}

/// A door of a receiver type: its protocol (empty where there is only one), port, transport and language.
type Door = (&'static str, i32, &'static str, Option<&'static str>);

/// Receivers whose doors stand under `protocols`.
const PROTOCOL_RECEIVERS: [(&str, &[Door]); 2] = [
    (
        "otlp",
        &[
            ("grpc", 4317, "TCP", Some("grpc")),
            ("http", 4318, "TCP", Some("http")),
        ],
    ),
    (
        "jaeger",
        &[
            ("grpc", 14250, "TCP", Some("grpc")),
            ("thrift_http", 14268, "TCP", Some("http")),
            ("thrift_compact", 6831, "UDP", None),
            ("thrift_binary", 6832, "UDP", None),
        ],
    ),
];
/// Receivers with one door that has a default.
const SINGLE_RECEIVERS: [(&str, Door); 1] = [("zipkin", ("", 9411, "TCP", Some("http")))];
const HEALTH_CHECK: &str = "health_check";
const HEALTH_CHECK_PORT: i32 = 13133;
const LONGEST_NAME: usize = 15;

/// Gives receivers and the health check an address that other pods reach, where the user gave none.
pub(super) fn listen_everywhere(tree: &mut Value) {
    for (id, receiver) in tree
        .get_mut("receivers")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        if let Some((_, doors)) = PROTOCOL_RECEIVERS
            .iter()
            .find(|(kind, _)| *kind == component_type(id))
        {
            for (protocol, port, ..) in *doors {
                let settings = receiver
                    .get_mut("protocols")
                    .and_then(|protocols| protocols.get_mut(*protocol));
                listen(settings, *port);
            }
        }
        if let Some((_, door)) = SINGLE_RECEIVERS
            .iter()
            .find(|(kind, _)| *kind == component_type(id))
        {
            listen(Some(receiver), door.1);
        }
    }
    for (id, extension) in tree
        .get_mut("extensions")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        if component_type(id) == HEALTH_CHECK {
            listen(Some(extension), HEALTH_CHECK_PORT);
        }
    }
}

fn listen(settings: Option<&mut Value>, port: i32) {
    let Some(settings) = settings else { return };
    if settings.is_null() {
        *settings = json!({});
    }
    let endpoint = settings
        .get("endpoint")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let port_text = endpoint
        .strip_prefix(':')
        .map_or_else(|| port.to_string(), ToOwned::to_owned);
    if settings.is_object() && (endpoint.is_empty() || endpoint.starts_with(':')) {
        settings["endpoint"] = json!(format!("0.0.0.0:{port_text}"));
    }
}

/// Ports of the receivers that a pipeline uses, and the user's own. A user's port wins over a receiver's of
/// the same number.
pub(super) fn of(tree: &Value, own: &[CollectorPortSpec]) -> Result<Vec<CollectorPort>, ValidationError> {
    let receivers = of_receivers(tree);
    let mut ports = own
        .iter()
        .map(|port| own_port(port, &receivers))
        .collect::<Result<Vec<_>, _>>()?;
    for port in receivers {
        let is_new = |taken: &CollectorPort| {
            taken.container_port != port.container_port || taken.protocol != port.protocol
        };
        if ports.iter().all(is_new) {
            ports.push(port);
        }
    }
    ports.sort_by(|one, other| one.name.cmp(&other.name));
    match ports
        .windows(2)
        .find(|pair| matches!(pair, [one, other] if one.name == other.name))
    {
        Some(pair) => Err(ValidationError::configuration(
            "spec.ports",
            format!(
                "two ports are called {:?}: rename one",
                pair.first().map(|port| &port.name)
            ),
        )),
        None => Ok(ports),
    }
}

/// Ports of the receivers that a pipeline uses.
fn of_receivers(tree: &Value) -> Vec<CollectorPort> {
    let pipelines = tree.pointer("/service/pipelines").and_then(Value::as_object);
    let used: Vec<&str> = pipelines
        .into_iter()
        .flatten()
        .flat_map(|(_, pipeline)| ids(pipeline, "receivers"))
        .collect();
    let receivers = tree.get("receivers").and_then(Value::as_object);
    receivers
        .into_iter()
        .flatten()
        .filter(|(id, _)| used.contains(&id.as_str()))
        .flat_map(|(id, receiver)| receiver_ports(id, receiver))
        .collect()
}

fn own_port(port: &CollectorPortSpec, receivers: &[CollectorPort]) -> Result<CollectorPort, ValidationError> {
    if [HEALTH_PORT, METRICS_PORT].contains(&port.name.as_str()) {
        return Err(ValidationError::configuration(
            "spec.ports",
            format!(
                "{:?} is the name of the Collector's own port; use another",
                port.name
            ),
        ));
    }
    let (container_port, is_receiver) = match &port.target_port {
        None => (port.port, false),
        Some(IntOrString::Int(number)) => (*number, false),
        Some(IntOrString::String(name)) => {
            let target = receivers.iter().find(|receiver| receiver.name == *name);
            let target = target.ok_or_else(|| {
                let names: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
                ValidationError::configuration(
                    "spec.ports",
                    format!(
                        "port {:?} leads to {name:?}, which is no receiver's port; use a number or one of: {}",
                        port.name,
                        names.join(", ")
                    ),
                )
            })?;
            (target.container_port, true)
        }
    };
    let is_receiver = is_receiver
        || receivers
            .iter()
            .any(|receiver| receiver.container_port == container_port);
    Ok(CollectorPort {
        name: port.name.clone(),
        container_port,
        service_port: port.port,
        protocol: <&str>::from(port.protocol.unwrap_or_default()).to_owned(),
        app_protocol: port.app_protocol.clone(),
        host_port: port.host_port,
        is_receiver,
    })
}

fn receiver_ports(id: &str, receiver: &Value) -> Vec<CollectorPort> {
    let kind = component_type(id);
    if let Some((_, doors)) = PROTOCOL_RECEIVERS.iter().find(|(known, _)| *known == kind) {
        let protocols = receiver.get("protocols");
        return doors
            .iter()
            .filter_map(|door| Some(port(&format!("{id}-{}", door.0), protocols?.get(door.0)?, door)))
            .collect();
    }
    let fallback = SINGLE_RECEIVERS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, door)| *door);
    match (fallback, endpoint_port(receiver)) {
        (Some(door), _) => vec![port(id, receiver, &door)],
        (None, Some(number)) => vec![port(id, receiver, &("", number, "TCP", None))],
        (None, None) => Vec::new(),
    }
}

fn port(name: &str, settings: &Value, (_, default, protocol, app_protocol): &Door) -> CollectorPort {
    let number = endpoint_port(settings).unwrap_or(*default);
    CollectorPort {
        name: port_name(name, number),
        container_port: number,
        service_port: number,
        protocol: (*protocol).to_owned(),
        app_protocol: app_protocol.map(ToOwned::to_owned),
        host_port: None,
        is_receiver: true,
    }
}

/// The port of an `endpoint`, a `listen_address` or an `address`; none where it comes from the environment.
pub(super) fn endpoint_port(settings: &Value) -> Option<i32> {
    let endpoint = ["endpoint", "listen_address", "address"]
        .iter()
        .find_map(|key| settings.get(*key)?.as_str())?;
    endpoint.rsplit_once(':')?.1.parse().ok()
}

/// A port name made of a component's id.
fn port_name(id: &str, number: i32) -> String {
    let name = id.to_ascii_lowercase().replace(['/', '_', '.'], "-");
    let is_label = name
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || character == '-')
        && name.starts_with(|character: char| character.is_ascii_alphanumeric())
        && name.ends_with(|character: char| character.is_ascii_alphanumeric());
    if is_label && name.len() <= LONGEST_NAME {
        name
    } else {
        format!("port-{number}")
    }
}

/// The `health_check` extension, if that runs.
pub(super) fn health_check(tree: &Value) -> Option<HealthCheck> {
    let service = tree.get("service")?;
    let id = ids(service, "extensions").find(|id| component_type(id) == HEALTH_CHECK)?;
    let settings = tree.get("extensions")?.get(id)?;
    let path = settings.get("path").and_then(Value::as_str).unwrap_or("/");
    Some(HealthCheck {
        port: endpoint_port(settings).unwrap_or(HEALTH_CHECK_PORT),
        path: path.to_owned(),
    })
}
