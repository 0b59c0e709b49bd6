//! A TempoStack and what it points to become a complete, typed description of what to build (pure).

mod components;
mod configuration;
mod rules;
mod tenants;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kube::ResourceExt;

pub use self::{
    components::ComponentSettings,
    configuration::{StackConfiguration, TenantLimits},
};
use super::{build, component::Component};
use crate::{
    crd::{Quantity, TempoStack, TempoStackSpec, collector::TempoKind, common::VolumeRetentionPolicy},
    defaults,
    environment::Environment,
    ingress::{IngressSettings, published},
    kubernetes::{names, owner::Owner},
    minio::{self, Minio},
    object_storage::{ObjectStorage, StorageRequest},
    pod::{self, ContainerSettings},
    receivers::ReceiverTls,
    references::{Dereferenced, References},
    validation::{Notice, Reason, ValidationError},
};

/// A TempoStack that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedStack {
    /// Identity of the custom resource.
    pub owner: Owner,
    /// ServiceAccount of the pods.
    pub service_account: String,
    /// Whether that ServiceAccount is the operator's to make.
    pub own_service_account: bool,
    /// Where blocks are stored.
    pub storage: ObjectStorage,
    /// The MinIO to deploy for it, if any.
    pub minio: Option<Minio>,
    /// Size of an ingester's volume.
    pub ingester_storage_size: Quantity,
    /// Storage class of an ingester's volume.
    pub ingester_storage_class: Option<String>,
    /// What becomes of the volumes.
    pub volume_retention: VolumeRetentionPolicy,
    /// Settings of each component.
    pub components: BTreeMap<Component, ComponentSettings>,
    /// What every tempo container has.
    pub container: ContainerSettings,
    /// What goes into Tempo's configuration.
    pub configuration: StackConfiguration,
    /// The Jaeger ports of the query-frontend, and how they are published.
    pub jaeger_ui: Option<JaegerUi>,
    /// Whether network policies are made.
    pub network_policies: bool,
    /// Digest of the Secrets and ConfigMaps that pods use.
    pub secrets_hash: String,
    /// What the owner of the stack should know.
    pub notices: Vec<Notice>,
}

/// The Jaeger ports of the query-frontend.
#[derive(Clone, Debug, PartialEq)]
pub struct JaegerUi {
    /// The Ingress that publishes them, if any.
    pub ingress: Option<IngressSettings>,
}

/// What a TempoStack points to.
pub fn references(stack: &TempoStack) -> References {
    let (name, spec) = (stack.name_any(), &stack.spec);
    let mut references = References::default();
    if let Some(request) = storage_request(spec) {
        request.references(&mut references.secrets, &mut references.config_maps);
    }
    if let Some(spec) = &spec.storage.minio {
        minio::references(spec, &name, &mut references);
    }
    ReceiverTls::references(&spec.template.distributor.tls, &mut references);
    let (secrets, config_maps) = pod::environment_references(&spec.env, &spec.env_from);
    references.secrets.extend(secrets);
    references.config_maps.extend(config_maps);
    if !spec.service_account.is_empty() && spec.service_account != names::tempo(&name, "") {
        references.service_accounts.insert(spec.service_account.clone());
    }
    references.stacks.insert((TempoKind::TempoMonolithic, name));
    references
}

/// Checks a TempoStack, as its user wrote it, against what was found.
pub fn validate(
    stack: &TempoStack,
    found: &Dereferenced,
    environment: &Environment,
) -> Result<ValidatedStack, ValidationError> {
    let stack = &defaults::tempo_stack(stack);
    let spec = &stack.spec;
    let owner = Owner::of(stack);
    rules::check(stack, found)?;
    tenants::check(spec)?;

    let minio = spec
        .storage
        .minio
        .as_ref()
        .map(|spec| minio::validate(spec, &owner.name, found, environment))
        .transpose()?;
    let storage = storage(spec, minio.as_ref(), &owner, found)?;
    let image = if spec.images.tempo.is_empty() {
        &environment.tempo_image
    } else {
        &spec.images.tempo
    };
    let mut validated = ValidatedStack {
        own_service_account: spec.service_account == names::tempo(&owner.name, ""),
        service_account: spec.service_account.clone(),
        volume_retention: spec.persistent_volume_claim_retention_policy.clone(),
        ingester_storage_size: spec.storage_size.clone(),
        ingester_storage_class: spec.storage_class_name.clone(),
        components: components::settings(stack, environment)?,
        container: ContainerSettings::new(image, &spec.env, &spec.env_from, environment),
        configuration: configuration::validate(spec, found)?,
        jaeger_ui: jaeger_ui(spec),
        network_policies: spec.network_policy.as_ref().is_none_or(|policy| policy.enabled),
        secrets_hash: pod::secrets_digest(found),
        notices: rules::notices(spec),
        owner,
        storage,
        minio,
    };
    let extra = validated.configuration.extra.as_ref();
    let text = build::config::main_file(&validated)
        .map_err(|error| ValidationError::configuration("spec", error.to_string()))?;
    validated
        .notices
        .extend(crate::configuration::check(&text, extra)?);
    Ok(validated)
}

/// The object store that a spec names by its Secret, if any.
pub fn storage_request(spec: &TempoStackSpec) -> Option<StorageRequest<'_>> {
    let secret = spec.storage.secret.as_ref()?;
    Some(StorageRequest {
        path: "spec.storage.secret",
        secret: &secret.name,
        kind: secret.kind,
        mode: secret.credential_mode,
        tls: &spec.storage.tls,
    })
}

fn storage(
    spec: &TempoStackSpec,
    minio: Option<&Minio>,
    owner: &Owner,
    found: &Dereferenced,
) -> Result<ObjectStorage, ValidationError> {
    match (storage_request(spec), minio) {
        (Some(request), None) => request.validate(found),
        (None, Some(minio)) => Ok(minio.object_storage(&owner.namespace)),
        _ => Err(ValidationError::new(
            Reason::InvalidStorageConfig,
            "spec.storage",
            "give exactly one of storage.secret and storage.minio",
        )),
    }
}

fn jaeger_ui(spec: &TempoStackSpec) -> Option<JaegerUi> {
    let interface = &spec.template.query_frontend.jaeger_query;
    interface.enabled.then(|| JaegerUi {
        ingress: published(&interface.ingress),
    })
}
