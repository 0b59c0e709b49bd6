//! What the query-frontend counts, under the names that Tempo's dashboards know.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tempo_model::TenantId;
use tempo_runtime::metrics::MetricsRegistry;

/// What a query is for, as Tempo's `op` label names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Traces,
    Search,
    Metadata,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Search => "search",
            Self::Metadata => "metadata",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    tenant: String,
    op: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UserLabels {
    user: String,
}

#[derive(Debug)]
pub(super) struct Metrics {
    queries: Family<QueryLabels, Counter>,
    bytes: Family<QueryLabels, Counter>,
    under_way: Family<UserLabels, Gauge>,
    retries: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &MetricsRegistry) -> Self {
        Self {
            queries: registry.register(
                "tempo_query_frontend_queries",
                "Queries that were answered or refused",
                Family::default(),
            ),
            bytes: registry.register(
                "tempo_query_frontend_bytes_inspected",
                "Bytes that queries read",
                Family::default(),
            ),
            under_way: registry.register(
                "tempo_query_frontend_queue_length",
                "Requests of a tenant that are not answered yet",
                Family::default(),
            ),
            retries: registry.register(
                "tempo_query_frontend_retries",
                "Jobs that were sent again",
                Counter::default(),
            ),
        }
    }

    pub(super) fn query(&self, tenant: &TenantId, operation: Operation) {
        self.queries.get_or_create(&labels(tenant, operation)).inc();
    }

    pub(super) fn inspected(&self, tenant: &TenantId, operation: Operation, bytes: u64) {
        self.bytes.get_or_create(&labels(tenant, operation)).inc_by(bytes);
    }

    pub(super) fn retry(&self) {
        self.retries.inc();
    }

    /// Counts a request of a tenant until the guard is dropped; `None` when there are `limit` already.
    pub(super) fn enter(&self, tenant: &TenantId, limit: usize) -> Option<UnderWay> {
        let user = UserLabels {
            user: tenant.to_string(),
        };
        let gauge = self.under_way.get_or_create(&user).clone();
        let before = gauge.inc();
        let guard = UnderWay(gauge);
        (limit == 0 || (before as usize) < limit).then_some(guard)
    }
}

fn labels(tenant: &TenantId, operation: Operation) -> QueryLabels {
    QueryLabels {
        tenant: tenant.to_string(),
        op: operation.name(),
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(super) struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_limit_wait_for_others_to_end() {
        let metrics = Metrics::new(&MetricsRegistry::default());
        let tenant = TenantId::single();
        let first = metrics.enter(&tenant, 1).unwrap();
        assert!(metrics.enter(&tenant, 1).is_none());
        assert!(metrics.enter(&"other".parse().unwrap(), 1).is_some());
        drop(first);
        assert!(metrics.enter(&tenant, 1).is_some());
    }
}
