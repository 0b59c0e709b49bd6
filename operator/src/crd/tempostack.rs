//! The TempoStack resource: a trace store whose components run as separate workloads.

mod limits;
mod observability;
mod template;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    limits::{IngestionLimitSpec, LimitsSpec, QueryLimitSpec, RateLimitSpec, SearchSpec},
    observability::{GrafanaSpec, MetricsSpec, ObservabilitySpec, TracingSpec},
    template::{
        ComponentTemplate, DistributorTemplate, GatewayTemplate, JaegerQuerySpec, MetricsGeneratorTemplate,
        MonitorTabSpec, QueryFrontendTemplate, TempoQuerySpec,
    },
};
use super::{
    Quantity,
    common::{
        CredentialMode, ExtraConfig, ManagementState, MinioSpec, ResourceRequirements, TlsSpec,
        VolumeRetentionPolicy, default_storage_size, enabled, is_default,
    },
    status::TempoStackStatus,
    tenants::TenantsSpec,
};

/// What is wanted of a TempoStack.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "tempo.grafana.com",
    version = "v1alpha1",
    kind = "TempoStack",
    namespaced,
    doc = "A trace store whose components run as separate workloads over an object store.",
    status = "TempoStackStatus",
    derive = "PartialEq",
    shortname = "tempo",
    shortname = "tempos",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name must be at most 63 characters long"),
    printcolumn(name = "Management", type_ = "string", json_path = ".spec.managementState", description = "Management State"),
    printcolumn(name = "Tempo Version", type_ = "string", json_path = ".status.tempoVersion", description = "Tempo Version"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("!has(self.template) || !has(self.template.gateway) || !self.template.gateway.enabled || has(self.tenants)").message("to enable the gateway, please configure tenants"))]
#[serde(rename_all = "camelCase")]
pub struct TempoStackSpec {
    /// Whether the operator reconciles this resource.
    #[serde(default)]
    pub management_state: ManagementState,
    /// T-shirt size: resources, replicas, replication factor and rate limits in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Where blocks are stored.
    pub storage: StorageSpec,
    /// Size of an ingester's volume, which holds its write-ahead log.
    #[serde(default = "default_storage_size")]
    pub storage_size: Quantity,
    /// Storage class of the ingesters' volumes. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
    /// What becomes of the volumes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub persistent_volume_claim_retention_policy: VolumeRetentionPolicy,
    /// How long blocks are kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retention: RetentionSpec,
    /// Settings of the components.
    #[serde(default, skip_serializing_if = "is_default")]
    pub template: TemplateSpec,
    /// Resources that the components share.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resources: TotalResources,
    /// On how many ingesters a span is stored before it is acknowledged. Default 1, or 2 with a size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<i32>,
    /// Node labels over whose values replicas are spread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replication_zones: Vec<ReplicationZone>,
    /// Tenants, and who may read and write what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<TenantsSpec>,
    /// Limits of ingestion and queries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: LimitsSpec,
    /// Defaults of searches.
    #[serde(default, skip_serializing_if = "is_default")]
    pub search: SearchSpec,
    /// Time limit of HTTP requests. Default 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// How components find each other.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hash_ring: HashRingSpec,
    /// Images, instead of the operator's defaults.
    #[serde(default, skip_serializing_if = "is_default")]
    pub images: ImagesSpec,
    /// ServiceAccount of the pods. Default `tempo-NAME`, which is created.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account: String,
    /// Network policies of the components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicySpec>,
    /// Monitoring of the stack itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub observability: ObservabilitySpec,
    /// More environment variables of the tempo container of every component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// More sources of environment variables of the tempo container of every component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_from: Vec<EnvFromSource>,
    /// Configuration that is merged over what the operator generates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_config: Option<ExtraConfig>,
}

/// T-shirt sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Size {
    /// One replica, no reserved resources: to look at.
    #[serde(rename = "1x.demo")]
    Demo,
    /// A few spans a second, highly available.
    #[serde(rename = "1x.pico")]
    Pico,
    /// About 100 GB a day.
    #[serde(rename = "1x.extra-small")]
    ExtraSmall,
    /// About 500 GB a day.
    #[serde(rename = "1x.small")]
    Small,
    /// About 2 TB a day.
    #[serde(rename = "1x.medium")]
    Medium,
}

