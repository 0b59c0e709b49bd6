//! What the operator tells about itself at `/metrics`. Names that users of operators know are kept.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// The operator's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Family<ControllerLabels, Counter>,
    reconcile_seconds: Family<ControllerLabels, Histogram>,
    requests: Family<RequestLabels, Counter>,
    is_leader: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    controller: String,
    result: &'static str,
}

/// What a request to the API server was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// HTTP method.
    pub method: String,
    /// Plural name of the kind that it was about, such as `deployments`.
    pub resource: String,
    /// HTTP status of the answer, or `<error>` without one.
    pub code: String,
}

impl Metrics {
    /// Metrics in a registry of their own.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            reconcile_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.005, 2.0, 12))
            }),
            requests: Family::default(),
            is_leader: Gauge::default(),
        };
        registry.register(
            "controller_runtime_reconcile",
            "Reconciles by controller and result",
            metrics.reconciles.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Reconciles that failed and are tried again",
            metrics.reconcile_errors.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "Duration of reconciles",
            metrics.reconcile_seconds.clone(),
        );
        registry.register(
            "rest_client_requests",
            "Requests to the API server",
            metrics.requests.clone(),
        );
        registry.register(
            "leader_election_master_status",
            "Whether this instance is the one that reconciles",
            metrics.is_leader.clone(),
        );
        *metrics.registry.lock() = registry;
        metrics
    }

    /// Adds metrics that are computed when they are asked for.
    pub fn add(&self, collector: Box<dyn Collector>) {
        self.registry.lock().register_collector(collector);
    }

    /// Counts a reconcile of a kind.
    pub fn reconciled(&self, kind: &str, is_ok: bool, duration: Duration) {
        let controller = kind.to_ascii_lowercase();
        let labels = ControllerLabels {
            controller: controller.clone(),
        };
        self.reconcile_seconds
            .get_or_create(&labels)
            .observe(duration.as_secs_f64());
        if !is_ok {
            self.reconcile_errors.get_or_create(&labels).inc();
        }
        let result = if is_ok { "success" } else { "error" };
        self.reconciles
            .get_or_create(&ReconcileLabels { controller, result })
            .inc();
    }

    /// Counts a request to the API server.
    pub fn requested(&self, labels: &RequestLabels) {
        self.requests.get_or_create(labels).inc();
    }

    /// Notes whether this instance reconciles.
    pub fn leads(&self, is_leader: bool) {
        self.is_leader.set(i64::from(is_leader));
    }

    /// The metrics in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.registry.lock());
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_names_that_users_know() {
        let metrics = Metrics::new();
        metrics.reconciled("TempoStack", true, Duration::from_millis(20));
        metrics.reconciled("TempoStack", false, Duration::from_millis(20));
        metrics.leads(true);
        let text = metrics.text();
        for line in [
            "controller_runtime_reconcile_total{controller=\"tempostack\",result=\"success\"} 1",
            "controller_runtime_reconcile_errors_total{controller=\"tempostack\"} 1",
            "controller_runtime_reconcile_time_seconds_count{controller=\"tempostack\"} 2",
            "leader_election_master_status 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
