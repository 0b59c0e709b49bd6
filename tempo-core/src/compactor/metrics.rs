//! What a compactor counts, under the names that Tempo's dashboards know.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tempo_block::compact::Job;
use tempo_block::meta::BlockMeta;
use tempo_model::TenantId;
use tempo_runtime::metrics::MetricsRegistry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabels {
    level: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

impl TenantLabels {
    fn of(tenant: &TenantId) -> Self {
        Self {
            tenant: tenant.to_string(),
        }
    }
}

type ByTenant = Family<TenantLabels, Gauge<u64, AtomicU64>>;
type ByLevel = Family<LevelLabels, Counter>;

#[derive(Debug)]
pub(super) struct Metrics {
    blocks: ByLevel,
    bytes_written: ByLevel,
    objects_written: ByLevel,
    objects_combined: ByLevel,
    errors: Counter,
    outstanding: ByTenant,
    live: ByTenant,
    clean_seconds: Histogram,
    marked: Counter,
    deleted: Counter,
    clean_errors: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &MetricsRegistry) -> Self {
        let by_level = |name, help| registry.register(name, help, Family::default());
        let by_tenant = |name, help| registry.register(name, help, Family::default());
        let counter = |name, help| registry.register(name, help, Counter::default());
        Self {
            blocks: by_level("tempodb_compaction_blocks", "Blocks that were compacted"),
            bytes_written: by_level(
                "tempodb_compaction_bytes_written",
                "Bytes of blocks that were made",
            ),
            objects_written: by_level(
                "tempodb_compaction_objects_written",
                "Traces in blocks that were made",
            ),
            objects_combined: by_level(
                "tempodb_compaction_objects_combined",
                "Traces of inputs that were joined into one",
            ),
            errors: counter("tempodb_compaction_errors", "Work of compactors that failed"),
            outstanding: by_tenant(
                "tempodb_compaction_outstanding_blocks",
                "Blocks that wait for this compactor; 0 when it is settled",
            ),
            live: by_tenant("tempodb_blocklist_length", "Live blocks"),
            clean_seconds: registry.register(
                "tempodb_retention_duration_seconds",
                "How long cleaning up after a tenant took",
                Histogram::new(exponential_buckets(0.05, 4.0, 8)),
            ),
            marked: counter(
                "tempodb_retention_marked_for_deletion",
                "Blocks that were removed because of their age",
            ),
            deleted: counter("tempodb_retention_deleted", "Blocks whose files were deleted"),
            clean_errors: counter("tempodb_retention_errors", "Clean-ups that failed"),
        }
    }

    pub(super) fn compacted(&self, job: &Job, output: Option<&BlockMeta>) {
        let labels = LevelLabels { level: job.level() };
        let inputs: u64 = job.inputs.iter().map(|meta| meta.traces).sum();
        let traces = output.map_or(0, |meta| meta.traces);
        let add = |family: &ByLevel, count: u64| {
            family.get_or_create(&labels).inc_by(count);
        };
        add(&self.blocks, job.inputs.len() as u64);
        add(&self.bytes_written, output.map_or(0, BlockMeta::bytes));
        add(&self.objects_written, traces);
        add(&self.objects_combined, inputs.saturating_sub(traces));
    }

    pub(super) fn failed(&self) {
        self.errors.inc();
    }

    pub(super) fn outstanding(&self, tenant: &TenantId, blocks: usize) {
        let labels = TenantLabels::of(tenant);
        self.outstanding.get_or_create(&labels).set(blocks as u64);
    }

    pub(super) fn blocks(&self, tenant: &TenantId, blocks: usize) {
        self.live
            .get_or_create(&TenantLabels::of(tenant))
            .set(blocks as u64);
    }

    pub(super) fn expired(&self, blocks: usize) {
        self.marked.inc_by(blocks as u64);
    }

    pub(super) fn cleaned(&self, seconds: f64, deleted: usize) {
        self.clean_seconds.observe(seconds);
        self.deleted.inc_by(deleted as u64);
    }

    pub(super) fn clean_failed(&self) {
        self.clean_errors.inc();
    }
}
