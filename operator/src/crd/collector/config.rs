//! What a Collector runs: its configuration, and the stack that it sends to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crd::common::any_object;

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
#[serde(rename_all = "camelCase")]
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
    /// ConfigMap with the CA of the stack's certificate under `service-ca.crt`, `ca.crt` or `ca-bundle.crt`. Default:
    /// the CAs of the image.
    #[serde(default, rename = "caName", skip_serializing_if = "Option::is_none")]
    pub ca_name: Option<String>,
    /// Secret with the Collector's own certificate under `tls.crt` and `tls.key`, for stacks that ask for one.
    #[serde(default, rename = "certName", skip_serializing_if = "Option::is_none")]
    pub cert_name: Option<String>,
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
