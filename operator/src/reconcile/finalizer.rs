//! What happens when a resource is deleted: its objects go with it, its volumes stay, and an Event names them.
//!
//! Only resources whose volumes stay have the finalizer, since only they need the operator for their end.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::{apply::Object, events::Events};
use crate::{
    kind::Kind,
    kubernetes::{
        labels,
        owner::Owner,
        resources::{Prepared, Resources},
    },
};

/// The finalizer, under the name that the upstream operator uses, so that its resources can be taken over.
pub const FINALIZER: &str = "tempo.grafana.com/finalizer";

/// Why the end of a resource could not be prepared or brought about.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb}")]
pub struct FinalizerError {
    /// What was tried.
    verb: &'static str,
    /// What went wrong.
    #[source]
    pub source: kube::Error,
}

/// Sets the finalizer if there will be volumes that stay, and takes it away if there will be none.
pub async fn prepare<K: Kind + Object>(
    client: &Client,
    resource: &K,
    resources: &Resources<Prepared>,
) -> Result<(), FinalizerError> {
    let is_wanted = resources.keeps_volumes();
    if is_wanted == is_set(resource) {
        return Ok(());
    }
    let mut finalizers = without_ours(resource);
    if is_wanted {
        finalizers.push(FINALIZER.to_owned());
    }
    set(client, resource, &finalizers).await
}

/// Names the volumes that stay and lets the resource go.
pub async fn release<K: Kind + Object>(
    client: &Client,
    events: &Events,
    resource: &K,
) -> Result<(), FinalizerError> {
    if !is_set(resource) {
        return Ok(());
    }
    let claims = claims(client, resource).await?;
    if !claims.is_empty() {
        events.volumes_stay(resource, &claims).await;
    }
    match set(client, resource, &without_ours(resource)).await {
        Err(FinalizerError {
            source: kube::Error::Api(status),
            ..
        }) if status.code == 404 => Ok(()),
        result => result,
    }
}

fn is_set(resource: &impl ResourceExt) -> bool {
    resource
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
}

fn without_ours(resource: &impl ResourceExt) -> Vec<String> {
    let others = resource
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER);
    others.cloned().collect()
}

/// The resource version keeps this from undoing what somebody else did to the list at the same time.
async fn set<K: Kind + Object>(
    client: &Client,
    resource: &K,
    finalizers: &[String],
) -> Result<(), FinalizerError> {
    let owner = Owner::of(resource);
    let patch =
        json!({"metadata": {"finalizers": finalizers, "resourceVersion": resource.resource_version()}});
    Api::<K>::namespaced(client.clone(), &owner.namespace)
        .patch_metadata(&owner.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map(drop)
        .map_err(|source| FinalizerError {
            verb: "change the finalizers",
            source,
        })
}

/// Names of the volumes' claims that carry the labels of the resource.
async fn claims<K: Kind + Object>(client: &Client, resource: &K) -> Result<Vec<String>, FinalizerError> {
    let owner = Owner::of(resource);
    let selector = labels::selector(&labels::common(K::APPLICATION, &owner.name));
    let list = Api::<PersistentVolumeClaim>::namespaced(client.clone(), &owner.namespace)
        .list_metadata(&ListParams::default().labels(&selector))
        .await
        .map_err(|source| FinalizerError {
            verb: "list the PersistentVolumeClaims",
            source,
        })?;
    Ok(list.iter().map(ResourceExt::name_any).collect())
}
