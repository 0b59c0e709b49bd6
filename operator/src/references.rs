//! What a custom resource points to, and what was found there.
//!
//! [`References`] is computed from the spec alone: the dereference step fetches exactly these objects, and a
//! watch uses the same set to tell which resources a changed Secret concerns.

use std::collections::{BTreeMap, BTreeSet};

use crate::crd::{TempoMonolithic, TempoStack, collector::TempoKind};

/// Names of what a custom resource points to, all in its own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Secrets that the spec names, and those that the operator generates once and must not change.
    pub secrets: BTreeSet<String>,
    /// ConfigMaps that the spec names.
    pub config_maps: BTreeSet<String>,
    /// ServiceAccounts that the spec names and that must exist.
    pub service_accounts: BTreeSet<String>,
    /// Stacks that are pointed to, or that must not exist under this name.
    pub stacks: BTreeSet<(TempoKind, String)>,
}

/// The data of a Secret.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// The data of a ConfigMap.
pub type ConfigMapData = BTreeMap<String, String>;

/// What was found at [`References`]; what is absent here does not exist.
#[derive(Clone, Debug, Default)]
pub struct Dereferenced {
    /// Secrets by name.
    pub secrets: BTreeMap<String, SecretData>,
    /// ConfigMaps by name.
    pub config_maps: BTreeMap<String, ConfigMapData>,
    /// Names of existing ServiceAccounts.
    pub service_accounts: BTreeSet<String>,
    /// TempoStacks by name.
    pub tempo_stacks: BTreeMap<String, TempoStack>,
    /// TempoMonolithics by name.
    pub tempo_monolithics: BTreeMap<String, TempoMonolithic>,
    /// A new random password, drawn by whoever fetched the rest. It is used only where the operator
    /// generates a Secret that does not exist yet.
    pub fresh_password: String,
}
