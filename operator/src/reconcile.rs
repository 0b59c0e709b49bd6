//! A custom resource in a cluster is brought about, step by step; each step is a file.
//!
//! 1. [`dereference`] (I/O) fetches what the spec points to;
//! 2. and 3. [`Kind::plan`](crate::kind::Kind::plan) (pure) validates and builds;
//! 4. [`apply`] (I/O) applies the objects and deletes those that are no longer wanted;
//! 5. [`status`] (I/O) writes what was observed, as [`conditions`], [`health`], [`pods`] and [`report`]
//!    (pure) put it.
//!
//! What its user must change ends as the condition `ConfigurationError` and waits for a change. Everything
//! else that goes wrong is tried again, after longer and longer waits.

pub mod apply;
pub mod backoff;
pub mod compare;
pub mod conditions;
pub mod dereference;
pub mod events;
pub mod finalizer;
pub mod health;
pub mod pods;
pub mod report;
pub mod status;

use std::{error::Error, sync::Arc, time::Duration};

use kube::{Client, Resource, ResourceExt, core::DeserializeGuard, runtime::controller::Action};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use self::{
    apply::ApplyError,
    backoff::Failures,
    conditions::Outcome,
    dereference::DereferenceError,
    events::Events,
    finalizer::FinalizerError,
    report::Reconciled,
    status::{Findings, StatusError},
};
use crate::{
    configuration::BuildError, environment::Environment, kind::PlanError, kubernetes::owner::Owner,
    metrics::Metrics,
};

/// How often a resource is looked at even when no watch tells of a change.
const RESYNC: Duration = Duration::from_hours(1);
/// When an object that is on its way out is looked at again, should the watch not tell of its end.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// How long a reconcile may take; an API server that does not answer must not hold up a resource for good.
const DEADLINE: Duration = Duration::from_mins(2);

/// What reconciles share.
pub struct Context {
    /// Environment of the operator.
    pub environment: Environment,
    /// Makes Events.
    pub events: Events,
    /// Counts reconciles.
    pub metrics: Metrics,
    client: Client,
    failures: Failures,
}

impl Context {
    /// A context whose Events come from an instance of the operator.
    pub fn new(client: Client, environment: Environment, metrics: Metrics, instance: String) -> Self {
        Self {
            environment,
            events: Events::new(client.clone(), instance),
            metrics,
            client,
            failures: Failures::default(),
        }
    }

    /// A resource is gone.
    pub fn forget(&self, kind: &str, namespace: Option<&str>, name: &str) {
        self.failures.forget(&backoff::key(kind, namespace, name));
    }
}

/// Why a reconcile has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Step 1 failed.
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    /// Step 3 failed: a defect of the operator.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The finalizer could not be set or taken away.
    #[error(transparent)]
    Finalizer(#[from] FinalizerError),
    /// Step 4 failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// Step 5 failed.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// It did not come to an end.
    #[error("the API server does not answer: not done after {} s", DEADLINE.as_secs())]
    TooLong,
}

impl ReconcileError {
    /// Whether people should see the failure, one of so many in a row.
    fn is_lasting(&self, failures_in_a_row: u32) -> bool {
        match self {
            Self::TooLong => failures_in_a_row >= backoff::PATIENCE,
            _ => backoff::is_lasting(self.api_error(), failures_in_a_row),
        }
    }

    /// The answer of the API server behind the error, if that is what went wrong.
    fn api_error(&self) -> Option<&kube::Error> {
        std::iter::successors(self.source(), |error| (*error).source()).find_map(|error| error.downcast_ref())
    }

