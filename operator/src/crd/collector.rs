//! The Collector resource: receives, processes and forwards traces.
//!
//! Field names are those of OpenTelemetryCollector v1beta1; `tempoRef` is added.

mod config;
mod doors;
mod workload;

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{
        DaemonSetUpdateStrategy, DeploymentStrategy, StatefulSetPersistentVolumeClaimRetentionPolicy,
    },
    core::v1::{
        Affinity, Container, EnvFromSource, EnvVar, HostAlias, Lifecycle, PersistentVolumeClaim,
        PodDNSConfig, PodSecurityContext, SecurityContext, SessionAffinityConfig, Toleration,
        TopologySpreadConstraint, Volume, VolumeMount,
    },
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    config::{CollectorConfig, CollectorPipeline, CollectorService, TempoKind, TempoRef},
    doors::{
        CollectorIngressSpec, CollectorPortSpec, DnsPolicy, IngressRuleType, IpFamily, IpFamilyPolicy,
        PortProtocol, SessionAffinity,
    },
    workload::{
        AbsentPart, AutoscalerMetric, AutoscalerMetricType, AutoscalerSpec, CollectorMetricsSpec,
        CollectorObservabilitySpec, CollectorProbe, ConfigMapMount, DisruptionBudgetSpec,
        PodManagementPolicy, UpgradeStrategy,
    },
};
use super::{
    common::{OptionalSwitch, ResourceRequirements, is_default},
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
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.scale.statusReplicas"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Image", type_ = "string", json_path = ".status.image"),
    printcolumn(name = "Management", type_ = "string", json_path = ".spec.managementState")
)]
#[x_kube(validation = Rule::new("self.mode == oldSelf.mode").message("spec.mode is immutable: delete the Collector and create it anew"))]
#[x_kube(validation = Rule::new("has(self.config) || has(self.tempoRef)").message("spec.config is needed, unless spec.tempoRef names the stack to send to"))]
#[x_kube(validation = Rule::new("self.mode == 'statefulset' || !has(self.volumeClaimTemplates) || size(self.volumeClaimTemplates) == 0").message("volumeClaimTemplates need mode statefulset"))]
#[x_kube(validation = Rule::new("self.mode == 'statefulset' || !has(self.persistentVolumeClaimRetentionPolicy)").message("persistentVolumeClaimRetentionPolicy needs mode statefulset"))]
#[x_kube(validation = Rule::new("self.mode == 'statefulset' || !has(self.serviceName)").message("serviceName needs mode statefulset"))]
#[x_kube(validation = Rule::new("self.mode == 'statefulset' || !has(self.podManagementPolicy)").message("podManagementPolicy needs mode statefulset"))]
#[x_kube(validation = Rule::new("self.mode == 'deployment' || !has(self.deploymentUpdateStrategy)").message("deploymentUpdateStrategy needs mode deployment"))]
#[x_kube(validation = Rule::new("self.mode == 'daemonset' || !has(self.daemonSetUpdateStrategy)").message("daemonSetUpdateStrategy needs mode daemonset"))]
#[x_kube(validation = Rule::new("self.mode in ['deployment', 'statefulset'] || !has(self.autoscaler)").message("autoscaler needs mode deployment or statefulset"))]
#[x_kube(validation = Rule::new("!has(self.autoscaler) || !has(self.replicas) || self.replicas <= self.autoscaler.maxReplicas").message("replicas must not be above autoscaler.maxReplicas"))]
#[x_kube(validation = Rule::new("self.mode != 'sidecar' || !has(self.tolerations) && !has(self.priorityClassName) && !has(self.affinity) && !has(self.additionalContainers)").message("mode sidecar takes no tolerations, priorityClassName, affinity or additionalContainers: these are the pod's own"))]
#[x_kube(validation = Rule::new("self.mode != 'sidecar' || !has(self.ingress)").message("ingress cannot lead to sidecars"))]
#[x_kube(validation = Rule::new("!has(self.targetAllocator) || !has(self.targetAllocator.enabled) || !self.targetAllocator.enabled").message("targetAllocator shares out what metrics are read from; a Collector of traces has none: leave it out"))]
#[serde(rename_all = "camelCase")]
pub struct CollectorSpec {
    /// Kind of workload.
    #[serde(default)]
    pub mode: CollectorMode,
    /// Whether the operator reconciles this resource.
    #[serde(default)]
    pub management_state: CollectorManagementState,
    /// Configuration, in the layout of the OpenTelemetry Collector. Default with `tempoRef`: OTLP over gRPC and HTTP,
    /// a memory limiter, batches, and the stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<CollectorConfig>,
    /// How many earlier ConfigMaps stay for the pods that still mount them. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub config_versions: Option<i32>,
    /// The stack in this cluster that traces go to: fills in exporter, endpoint, TLS and tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tempo_ref: Option<TempoRef>,
    /// Number of pods, for modes deployment and statefulset. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Scales the Collector by its load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaler: Option<AutoscalerSpec>,
    /// What a newer operator does with the pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub upgrade_strategy: UpgradeStrategy,
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
    pub ports: Vec<CollectorPortSpec>,
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
    /// What is done after the container has started, and before it stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// Containers that run before the Collector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub init_containers: Vec<Container>,
    /// Containers that run beside the Collector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_containers: Vec<Container>,
    /// Timings of the liveness probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<CollectorProbe>,
    /// Timings of the readiness probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<CollectorProbe>,
    /// Timings of the startup probe; there is none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<CollectorProbe>,
    /// Whether the pods see the processes of their node.
    #[serde(default, rename = "hostPID", skip_serializing_if = "is_default")]
    pub host_pid: bool,
    /// Whether users in the pods are those of the node. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_users: Option<bool>,
    /// Host names that the pods know without asking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_aliases: Vec<HostAlias>,
    /// Whether the containers of a pod see each other's processes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub share_process_namespace: bool,
    /// Whose names the pods can look up. Default: the cluster's; with nameservers in `podDnsConfig` only theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<DnsPolicy>,
    /// How the pods look up names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_dns_config: Option<PodDNSConfig>,
    /// Families of the Services' addresses. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_families: Vec<IpFamily>,
    /// How many families of addresses the Services have. Default: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// Which pods the Services prefer, such as `PreferClose`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_distribution: Option<String>,
    /// Whether a client always comes to the same pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_affinity: Option<SessionAffinity>,
    /// For how long a client comes to the same pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_affinity_config: Option<SessionAffinityConfig>,
    /// What becomes of the volumes of mode statefulset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim_retention_policy: Option<StatefulSetPersistentVolumeClaimRetentionPolicy>,
    /// Service that names the pods of mode statefulset; it must exist. Default: the headless one, which is made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_name: String,
    /// In which order the pods of mode statefulset are made. Default Parallel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_management_policy: Option<PodManagementPolicy>,
    /// How the pods of mode deployment are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_update_strategy: Option<DeploymentStrategy>,
    /// How the pods of mode daemonset are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_set_update_strategy: Option<DaemonSetUpdateStrategy>,
    /// Publishes the receivers outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<CollectorIngressSpec>,
    /// Publishes the receivers by the Gateway API. Not built yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "workload::absent_part")]
    pub http_route: Option<AbsentPart>,
    /// Lets the pods be reached at their ports only. Default off.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network_policy: OptionalSwitch,
    /// How the Collector's own metrics are found.
    #[serde(default, skip_serializing_if = "is_default")]
    pub observability: CollectorObservabilitySpec,
    /// Shares out what metrics are read from. It cannot be enabled: there are no metrics here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "workload::absent_part")]
    pub target_allocator: Option<AbsentPart>,
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
