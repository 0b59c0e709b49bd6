//! The custom resource that objects belong to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, ResourceExt};

use super::labels::Labels;
use crate::crd::API_VERSION;

/// Identity of a custom resource, from which the metadata of its objects is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kind of the custom resource.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid; absent where there is no cluster.
    pub uid: Option<String>,
}

impl Owner {
    /// The identity of a custom resource of ours; without a namespace it lives in `default`.
    pub fn of<K: Resource<DynamicType = ()>>(resource: &K) -> Self {
        Self {
            kind: K::kind(&()).into_owned(),
            name: resource.name_any(),
            namespace: resource.namespace().unwrap_or_else(|| "default".to_owned()),
            uid: resource.uid(),
        }
    }

    /// Metadata of an object that goes when the custom resource goes.
    pub fn metadata(&self, name: String, labels: Labels) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace.clone()),
            labels: Some(labels),
            owner_references: self.reference().map(|reference| vec![reference]),
            ..ObjectMeta::default()
        }
    }

    fn reference(&self) -> Option<OwnerReference> {
        Some(OwnerReference {
            api_version: API_VERSION.to_owned(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            uid: self.uid.clone()?,
            controller: Some(true),
            block_owner_deletion: Some(true),
        })
    }
}
