//! The limits of tenants as metrics, under the names that Tempo's dashboards know: `tempo_limits_defaults` and
//! `tempo_limits_overrides`. They are read when somebody asks, as the per-tenant file may change at any time.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use tempo_config::Limits;
use tempo_runtime::metrics::MetricsRegistry;

use crate::limits::TenantLimits;

/// Registers both.
pub(super) fn register(limits: &TenantLimits, metrics: &MetricsRegistry) {
    metrics.register_collector(LimitMetrics(limits.clone()));
}

#[derive(Debug)]
struct LimitMetrics(TenantLimits);

impl Collector for LimitMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let gauge = MetricType::Gauge;
        let help = "Limits of tenants that have none of their own";
        let mut defaults = encoder.encode_descriptor("tempo_limits_defaults", help, None, gauge)?;
        for (name, value) in values(&self.0.defaults()) {
            defaults
                .encode_family(&[("limit_name", name)])?
                .encode_gauge(&value)?;
        }
        let help = "Limits of single tenants";
        let mut overrides = encoder.encode_descriptor("tempo_limits_overrides", help, None, gauge)?;
        for (tenant, limits) in self.0.of_named_tenants() {
            for (name, value) in values(&limits) {
                let labels = [("limit_name", name), ("user", tenant.as_str())];
                overrides.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}

/// What dashboards show, each in bytes or a count; retention in nanoseconds.
fn values(limits: &Limits) -> [(&'static str, f64); 6] {
    [
        (
            "ingestion_rate_limit_bytes",
            limits.ingestion.rate_limit_bytes as f64,
        ),
        (
            "ingestion_burst_size_bytes",
            limits.ingestion.burst_size_bytes as f64,
        ),
        (
            "max_local_traces_per_user",
            limits.ingestion.max_traces_per_user as f64,
        ),
        ("max_bytes_per_trace", limits.global.max_bytes_per_trace as f64),
        (
            "max_bytes_per_tag_values_query",
            limits.read.max_bytes_per_tag_values_query as f64,
        ),
        (
            "block_retention",
            limits.compaction.block_retention.0.as_nanos() as f64,
        ),
    ]
}
