//! What the operator reports about a resource.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names of pods by what state they are in: `Pending`, `Running` (not all containers ready), `Ready`,
/// `Succeeded`, `Failed` or `Unknown`.
pub type PodStatusMap = BTreeMap<String, Vec<String>>;

/// Pods of the components of a TempoStack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TempoStackComponentStatus {
    /// Pods of the compactor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub compactor: PodStatusMap,
    /// Pods of the distributor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distributor: PodStatusMap,
    /// Pods of the ingester.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ingester: PodStatusMap,
    /// Pods of the querier.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub querier: PodStatusMap,
    /// Pods of the query-frontend.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query_frontend: PodStatusMap,
    /// Pods of the gateway.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gateway: PodStatusMap,
    /// Pods of the metrics-generator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics_generator: PodStatusMap,
}

/// Status of a TempoStack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TempoStackStatus {
    /// Version of the operator that reconciled last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operator_version: String,
    /// Version of the components.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tempo_version: String,
    /// Deprecated and not written: there is no separate tempo-query.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tempo_query_version: String,
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Pods of the components.
    #[serde(default)]
    pub components: TempoStackComponentStatus,
    /// Ready, Pending, Failed, ConfigurationError and what else is to be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Pods of a TempoMonolithic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TempoMonolithicComponentStatus {
    /// The pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tempo: PodStatusMap,
}

/// Status of a TempoMonolithic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TempoMonolithicStatus {
    /// Version of the operator that reconciled last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operator_version: String,
    /// Version of the component.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tempo_version: String,
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The pods.
    #[serde(default)]
    pub components: TempoMonolithicComponentStatus,
    /// Ready, Pending, Failed, ConfigurationError and what else is to be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Replicas of a Collector, for `kubectl scale` and autoscalers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectorScaleStatus {
    /// Selector of the pods, in text form.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Number of pods.
    #[serde(default)]
    pub replicas: i32,
    /// Ready pods of wanted ones, such as `1/2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status_replicas: String,
}

/// Status of a Collector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectorStatus {
    /// Version of the operator that reconciled last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operator_version: String,
    /// Version of the collector.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Image that runs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Replicas.
    #[serde(default)]
    pub scale: CollectorScaleStatus,
    /// Names of the pods by state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pods: PodStatusMap,
    /// Ready, Pending, Failed, ConfigurationError and what else is to be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
