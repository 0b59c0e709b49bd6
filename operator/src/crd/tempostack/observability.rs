//! Monitoring of a TempoStack itself.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crd::common::is_default;

/// Monitoring of the stack itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObservabilitySpec {
    /// Metrics.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metrics: MetricsSpec,
    /// Traces of the stack's own work.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tracing: TracingSpec,
    /// Grafana.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grafana: GrafanaSpec,
}

/// Objects of the Prometheus operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.createPrometheusRules) || !self.createPrometheusRules || (has(self.createServiceMonitors) && self.createServiceMonitors)").message("the Prometheus rules alert based on collected metrics, therefore the createServiceMonitors feature must be enabled when enabling the createPrometheusRules feature"))]
pub struct MetricsSpec {
    /// Whether ServiceMonitors are created.
    #[serde(default, skip_serializing_if = "is_default")]
    pub create_service_monitors: bool,
    /// Whether PrometheusRules are created.
    #[serde(default, skip_serializing_if = "is_default")]
    pub create_prometheus_rules: bool,
    /// More labels of the ServiceMonitors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_service_monitor_labels: BTreeMap<String, String>,
    /// More labels of the PrometheusRules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_prometheus_rule_labels: BTreeMap<String, String>,
}

/// Traces of the stack's own work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TracingSpec {
    /// Share of requests that are traced, 0 to 1, as text. Empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sampling_fraction: String,
    /// Deprecated: where the Jaeger agent is.
    #[serde(default = "default_jaeger_agent")]
    pub jaeger_agent_endpoint: String,
    /// URL that traces are sent to by OTLP over HTTP.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub otlp_http_endpoint: String,
}

fn default_jaeger_agent() -> String {
    "localhost:6831".to_owned()
}

impl Default for TracingSpec {
    fn default() -> Self {
        Self {
            sampling_fraction: String::new(),
            jaeger_agent_endpoint: default_jaeger_agent(),
            otlp_http_endpoint: String::new(),
        }
    }
}

/// Objects of the Grafana operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrafanaSpec {
    /// Whether a data source is created.
    #[serde(default, skip_serializing_if = "is_default")]
    pub create_datasource: bool,
    /// Which Grafana instances get the data source.
    #[serde(default, skip_serializing_if = "is_default")]
    pub instance_selector: LabelSelector,
}
