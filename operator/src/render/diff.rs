//! `tempo-operator render --diff`: what applying the files to a cluster would make the operator change there.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};

use super::unified;
use crate::{
    crd::API_VERSION,
    environment::Environment,
    kind::PlanError,
    manifest::{Manifest, Manifests, kinds::CustomResource, offline},
    reconcile::{
        apply::{ApplyError, preview},
        dereference::{self, DereferenceError},
    },
    references::Dereferenced,
    validate,
};

/// What would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// A unified diff for each object that would change; empty when none would.
    pub text: String,
    /// What the owners of the resources should know, one line each.
    pub notices: Vec<String>,
}

/// A resource that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error("{resource}")]
pub struct DiffError {
    /// The resource and where it stands.
    resource: String,
    /// What went wrong.
    #[source]
    problem: Problem,
}

/// What keeps a resource from being compared.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot read it in the cluster")]
    Read(#[source] Box<kube::Error>),
    #[error(transparent)]
    Dereference(#[from] DereferenceError),
    #[error("it cannot be used, so that the operator would change nothing: {0}")]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("cannot write {object} as YAML: {reason}")]
    Write { object: String, reason: String },
}

/// Compares all resources with a cluster, which stays as it is.
pub async fn diff(
    client: &Client,
    mut manifests: Manifests,
    environment: &Environment,
) -> Result<Difference, DiffError> {
    for manifest in &mut manifests.resources {
        let uid = uid(client, manifest.resource.as_ref()).await;
        let uid = uid.map_err(|error| failure(manifest, Problem::Read(Box::new(error))))?;
        manifest.resource.identify(uid);
    }
    let mut difference = Difference::default();
    for manifest in &manifests.resources {
        compare(client, manifest, &manifests, environment, &mut difference)
            .await
            .map_err(|problem| failure(manifest, problem))?;
    }
    Ok(difference)
}

fn failure(manifest: &Manifest, problem: Problem) -> DiffError {
    DiffError {
        resource: manifest.to_string(),
        problem,
    }
}

/// The uid of the resource of the same name in the cluster: objects refer to their owner by it.
async fn uid(client: &Client, resource: &dyn CustomResource) -> Result<Option<String>, kube::Error> {
    let owner = resource.owner();
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &owner.kind));
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), &owner.namespace, &kind);
    let found = api.get_metadata_opt(&owner.name).await?;
    Ok(found.and_then(|found| found.metadata.uid))
}

async fn compare(
    client: &Client,
    manifest: &Manifest,
    manifests: &Manifests,
    environment: &Environment,
    difference: &mut Difference,
) -> Result<(), Problem> {
    let resource = manifest.resource.as_ref();
    let found = find(client, resource, manifests).await?;
    let planned = resource.plan(&found, environment)?;
    let notices = planned.notices.iter();
    difference
        .notices
        .extend(notices.map(|notice| format!("{manifest}: {}", validate::line(notice))));
    let owner = resource.owner();
    let changes = preview::preview(client, resource.application(), &owner, planned.resources).await?;
    for change in changes {
        let text = unified::text(&change).map_err(|error| Problem::Write {
            object: format!("{} {}", change.kind, change.name),
            reason: error.to_string(),
        })?;
        difference.text.push_str(&text);
    }
    Ok(())
}

/// What a resource points to: in the files, else in the cluster.
async fn find(
    client: &Client,
    resource: &dyn CustomResource,
    manifests: &Manifests,
) -> Result<Dereferenced, DereferenceError> {
    let namespace = resource.owner().namespace;
    let mut found = dereference::dereference(client, &namespace, &resource.references()).await?;
    let in_files = offline::find(resource, manifests).dereferenced;
    found.secrets.extend(in_files.secrets);
    found.config_maps.extend(in_files.config_maps);
    found.service_accounts.extend(in_files.service_accounts);
    found.tempo_stacks.extend(in_files.tempo_stacks);
    found.tempo_monolithics.extend(in_files.tempo_monolithics);
    Ok(found)
}
