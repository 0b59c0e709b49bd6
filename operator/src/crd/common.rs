//! Fields that TempoStack, TempoMonolithic and Collector share.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSetPersistentVolumeClaimRetentionPolicy;
use k8s_openapi::api::core::v1::{
    PodSecurityContext, ResourceClaim, ResourceRequirements as KubernetesResources, Toleration,
};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Quantity;

/// Whether a field has its default value and need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Default of the switches that are on unless turned off.
pub(crate) fn enabled() -> bool {
    true
}

/// A schema for free-form objects: every field is kept.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Whether the operator keeps the workloads of a resource in line with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementState {
    /// The operator reconciles the resource.
    #[default]
    Managed,
    /// The operator leaves everything as it is.
    Unmanaged,
}

/// What becomes of the volumes of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeRetentionPolicy {
    /// What becomes of them when the resource is deleted. Default Retain: they hold its data.
    #[serde(default)]
    pub when_deleted: VolumeRetention,
}

/// What becomes of a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VolumeRetention {
    /// It stays.
    #[default]
    Retain,
    /// It is deleted, with all that is on it.
    Delete,
}

impl VolumeRetentionPolicy {
    /// The policy for a StatefulSet; absent where it is Kubernetes' default.
    pub fn for_stateful_set(&self) -> Option<StatefulSetPersistentVolumeClaimRetentionPolicy> {
        (self.when_deleted == VolumeRetention::Delete).then(|| {
            StatefulSetPersistentVolumeClaimRetentionPolicy {
                when_deleted: Some(DELETE.to_owned()),
                when_scaled: Some("Retain".to_owned()),
            }
        })
    }
}

/// The word for deleting volumes in the policy of a StatefulSet.
pub(crate) const DELETE: &str = "Delete";

/// Compute resources of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRequirements {
    /// The most that the container may use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
    /// What is reserved for the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// Names of the pod's resource claims that the container uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ResourceClaim>,
}

impl From<&ResourceRequirements> for KubernetesResources {
    fn from(resources: &ResourceRequirements) -> Self {
        let quantities = |quantities: &BTreeMap<String, Quantity>| {
            let converted: BTreeMap<_, _> = quantities
                .iter()
                .map(|(name, quantity)| (name.clone(), quantity.into()))
                .collect();
            (!converted.is_empty()).then_some(converted)
        };
        Self {
            limits: quantities(&resources.limits),
            requests: quantities(&resources.requests),
            claims: (!resources.claims.is_empty()).then(|| resources.claims.clone()),
        }
    }
}

/// Settings of the pods of one component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentSpec {
    /// Number of pods. Default 1, or what `spec.size` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Labels that a node must have to run the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Compute resources, instead of what `spec.size` or `spec.resources.total` give the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Node taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
    /// Security settings of the pods, over the operator's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security_context: Option<PodSecurityContext>,
}

/// TLS of a door or of a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// Whether TLS is used.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// ConfigMap with a CA certificate under `service-ca.crt`, `ca.crt` or `ca-bundle.crt`.
    #[serde(default, rename = "caName", skip_serializing_if = "String::is_empty")]
    pub ca_name: String,
    /// Secret with a certificate and its key under `tls.crt` and `tls.key`.
    #[serde(default, rename = "certName", skip_serializing_if = "String::is_empty")]
    pub cert_name: String,
    /// Cipher suites that are offered, instead of the operator's TLS profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cipher_suites: Vec<String>,
    /// Lowest TLS version that is accepted, instead of the operator's TLS profile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub min_version: String,
}

/// How the credentials of an object store are obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialMode {
    /// Keys that live until they are changed.
    #[serde(rename = "static")]
    Static,
    /// Short-lived tokens from the cloud's identity service.
    #[serde(rename = "token")]
    Token,
    /// Short-lived tokens that OpenShift's cloud credential operator arranges.
    #[serde(rename = "token-cco")]
    TokenCco,
}

/// Configuration that is merged over what the operator generates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtraConfig {
    /// Tempo configuration in Tempo's own layout. Objects are merged, lists and values replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub tempo: Option<serde_json::Value>,
}

/// A switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OptionalSwitch {
    /// Whether it is on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enabled: bool,
}

/// A switch that must be given when its object is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Switch {
    /// Whether it is on.
    pub enabled: bool,
}

/// Where TLS ends on an OpenShift Route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteTermination {
    /// No TLS.
    Insecure,
    /// At the router.
    Edge,
    /// At the pod.
    Passthrough,
    /// At the router, and again at the pod.
    Reencrypt,
}

/// How a door is published outside the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IngressType {
    /// By an Ingress.
    Ingress,
    /// By an OpenShift Route.
    Route,
    /// Not at all.
    None,
    /// Not at all.
    #[default]
    #[serde(rename = "")]
    Unset,
}

/// Settings of an OpenShift Route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteSpec {
    /// Where TLS ends. Default `edge`, for the gateway `reencrypt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination: Option<RouteTermination>,
}

/// Publishing of a door outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressSpec {
    /// What publishes the door.
    #[serde(default, rename = "type", skip_serializing_if = "is_default")]
    pub kind: IngressType,
    /// Annotations of the Ingress or Route.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Host name. Empty: the default backend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Class of the Ingress controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_class_name: Option<String>,
    /// Settings of a Route.
    #[serde(default, skip_serializing_if = "is_default")]
    pub route: RouteSpec,
}

/// The OpenShift OAuth proxy in front of the Jaeger UI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UiAuthentication {
    /// Whether users must log in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// The permission that a user needs, as a subject access review in JSON.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sar: String,
    /// Compute resources of the proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// Which managed MinIO a stack stores its blocks in.
///
/// The operator deploys it, generates its root user, creates the buckets and wires the stack to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinioSpec {
    /// Secret with `rootUser` and `rootPassword`. Default: a generated Secret `tempo-NAME-minio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_secret: Option<String>,
    /// Buckets to create; the stack uses the first. Default `["tempo"]`.
    #[serde(default = "default_buckets")]
    #[schemars(length(min = 1), inner(length(min = 3, max = 63)))]
    pub buckets: Vec<String>,
    /// Size of the volume. Default 10Gi.
    #[serde(default = "default_storage_size")]
    pub storage_size: Quantity,
    /// Storage class of the volume. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// Image of MinIO, instead of the operator's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Compute resources of MinIO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// TLS of MinIO's door; `certName` is needed with it.
    #[serde(default, skip_serializing_if = "is_default")]
    #[x_kube(validation = Rule::new("!has(self.enabled) || !self.enabled || (has(self.certName) && self.certName != '')").message("minio.tls.enabled needs minio.tls.certName, a Secret with tls.crt and tls.key"))]
    pub tls: TlsSpec,
}

fn default_buckets() -> Vec<String> {
    vec!["tempo".to_owned()]
}

/// Size of a volume when none is given.
pub(crate) fn default_storage_size() -> Quantity {
    Quantity::new("10Gi")
}
