//! A TempoMonolithic and what it points to become a complete, typed description of what to build (pure).

mod rules;
mod storage;

#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::ResourceExt;
use serde_json::Value;
use tempo_config::GoDuration;

pub use self::storage::{Medium, MonolithicStorage, storage_request};
use super::build;
use crate::{
    configuration::{self, duration},
    crd::{
        TempoMonolithic, TempoMonolithicSpec,
        collector::TempoKind,
        common::VolumeRetentionPolicy,
        tempomonolithic::{JaegerUiSpec, OtlpProtocolSpec},
    },
    defaults,
    environment::Environment,
    ingress::IngressSettings,
    kubernetes::{names, owner::Owner},
    minio::{self, Minio},
    pod::{self, ContainerSettings, PodSettings},
    receivers::ReceiverTls,
    references::{Dereferenced, References},
    validation::{Notice, ValidationError},
};

/// A TempoMonolithic that can be built.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidatedMonolithic {
    /// Identity of the custom resource.
    pub owner: Owner,
    /// Whether the ServiceAccount of the pod is the operator's to make.
    pub own_service_account: bool,
    /// Where blocks are stored.
    pub storage: MonolithicStorage,
    /// The MinIO to deploy for it, if any.
    pub minio: Option<Minio>,
    /// What becomes of the volumes.
    pub volume_retention: VolumeRetentionPolicy,
    /// Image and environment of the container.
    pub container: ContainerSettings,
    /// Compute resources of the container.
    pub resources: ResourceRequirements,
    /// Where and as whom the pod runs.
    pub pod: PodSettings,
    /// What goes into Tempo's configuration.
    pub configuration: MonolithicConfiguration,
    /// The Jaeger ports, if there are any, and how they are published.
    pub jaeger_ui: Option<MonolithicJaegerUi>,
    /// Digest of the Secrets and ConfigMaps that the pod uses.
    pub secrets_hash: String,
    /// What the owner of the resource should know.
    pub notices: Vec<Notice>,
}

/// Settings of Tempo, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MonolithicConfiguration {
    /// Time limit of HTTP requests.
    pub timeout: GoDuration,
    /// Whether requests name their tenant.
    pub multitenancy: bool,
    /// Whether the Model Context Protocol endpoint is on.
    pub mcp_server: bool,
    /// The receiver of OTLP over gRPC, if it is on.
    pub grpc: Option<Receiver>,
    /// The receiver of OTLP over HTTP, if it is on.
    pub http: Option<Receiver>,
    /// What is merged over the generated configuration.
    pub extra: Option<Value>,
}

/// A receiver that is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// TLS of its door.
    pub tls: Option<ReceiverTls>,
}

/// The Jaeger ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonolithicJaegerUi {
    /// The Ingress that publishes them, if any.
    pub ingress: Option<IngressSettings>,
}

/// What a TempoMonolithic points to.
pub fn references(monolithic: &TempoMonolithic) -> References {
    let (name, spec) = (monolithic.name_any(), &monolithic.spec);
    let mut references = References::default();
    if let Some(request) = storage_request(spec) {
        request.references(&mut references.secrets, &mut references.config_maps);
    }
    if let Some(spec) = spec.storage.as_ref().and_then(|storage| storage.minio.as_ref()) {
        minio::references(spec, &name, &mut references);
    }
    let otlp = &spec.ingestion.otlp;
    for tls in [&otlp.grpc, &otlp.http]
        .into_iter()
        .flatten()
        .filter_map(|protocol| protocol.tls.as_ref())
    {
        ReceiverTls::references(tls, &mut references);
    }
    let (secrets, config_maps) = pod::environment_references(&spec.env, &spec.env_from);
    references.secrets.extend(secrets);
    references.config_maps.extend(config_maps);
    if !spec.service_account.is_empty() && spec.service_account != names::tempo(&name, "") {
        references.service_accounts.insert(spec.service_account.clone());
    }
    references.stacks.insert((TempoKind::TempoStack, name));
    references
}

