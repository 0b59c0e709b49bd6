//! How long the object store takes: `tempodb_backend_request_duration_seconds`.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tempo_block::store::Store;
use tempo_block::store::metered::{Metered, Operation, Outcome, RequestTimes, StoreMetrics};
use tempo_runtime::Environment;
use tempo_runtime::metrics::MetricsRegistry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    status_code: &'static str,
}

/// The same store, measured.
pub(super) fn measured(environment: &Environment, store: Store, metrics: &MetricsRegistry) -> Store {
    let times = Times(metrics.register(
        "tempodb_backend_request_duration_seconds",
        "Time until the object store answered",
        Family::new_with_constructor(
            (|| Histogram::new(exponential_buckets(0.001, 4.0, 8))) as fn() -> Histogram,
        ),
    ));
    let metrics = StoreMetrics::timed(Arc::clone(&environment.clock), Arc::new(times));
    Arc::new(Metered::new(store, Arc::new(metrics)))
}

#[derive(Debug)]
struct Times(Family<Labels, Histogram>);

impl RequestTimes for Times {
    fn answered(&self, operation: Operation, outcome: Outcome, took: Duration) {
        let labels = Labels {
            operation: match operation {
                Operation::Put => "PUT",
                Operation::Get => "GET",
                Operation::List => "LIST",
                Operation::Delete => "DELETE",
                Operation::Copy => "COPY",
            },
            // Stores differ in how they say it; dashboards know the codes of S3.
            status_code: match outcome {
                Outcome::Done => "200",
                Outcome::NotFound => "404",
                Outcome::Refused => "412",
                Outcome::Failed => "500",
            },
        };
        self.0.get_or_create(&labels).observe(took.as_secs_f64());
    }
}