    /// The error with its causes; of what the API server said only its message.
    fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            if let Some(kube::Error::Api(status)) = error.downcast_ref() {
                return format!("{text}: {}", status.message);
            }
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

/// Brings about one resource.
pub async fn reconcile<K: Reconciled>(
    resource: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    let started = Instant::now();
    let result = match &resource.0 {
        Ok(resource) => reconcile_counted(resource, &context).await,
        Err(invalid) => {
            warn!(error = invalid.error, "resource cannot be read");
            context.events.unreadable(&*resource, &invalid.error).await;
            Ok(Action::await_change())
        }
    };
    context
        .metrics
        .reconciled(&K::kind(&()), result.is_ok(), started.elapsed());
    result
}

/// When a failed reconcile is tried again.
#[expect(clippy::needless_pass_by_value, reason = "the controller hands over both")]
pub fn retry<K: Reconciled>(
    resource: Arc<DeserializeGuard<K>>,
    error: &ReconcileError,
    context: Arc<Context>,
) -> Action {
    let delay = context.failures.delay(&key(&*resource));
    warn!(
        kind = %K::kind(&()),
        namespace = resource.namespace(),
        name = resource.name_any(),
        error = error.chain(),
        retry_in = ?delay,
        "cannot reconcile"
    );
    Action::requeue(delay)
}

fn key<R: Resource<DynamicType = ()>>(resource: &R) -> backoff::Key {
    let metadata = resource.meta();
    let name = metadata.name.as_deref().unwrap_or_default();
    backoff::key(&R::kind(&()), metadata.namespace.as_deref(), name)
}

/// Reconciles in bounded time; failures are counted, and shown when they last.
async fn reconcile_counted<K: Reconciled>(resource: &K, context: &Context) -> Result<Action, ReconcileError> {
    let key = key(resource);
    let result = timeout(DEADLINE, Box::pin(reconcile_readable(resource, context)))
        .await
        .unwrap_or(Err(ReconcileError::TooLong));
    match &result {
        Ok(_) => context.failures.forget(&key),
        Err(error) => {
            let is_lasting = error.is_lasting(context.failures.count(&key));
            if is_lasting && resource.meta().deletion_timestamp.is_none() {
                let reported = timeout(DEADLINE, Box::pin(report_failure(resource, context, error))).await;
                if reported.is_err() {
                    debug!("cannot report a failure: the API server does not answer");
                }
            }
        }
    }
    result
}

async fn reconcile_readable<K: Reconciled>(
    resource: &K,
    context: &Context,
) -> Result<Action, ReconcileError> {
    if resource.meta().deletion_timestamp.is_some() {
        finalizer::release(&context.client, &context.events, resource).await?;
        return Ok(Action::await_change());
    }
    if !resource.is_managed() {
        debug!("resource is not managed");
        return Ok(Action::await_change());
    }
    let findings = bring_about(resource, context).await?;
    let next = if findings.outcome.is_replacing() {
        LOOK_AGAIN
    } else {
        RESYNC
    };
    write_status(resource, context, findings).await?;
    Ok(Action::requeue(next))
}

/// Steps 1 to 4.
async fn bring_about<K: Reconciled>(resource: &K, context: &Context) -> Result<Findings, ReconcileError> {
    let client = &context.client;
    let owner = Owner::of(resource);
    let found = dereference::dereference(client, &owner.namespace, &resource.references()).await?;
    let plan = match resource.plan(&found, &context.environment) {
        Ok(plan) => plan,
        Err(PlanError::Invalid { source }) => {
            return Ok(Findings {
                outcome: Outcome::invalid(&source),
                notices: Vec::new(),
                workloads: Vec::new(),
                pods: status::observe_pods(client, resource).await?,
            });
        }
        Err(PlanError::Build(error)) => return Err(error.into()),
    };
    finalizer::prepare(client, resource, &plan.resources).await?;
    let applied = apply::apply(client, K::APPLICATION, &owner, plan.resources).await?;
    let workloads = health::workloads(&applied.resources);
    let pods = status::observe_pods(client, resource).await?;
    let outcome = match applied.going.as_slice() {
        [] => Outcome::of_workloads(&workloads, &pods),
        going => Outcome::replacing(going),
    };
    Ok(Findings {
        outcome,
        notices: [plan.notices, applied.notices].concat(),
        workloads,
        pods,
    })
}

async fn write_status<K: Reconciled>(
    resource: &K,
    context: &Context,
    findings: Findings,
) -> Result<(), StatusError> {
    let version = &context.environment.version;
    status::write(&context.client, &context.events, version, resource, findings).await
}

/// Shows a failure in the status, as far as that is possible; the failure itself is reported anyway.
async fn report_failure<K: Reconciled>(resource: &K, context: &Context, error: &ReconcileError) {
    let pods = status::observe_pods(&context.client, resource).await;
    let findings = Findings {
        outcome: Outcome::failed(error.chain()),
        notices: Vec::new(),
        workloads: Vec::new(),
        pods: pods.unwrap_or_default(),
    };
    if let Err(error) = write_status(resource, context, findings).await {
        debug!(%error, "cannot report a failure");
    }
}