/// Checks a TempoMonolithic, as its user wrote it, against what was found.
pub fn validate(
    monolithic: &TempoMonolithic,
    found: &Dereferenced,
    environment: &Environment,
) -> Result<ValidatedMonolithic, ValidationError> {
    let monolithic = &defaults::tempo_monolithic(monolithic);
    let spec = &monolithic.spec;
    let owner = Owner::of(monolithic);
    rules::check(monolithic, found)?;
    let minio = spec
        .storage
        .as_ref()
        .and_then(|storage| storage.minio.as_ref())
        .map(|spec| minio::validate(spec, &owner.name, found, environment))
        .transpose()?;
    let mut validated = ValidatedMonolithic {
        own_service_account: spec.service_account == names::tempo(&owner.name, ""),
        volume_retention: spec.persistent_volume_claim_retention_policy.clone(),
        storage: storage::validate(spec, minio.as_ref(), &owner, found)?,
        container: ContainerSettings::new(&environment.tempo_image, &spec.env, &spec.env_from, environment),
        resources: spec.resources.as_ref().map(Into::into).unwrap_or_default(),
        pod: pod_settings(spec, environment)?,
        configuration: configuration(spec, found)?,
        jaeger_ui: spec.jaegerui.as_ref().and_then(jaeger_ui),
        secrets_hash: pod::secrets_digest(found),
        notices: rules::notices(spec),
        owner,
        minio,
    };
    let extra = validated.configuration.extra.as_ref();
    let text = build::config::file(&validated)
        .map_err(|error| ValidationError::configuration("spec", error.to_string()))?;
    validated.notices.extend(configuration::check(&text, extra)?);
    Ok(validated)
}

fn pod_settings(
    spec: &TempoMonolithicSpec,
    environment: &Environment,
) -> Result<PodSettings, ValidationError> {
    Ok(PodSettings {
        service_account: spec.service_account.clone(),
        node_selector: spec.node_selector.clone(),
        tolerations: spec.tolerations.clone(),
        affinity: spec.affinity.clone(),
        topology_spread: Vec::new(),
        security_context: pod::pod_security_context(
            &environment.pod_security_context,
            spec.pod_security_context.as_ref(),
            "spec.podSecurityContext",
        )?,
    })
}

fn configuration(
    spec: &TempoMonolithicSpec,
    found: &Dereferenced,
) -> Result<MonolithicConfiguration, ValidationError> {
    let timeout = spec.timeout.as_ref().map(|text| duration(text, "spec.timeout"));
    let otlp = &spec.ingestion.otlp;
    Ok(MonolithicConfiguration {
        timeout: timeout.transpose()?.unwrap_or_default(),
        multitenancy: spec.multitenancy.as_ref().is_some_and(|tenants| tenants.enabled),
        mcp_server: spec.query.mcp_server.enabled,
        grpc: receiver(otlp.grpc.as_ref(), "spec.ingestion.otlp.grpc.tls", found)?,
        http: receiver(otlp.http.as_ref(), "spec.ingestion.otlp.http.tls", found)?,
        extra: spec.extra_config.as_ref().and_then(|extra| extra.tempo.clone()),
    })
}

fn receiver(
    protocol: Option<&OtlpProtocolSpec>,
    path: &str,
    found: &Dereferenced,
) -> Result<Option<Receiver>, ValidationError> {
    let Some(protocol) = protocol.filter(|protocol| protocol.enabled) else {
        return Ok(None);
    };
    let tls = match &protocol.tls {
        Some(tls) => ReceiverTls::validate(tls, path, found)?,
        None => None,
    };
    Ok(Some(Receiver { tls }))
}

fn jaeger_ui(spec: &JaegerUiSpec) -> Option<MonolithicJaegerUi> {
    let ingress = spec.ingress.as_ref().filter(|ingress| ingress.enabled);
    spec.enabled.then(|| MonolithicJaegerUi {
        ingress: ingress.map(|ingress| IngressSettings {
            annotations: ingress.annotations.clone(),
            host: ingress.host.clone(),
            class: ingress.ingress_class_name.clone(),
        }),
    })
}
