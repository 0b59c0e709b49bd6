//! What an apply would change: the API server is asked to try it, and keeps nothing.

use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::Value;

use super::{
    ApplyError, EachKind, FIELD_MANAGER, Object, compare, each_kind, existing, find, kind, replace, to_json,
    unwanted, write_error,
};
use crate::kubernetes::{
    labels::{self, Application, Labels},
    owner::Owner,
    resources::{Prepared, Resources},
};

/// What would become of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object as it is; absent when it would be made.
    pub before: Option<Value>,
    /// The object as it would be; absent when it would be deleted.
    pub after: Option<Value>,
    /// Whether it would be deleted and made anew, as fields differ that cannot be changed in place.
    pub is_replaced: bool,
}

/// What applying the objects of a resource would change, in the order of application.
pub async fn preview(
    client: &Client,
    application: Application,
    owner: &Owner,
    resources: Resources<Prepared>,
) -> Result<Vec<Change>, ApplyError> {
    let mut preview = Preview {
        client,
        owner,
        labels: labels::common(application, &owner.name),
        changes: Vec::new(),
    };
    each_kind(resources, &mut preview).await?;
    Ok(preview.changes)
}

struct Preview<'a> {
    client: &'a Client,
    owner: &'a Owner,
    labels: Labels,
    changes: Vec<Change>,
}

impl EachKind for Preview<'_> {
    async fn visit<K: Object>(&mut self, mut wanted: Vec<K>, kept: usize) -> Result<Vec<K>, ApplyError> {
        let api = Api::<K>::namespaced(self.client.clone(), &self.owner.namespace);
        let mut existing = existing(&api, &self.labels).await?;
        wanted.sort_by_key(ResourceExt::name_any);
        for object in wanted {
            let labelled = existing.remove(&object.name_any());
            self.changes
                .extend(Box::pin(change(&api, &object, labelled, self.owner)).await?);
        }
        let mut leftovers: Vec<K> = unwanted(existing.into_values(), kept, self.owner).collect();
        leftovers.sort_by_key(ResourceExt::name_any);
        for leftover in leftovers {
            let before = to_json(&leftover)?;
            self.changes
                .push(described(&leftover, self.owner, Some(before), None));
        }
        Ok(Vec::new())
    }
}

async fn change<K: Object>(
    api: &Api<K>,
    wanted: &K,
    labelled: Option<K>,
    owner: &Owner,
) -> Result<Option<Change>, ApplyError> {
    let mut patch = to_json(wanted)?;
    compare::sign(&mut patch);
    let found = find(api, &wanted.name_any(), labelled, owner).await?;
    let before = found.as_ref().map(to_json).transpose()?;
    if let Some(before) = &before
        && compare::is_applied(before, &patch, FIELD_MANAGER)
    {
        return Ok(None);
    }
    let parameters = PatchParams::apply(FIELD_MANAGER).force().dry_run();
    let (after, is_replaced) = match api
        .patch(&wanted.name_any(), &parameters, &Patch::Apply(&patch))
        .await
    {
        Ok(after) => (to_json(&after)?, false),
        Err(error) if found.is_some() && replace::is_needed(&error) => (patch, true),
        Err(error) => return Err(write_error::<K>("try to apply", &wanted.name_any())(error)),
    };
    Ok(Some(Change {
        is_replaced,
        ..described(wanted, owner, before, Some(after))
    }))
}

fn described<K: Object>(object: &K, owner: &Owner, before: Option<Value>, after: Option<Value>) -> Change {
    Change {
        kind: kind::<K>(),
        namespace: owner.namespace.clone(),
        name: object.name_any(),
        before,
        after,
        is_replaced: false,
    }
}
