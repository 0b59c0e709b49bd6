//! The kinds of custom resources that files may hold.

use std::fmt::Debug;

use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::typed::{FieldError, typed};
use crate::{
    crd::{Collector, TempoMonolithic, TempoStack},
    environment::Environment,
    kind::{Kind, Plan, PlanError},
    kubernetes::{labels::Application, owner::Owner},
    monolithic,
    object_storage::StorageRequest,
    references::{Dereferenced, References},
    stack,
};

type Parse = fn(Value) -> Result<Box<dyn CustomResource>, FieldError>;

/// All kinds, stacks before what sends to them.
pub const KINDS: [(&str, Parse); 3] = [
    ("TempoStack", parse::<TempoStack>),
    ("TempoMonolithic", parse::<TempoMonolithic>),
    ("Collector", parse::<Collector>),
];

fn parse<K: Offline + DeserializeOwned + Debug + Send + Sync + 'static>(
    value: Value,
) -> Result<Box<dyn CustomResource>, FieldError> {
    Ok(Box::new(typed::<K>(value)?))
}

/// The names of all kinds, for messages.
pub(super) fn names() -> String {
    KINDS.map(|(name, _)| name).join(", ")
}

/// What a kind has to say where there is no cluster, besides [`Kind`].
pub trait Offline: Kind {
    /// The object store that the resource names by a Secret, if any.
    fn storage_request(&self) -> Option<StorageRequest<'_>> {
        None
    }

    /// Puts the resource among what others may point to.
    fn be_found(&self, _: &mut Dereferenced) {}
}

impl Offline for TempoStack {
    fn storage_request(&self) -> Option<StorageRequest<'_>> {
        stack::validate::storage_request(&self.spec)
    }

    fn be_found(&self, found: &mut Dereferenced) {
        found.tempo_stacks.insert(self.name_any(), self.clone());
    }
}

impl Offline for TempoMonolithic {
    fn storage_request(&self) -> Option<StorageRequest<'_>> {
        monolithic::validate::storage_request(&self.spec)
    }

    fn be_found(&self, found: &mut Dereferenced) {
        found.tempo_monolithics.insert(self.name_any(), self.clone());
    }
}

impl Offline for Collector {}

/// A custom resource of any kind.
pub trait CustomResource: Debug + Send + Sync {
    /// Its identity.
    fn owner(&self) -> Owner;

    /// See [`Kind::APPLICATION`].
    fn application(&self) -> Application;

    /// Makes it the resource of a uid, as one in a cluster is.
    fn identify(&mut self, uid: Option<String>);

    /// See [`Kind::references`].
    fn references(&self) -> References;

    /// See [`Kind::plan`].
    fn plan(&self, found: &Dereferenced, environment: &Environment) -> Result<Plan, PlanError>;

    /// See [`Offline::storage_request`].
    fn storage_request(&self) -> Option<StorageRequest<'_>>;

    /// See [`Offline::be_found`].
    fn be_found(&self, found: &mut Dereferenced);
}

impl<K: Offline + Debug + Send + Sync> CustomResource for K {
    fn owner(&self) -> Owner {
        Owner::of(self)
    }

    fn application(&self) -> Application {
        K::APPLICATION
    }

    fn identify(&mut self, uid: Option<String>) {
        self.meta_mut().uid = uid;
    }

    fn references(&self) -> References {
        Kind::references(self)
    }

    fn plan(&self, found: &Dereferenced, environment: &Environment) -> Result<Plan, PlanError> {
        Kind::plan(self, found, environment)
    }

    fn storage_request(&self) -> Option<StorageRequest<'_>> {
        Offline::storage_request(self)
    }

    fn be_found(&self, found: &mut Dereferenced) {
        Offline::be_found(self, found);
    }
}
