//! Deletes the objects that a resource once had and no longer wants.

use std::{future::Future, pin::Pin};

use kube::{Api, ResourceExt, api::PropagationPolicy};
use tracing::info;

use super::{ApplyError, Object, kind, replace};

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

    /// Notes objects of one kind.
    pub(super) fn add<K: Object>(&mut self, api: &Api<K>, objects: impl IntoIterator<Item = K>) {
        let deletions = objects
            .into_iter()
            .map(|object| -> Deletion { Box::pin(delete(api.clone(), object)) });
        self.deletions.extend(deletions);
    }

    /// Deletes them.
    pub(super) async fn delete(self) -> Result<(), ApplyError> {
        for deletion in self.deletions {
            deletion.await?;
        }
        Ok(())
    }
}

async fn delete<K: Object>(api: Api<K>, object: K) -> Result<(), ApplyError> {
    if object.meta().deletion_timestamp.is_some() {
        return Ok(());
    }
    let name = object.name_any();
    info!(kind = kind::<K>(), name, "deleting what is no longer wanted");
    replace::delete(&api, &object, PropagationPolicy::Background).await
}
