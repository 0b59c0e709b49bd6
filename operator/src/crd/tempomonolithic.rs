//! The TempoMonolithic resource: a trace store in one pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, EnvFromSource, EnvVar, PodSecurityContext, Toleration};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Quantity,
    common::{
        CredentialMode, ExtraConfig, ManagementState, MinioSpec, OptionalSwitch, ResourceRequirements,
        RouteTermination, Switch, TlsSpec, UiAuthentication, VolumeRetentionPolicy, enabled, is_default,
    },
    status::TempoMonolithicStatus,
    tenants::{Authorization, TenantAuthentication, TenantsMode},
};

/// What is wanted of a TempoMonolithic.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "tempo.grafana.com",
    version = "v1alpha1",
    kind = "TempoMonolithic",
    plural = "tempomonolithics",
    namespaced,
    doc = "A trace store in one pod.",
    status = "TempoMonolithicStatus",
    derive = "PartialEq",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name must be at most 63 characters long"),
    printcolumn(name = "Tempo Version", type_ = "string", json_path = ".status.tempoVersion", description = "Tempo Version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TempoMonolithicSpec {
    /// Whether the operator reconciles this resource. Default Managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<ManagementState>,
    /// Where blocks are stored. Default: in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<MonolithicStorageSpec>,
    /// What becomes of the volumes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub persistent_volume_claim_retention_policy: VolumeRetentionPolicy,
    /// How spans are received.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ingestion: IngestionSpec,
    /// The Jaeger UI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jaegerui: Option<JaegerUiSpec>,
    /// Queries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub query: QuerySpec,
    /// Tenants, and who may read and write what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multitenancy: Option<MultitenancySpec>,
    /// Monitoring of the store itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub observability: MonolithicObservabilitySpec,
    /// Compute resources of the tempo container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// ServiceAccount of the pod. Default `tempo-NAME`, which is created.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account: String,
    /// Labels that a node must have to run the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Node taints that the pod tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Scheduling rules, instead of a preference for a node of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Security settings of the pod, over the operator's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security_context: Option<PodSecurityContext>,
    /// Time limit of HTTP requests. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// More environment variables of the tempo container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// More sources of environment variables of the tempo container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFromSource>,
    /// Configuration that is merged over what the operator generates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_config: Option<ExtraConfig>,
}

/// Where a TempoMonolithic stores its data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.minio) || self.traces.backend == 's3'").message("storage.minio needs storage.traces.backend s3"))]
#[x_kube(validation = Rule::new("!has(self.minio) || !has(self.traces.s3)").message("give exactly one of storage.traces.s3 and storage.minio"))]
pub struct MonolithicStorageSpec {
    /// Where traces are stored.
    pub traces: TracesStorageSpec,
    /// A MinIO that the operator deploys and wires up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minio: Option<MinioSpec>,
}

/// Where traces are stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TracesStorageSpec {
    /// Kind of storage.
    #[serde(default)]
    pub backend: Backend,
    /// Size of the volume. Default 2Gi in memory, else 10Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// Storage class of the volume. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// S3, for backend `s3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Spec>,
    /// Azure Blob Storage, for backend `azure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<BucketSecretSpec>,
    /// Google Cloud Storage, for backend `gcs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<BucketSecretSpec>,
}

/// Kinds of storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Memory: gone when the pod is.
    #[default]
    Memory,
    /// A persistent volume.
    Pv,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
    /// S3 and what speaks like it.
    S3,
}

/// Access to S3.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Spec {
    /// Name of the Secret with bucket, endpoint and credentials.
    #[schemars(length(min = 1))]
    pub secret: String,
    /// How credentials are obtained. Default: what the keys of the Secret tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_mode: Option<CredentialMode>,
    /// TLS of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// Access to an object store by a Secret alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BucketSecretSpec {
    /// Name of the Secret.
    #[schemars(length(min = 1))]
    pub secret: String,
}

/// How spans are received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IngestionSpec {
    /// OTLP.
    #[serde(default, skip_serializing_if = "is_default")]
    pub otlp: OtlpIngestionSpec,
}

/// The OTLP receivers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtlpIngestionSpec {
    /// OTLP over gRPC, port 4317.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<OtlpProtocolSpec>,
    /// OTLP over HTTP, port 4318.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<OtlpProtocolSpec>,
}

/// One OTLP receiver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtlpProtocolSpec {
    /// Whether it is on.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// TLS of its door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
}

/// Settings of the Jaeger UI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.enabled || ((!has(self.ingress) || !self.ingress.enabled) && (!has(self.route) || !self.route.enabled))").message("Jaeger UI must be enabled to create an ingress or route for Jaeger UI"))]
pub struct JaegerUiSpec {
    /// Whether it is on.
    pub enabled: bool,
    /// Publishing by an Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<JaegerUiIngressSpec>,
    /// Publishing by an OpenShift Route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<JaegerUiRouteSpec>,
    /// Log-in before the UI; with a Route only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<UiAuthentication>,
    /// Compute resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Accepted for compatibility: there is no separate tempo-query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tempo_query_resources: Option<ResourceRequirements>,
    /// How far back services are looked for. Default 72h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services_query_duration: Option<String>,
    /// Traces that are fetched at once for a search. Default 2.
    #[serde(default, skip_serializing_if = "is_default")]
    pub find_traces_concurrent_requests: i64,
}

/// An Ingress of the Jaeger UI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JaegerUiIngressSpec {
    /// Whether there is one.
    pub enabled: bool,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Host name. Empty: the default backend.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Class of the Ingress controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_class_name: Option<String>,
}

/// A Route of the Jaeger UI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JaegerUiRouteSpec {
    /// Whether there is one.
    pub enabled: bool,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Host name. Empty: the router's choice.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// Where TLS ends. Default `edge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination: Option<RouteTermination>,
}

/// Settings of queries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuerySpec {
    /// Query permissions by namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rbac: OptionalSwitch,
    /// The Model Context Protocol endpoint at `/api/mcp`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mcp_server: OptionalSwitch,
}

/// Tenants of a TempoMonolithic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MultitenancySpec {
    /// Whether requests name a tenant in `X-Scope-OrgID`.
    pub enabled: bool,
    /// How tenants log in.
    #[serde(default)]
    pub mode: TenantsMode,
    /// The tenants. With any, there is a gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authentication: Vec<TenantAuthentication>,
    /// What the tenants may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Compute resources of the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// Monitoring of the store itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonolithicObservabilitySpec {
    /// Metrics.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metrics: MonolithicMetricsSpec,
    /// Grafana.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grafana: MonolithicGrafanaSpec,
}

/// Objects of the Prometheus operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.prometheusRules) || !self.prometheusRules.enabled || (has(self.serviceMonitors) && self.serviceMonitors.enabled)").message("serviceMonitors must be enabled to create PrometheusRules (the rules alert based on collected metrics)"))]
pub struct MonolithicMetricsSpec {
    /// A ServiceMonitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_monitors: Option<Switch>,
    /// A PrometheusRule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus_rules: Option<Switch>,
}

/// Objects of the Grafana operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonolithicGrafanaSpec {
    /// A data source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_source: Option<MonolithicDataSourceSpec>,
}

/// A Grafana data source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonolithicDataSourceSpec {
    /// Whether there is one.
    pub enabled: bool,
    /// Which Grafana instances get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_selector: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector>,
}
