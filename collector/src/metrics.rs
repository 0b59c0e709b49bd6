//! What the process counts, under the names that OpenTelemetry Collector dashboards know, and where it is served.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tempo_runtime::metrics::{CONTENT_TYPE as OPEN_METRICS, MetricsRegistry};

/// Labels of a receiver's counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReceiverLabels {
    /// Its id.
    pub receiver: String,
    /// `grpc` or `http`.
    pub transport: String,
}

/// Labels of a processor's counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProcessorLabels {
    /// Its id.
    pub processor: String,
}

/// Labels of an exporter's counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ExporterLabels {
    /// Its id.
    pub exporter: String,
}

/// Counters of the process. Cheap to clone; clones share one registry.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: MetricsRegistry,
    /// Spans that receivers took.
    pub accepted: Family<ReceiverLabels, Counter>,
    /// Spans that receivers sent back.
    pub refused: Family<ReceiverLabels, Counter>,
    /// Spans that a memory limiter sent back.
    pub limited: Family<ProcessorLabels, Counter>,
    /// Batches that a batch processor sent because they were full.
    pub full_batches: Family<ProcessorLabels, Counter>,
    /// Batches that a batch processor sent because their time had come.
    pub timed_batches: Family<ProcessorLabels, Counter>,
    /// Spans that were sent.
    pub sent: Family<ExporterLabels, Counter>,
    /// Spans that were given up.
    pub send_failed: Family<ExporterLabels, Counter>,
    /// Spans that found the queue full.
    pub enqueue_failed: Family<ExporterLabels, Counter>,
    /// What the queue holds, in its own unit.
    pub queue_size: Family<ExporterLabels, Gauge>,
    /// What the queue can hold.
    pub queue_capacity: Family<ExporterLabels, Gauge>,
}

impl Metrics {
    /// All counters, registered.
    pub fn new() -> Self {
        let metrics = Self::default();
        let registry = &metrics.registry;
        registry.register(
            "otelcol_receiver_accepted_spans",
            "Spans that were taken",
            metrics.accepted.clone(),
        );
        registry.register(
            "otelcol_receiver_refused_spans",
            "Spans that were sent back",
            metrics.refused.clone(),
        );
        registry.register(
            "otelcol_processor_memory_limiter_refused_spans",
            "Spans that were sent back for want of memory",
            metrics.limited.clone(),
        );
        registry.register(
            "otelcol_processor_batch_batch_size_trigger_send",
            "Batches that were sent because they were full",
            metrics.full_batches.clone(),
        );
        registry.register(
            "otelcol_processor_batch_timeout_trigger_send",
            "Batches that were sent because their time had come",
            metrics.timed_batches.clone(),
        );
        registry.register(
            "otelcol_exporter_sent_spans",
            "Spans that were sent",
            metrics.sent.clone(),
        );
        registry.register(
            "otelcol_exporter_send_failed_spans",
            "Spans that were given up",
            metrics.send_failed.clone(),
        );
        registry.register(
            "otelcol_exporter_enqueue_failed_spans",
            "Spans that found the queue full",
            metrics.enqueue_failed.clone(),
        );
        registry.register(
            "otelcol_exporter_queue_size",
            "What the queue holds",
            metrics.queue_size.clone(),
        );
        registry.register(
            "otelcol_exporter_queue_capacity",
            "What the queue can hold",
            metrics.queue_capacity.clone(),
        );
        metrics
    }

    /// All counters as text.
    pub fn render(&self) -> String {
        self.registry.render()
    }

    /// Serves the counters at `/metrics`.
    pub fn router(&self) -> Router {
        let metrics = self.clone();
        Router::new().route(
            "/metrics",
            get(move || async move { ([(CONTENT_TYPE, OPEN_METRICS)], metrics.render()) }),
        )
    }
}
