//! `overrides`: limits, for everyone and per tenant, in the scoped form and in the flat form of older files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

/// `overrides`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overrides {
    /// The limits of every tenant that has none of its own.
    pub defaults: Limits,
    /// A file with limits per tenant, read again every `per_tenant_override_period`.
    pub per_tenant_override_config: String,
    /// How often the file is read; ten seconds when zero.
    pub per_tenant_override_period: GoDuration,
    /// Flat legacy name of `defaults.ingestion.rate_limit_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingestion_rate_limit_bytes: Option<u64>,
    /// Flat legacy name of `defaults.ingestion.burst_size_bytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingestion_burst_size_bytes: Option<u64>,
    /// Flat legacy name of `defaults.ingestion.max_traces_per_user`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_traces_per_user: Option<u64>,
    /// Flat legacy name of `defaults.global.max_bytes_per_trace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_trace: Option<u64>,
    /// Flat legacy name of `defaults.read.max_bytes_per_tag_values_query`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_tag_values_query: Option<u64>,
    /// Flat legacy name of `defaults.read.max_search_duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_search_duration: Option<GoDuration>,
    /// Flat legacy name of `defaults.compaction.block_retention`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_retention: Option<GoDuration>,
}

impl Overrides {
    /// Moves what flat names say to its scoped place.
    pub(crate) fn adopt_flat_names(&mut self) {
        let limits = &mut self.defaults;
        let move_to = |from: &mut Option<u64>, to: &mut u64| *to = from.take().unwrap_or(*to);
        move_to(
            &mut self.ingestion_rate_limit_bytes,
            &mut limits.ingestion.rate_limit_bytes,
        );
        move_to(
            &mut self.ingestion_burst_size_bytes,
            &mut limits.ingestion.burst_size_bytes,
        );
        move_to(
            &mut self.max_traces_per_user,
            &mut limits.ingestion.max_traces_per_user,
        );
        move_to(
            &mut self.max_bytes_per_trace,
            &mut limits.global.max_bytes_per_trace,
        );
        move_to(
            &mut self.max_bytes_per_tag_values_query,
            &mut limits.read.max_bytes_per_tag_values_query,
        );
        let move_to = |from: &mut Option<GoDuration>, to: &mut GoDuration| *to = from.take().unwrap_or(*to);
        move_to(
            &mut self.max_search_duration,
            &mut limits.read.max_search_duration,
        );
        move_to(&mut self.block_retention, &mut limits.compaction.block_retention);
    }
}

/// The limits of a tenant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Limits on what comes in.
    pub ingestion: IngestionLimits,
    /// Limits on queries.
    pub read: ReadLimits,
    /// Retention.
    pub compaction: CompactionLimits,
    /// Limits on both sides.
    pub global: GlobalLimits,
}

/// Limits on what comes in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngestionLimits {
    /// `local`: each distributor allows the rate; `global`: they share it.
    pub rate_strategy: String,
    /// Bytes a second.
    pub rate_limit_bytes: u64,
    /// Bytes at once; also the largest request.
    pub burst_size_bytes: u64,
    /// Live traces in an ingester; 0 is no limit.
    pub max_traces_per_user: u64,
    /// The longest attribute key or value; longer ones are cut. 0 takes the distributor's.
    pub max_attribute_bytes: u64,
}

impl Default for IngestionLimits {
    fn default() -> Self {
        Self {
            rate_strategy: "local".to_owned(),
            rate_limit_bytes: 30_000_000,
            burst_size_bytes: 30_000_000,
            max_traces_per_user: 10_000,
            max_attribute_bytes: 0,
        }
    }
}

/// Limits on queries; 0 is no limit, or the query-frontend's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadLimits {
    /// The largest answer of a tag values query.
    pub max_bytes_per_tag_values_query: u64,
    /// The longest time range of a search.
    pub max_search_duration: GoDuration,
    /// Print trace ids with their leading zeros in search answers.
    pub left_pad_trace_ids: bool,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            max_bytes_per_tag_values_query: 1_000_000,
            max_search_duration: GoDuration::default(),
            left_pad_trace_ids: false,
        }
    }
}

/// Retention.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CompactionLimits {
    /// How long blocks are kept; 0 takes the compactor's.
    pub block_retention: GoDuration,
    /// How many bytes of blocks are kept, the newest ones; 0 takes the compactor's. Not known to Tempo.
    pub block_retention_bytes: u64,
}

/// Limits on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GlobalLimits {
    /// The largest trace; 0 is no limit.
    pub max_bytes_per_trace: u64,
}

impl Default for GlobalLimits {
    fn default() -> Self {
        Self {
            max_bytes_per_trace: 5_000_000,
        }
    }
}

/// The per-tenant file: `overrides: {TENANT: limits}`, where `*` stands for every tenant not named.
///
/// A tenant's entry says only what differs: what it leaves out comes from the defaults.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PerTenantOverrides {
    /// What differs, by tenant.
    pub overrides: BTreeMap<String, serde_json::Value>,
}

impl PerTenantOverrides {
    /// The limits of a tenant over `defaults`.
    pub fn for_tenant(&self, tenant: &str, defaults: &Limits) -> Result<Limits, serde_json::Error> {
        let Some(differing) = self.overrides.get(tenant).or_else(|| self.overrides.get("*")) else {
            return Ok(defaults.clone());
        };
        let mut tree = serde_json::to_value(defaults)?;
        crate::tree::merge(&mut tree, differing);
        serde_json::from_value(tree)
    }
}
