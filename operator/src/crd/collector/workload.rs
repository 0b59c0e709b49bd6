//! How a Collector's pods run: scaling, probes, volumes, telemetry.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        autoscaling::v2::{HorizontalPodAutoscalerBehavior, PodsMetricSource},
        core::v1::Probe,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::IntoStaticStr;

use crate::crd::common::is_default;

/// What a newer operator does with the workloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpgradeStrategy {
    /// It gives them its own image.
    #[default]
    Automatic,
    /// It leaves them the image that they have.
    None,
}

/// In which order a StatefulSet makes and ends its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, IntoStaticStr)]
pub enum PodManagementPolicy {
    /// One after the other.
    OrderedReady,
    /// All at once.
    Parallel,
}

/// When a probe asks, and how often it may fail. What it asks is the `health_check` extension.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectorProbe {
    /// Seconds until the first question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds that an answer may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i32>,
    /// Seconds between questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_seconds: Option<i32>,
    /// Good answers in a row until the pod counts as well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_threshold: Option<i32>,
    /// Bad answers in a row until the pod counts as ill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_threshold: Option<i32>,
    /// Seconds that a pod which the probe ends may take to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
}

impl CollectorProbe {
    /// The probe with these timings in place of its own.
    pub(crate) fn applied_to(&self, probe: Probe) -> Probe {
        Probe {
            initial_delay_seconds: self.initial_delay_seconds.or(probe.initial_delay_seconds),
            timeout_seconds: self.timeout_seconds.or(probe.timeout_seconds),
            period_seconds: self.period_seconds.or(probe.period_seconds),
            success_threshold: self.success_threshold.or(probe.success_threshold),
            failure_threshold: self.failure_threshold.or(probe.failure_threshold),
            termination_grace_period_seconds: self
                .termination_grace_period_seconds
                .or(probe.termination_grace_period_seconds),
            ..probe
        }
    }
}

/// Between how many pods, and by what, a Collector is scaled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = Rule::new("!has(self.minReplicas) || self.minReplicas <= self.maxReplicas").message("autoscaler.minReplicas must not be above autoscaler.maxReplicas"))]
#[serde(rename_all = "camelCase")]
pub struct AutoscalerSpec {
    /// The fewest pods. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_replicas: Option<i32>,
    /// The most pods.
    #[schemars(range(min = 1))]
    pub max_replicas: i32,
    /// How fast the number of pods changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<HorizontalPodAutoscalerBehavior>,
    /// Metrics of the pods to scale by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<AutoscalerMetric>,
    /// Used CPU to aim at, in percent of what is requested. Default 90 when nothing else is given.
    #[serde(
        default,
        rename = "targetCPUUtilization",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1))]
    pub target_cpu_utilization: Option<i32>,
    /// Used memory to aim at, in percent of what is requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub target_memory_utilization: Option<i32>,
}

/// A metric to scale by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AutoscalerMetric {
    /// What it is a metric of.
    #[serde(rename = "type")]
    pub kind: AutoscalerMetricType,
    /// The metric and the value to aim at.
    pub pods: PodsMetricSource,
}

/// What a metric is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AutoscalerMetricType {
    /// The pods.
    Pods,
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

/// What tells how the Collector itself is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CollectorObservabilitySpec {
    /// Its metrics.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metrics: CollectorMetricsSpec,
}

/// How the metrics of the Collector are found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectorMetricsSpec {
    /// Whether Prometheus' operator is told to read them. Not built yet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enable_metrics: bool,
    /// Labels of what tells it. Not built yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_labels: BTreeMap<String, String>,
    /// Whether the pods go without the annotations `prometheus.io/scrape`, `port` and `path`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disable_prometheus_annotations: bool,
}

/// A part of OpenTelemetryCollector that there is not here; its settings are kept but not looked into.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AbsentPart {
    /// Whether it is asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enabled: bool,
    /// Its settings.
    #[serde(flatten)]
    pub settings: BTreeMap<String, Value>,
}

/// The schema of [`AbsentPart`].
pub(super) fn absent_part(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {"enabled": {"type": "boolean"}},
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
