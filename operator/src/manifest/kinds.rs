//! The kinds of custom resources, with the pure steps of a reconcile: references → validate → build.

use std::fmt::Debug;

use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::typed::{FieldError, typed};
use crate::{
    collector,
    configuration::BuildError,
    crd::{Collector, TempoStack},
    environment::Environment,
    kubernetes::{
        owner::Owner,
        resources::{Prepared, Resources},
    },
    object_storage::StorageRequest,
    references::{Dereferenced, References},
    stack,
    validation::{Notice, ValidationError},
};

type Parse = fn(Value) -> Result<Box<dyn CustomResource>, FieldError>;

/// All kinds, stacks before what sends to them.
pub const KINDS: [(&str, Parse); 2] = [
    ("TempoStack", parse::<TempoStack>),
    ("Collector", parse::<Collector>),
];

fn parse<K: CustomResource + DeserializeOwned + 'static>(
    value: Value,
) -> Result<Box<dyn CustomResource>, FieldError> {
    Ok(Box::new(typed::<K>(value)?))
}

/// The names of all kinds, for messages.
pub(super) fn names() -> String {
    KINDS.map(|(name, _)| name).join(", ")
}

/// A custom resource on its way to objects.
pub trait CustomResource: Debug + Send + Sync {
    /// Its identity.
    fn owner(&self) -> Owner;

    /// What it points to.
    fn references(&self) -> References;

    /// The object store that it names by a Secret, if any.
    fn storage_request(&self) -> Option<StorageRequest<'_>> {
        None
    }

    /// Puts itself among what others may point to.
    fn be_found(&self, _: &mut Dereferenced) {}

    /// Validates it against what was found, and builds its objects.
    fn construct(
        &self,
        found: &Dereferenced,
        environment: &Environment,
    ) -> Result<Construction, ConstructError>;
}

/// The objects of a custom resource.
#[derive(Clone, Debug)]
pub struct Construction {
    /// What the owner of the resource should know.
    pub notices: Vec<Notice>,
    /// The objects.
    pub resources: Resources<Prepared>,
}

/// A custom resource without objects.
#[derive(Debug, thiserror::Error)]
pub enum ConstructError {
    /// It does not describe something that can be built.
    #[error("{path}: {0}", path = .0.path)]
    Invalid(#[from] ValidationError),
    /// It is valid, and an object could not be made nevertheless.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl CustomResource for TempoStack {
    fn owner(&self) -> Owner {
        Owner::of(self)
    }

    fn references(&self) -> References {
        stack::validate::references(self)
    }

    fn storage_request(&self) -> Option<StorageRequest<'_>> {
        stack::validate::storage_request(&self.spec)
    }

    fn be_found(&self, found: &mut Dereferenced) {
        found.tempo_stacks.insert(self.name_any(), self.clone());
    }

    fn construct(
        &self,
        found: &Dereferenced,
        environment: &Environment,
    ) -> Result<Construction, ConstructError> {
        let stack = stack::validate::validate(self, found, environment)?;
        Ok(Construction {
            resources: stack::build::build(&stack)?,
            notices: stack.notices,
        })
    }
}

impl CustomResource for Collector {
    fn owner(&self) -> Owner {
        Owner::of(self)
    }

    fn references(&self) -> References {
        collector::validate::references(self)
    }

    fn construct(
        &self,
        found: &Dereferenced,
        environment: &Environment,
    ) -> Result<Construction, ConstructError> {
        let collector = collector::validate::validate(self, found, environment)?;
        Ok(Construction {
            resources: collector::build::build(&collector),
            notices: collector.notices,
        })
    }
}
