//! The query-frontend: from a question of a client to jobs for queriers, and from their answers to one.
//!
//! ```text
//! question ─ check ─ log position P ─ what ingesters have beside P ─┐
//!                                   └ blocks live at P, newest first ┴─► jobs ─► queriers ─► combine ─► answer
//! ```
//! Not here: HTTP and its texts (`api`), how a job is executed (the querier).

mod error;
mod metrics;
mod request;
mod search;
mod session;
mod tags;
mod trace;

use std::time::Duration;

use futures::future::try_join_all;
use tempo_config::{Config, Limits};
use tempo_model::proto::tempopb;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use tempo_runtime::metrics::MetricsRegistry;

pub use self::error::{QueryError, QueryErrorKind};
pub use self::request::{SearchRequest, SecondsRange, TagNamesRequest, TagValuesRequest};

use self::metrics::{Metrics, Operation, UnderWay};
use self::search::AskSearch;
use self::session::{Ask, Effort};
use self::tags::{Names, TagValues};
use self::trace::AskTrace;
use crate::commit_logs::CommitLogs;
use crate::limits::TenantLimits;
use crate::rpc::QuerierApi;
use crate::rpc::messages::TimeRange;
use crate::rpc::peers::Peers;

/// How the query-frontend works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many requests of one tenant may be under way.
    pub max_outstanding_per_tenant: usize,
    /// How often a failed job is tried again.
    pub max_retries: usize,
    /// How many jobs of one query run at once.
    pub concurrent_jobs: usize,
    /// How long a query may take.
    pub timeout: Duration,
    /// The longest query text, in bytes.
    pub max_query_bytes: usize,
    /// How many traces a search gives when it does not say.
    pub default_limit: usize,
    /// How many traces a search may ask for; 0 is no limit.
    pub max_limit: usize,
    /// The longest time range of a search; 0 is no limit.
    pub max_duration: Duration,
    /// How many spans of a set are given when the search does not say.
    pub default_spans_per_span_set: usize,
    /// How many spans of a set a search may ask for; 0 is no limit.
    pub max_spans_per_span_set: usize,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let frontend = &config.query_frontend;
        Self {
            max_outstanding_per_tenant: frontend.max_outstanding_per_tenant,
            max_retries: frontend.max_retries,
            concurrent_jobs: frontend.search.concurrent_jobs,
            timeout: config.server.http_server_write_timeout.0,
            max_query_bytes: frontend.max_query_expression_size_bytes,
            default_limit: frontend.search.default_result_limit,
            max_limit: frontend.search.max_result_limit,
            max_duration: frontend.search.max_duration.0,
            default_spans_per_span_set: frontend.search.default_spans_per_span_set,
            max_spans_per_span_set: frontend.search.max_spans_per_span_set,
        }
    }
}

/// The role.
#[derive(Debug)]
pub struct Frontend {
    environment: Environment,
    logs: CommitLogs,
    queriers: Peers<dyn QuerierApi>,
    limits: TenantLimits,
    settings: Settings,
    metrics: Metrics,
}

/// The spans of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSpans {
    /// They; none when nobody knows the trace.
    pub trace: tempopb::Trace,
    /// Bytes that were read.
    pub inspected_bytes: u64,
    /// Why some may be missing; empty when none are.
    pub incomplete: String,
    /// The limit that the trace is larger than, in bytes: what is beyond is left out.
    pub larger_than: Option<u64>,
}

impl Frontend {
    /// A query-frontend that follows `logs` and sends jobs to `queriers`.
    pub fn new(
        environment: Environment,
        logs: CommitLogs,
        queriers: Peers<dyn QuerierApi>,
        limits: TenantLimits,
        settings: Settings,
        registry: &MetricsRegistry,
    ) -> Self {
        Self {
            environment,
            logs,
            queriers,
            limits,
            settings,
            metrics: Metrics::new(registry),
        }
    }

