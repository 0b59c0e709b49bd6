//! What an ingester counts, under the names that Tempo's dashboards know.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tempo_block::head::HeadAppended;
use tempo_model::TenantId;
use tempo_runtime::metrics::MetricsRegistry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

type Bytes = Gauge<u64, AtomicU64>;

/// Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    bytes_received: Family<TenantLabels, Counter>,
    spans_received: Family<TenantLabels, Counter>,
    attributes_truncated: Family<TenantLabels, Counter>,
    repeated: Counter,
    blocks_flushed: Counter,
    blocks_cleared: Counter,
    failed_flushes: Counter,
    flush_seconds: Histogram,
    flush_bytes: Histogram,
    head_bytes: Bytes,
    wal_bytes: Bytes,
    live_traces: Family<TenantLabels, Gauge>,
}

impl Metrics {
    pub(super) fn new(registry: &MetricsRegistry) -> Self {
        let counter = |name, help| registry.register(name, help, Counter::default());
        let by_tenant = |name, help| registry.register(name, help, Family::default());
        let bytes = |name, help| registry.register(name, help, Bytes::default());
        Self {
            bytes_received: by_tenant("tempo_ingester_bytes_received", "Bytes that were stored"),
            spans_received: by_tenant("tempo_ingester_spans_received", "Spans that were stored"),
            attributes_truncated: by_tenant(
                "tempo_distributor_attributes_truncated",
                "Attribute keys and values that were longer than allowed",
            ),
            repeated: counter(
                "tempo_ingester_pushes_repeated",
                "Pushes that were sent again and not stored again",
            ),
            blocks_flushed: counter("tempo_ingester_blocks_flushed", "Blocks that were committed"),
            blocks_cleared: counter(
                "tempo_ingester_blocks_cleared",
                "Heads that were let go after their block was committed",
            ),
            failed_flushes: counter(
                "tempo_ingester_failed_flushes",
                "Attempts to write and commit a block that failed",
            ),
            flush_seconds: registry.register(
                "tempo_ingester_flush_duration_seconds",
                "How long writing and committing a block took",
                Histogram::new(exponential_buckets(0.05, 2.0, 12)),
            ),
            flush_bytes: registry.register(
                "tempo_ingester_flush_size_bytes",
                "Bytes of the blocks that were committed",
                Histogram::new(exponential_buckets(64.0 * 1024.0, 4.0, 9)),
            ),
            head_bytes: bytes("tempo_ingester_head_bytes", "Memory of all heads"),
            wal_bytes: bytes("tempo_ingester_wal_bytes", "Bytes of the write-ahead log"),
            live_traces: registry.register(
                "tempo_ingester_live_traces",
                "Traces that had spans lately, of tenants with limits on traces",
                Family::default(),
            ),
        }
    }

    pub(super) fn appended(&self, tenant: &TenantId, bytes: usize, appended: HeadAppended) {
        let labels = TenantLabels {
            tenant: tenant.to_string(),
        };
        self.bytes_received.get_or_create(&labels).inc_by(bytes as u64);
        self.spans_received
            .get_or_create(&labels)
            .inc_by(appended.spans as u64);
        if appended.truncated > 0 {
            self.attributes_truncated
                .get_or_create(&labels)
                .inc_by(appended.truncated as u64);
        }
    }

    pub(super) fn repeated(&self) {
        self.repeated.inc();
    }

    pub(super) fn flushed(&self, seconds: f64, bytes: u64) {
        self.blocks_flushed.inc();
        self.flush_seconds.observe(seconds);
        self.flush_bytes.observe(bytes as f64);
    }

    pub(super) fn flush_failed(&self) {
        self.failed_flushes.inc();
    }

    pub(super) fn block_cleared(&self) {
        self.blocks_cleared.inc();
    }

    pub(super) fn head_bytes(&self, bytes: u64) {
        self.head_bytes.set(bytes);
    }

    pub(super) fn live_traces(&self, counts: Vec<(TenantId, usize)>) {
        for (tenant, count) in counts {
            let labels = TenantLabels {
                tenant: tenant.to_string(),
            };
            if count > 0 {
                self.live_traces.get_or_create(&labels).set(count as i64);
            } else {
                self.live_traces.remove(&labels);
            }
        }
    }

    pub(super) fn wal_bytes(&self, bytes: u64) {
        self.wal_bytes.set(bytes);
    }
}
