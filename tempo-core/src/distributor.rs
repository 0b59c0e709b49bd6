//! The distributor: takes spans from the OTLP doors, holds tenants to their limits, and shares the spans out among the
//! ingesters by trace.
//!
//! ```text
//! TraceBatch ─ tenant ─ ids ─ rate ─ split by trace id (byte ranges) ─► one push per ingester ─► OK when all are stored
//! ```
//! How many bytes are in flight is bounded by the doors (`tempo_receiver::DoorSettings`). Not here: what an
//! acknowledgement means, and limits on traces (the ingester).

mod metrics;
mod push;
mod rate;

use std::time::Duration;

use async_trait::async_trait;
use tempo_config::Config;
use tempo_model::TenantId;
use tempo_model::validate::InvalidId;
use tempo_receiver::{ConsumeError, ErrorKind, Taken, TraceBatch, TraceConsumer};
use tempo_runtime::Environment;
use tempo_runtime::membership::Members;
use tempo_runtime::metrics::MetricsRegistry;

use self::metrics::Metrics;
use self::rate::{Rate, RateLimiter};
use crate::limits::TenantLimits;
use crate::rpc::messages::{RejectReason, RejectedSpans};
use crate::rpc::peers::Peers;
use crate::rpc::{CallErrorKind, IngesterApi};
use crate::target::Target;
use crate::tenancy::{TENANT_HEADER, Tenancy};

/// How long a client waits when an ingester has too much to do, which has made it wait already.
const BUSY: Duration = Duration::from_millis(250);

/// How the distributor works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a client over its limits should wait.
    pub retry_after: Duration,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            retry_after: config.distributor.retry_after_on_resource_exhausted.0,
        }
    }
}

/// The role.
#[derive(Debug)]
pub struct Distributor {
    environment: Environment,
    tenancy: Tenancy,
    limits: TenantLimits,
    ingesters: Peers<dyn IngesterApi>,
    members: Members,
    settings: Settings,
    rates: RateLimiter,
    metrics: Metrics,
}

impl Distributor {
    /// A distributor that pushes to `ingesters`. `members` says how many distributors share a global rate limit.
    pub fn new(
        environment: Environment,
        tenancy: Tenancy,
        limits: TenantLimits,
        ingesters: Peers<dyn IngesterApi>,
        members: Members,
        settings: Settings,
        registry: &MetricsRegistry,
    ) -> Self {
        Self {
            environment,
            tenancy,
            limits,
            ingesters,
            members,
            settings,
            rates: RateLimiter::default(),
            metrics: Metrics::new(registry),
        }
    }

    async fn take(&self, batch: &TraceBatch) -> Result<Taken, ConsumeError> {
        let tenant = self.tenant(batch)?;
        self.check_ids(&tenant, batch)?;
        self.metrics.received(&tenant, batch);
        self.check_rate(&tenant, batch)?;
        let started = self.environment.clock.since_boot();
        let pushed = push::push(&self.ingesters, &tenant, batch, &self.metrics).await;
        let took = self.environment.clock.since_boot().saturating_sub(started);
        self.metrics.push_took(took.as_secs_f64());
        match pushed {
            Ok(rejected) => Ok(self.taken_but_for(&tenant, rejected)),
            Err(error) => Err(ConsumeError::new(self.kind_of(error.kind), error.message)),
        }
    }

    /// What a client hears of spans that ingesters did not store, which are counted.
    fn taken_but_for(&self, tenant: &TenantId, rejected: Vec<RejectedSpans>) -> Taken {
        let mut taken = Taken::default();
        for RejectedSpans {
            reason,
            spans,
            message,
        } in rejected
        {
            let reason = match RejectReason::try_from(reason) {
                Ok(RejectReason::LiveTracesExceeded) => "live_traces_exceeded",
                Ok(RejectReason::TraceTooLarge) => "trace_too_large",
                Ok(RejectReason::Unknown) | Err(_) => "unknown_error",
            };
            self.metrics.discarded(reason, tenant, spans as usize);
            taken.rejected_spans += u64::from(spans);
            if !taken.reason.is_empty() {
                taken.reason.push_str("; ");
            }
            taken.reason.push_str(&message);
        }
        taken
    }

    fn tenant(&self, batch: &TraceBatch) -> Result<TenantId, ConsumeError> {
        self.tenancy
            .of_push(batch.header(TENANT_HEADER))
            .map_err(|error| {
                let kind = if error.is_missing() {
                    ErrorKind::Unauthenticated
                } else {
                    ErrorKind::InvalidArgument
                };
                ConsumeError::new(kind, error.to_string())
            })
    }

    /// Before anything is kept about the tenant but the reason of the refusal: what it sends may be garbage.
    fn check_ids(&self, tenant: &TenantId, batch: &TraceBatch) -> Result<(), ConsumeError> {
        let Some(invalid) = batch.contents.invalid_id else {
            return Ok(());
        };
        let reason = match invalid {
            InvalidId::Trace { .. } => "invalid_trace_id",
            InvalidId::Span { .. } => "invalid_span_id",
        };
        self.metrics.discarded(reason, tenant, batch.contents.spans);
        Err(ConsumeError::new(ErrorKind::InvalidArgument, invalid.to_string()))
    }

    fn check_rate(&self, tenant: &TenantId, batch: &TraceBatch) -> Result<(), ConsumeError> {
        let distributors = self.members.of_role(Target::Distributor.name()).len();
        let rate = Rate::of(&self.limits.of(tenant).ingestion, distributors);
        let now = self.environment.clock.since_boot();
        let taken = self.rates.take(tenant, batch.payload.len(), rate, now);
        taken.map_err(|refused| {
            self.metrics
                .discarded("rate_limited", tenant, batch.contents.spans);
            // Upstream's answer to both is 429, which clients send again and again.
            let kind = if refused.is_retryable() {
                self.exhausted(self.settings.retry_after)
            } else {
                ErrorKind::TooLarge
            };
            ConsumeError::new(kind, refused.to_string())
        })
    }

    fn exhausted(&self, delay: Duration) -> ErrorKind {
        // Zero is the way to say nothing of a delay.
        let retry_after = Some(delay).filter(|_| !self.settings.retry_after.is_zero());
        ErrorKind::ResourceExhausted { retry_after }
    }

    fn kind_of(&self, kind: CallErrorKind) -> ErrorKind {
        match kind {
            CallErrorKind::InvalidArgument => ErrorKind::InvalidArgument,
            CallErrorKind::ResourceExhausted => self.exhausted(self.settings.retry_after.min(BUSY)),
            CallErrorKind::Refused | CallErrorKind::Unavailable => {
                ErrorKind::Unavailable { retry_after: None }
            }
            CallErrorKind::Unimplemented | CallErrorKind::Internal => ErrorKind::Internal,
        }
    }
}

#[async_trait]
impl TraceConsumer for Distributor {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        let taken = self.take(&batch).await;
        let (all, dropped) = (
            batch.contents.spans,
            taken.as_ref().map(|taken| taken.rejected_spans as usize),
        );
        let refused = dropped.unwrap_or(all);
        self.metrics
            .answered(batch.transport, all.saturating_sub(refused), refused);
        taken
    }
}