    /// Runs work of an answer on the bounded CPU pool.
    pub(crate) async fn run_cpu<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        let done = self.environment.run_cpu(name, work).await;
        done.map_err(|error| QueryError::new(QueryErrorKind::Internal, error.to_string()))
    }

    /// Seconds since the Unix epoch, on the clock that this runs by.
    pub fn now_seconds(&self) -> u64 {
        self.environment.clock.unix_seconds()
    }

    /// The spans of a trace, in any of `tenants`.
    pub async fn trace(
        &self,
        tenants: &[TenantId],
        id: TraceId,
        range: Option<SecondsRange>,
    ) -> Result<FoundSpans, QueryError> {
        let max_bytes = self.smallest_limit(tenants, |limits| limits.global.max_bytes_per_trace);
        let ask = AskTrace {
            id,
            range: range.map(TimeRange::try_from).transpose()?,
            max_bytes,
        };
        let (answers, effort) = self.ask(Operation::Traces, tenants, &ask).await?;
        let parts = answers.into_iter().flatten().collect();
        let assemble = move || trace::assemble(parts, max_bytes);
        let (trace, cut) = self.run_cpu("assemble a trace", assemble).await?;
        Ok(FoundSpans {
            trace,
            inspected_bytes: effort.inspected_bytes,
            incomplete: effort.incomplete,
            larger_than: cut.then_some(max_bytes),
        })
    }

    /// The newest traces that match.
    pub async fn search(
        &self,
        tenants: &[TenantId],
        request: &SearchRequest,
    ) -> Result<tempopb::SearchResponse, QueryError> {
        let longest = |limits: &Limits| limits.read.max_search_duration.0.as_secs();
        let longest = match self.smallest_limit(tenants, longest) {
            0 => self.settings.max_duration,
            seconds => Duration::from_secs(seconds),
        };
        let max_bytes_per_trace = self.smallest_limit(tenants, |limits| limits.global.max_bytes_per_trace);
        let ask = AskSearch {
            max_bytes_per_trace,
            ..request.checked(&self.settings, longest)?
        };
        let (answers, effort) = self.ask(Operation::Search, tenants, &ask).await?;
        complete_only(&effort)?;
        let found = search::of_tenants(answers, ask.question.limit as usize);
        let left_pad = tenants
            .iter()
            .any(|tenant| self.limits.of(tenant).read.left_pad_trace_ids);
        let traces = found.into_iter();
        Ok(tempopb::SearchResponse {
            traces: traces.map(|trace| search::metadata(trace, left_pad)).collect(),
            metrics: Some(effort.into()),
        })
    }

    /// The names of attributes, by scope.
    pub async fn tag_names(
        &self,
        tenants: &[TenantId],
        request: &TagNamesRequest,
    ) -> Result<tempopb::SearchTagsV2Response, QueryError> {
        let ask = request.checked(&self.settings)?;
        let mut names = match request.scope.as_str() {
            "" | "none" | tags::INTRINSIC => Names::intrinsics(),
            _ => Names::default(),
        };
        let mut effort = Effort::default();
        if request.scope != tags::INTRINSIC {
            let answers;
            (answers, effort) = self.ask(Operation::Metadata, tenants, &ask).await?;
            complete_only(&effort)?;
            for answer in answers {
                names.absorb(answer);
            }
        }
        Ok(tempopb::SearchTagsV2Response {
            scopes: names.finish(request.limit),
            metrics: Some(effort.into()),
        })
    }

    /// The values of an attribute.
    pub async fn tag_values(
        &self,
        tenants: &[TenantId],
        request: &TagValuesRequest,
    ) -> Result<tempopb::SearchTagValuesV2Response, QueryError> {
        let max_bytes = self.smallest_limit(tenants, |limits| limits.read.max_bytes_per_tag_values_query);
        let ask = request.checked(&self.settings, max_bytes)?;
        if let Some(tag_values) = TagValues::known(&request.attribute) {
            return Ok(tempopb::SearchTagValuesV2Response {
                tag_values,
                metrics: Some(Effort::default().into()),
            });
        }
        let (answers, effort) = self.ask(Operation::Metadata, tenants, &ask).await?;
        complete_only(&effort)?;
        let mut values = TagValues::new(max_bytes);
        for answer in answers {
            values.absorb(answer);
        }
        Ok(tempopb::SearchTagValuesV2Response {
            tag_values: values.finish(request.limit),
            metrics: Some(effort.into()),
        })
    }

    /// Asks the same of every tenant, within the time that a query may take.
    async fn ask<A: Ask>(
        &self,
        operation: Operation,
        tenants: &[TenantId],
        question: &A,
    ) -> Result<(Vec<A::Answer>, Effort), QueryError> {
        let _guards = self.enter(operation, tenants)?;
        let asked = try_join_all(tenants.iter().map(|tenant| self.in_session(tenant, question)));
        let answered = tokio::select! {
            // In a fixed order: what is simulated repeats.
            biased;
            answered = asked => answered?,
            () = self.time_is_up() => {
                let message = format!(
                    "the query took longer than {:?}; ask for less: a shorter time range, a lower limit",
                    self.settings.timeout
                );
                return Err(QueryError::new(QueryErrorKind::Timeout, message));
            }
        };
        let mut effort = Effort::default();
        for (tenant, answered) in tenants.iter().zip(&answered) {
            self.metrics
                .inspected(tenant, operation, answered.effort.inspected_bytes);
            effort.add(&answered.effort);
        }
        Ok((
            answered.into_iter().map(|answered| answered.answer).collect(),
            effort,
        ))
    }

    fn enter(&self, operation: Operation, tenants: &[TenantId]) -> Result<Vec<UnderWay>, QueryError> {
        let enter = |tenant: &TenantId| {
            self.metrics.query(tenant, operation);
            let limit = self.settings.max_outstanding_per_tenant;
            self.metrics.enter(tenant, limit).ok_or_else(|| {
                let message =
                    format!("too many outstanding requests: tenant {tenant} has {limit}; try again later");
                QueryError::new(QueryErrorKind::TooManyRequests, message)
            })
        };
        tenants.iter().map(enter).collect()
    }

    async fn time_is_up(&self) {
        if self.settings.timeout.is_zero() {
            std::future::pending::<()>().await;
        }
        self.environment.clock.sleep(self.settings.timeout).await;
    }

    /// The smallest of the tenants' limits; 0 is no limit.
    fn smallest_limit(&self, tenants: &[TenantId], limit: impl Fn(&Limits) -> u64) -> u64 {
        let limits = tenants.iter().map(|tenant| limit(&self.limits.of(tenant)));
        limits.filter(|limit| *limit > 0).min().unwrap_or_default()
    }
}

/// Where an answer cannot say that it is partial, one that may lack something is an error.
fn complete_only(effort: &Effort) -> Result<(), QueryError> {
    if effort.incomplete.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the answer would lack what could not be read; try again: {}",
        effort.incomplete
    );
    Err(QueryError::unavailable(message))
}

impl From<Effort> for tempopb::SearchMetrics {
    fn from(effort: Effort) -> Self {
        Self {
            inspected_traces: effort.inspected_traces as u32,
            inspected_bytes: effort.inspected_bytes,
            total_blocks: effort.blocks,
            completed_jobs: effort.jobs,
            total_jobs: effort.jobs,
            total_block_bytes: effort.block_bytes,
            inspected_spans: effort.inspected_spans,
            ..Self::default()
        }
    }
}

impl From<Effort> for tempopb::MetadataMetrics {
    fn from(effort: Effort) -> Self {
        Self {
            inspected_bytes: effort.inspected_bytes,
            total_jobs: effort.jobs,
            completed_jobs: effort.jobs,
            total_blocks: effort.blocks,
            total_block_bytes: effort.block_bytes,
        }
    }
}
