//! Brings the objects of a resource into the cluster: server-side apply in a fixed order, then pruning.
//!
//! Objects that already are what is wanted cause no write. An object of the same name that is not the
//! resource's own is left alone and reported.

mod prune;

use std::{cmp::Reverse, collections::BTreeMap, fmt::Debug, marker::PhantomData};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::info;

use super::compare;
use crate::kubernetes::{
    labels::{self, Application, Labels},
    owner::Owner,
    resources::{Applied, Prepared, Resources},
};

/// Who the operator is towards server-side apply.
pub const FIELD_MANAGER: &str = "tempo-operator";

/// Why an object could not be brought into the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The objects that exist could not be read.
    #[error("cannot list objects of kind {kind}")]
    List {
        /// Their kind.
        kind: String,
        /// What went wrong.
        #[source]
        source: kube::Error,
    },
    /// An object could not be written.
    #[error("cannot {verb} {object}")]
    Write {
        /// What was tried.
        verb: &'static str,
        /// Kind and name of the object.
        object: String,
        /// What went wrong.
        #[source]
        source: kube::Error,
    },
    /// An object cannot be written as JSON: a defect of the operator.
    #[error("cannot write {kind} as JSON")]
    Json {
        /// Kind of the object.
        kind: String,
        /// What went wrong.
        #[source]
        source: serde_json::Error,
    },
    /// There is an object of somebody else under the name.
    #[error("{object} exists, but was not made for this resource; rename or delete it")]
    Foreign {
        /// Kind and name of the object.
        object: String,
    },
}

/// A namespaced Kubernetes object that the operator can own.
pub trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// Applies all objects of a resource and deletes those that it once had.
pub async fn apply(
    client: &Client,
    application: Application,
    owner: &Owner,
    resources: Resources<Prepared>,
) -> Result<Resources<Applied>, ApplyError> {
    let Resources {
        service_accounts,
        secrets,
        config_maps,
        earlier_config_maps,
        services,
        network_policies,
        ingresses,
        pod_disruption_budgets,
        stateful_sets,
        deployments,
        daemon_sets,
        jobs,
        autoscalers,
        state: PhantomData,
    } = resources;
    let mut step = Step {
        client,
        owner,
        labels: labels::common(application, &owner.name),
        leftovers: prune::Leftovers::new(),
    };
    let secrets = secrets.into_iter().map(with_encoded_data).collect();
    let applied = Resources {
        service_accounts: step.apply(service_accounts).await?,
        secrets: step.apply(secrets).await?,
        config_maps: step.apply_keeping(config_maps, earlier_config_maps).await?,
        earlier_config_maps,
        services: step.apply(services).await?,
        network_policies: step.apply(network_policies).await?,
        ingresses: step.apply(ingresses).await?,
        pod_disruption_budgets: step.apply(pod_disruption_budgets).await?,
        stateful_sets: step.apply(stateful_sets).await?,
        deployments: step.apply(deployments).await?,
        daemon_sets: step.apply(daemon_sets).await?,
        jobs: step.apply(jobs).await?,
        autoscalers: step.apply(autoscalers).await?,
        state: PhantomData,
    };
    step.leftovers.delete().await?;
    Ok(applied)
}

/// `stringData` cannot be read back, so that it could not be compared.
fn with_encoded_data(mut secret: k8s_openapi::api::core::v1::Secret) -> k8s_openapi::api::core::v1::Secret {
    let texts = secret.string_data.take().into_iter().flatten();
    let data = secret.data.get_or_insert_default();
    data.extend(texts.map(|(key, text)| (key, k8s_openapi::ByteString(text.into_bytes()))));
    secret
}

struct Step<'a> {
    client: &'a Client,
    owner: &'a Owner,
    labels: Labels,
    leftovers: prune::Leftovers,
}

