//! Writes the status of a resource, if it is another one than before, and tells of a new state by an Event.

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::{
    apply::FIELD_MANAGER,
    conditions::{Outcome, conditions},
    events::Events,
    health::Workload,
    pods::{self, PodsByComponent},
    report::{Reconciled, Report, StatusConditions},
};
use crate::{
    crd::API_VERSION,
    kubernetes::{labels, owner::Owner},
    validation::Notice,
};

/// Why a status could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb}")]
pub struct StatusError {
    /// What was tried.
    verb: &'static str,
    /// What went wrong.
    #[source]
    pub source: kube::Error,
}

impl StatusError {
    fn new(verb: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self { verb, source }
    }
}

/// What is known about a resource after a reconcile.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What became of it.
    pub outcome: Outcome,
    /// What its owner should know.
    pub notices: Vec<Notice>,
    /// Its workloads; empty when they were not applied.
    pub workloads: Vec<Workload>,
    /// Its pods.
    pub pods: PodsByComponent,
}

/// The pods of a resource.
pub async fn observe_pods<K: Reconciled>(
    client: &Client,
    resource: &K,
) -> Result<PodsByComponent, StatusError> {
    let owner = Owner::of(resource);
    let selector = labels::selector(&labels::common(K::APPLICATION, &owner.name));
    let list = Api::<Pod>::namespaced(client.clone(), &owner.namespace)
        .list(&ListParams::default().labels(&selector))
        .await
        .map_err(StatusError::new("list the pods"))?;
    Ok(pods::by_component(&list.items))
}

/// Writes what was found.
pub async fn write<K: Reconciled>(
    client: &Client,
    events: &Events,
    operator_version: &str,
    resource: &K,
    findings: Findings,
) -> Result<(), StatusError> {
    let owner = Owner::of(resource);
    let api = Api::<K>::namespaced(client.clone(), &owner.namespace);
    // What is in the store may be older than our own last write.
    let Some(current) = api
        .get_opt(&owner.name)
        .await
        .map_err(StatusError::new("read the status"))?
    else {
        return Ok(());
    };
    let Findings {
        outcome,
        notices,
        workloads,
        pods,
    } = findings;
    let old = current.status().cloned().unwrap_or_default();
    let generation = resource.meta().generation;
    let report = Report {
        operator_version: operator_version.to_owned(),
        generation,
        conditions: conditions(old.conditions(), &outcome, &notices, generation, Timestamp::now()),
        pods,
        workloads,
    };
    let new = resource.report(&old, report);
    if new == old {
        return Ok(());
    }
    let patch = json!({"apiVersion": API_VERSION, "kind": owner.kind, "status": new});
    api.patch_status(
        &owner.name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(patch),
    )
    .await
    .map_err(StatusError::new("write the status"))?;
    if !outcome.is_known(old.conditions()) {
        events.state_changed(resource, &outcome).await;
    }
    Ok(())
}
