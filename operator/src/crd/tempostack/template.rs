//! Settings of the single components of a TempoStack.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crd::common::{
    ComponentSpec, IngressSpec, OptionalSwitch, ResourceRequirements, TlsSpec, UiAuthentication, is_default,
};

/// Settings of a component that has none but those of its pods.
pub type ComponentTemplate = ComponentSpec;

/// Settings of the distributor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DistributorTemplate {
    /// Settings of the pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub component: ComponentSpec,
    /// TLS of all receivers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: TlsSpec,
}

/// Settings of the query-frontend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryFrontendTemplate {
    /// Settings of the pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub component: ComponentSpec,
    /// The Jaeger UI and its query API.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jaeger_query: JaegerQuerySpec,
    /// The Model Context Protocol endpoint at `/api/mcp`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mcp_server: OptionalSwitch,
}

/// Settings of the Jaeger UI and its query API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.ingress) || !has(self.ingress.type) || self.ingress.type in ['', 'none'] || (has(self.enabled) && self.enabled)").message("Ingress cannot be enabled if jaegerQuery is disabled"))]
pub struct JaegerQuerySpec {
    /// Whether it is on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// Publishing outside the cluster.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ingress: IngressSpec,
    /// The Monitor tab with rate, errors and durations.
    #[serde(default, skip_serializing_if = "is_default")]
    pub monitor_tab: MonitorTabSpec,
    /// Log-in before the UI; with a Route only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<UiAuthentication>,
    /// Compute resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// How far back services are looked for. Default 72h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services_query_duration: Option<String>,
    /// Traces that are fetched at once for a search. 0: twice the number of queriers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub find_traces_concurrent_requests: i64,
    /// Accepted for compatibility: there is no separate tempo-query.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tempo_query: TempoQuerySpec,
}

/// Settings of tempo-query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TempoQuerySpec {
    /// Compute resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// Settings of the Monitor tab.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.enabled) || !self.enabled || (has(self.prometheusEndpoint) && self.prometheusEndpoint != '')").message("Prometheus endpoint must be set when the Monitor tab is enabled"))]
pub struct MonitorTabSpec {
    /// Whether it is shown.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// URL of Prometheus.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prometheus_endpoint: String,
    /// Prefix of the metrics' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red_metrics_namespace: Option<String>,
}

/// Settings of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayTemplate {
    /// Whether there is one.
    pub enabled: bool,
    /// Settings of the pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub component: ComponentSpec,
    /// Publishing outside the cluster.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ingress: IngressSpec,
    /// Query permissions by namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rbac: OptionalSwitch,
}

/// Settings of the metrics-generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.enabled) || !self.enabled || (has(self.remoteWriteURLs) && size(self.remoteWriteURLs) > 0)").message("at least one remote write URL is required when the metrics-generator is enabled"))]
pub struct MetricsGeneratorTemplate {
    /// Whether there is one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// Settings of the pods.
    #[serde(default, skip_serializing_if = "is_default")]
    pub component: ComponentSpec,
    /// Which metrics are derived. Default span-metrics, service-graphs and local-blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<String>,
    /// URLs that metrics are written to by Prometheus remote write.
    #[serde(default, rename = "remoteWriteURLs", skip_serializing_if = "Vec::is_empty")]
    pub remote_write_urls: Vec<String>,
}
