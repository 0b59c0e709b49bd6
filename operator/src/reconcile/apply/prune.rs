//! Deletes the objects that a resource once had and no longer wants.

use std::{future::Future, pin::Pin};

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Preconditions},
};
use tracing::info;

use super::{ApplyError, Object, kind, write_error};
use crate::kubernetes::owner::Owner;

type Deletion = Pin<Box<dyn Future<Output = Result<(), ApplyError>> + Send>>;

/// Objects with the labels of a resource that are not among those that it wants.
pub(super) struct Leftovers {
    deletions: Vec<Deletion>,
}

impl Leftovers {
    /// No objects yet.
    pub(super) fn new() -> Self {
        Self {
            deletions: Vec::new(),
        }
    }

    /// Notes objects of one kind whose controller is the owner; labels alone prove nothing.
    pub(super) fn add<K: Object>(
        &mut self,
        api: &Api<K>,
        objects: impl IntoIterator<Item = K>,
        owner: &Owner,
    ) {
        let own = objects
            .into_iter()
            .filter(|object| is_controlled_by(object, owner));
        self.deletions
            .extend(own.map(|object| -> Deletion { Box::pin(delete(api.clone(), object)) }));
    }

    /// Deletes them.
    pub(super) async fn delete(self) -> Result<(), ApplyError> {
        for deletion in self.deletions {
            deletion.await?;
        }
        Ok(())
    }
}

/// Whether an object is one of the owner's.
pub(super) fn is_controlled_by(object: &impl ResourceExt, owner: &Owner) -> bool {
    owner.uid.is_some()
        && object
            .owner_references()
            .iter()
            .any(|reference| reference.controller == Some(true) && Some(&reference.uid) == owner.uid.as_ref())
}

async fn delete<K: Object>(api: Api<K>, object: K) -> Result<(), ApplyError> {
    let name = object.name_any();
    if object.meta().deletion_timestamp.is_some() {
        return Ok(());
    }
    info!(kind = kind::<K>(), name, "deleting what is no longer wanted");
    let parameters = DeleteParams::background().preconditions(Preconditions {
        uid: object.uid(),
        resource_version: None,
    });
    match api.delete(&name, &parameters).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(write_error::<K>("delete", &name)(error)),
    }
}
