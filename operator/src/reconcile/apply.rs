//! Brings the objects of a resource into the cluster: server-side apply in a fixed order, then pruning.
//!
//! Objects that already are what is wanted cause no write. What is somebody else's is left alone and reported
//! ([`ownership`]). What has to go first, because a field cannot be changed in place ([`replace`]) or because
//! somebody deleted it, is not waited for: it is told, and looked at again.

mod ownership;
pub mod preview;
mod prune;
mod replace;
mod volumes;

use std::{cmp::Reverse, collections::BTreeMap, fmt::Debug, marker::PhantomData};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::info;

use self::ownership::Claim;
use super::compare;
use crate::{
    kubernetes::{
        labels::{self, Labels},
        owner::Owner,
        resources::{Applied, Prepared, Resources},
    },
    validation::Notice,
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
    #[error("{object} exists, but {whose}; delete or rename it, or give this resource another name")]
    Foreign {
        /// Kind and name of the object.
        object: String,
        /// Whose it is.
        whose: String,
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

/// What came of the objects of a resource.
#[derive(Clone, Debug)]
pub struct Application {
    /// The objects as the cluster returned them; of those that are awaited to go, the old ones.
    pub resources: Resources<Applied>,
    /// Objects that must be gone before they can be made, such as `StatefulSet "tempo-shop-ingester"`.
    pub going: Vec<String>,
    /// What the owner should know.
    pub notices: Vec<Notice>,
}

/// Applies all objects of a resource and deletes those that it once had.
pub async fn apply(
    client: &Client,
    application: labels::Application,
    owner: &Owner,
    resources: Resources<Prepared>,
) -> Result<Application, ApplyError> {
    let mut step = Step {
        client,
        owner,
        labels: labels::common(application, &owner.name),
        leftovers: prune::Leftovers::new(),
        going: Vec::new(),
    };
    // The claims come first: a StatefulSet that is made anew for a larger size finds them grown.
    let notices = volumes::expand(client, owner, &step.labels, &resources.stateful_sets).await?;
    let resources = each_kind(resources, &mut step).await?;
    step.leftovers.delete().await?;
    Ok(Application {
        resources,
        going: step.going,
        notices,
    })
}

/// Something that is done with the objects of one kind after the other.
trait EachKind {
    /// Does it with those of one kind; of those that the resource no longer wants, the `kept` newest stay.
    fn visit<K: Object>(
        &mut self,
        wanted: Vec<K>,
        kept: usize,
    ) -> impl Future<Output = Result<Vec<K>, ApplyError>> + Send;
}

/// Does something with all objects of a resource, in the order of application.
async fn each_kind(
    resources: Resources<Prepared>,
    step: &mut impl EachKind,
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
    let secrets = secrets.into_iter().map(with_encoded_data).collect();
    Ok(Resources {
        service_accounts: step.visit(service_accounts, 0).await?,
        secrets: step.visit(secrets, 0).await?,
        config_maps: step.visit(config_maps, earlier_config_maps).await?,
        earlier_config_maps,
        services: step.visit(services, 0).await?,
        network_policies: step.visit(network_policies, 0).await?,
        ingresses: step.visit(ingresses, 0).await?,
        pod_disruption_budgets: step.visit(pod_disruption_budgets, 0).await?,
        stateful_sets: step.visit(stateful_sets, 0).await?,
        deployments: step.visit(deployments, 0).await?,
        daemon_sets: step.visit(daemon_sets, 0).await?,
        jobs: step.visit(jobs, 0).await?,
        autoscalers: step.visit(autoscalers, 0).await?,
        state: PhantomData,
    })
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
    going: Vec<String>,
}

impl EachKind for Step<'_> {
    /// Applies the objects of one kind and notes which others the resource has.
    async fn visit<K: Object>(&mut self, wanted: Vec<K>, kept: usize) -> Result<Vec<K>, ApplyError> {
        let api = Api::<K>::namespaced(self.client.clone(), &self.owner.namespace);
        let mut existing = existing(&api, &self.labels).await?;
        let mut applied = Vec::with_capacity(wanted.len());
        for object in wanted {
            let labelled = existing.remove(&object.name_any());
            // Objects are large, and so is what waits for them.
            match Box::pin(apply_one(&api, object, labelled, self.owner)).await? {
                Presence::There(object) => applied.push(object),
                Presence::Going(object) => {
                    self.going.push(described::<K>(&object.name_any()));
                    applied.push(object);
                }
            }
        }
        self.leftovers
            .add(&api, unwanted(existing.into_values(), kept, self.owner));
        Ok(applied)
    }
}

/// The objects that are to go: the owner's own, as labels alone prove nothing, without the `kept` newest.
fn unwanted<K: Object>(
    objects: impl IntoIterator<Item = K>,
    kept: usize,
    owner: &Owner,
) -> impl Iterator<Item = K> {
    let is_own = |object: &K| ownership::claim(object, owner) == Claim::Owners;
    let mut own: Vec<K> = objects.into_iter().filter(is_own).collect();
    own.sort_by_key(|object| Reverse(object.creation_timestamp()));
    own.into_iter().skip(kept)
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

/// Whether an object is there.
enum Presence<K> {
    /// As it is wanted.
    There(K),
    /// Not yet: this one is on its way out.
    Going(K),
}

/// `labelled` is the object of the name that carries the labels of the resource.
async fn apply_one<K: Object>(
    api: &Api<K>,
    wanted: K,
    labelled: Option<K>,
    owner: &Owner,
) -> Result<Presence<K>, ApplyError> {
    let name = wanted.name_any();
    let mut patch = to_json(&wanted)?;
    compare::sign(&mut patch);
    let found = find(api, &name, labelled, owner).await?;
    if let Some(found) = found.as_ref() {
        if found.meta().deletion_timestamp.is_some() {
            return Ok(Presence::Going(found.clone()));
        }
        if compare::is_applied(&to_json(found)?, &patch, FIELD_MANAGER) {
            return Ok(Presence::There(found.clone()));
        }
    }
    info!(kind = kind::<K>(), name, "applying");
    match (patch_object(api, &name, &patch).await, found) {
        (Err(ApplyError::Write { source, .. }), Some(found)) if replace::is_needed(&source) => {
            replace::remove(api, &found).await?;
            Ok(Presence::Going(found))
        }
        (result, _) => result.map(Presence::There),
    }
}

/// The object of a name, if it is there and the resource may change it. One without the labels of the resource may
/// only be its own that lost them.
async fn find<K: Object>(
    api: &Api<K>,
    name: &str,
    labelled: Option<K>,
    owner: &Owner,
) -> Result<Option<K>, ApplyError> {
    let has_labels = labelled.is_some();
    let found = match labelled {
        Some(found) => Some(found),
        None => api.get_opt(name).await.map_err(write_error::<K>("read", name))?,
    };
    let whose = match found.as_ref().map(|found| ownership::claim(found, owner)) {
        Some(Claim::Others(other)) => format!("belongs to {other}"),
        Some(Claim::Nobodys) if !has_labels => "was not made for this resource".to_owned(),
        Some(Claim::Owners | Claim::Nobodys) | None => return Ok(found),
    };
    Err(ApplyError::Foreign {
        object: described::<K>(name),
        whose,
    })
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
