//! What every kind of custom resource has in common: from what its user wrote to what is to be applied (pure).
//!
//! All subcommands go through [`Kind::references`] and [`Kind::plan`]; only the way in which the references
//! are looked up differs between a cluster and a folder of files.

use kube::Resource;

use crate::{
    collector,
    configuration::BuildError,
    crd::{
        Collector, TempoMonolithic, TempoStack, collector::CollectorManagementState, common::ManagementState,
    },
    environment::Environment,
    kubernetes::{
        labels::Application,
        resources::{Prepared, Resources},
    },
    monolithic,
    references::{Dereferenced, References},
    stack,
    validation::{Notice, ValidationError},
};

/// What is to be applied for a custom resource, and what its owner should know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The objects.
    pub resources: Resources<Prepared>,
    /// What the owner should know; it does not keep the objects from being applied.
    pub notices: Vec<Notice>,
}

impl Plan {
    /// The plan of objects that the cluster can have.
    fn of(resources: Resources<Prepared>, notices: Vec<Notice>) -> Result<Self, ValidationError> {
        match resources.longest_name() {
            None => Ok(Self { resources, notices }),
            Some(name) => Err(ValidationError::configuration(
                "metadata.name",
                format!("is {} characters too long: {name}", name.excess()),
            )),
        }
    }
}

/// Why there is no plan for a custom resource.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The resource, or something that it points to, must be changed first.
    #[error("{}: {source}", .source.path)]
    Invalid {
        /// What is wrong.
        #[from]
        source: ValidationError,
    },
    /// A configuration file cannot be written: a defect of the operator.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A kind of custom resource.
pub trait Kind: Resource<DynamicType = ()> {
    /// Which label its objects have.
    const APPLICATION: Application;

    /// Whether the operator may touch the objects of this resource.
    fn is_managed(&self) -> bool;

    /// What the resource points to.
    fn references(&self) -> References;

    /// Validates the resource against what was found at its references, and builds its objects.
    fn plan(&self, found: &Dereferenced, environment: &Environment) -> Result<Plan, PlanError>;
}

impl Kind for TempoStack {
    const APPLICATION: Application = Application::TempoStack;

    fn is_managed(&self) -> bool {
        self.spec.management_state == ManagementState::Managed
    }

    fn references(&self) -> References {
        stack::validate::references(self)
    }

    fn plan(&self, found: &Dereferenced, environment: &Environment) -> Result<Plan, PlanError> {
        let mut validated = stack::validate::validate(self, found, environment)?;
        let notices = std::mem::take(&mut validated.notices);
        let resources = stack::build::build(&validated)?;
        Ok(Plan::of(resources, notices)?)
    }
}

impl Kind for TempoMonolithic {
    const APPLICATION: Application = Application::TempoMonolithic;

    fn is_managed(&self) -> bool {
        self.spec.management != Some(ManagementState::Unmanaged)
    }

    fn references(&self) -> References {
        monolithic::validate::references(self)
    }

    fn plan(&self, found: &Dereferenced, environment: &Environment) -> Result<Plan, PlanError> {
        let mut validated = monolithic::validate::validate(self, found, environment)?;
        let notices = std::mem::take(&mut validated.notices);
        let resources = monolithic::build::build(&validated)?;
        Ok(Plan::of(resources, notices)?)
    }
}

impl Kind for Collector {
    const APPLICATION: Application = Application::Collector;

    fn is_managed(&self) -> bool {
        self.spec.management_state == CollectorManagementState::Managed
    }

    fn references(&self) -> References {
        collector::validate::references(self)
    }

    fn plan(&self, found: &Dereferenced, environment: &Environment) -> Result<Plan, PlanError> {
        let mut validated = collector::validate::validate(self, found, environment)?;
        let notices = std::mem::take(&mut validated.notices);
        let resources = collector::build::build(&validated);
        Ok(Plan::of(resources, notices)?)
    }
}
