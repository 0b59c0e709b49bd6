//! Limits of a TempoStack's tenants and of its searches.

#![allow(clippy::struct_field_names, reason = "the names are upstream's")]

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crd::common::is_default;

/// Limits of ingestion and queries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsSpec {
    /// For each tenant.
    #[serde(default, skip_serializing_if = "is_default")]
    pub global: RateLimitSpec,
    /// For single tenants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_tenant: BTreeMap<String, RateLimitSpec>,
}

/// Limits of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimitSpec {
    /// Limits of ingestion.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ingestion: IngestionLimitSpec,
    /// Limits of queries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub query: QueryLimitSpec,
}

/// Limits of ingestion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestionLimitSpec {
    /// Bytes that may come at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingestion_burst_size_bytes: Option<i64>,
    /// Bytes a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingestion_rate_limit_bytes: Option<i64>,
    /// Bytes of one trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_trace: Option<i64>,
    /// Traces that are being received at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_traces_per_user: Option<i64>,
}

/// Limits of queries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.maxSearchBytesPerTrace)").message("this field must be unset for the Tempo 2.x and later: maxSearchBytesPerTrace"))]
pub struct QueryLimitSpec {
    /// Bytes of a tag-values answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_tag_values: Option<i64>,
    /// Deprecated; must not be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_search_bytes_per_trace: Option<i64>,
    /// Longest time range of a search. 0s: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_search_duration: Option<String>,
}

/// Defaults of searches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchSpec {
    /// Results of a search that names no limit. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_result_limit: Option<i64>,
    /// Longest time range of a search. 0s: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
    /// Most results of a search. 0: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_result_limit: Option<i64>,
}