impl Step<'_> {
    /// Applies the objects of one kind and notes which others the resource has.
    async fn apply<K: Object>(&mut self, wanted: Vec<K>) -> Result<Vec<K>, ApplyError> {
        self.apply_keeping(wanted, 0).await
    }

    /// As [`Step::apply`]; the `kept` newest of the others stay.
    async fn apply_keeping<K: Object>(&mut self, wanted: Vec<K>, kept: usize) -> Result<Vec<K>, ApplyError> {
        let api = Api::<K>::namespaced(self.client.clone(), &self.owner.namespace);
        let mut existing = existing(&api, &self.labels).await?;
        let mut applied = Vec::with_capacity(wanted.len());
        for object in wanted {
            let found = existing.remove(&object.name_any());
            // Objects are large, and so is what waits for them.
            applied.push(Box::pin(apply_one(&api, object, found, self.owner)).await?);
        }
        let others = newest_first(existing.into_values().collect());
        self.leftovers
            .add(&api, others.into_iter().skip(kept), self.owner);
        Ok(applied)
    }
}

fn newest_first<K: Object>(mut objects: Vec<K>) -> Vec<K> {
    objects.sort_by_key(|object| Reverse(object.creation_timestamp()));
    objects
}

/// The objects of one kind that carry the labels of the resource.
async fn existing<K: Object>(api: &Api<K>, labels: &Labels) -> Result<BTreeMap<String, K>, ApplyError> {
    let parameters = ListParams::default().labels(&labels::selector(labels));
    let list = api.list(&parameters).await.map_err(|source| ApplyError::List {
        kind: kind::<K>(),
        source,
    })?;
    Ok(list
        .into_iter()
        .map(|object| (object.name_any(), object))
        .collect())
}

async fn apply_one<K: Object>(
    api: &Api<K>,
    wanted: K,
    found: Option<K>,
    owner: &Owner,
) -> Result<K, ApplyError> {
    let name = wanted.name_any();
    let mut patch = to_json(&wanted)?;
    compare::sign(&mut patch);
    match &found {
        Some(found) if compare::covers(&to_json(found)?, &patch) => return Ok(found.clone()),
        Some(_) => {}
        None => refuse_foreign(api, &name, owner).await?,
    }
    info!(kind = kind::<K>(), name, "applying");
    match patch_object(api, &name, &patch).await {
        Err(ApplyError::Write { source, .. }) if found.is_some() && is_immutable(&source) => {
            replace(api, &name, &patch).await
        }
        result => result,
    }
}

async fn patch_object<K: Object>(api: &Api<K>, name: &str, patch: &Value) -> Result<K, ApplyError> {
    api.patch(
        name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(patch),
    )
    .await
    .map_err(write_error::<K>("apply", name))
}

/// What cannot be changed in place is made anew. Pods and volumes stay: the new object takes them over.
async fn replace<K: Object>(api: &Api<K>, name: &str, patch: &Value) -> Result<K, ApplyError> {
    info!(
        kind = kind::<K>(),
        name, "replacing, because fields changed that are immutable"
    );
    api.delete(name, &DeleteParams::orphan())
        .await
        .map_err(write_error::<K>("delete", name))?;
    patch_object(api, name, patch).await
}

fn is_immutable(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let says_so = |text: &str| text.contains("immutable") || text.contains("updates to statefulset spec");
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 422
        && (says_so(&status.message) || causes.into_iter().any(|cause| says_so(&cause.message)))
}

/// What has not the labels of the resource may only be its own object that lost them.
async fn refuse_foreign<K: Object>(api: &Api<K>, name: &str, owner: &Owner) -> Result<(), ApplyError> {
    let existing = api
        .get_metadata_opt(name)
        .await
        .map_err(write_error::<K>("read", name))?;
    match existing {
        Some(object) if !prune::is_controlled_by(&object, owner) => Err(ApplyError::Foreign {
            object: described::<K>(name),
        }),
        _ => Ok(()),
    }
}

fn to_json<K: Object>(object: &K) -> Result<Value, ApplyError> {
    serde_json::to_value(object).map_err(|source| ApplyError::Json {
        kind: kind::<K>(),
        source,
    })
}

fn kind<K: Object>() -> String {
    K::kind(&()).into_owned()
}

fn described<K: Object>(name: &str) -> String {
    format!("{} {name:?}", K::kind(&()))
}

fn write_error<K: Object>(verb: &'static str, name: &str) -> impl FnOnce(kube::Error) -> ApplyError {
    let object = described::<K>(name);
    move |source| ApplyError::Write { verb, object, source }
}