/// Where blocks are stored: an object store that exists, or a MinIO that the operator deploys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("has(self.secret) != has(self.minio)").message("give exactly one of storage.secret and storage.minio"))]
pub struct StorageSpec {
    /// Secret with bucket, endpoint and credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<StorageSecretSpec>,
    /// A MinIO that the operator deploys and wires up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minio: Option<MinioSpec>,
    /// TLS of the connection to the object store; for S3 only.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: TlsSpec,
}

/// A Secret that describes an object store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageSecretSpec {
    /// Name of the Secret, in the namespace of the stack.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Kind of object store.
    #[serde(rename = "type")]
    pub kind: StorageSecretType,
    /// How credentials are obtained. Default: what the keys of the Secret tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_mode: Option<CredentialMode>,
}

/// Kinds of object stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StorageSecretType {
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Gcs,
    /// S3 and what speaks like it.
    S3,
}

/// How long blocks are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionSpec {
    /// For all tenants.
    #[serde(default, skip_serializing_if = "is_default")]
    pub global: RetentionConfig,
    /// For single tenants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_tenant: BTreeMap<String, RetentionConfig>,
}

/// How long blocks of one tenant are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionConfig {
    /// A duration such as 48h, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<String>,
}

/// Settings of the components.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.gateway) || !self.gateway.enabled || !has(self.distributor) || !has(self.distributor.tls) || !has(self.distributor.tls.enabled) || !self.distributor.tls.enabled").message("cannot enable gateway and distributor tls at the same time"))]
pub struct TemplateSpec {
    /// The distributor receives spans.
    #[serde(default, skip_serializing_if = "is_default")]
    pub distributor: DistributorTemplate,
    /// The ingester keeps fresh spans and makes blocks of them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ingester: ComponentTemplate,
    /// The compactor joins blocks and deletes old ones.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compactor: ComponentTemplate,
    /// The querier reads blocks and asks ingesters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub querier: ComponentTemplate,
    /// The query-frontend answers queries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub query_frontend: QueryFrontendTemplate,
    /// The gateway lets tenants in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayTemplate>,
    /// The metrics-generator derives metrics from spans.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metrics_generator: MetricsGeneratorTemplate,
}

/// Resources that the components share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TotalResources {
    /// Limits of cpu and memory that are split over the components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<ResourceRequirements>,
}

/// A node label over whose values replicas are spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicationZone {
    /// The node label.
    pub topology_key: String,
    /// By how many pods two zones may differ.
    #[serde(default = "default_max_skew")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub max_skew: i32,
}

fn default_max_skew() -> i32 {
    1
}

/// How components find each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HashRingSpec {
    /// The gossip that joins them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub memberlist: MemberListSpec,
}

/// Settings of the gossip.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberListSpec {
    /// Whether IPv6 addresses are used.
    #[serde(default, rename = "enableIPv6", skip_serializing_if = "Option::is_none")]
    pub enable_ipv6: Option<bool>,
    /// Which address a component tells the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_addr_type: Option<InstanceAddrType>,
}

/// Which address a component tells the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InstanceAddrType {
    /// That of its first private network interface.
    #[default]
    #[serde(rename = "default")]
    Default,
    /// That of its pod.
    #[serde(rename = "podIP")]
    PodIp,
}

/// Images, instead of the operator's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagesSpec {
    /// Image of the components.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tempo: String,
    /// Accepted for compatibility: the query-frontend needs no second image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tempo_query: String,
    /// Accepted for compatibility: the query-frontend needs no second image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jaeger_query: String,
    /// Accepted for compatibility: the gateway needs no image of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tempo_gateway: String,
    /// Accepted for compatibility: the gateway needs no image of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tempo_gateway_opa: String,
    /// Accepted for compatibility: the OAuth proxy needs no image of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub oauth_proxy: String,
}

/// Network policies of the components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkPolicySpec {
    /// Whether there are any.
    #[serde(default = "enabled")]
    pub enabled: bool,
}
