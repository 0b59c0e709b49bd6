//! The Collector resource: receives, processes and forwards traces.
//!
//! Field names are those of OpenTelemetryCollector v1beta1; `tempoRef` is added.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Affinity, EnvFromSource, EnvVar, PersistentVolumeClaim, PodSecurityContext, SecurityContext,
        ServicePort, Toleration, TopologySpreadConstraint, Volume, VolumeMount,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{ResourceRequirements, any_object, is_default},
    status::CollectorStatus,
};

/// What is wanted of a Collector.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "tempo.grafana.com",
    version = "v1alpha1",
    kind = "Collector",
    namespaced,
    doc = "Receives, processes and forwards traces.",
    status = "CollectorStatus",
    derive = "PartialEq",
    scale(spec_replicas_path = ".spec.replicas", status_replicas_path = ".status.scale.replicas", label_selector_path = ".status.scale.selector"),
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name must be at most 63 characters long"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Replicas", type_ = "string", json_path = ".status.scale.statusReplicas"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self.mode == oldSelf.mode").message("spec.mode is immutable: delete the Collector and create it anew"))]
#[x_kube(validation = Rule::new("self.mode == 'statefulset' || !has(self.volumeClaimTemplates) || size(self.volumeClaimTemplates) == 0").message("volumeClaimTemplates need mode statefulset"))]
#[serde(rename_all = "camelCase")]
pub struct CollectorSpec {
    /// Kind of workload.
    #[serde(default)]
    pub mode: CollectorMode,
    /// Whether the operator reconciles this resource.
    #[serde(default)]
    pub management_state: CollectorManagementState,
    /// Configuration, in the layout of the OpenTelemetry Collector.
    pub config: CollectorConfig,
    /// The stack in this cluster that traces go to: fills in exporter, endpoint, TLS and tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tempo_ref: Option<TempoRef>,
    /// Number of pods, for modes deployment and statefulset. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Image, instead of the operator's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// When the image is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<String>,
    /// Command, instead of `tempo-collector`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// More arguments, written as `--KEY=VALUE`. `config` is the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// More environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// More sources of environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFromSource>,
    /// Compute resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Security settings of the container, instead of the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,
    /// Security settings of the pod, over the operator's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security_context: Option<PodSecurityContext>,
    /// Annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// ServiceAccount of the pods. Default `NAME-collector`, which is created.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account: String,
    /// More ports of the Service, besides those of the receivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// More volumes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Where volumes are mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Claims of mode statefulset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_claim_templates: Vec<PersistentVolumeClaim>,
    /// ConfigMaps to mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configmaps: Vec<ConfigMapMount>,
    /// Labels that a node must have to run the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Scheduling rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Node taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// How pods are spread over the nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub priority_class_name: String,
    /// Whether the pods use the network of their node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_network: bool,
    /// How long a pod may take to stop, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
    /// How many pods may be away at once. Default: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<DisruptionBudgetSpec>,
}

/// Kinds of workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CollectorMode {
    /// A Deployment.
    #[default]
    Deployment,
    /// A DaemonSet.
    Daemonset,
    /// A StatefulSet.
    Statefulset,
    /// A container in the pods of others.
    Sidecar,
}

/// Whether the operator keeps the workload in line with its Collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CollectorManagementState {
    /// The operator reconciles the resource.
    #[default]
    Managed,
    /// The operator leaves everything as it is.
    Unmanaged,
}

/// Configuration in the layout of the OpenTelemetry Collector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectorConfig {
    /// Receivers by id.
    #[schemars(schema_with = "any_object")]
    pub receivers: serde_json::Value,
    /// Processors by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub processors: Option<serde_json::Value>,
    /// Exporters by id. With `tempoRef` there need not be any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub exporters: Option<serde_json::Value>,
    /// Connectors by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub connectors: Option<serde_json::Value>,
    /// Extensions by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub extensions: Option<serde_json::Value>,
    /// Pipelines, used extensions and telemetry.
    pub service: CollectorService,
}

/// What of a configuration runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectorService {
    /// Ids of the extensions that run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// The collector's own logs and metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub telemetry: Option<serde_json::Value>,
    /// Pipelines by id.
    pub pipelines: BTreeMap<String, CollectorPipeline>,
}

/// One pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectorPipeline {
    /// Ids of its receivers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<String>,
    /// Ids of its processors, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<String>,
    /// Ids of its exporters. With `tempoRef` there need not be any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exporters: Vec<String>,
}

/// A stack in the namespace of the Collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TempoRef {
    /// Kind of the stack.
    #[serde(default)]
    pub kind: TempoKind,
    /// Name of the stack.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Tenant that traces are sent for, in `X-Scope-OrgID`. Needed when the stack is multi-tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// Kinds of stacks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TempoKind {
    /// A TempoStack.
    #[default]
    TempoStack,
    /// A TempoMonolithic.
    TempoMonolithic,
}

/// A ConfigMap to mount at `/var/conf/MOUNTPATH/configmap-NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapMount {
    /// Name of the ConfigMap.
    pub name: String,
    /// Folder under `/var/conf`.
    pub mountpath: String,
}

/// How many pods may be away at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisruptionBudgetSpec {
    /// Pods that must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<IntOrString>,
    /// Pods that may be away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
}
