//! The metrics registry of a process and its text form. Which metrics there are is their owner's business.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::registry::{Metric, Registry};

/// The content type of [`MetricsRegistry::render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Names and help texts of a process's metrics. Cheap to clone; clones share one registry.
#[derive(Debug, Clone, Default)]
pub struct MetricsRegistry {
    registry: Arc<Mutex<Registry>>,
}

impl MetricsRegistry {
    /// Registers `metric` under `name` and gives it back. Counters are exposed with `_total` after their name.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        // The encoder ends help texts with a full stop of its own.
        self.registry.lock().register(name, help, metric.clone());
        metric
    }

    /// Registers what says its metrics each time that it is asked.
    pub fn register_collector(&self, collector: impl Collector) {
        self.registry.lock().register_collector(Box::new(collector));
    }

    /// All metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock());
        text
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = MetricsRegistry::default();
        let counter: Counter = metrics.register("things", "Things that happened", Counter::default());
        counter.inc();
        let text = metrics.render();
        assert!(text.contains("things_total 1"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
