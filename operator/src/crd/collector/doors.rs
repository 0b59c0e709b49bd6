//! How a Collector is reached: ports, Services, Ingress, NetworkPolicy.

use std::collections::BTreeMap;

use k8s_openapi::{api::networking::v1::IngressTLS, apimachinery::pkg::util::intstr::IntOrString};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::crd::common::{IngressType, RouteSpec, is_default};

/// A port of the Service, besides those of the receivers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectorPortSpec {
    /// Its name.
    pub name: String,
    /// Its number on the Service.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Its number on the pods, or the name of a receiver's port. Default: as on the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_port: Option<IntOrString>,
    /// `TCP` or `UDP`. Default TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<PortProtocol>,
    /// What is spoken there, such as `grpc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// Its number on the nodes, whose addresses then lead to the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub host_port: Option<i32>,
}

/// Transports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
pub enum PortProtocol {
    /// TCP.
    #[default]
    #[serde(rename = "TCP")]
    #[strum(serialize = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    #[strum(serialize = "UDP")]
    Udp,
}

/// Families of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
pub enum IpFamily {
    /// IPv4.
    #[serde(rename = "IPv4")]
    #[strum(serialize = "IPv4")]
    V4,
    /// IPv6.
    #[serde(rename = "IPv6")]
    #[strum(serialize = "IPv6")]
    V6,
}

/// How many families of addresses the Services have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Two where the cluster has them.
    PreferDualStack,
    /// Two.
    RequireDualStack,
}

/// Whether a client always comes to the same pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
pub enum SessionAffinity {
    /// It does not.
    None,
    /// It does, by its address.
    #[serde(rename = "ClientIP")]
    #[strum(serialize = "ClientIP")]
    ClientIp,
}

/// Whose names the pods can look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
pub enum DnsPolicy {
    /// The cluster's, also on the network of the node.
    ClusterFirstWithHostNet,
    /// The cluster's.
    ClusterFirst,
    /// The node's.
    Default,
    /// Those that `podDnsConfig` says.
    None,
}

/// Publishing of the receivers outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.ruleType) || self.ruleType != 'subdomain' || (has(self.hostname) && self.hostname != '' && self.hostname != '*')").message("ingress.ruleType subdomain needs ingress.hostname, the domain under which each port has a name"))]
#[serde(rename_all = "camelCase")]
pub struct CollectorIngressSpec {
    /// What publishes them.
    #[serde(default, rename = "type", skip_serializing_if = "is_default")]
    pub kind: IngressType,
    /// How the ports are told apart. Default `path`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rule_type: IngressRuleType,
    /// Host name; with `ruleType: subdomain` the domain under which each port has a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Annotations of the Ingress.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Certificates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<IngressTLS>,
    /// Class of the Ingress controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_class_name: Option<String>,
    /// Settings of a Route.
    #[serde(default, skip_serializing_if = "is_default")]
    pub route: RouteSpec,
}

/// How an Ingress tells ports apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IngressRuleType {
    /// By the first part of the path, which is the name of the port.
    #[default]
    Path,
    /// By the first part of the host name.
    Subdomain,
}
