//! The part of a TempoStack that goes into Tempo's configuration.

use std::collections::BTreeMap;

use serde_json::Value;
use tempo_config::GoDuration;

use crate::{
    configuration::duration,
    crd::{
        TempoStackSpec,
        tempostack::{InstanceAddrType, RateLimitSpec},
    },
    receivers::ReceiverTls,
    references::Dereferenced,
    validation::ValidationError,
};

/// Settings of Tempo, checked.
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the spec")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StackConfiguration {
    /// On how many ingesters a span is stored.
    pub replication_factor: usize,
    /// How long blocks are kept.
    pub retention: GoDuration,
    /// Limits of every tenant.
    pub limits: TenantLimits,
    /// Limits of single tenants.
    pub tenants: BTreeMap<String, TenantLimits>,
    /// Longest time range of a search.
    pub search_max_duration: Option<GoDuration>,
    /// Results of a search that names no limit.
    pub search_default_result_limit: Option<usize>,
    /// Most results of a search.
    pub search_max_result_limit: Option<usize>,
    /// Time limit of HTTP requests.
    pub timeout: GoDuration,
    /// Whether requests name their tenant.
    pub multitenancy: bool,
    /// Whether the Model Context Protocol endpoint is on.
    pub mcp_server: bool,
    /// Whether components tell each other the address of their pod.
    pub pod_addresses: bool,
    /// Whether IPv6 addresses are used.
    pub enable_ipv6: bool,
    /// TLS of the receivers.
    pub receiver_tls: Option<ReceiverTls>,
    /// What is merged over the generated configuration.
    pub extra: Option<Value>,
}

/// Limits of a tenant; what is absent is left as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TenantLimits {
    /// Bytes that may come at once.
    pub ingestion_burst_size_bytes: Option<u64>,
    /// Bytes a second.
    pub ingestion_rate_limit_bytes: Option<u64>,
    /// Traces that are being received at once.
    pub max_traces_per_user: Option<u64>,
    /// Bytes of one trace.
    pub max_bytes_per_trace: Option<u64>,
    /// Bytes of a tag-values answer.
    pub max_bytes_per_tag_values: Option<u64>,
    /// Longest time range of a search.
    pub max_search_duration: Option<GoDuration>,
    /// How long blocks are kept.
    pub block_retention: Option<GoDuration>,
}

pub(super) fn validate(
    spec: &TempoStackSpec,
    found: &Dereferenced,
) -> Result<StackConfiguration, ValidationError> {
    let memberlist = &spec.hash_ring.memberlist;
    let tls = &spec.template.distributor.tls;
    let (search, retention) = (&spec.search, &spec.retention.global.traces);
    Ok(StackConfiguration {
        replication_factor: spec
            .replication_factor
            .and_then(|factor| factor.try_into().ok())
            .unwrap_or(1),
        retention: optional_duration(retention.as_ref(), "spec.retention.global.traces")?.unwrap_or_default(),
        limits: limits(&spec.limits.global, "spec.limits.global")?,
        tenants: tenants(spec)?,
        search_max_duration: optional_duration(search.max_duration.as_ref(), "spec.search.maxDuration")?,
        search_default_result_limit: count(search.default_result_limit, "spec.search.defaultResultLimit")?,
        search_max_result_limit: count(search.max_result_limit, "spec.search.maxResultLimit")?,
        timeout: optional_duration(spec.timeout.as_ref(), "spec.timeout")?.unwrap_or_default(),
        multitenancy: spec.tenants.is_some(),
        mcp_server: spec.template.query_frontend.mcp_server.enabled,
        pod_addresses: memberlist.instance_addr_type == Some(InstanceAddrType::PodIp),
        enable_ipv6: memberlist.enable_ipv6 == Some(true),
        receiver_tls: ReceiverTls::validate(tls, "spec.template.distributor.tls", found)?,
        extra: spec.extra_config.as_ref().and_then(|extra| extra.tempo.clone()),
    })
}

/// Limits and retention of the tenants that have some of their own.
fn tenants(spec: &TempoStackSpec) -> Result<BTreeMap<String, TenantLimits>, ValidationError> {
    let mut tenants = BTreeMap::new();
    for (tenant, settings) in &spec.limits.per_tenant {
        tenants.insert(
            tenant.clone(),
            limits(settings, &format!("spec.limits.perTenant.{tenant}"))?,
        );
    }
    for (tenant, retention) in &spec.retention.per_tenant {
        let path = format!("spec.retention.perTenant.{tenant}.traces");
        let entry: &mut TenantLimits = tenants.entry(tenant.clone()).or_default();
        entry.block_retention = optional_duration(retention.traces.as_ref(), &path)?;
    }
    Ok(tenants)
}

fn limits(spec: &RateLimitSpec, path: &str) -> Result<TenantLimits, ValidationError> {
    let (ingestion, query) = (&spec.ingestion, &spec.query);
    let limit = |value: Option<i64>, field: &str| count(value, &format!("{path}.{field}"));
    Ok(TenantLimits {
        ingestion_burst_size_bytes: limit(
            ingestion.ingestion_burst_size_bytes,
            "ingestion.ingestionBurstSizeBytes",
        )?,
        ingestion_rate_limit_bytes: limit(
            ingestion.ingestion_rate_limit_bytes,
            "ingestion.ingestionRateLimitBytes",
        )?,
        max_traces_per_user: limit(ingestion.max_traces_per_user, "ingestion.maxTracesPerUser")?,
        max_bytes_per_trace: limit(ingestion.max_bytes_per_trace, "ingestion.maxBytesPerTrace")?,
        max_bytes_per_tag_values: limit(query.max_bytes_per_tag_values, "query.maxBytesPerTagValues")?,
        max_search_duration: optional_duration(
            query.max_search_duration.as_ref(),
            &format!("{path}.query.maxSearchDuration"),
        )?,
        block_retention: None,
    })
}

fn optional_duration(text: Option<&String>, path: &str) -> Result<Option<GoDuration>, ValidationError> {
    text.map(|text| duration(text, path)).transpose()
}

/// A number that may not be negative.
fn count<T: TryFrom<i64>>(value: Option<i64>, path: &str) -> Result<Option<T>, ValidationError> {
    value
        .map(|value| {
            T::try_from(value).map_err(|_| ValidationError::configuration(path, "must not be negative"))
        })
        .transpose()
}
