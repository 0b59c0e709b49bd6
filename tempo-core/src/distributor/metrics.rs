//! What the distributor counts, under the names that Tempo's dashboards know.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tempo_model::TenantId;
use tempo_receiver::TraceBatch;
use tempo_runtime::metrics::MetricsRegistry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DiscardLabels {
    reason: &'static str,
    tenant: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceiverLabels {
    receiver: &'static str,
    transport: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IngesterLabels {
    ingester: String,
}

/// Tempo's dashboards know these without the `_total` that counters end with here.
type PlainCounter = Gauge<u64, AtomicU64>;

#[derive(Debug)]
pub(super) struct Metrics {
    spans_received: Family<TenantLabels, Counter>,
    bytes_received: Family<TenantLabels, Counter>,
    discarded: Family<DiscardLabels, Counter>,
    accepted: Family<ReceiverLabels, PlainCounter>,
    refused: Family<ReceiverLabels, PlainCounter>,
    appends: Family<IngesterLabels, Counter>,
    append_failures: Family<IngesterLabels, Counter>,
    push_seconds: Histogram,
}

impl Metrics {
    pub(super) fn new(registry: &MetricsRegistry) -> Self {
        Self {
            spans_received: registry.register(
                "tempo_distributor_spans_received",
                "Spans that clients sent",
                Family::default(),
            ),
            bytes_received: registry.register(
                "tempo_distributor_bytes_received",
                "Bytes of spans that clients sent",
                Family::default(),
            ),
            discarded: registry.register(
                "tempo_discarded_spans",
                "Spans that were refused or dropped, by reason",
                Family::default(),
            ),
            accepted: registry.register(
                "tempo_receiver_accepted_spans",
                "Spans that were acknowledged",
                Family::default(),
            ),
            refused: registry.register(
                "tempo_receiver_refused_spans",
                "Spans that were sent back to the client",
                Family::default(),
            ),
            appends: registry.register(
                "tempo_distributor_ingester_appends",
                "Pushes to ingesters",
                Family::default(),
            ),
            append_failures: registry.register(
                "tempo_distributor_ingester_append_failures",
                "Pushes to ingesters that failed",
                Family::default(),
            ),
            push_seconds: registry.register(
                "tempo_distributor_push_duration_seconds",
                "Time from taking a request to the ingesters' acknowledgement",
                Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            ),
        }
    }

    pub(super) fn received(&self, tenant: &TenantId, batch: &TraceBatch) {
        let labels = TenantLabels {
            tenant: tenant.to_string(),
        };
        self.spans_received
            .get_or_create(&labels)
            .inc_by(batch.contents.spans as u64);
        self.bytes_received
            .get_or_create(&labels)
            .inc_by(batch.payload.len() as u64);
    }

    pub(super) fn discarded(&self, reason: &'static str, tenant: &TenantId, spans: usize) {
        let labels = DiscardLabels {
            reason,
            tenant: tenant.to_string(),
        };
        self.discarded.get_or_create(&labels).inc_by(spans as u64);
    }

    /// Counts what a client heard about its request.
    pub(super) fn answered(&self, transport: &'static str, accepted: usize, refused: usize) {
        let labels = ReceiverLabels {
            receiver: "otlp/otlp_receiver",
            transport,
        };
        for (family, spans) in [(&self.accepted, accepted), (&self.refused, refused)] {
            if spans > 0 {
                family.get_or_create(&labels).inc_by(spans as u64);
            }
        }
    }

    pub(super) fn pushed(&self, ingester: &str, succeeded: bool) {
        let labels = IngesterLabels {
            ingester: ingester.to_owned(),
        };
        self.appends.get_or_create(&labels).inc();
        if !succeeded {
            self.append_failures.get_or_create(&labels).inc();
        }
    }

    pub(super) fn push_took(&self, seconds: f64) {
        self.push_seconds.observe(seconds);
    }
}
