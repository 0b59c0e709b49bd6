//! The stack that a Collector sends to.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use serde_json::{Value, json};

use crate::{
    configuration::{OTLP_GRPC_PORT, OTLP_HTTP_PORT},
    crd::{
        TempoMonolithic, TempoStack,
        collector::{TempoKind, TempoRef},
        tempomonolithic::OtlpProtocolSpec,
    },
    defaults,
    kubernetes::{names, volumes},
    object_storage::ca_key,
    pod,
    references::Dereferenced,
    stack::component::Component,
    validation::{Reason, ValidationError},
};

const CA_DIRECTORY: &str = "/var/run/tls/tempo/ca";
const CERTIFICATE_DIRECTORY: &str = "/var/run/tls/tempo/cert";
const CA_VOLUME: &str = "tempo-ca";
const CERTIFICATE_VOLUME: &str = "tempo-cert";

/// Where a stack receives OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// Name of the Service.
    host: String,
    /// Its door for gRPC.
    pub(super) grpc: Door,
    /// Its door for HTTP.
    pub(super) http: Door,
    /// Tenant that spans are sent for.
    pub(super) tenant: Option<String>,
    /// What TLS needs.
    pub(super) files: ClientFiles,
}

/// Whether spans can come in by a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// They cannot.
    Closed,
    /// In the clear.
    Plain,
    /// Over TLS.
    Tls,
}

/// Certificates of the Collector towards its stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientFiles {
    /// ConfigMap with the CA of the stack, and the key that holds it.
    pub(super) ca: Option<(String, &'static str)>,
    /// Secret with the Collector's own certificate.
    pub(super) certificate: Option<String>,
}

impl ClientFiles {
    fn find(reference: &TempoRef, found: &Dereferenced) -> Result<Self, ValidationError> {
        let error = |field: &str, message: String| {
            ValidationError::configuration(format!("spec.tempoRef.{field}"), message)
        };
        let ca = match &reference.ca_name {
            None => None,
            Some(name) => {
                let key = found.config_maps.get(name).and_then(ca_key).ok_or_else(|| {
                    let message = format!(
                        "there must be a ConfigMap {name:?} with a key 'service-ca.crt', 'ca.crt' or 'ca-bundle.crt'"
                    );
                    error("caName", message)
                })?;
                Some((name.clone(), key))
            }
        };
        if let Some(name) = &reference.cert_name {
            let has = |key: &str| {
                found
                    .secrets
                    .get(name)
                    .is_some_and(|secret| secret.contains_key(key))
            };
            if !has("tls.crt") || !has("tls.key") {
                let message = format!("there must be a Secret {name:?} with keys 'tls.crt' and 'tls.key'");
                return Err(error("certName", message));
            }
        }
        Ok(Self {
            ca,
            certificate: reference.cert_name.clone(),
        })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Volumes with the files.
    pub(super) fn volumes(&self) -> Vec<Volume> {
        let ca = self
            .ca
            .iter()
            .map(|(name, _)| volumes::config_map(CA_VOLUME, name));
        let certificate = self.certificate.iter();
        ca.chain(certificate.map(|name| volumes::secret(CERTIFICATE_VOLUME, name)))
            .collect()
    }

    /// Where the files are mounted.
    pub(super) fn mounts(&self) -> Vec<VolumeMount> {
        let ca = self.ca.iter().map(|_| pod::mount(CA_VOLUME, CA_DIRECTORY, true));
        let certificate = self.certificate.iter();
        ca.chain(certificate.map(|_| pod::mount(CERTIFICATE_VOLUME, CERTIFICATE_DIRECTORY, true)))
            .collect()
    }

    /// The files as an exporter's `tls`.
    fn settings(&self) -> Value {
        let mut tls = json!({"insecure": false});
        if let Some((_, key)) = &self.ca {
            tls["ca_file"] = json!(format!("{CA_DIRECTORY}/{key}"));
        }
        if self.certificate.is_some() {
            tls["cert_file"] = json!(format!("{CERTIFICATE_DIRECTORY}/tls.crt"));
            tls["key_file"] = json!(format!("{CERTIFICATE_DIRECTORY}/tls.key"));
        }
        tls
    }
}

impl Destination {
    /// Endpoint and TLS of an exporter that speaks gRPC, or HTTP; absent where the stack does not.
    pub(super) fn exporter(&self, is_http: bool) -> Option<(String, Value)> {
        let host = &self.host;
        let (door, endpoint) = if is_http {
            let scheme = if self.http == Door::Tls { "https" } else { "http" };
            (self.http, format!("{scheme}://{host}:{OTLP_HTTP_PORT}"))
        } else {
            (self.grpc, format!("{host}:{OTLP_GRPC_PORT}"))
        };
        match door {
            Door::Closed => None,
            Door::Plain => Some((endpoint, json!({"insecure": true}))),
            Door::Tls => Some((endpoint, self.files.settings())),
        }
    }

    /// Whether one of the doors speaks TLS.
    pub(super) fn speaks_tls(&self) -> bool {
        [self.grpc, self.http].contains(&Door::Tls)
    }
}

/// Finds the door of the stack that a reference names.
pub(super) fn resolve(
    reference: Option<&TempoRef>,
    namespace: &str,
    found: &Dereferenced,
) -> Result<Option<Destination>, ValidationError> {
    let Some(reference) = reference else {
        return Ok(None);
    };
    let stack = match reference.kind {
        TempoKind::TempoStack => found.tempo_stacks.get(&reference.name).map(of_stack),
        TempoKind::TempoMonolithic => found.tempo_monolithics.get(&reference.name).map(of_monolithic),
    };
    let stack = stack.ok_or_else(|| {
        ValidationError::new(
            Reason::StackNotFound,
            "spec.tempoRef",
            format!(
                "{:?} {:?} not found in namespace {namespace:?}; the collector starts once it exists",
                reference.kind, reference.name
            ),
        )
    })?;
    if stack.multitenant && reference.tenant.is_none() {
        return Err(ValidationError::configuration(
            "spec.tempoRef.tenant",
            format!(
                "name a tenant: {:?} {:?} is multi-tenant",
                reference.kind, reference.name
            ),
        ));
    }
    let service = names::tempo(&reference.name, stack.component);
    Ok(Some(Destination {
        host: names::service_host(&service, namespace),
        grpc: stack.grpc,
        http: stack.http,
        tenant: reference.tenant.clone(),
        files: ClientFiles::find(reference, found)?,
    }))
}

struct Stack {
    component: &'static str,
    grpc: Door,
    http: Door,
    multitenant: bool,
}

fn of_stack(stack: &TempoStack) -> Stack {
    let door = if stack.spec.template.distributor.tls.enabled {
        Door::Tls
    } else {
        Door::Plain
    };
    Stack {
        component: Component::Distributor.as_str(),
        grpc: door,
        http: door,
        multitenant: stack.spec.tenants.is_some(),
    }
}

fn of_monolithic(monolithic: &TempoMonolithic) -> Stack {
    let spec = defaults::tempo_monolithic(monolithic).spec;
    let door = |protocol: Option<OtlpProtocolSpec>| match protocol {
        Some(OtlpProtocolSpec { enabled: true, tls }) if tls.as_ref().is_some_and(|tls| tls.enabled) => {
            Door::Tls
        }
        Some(OtlpProtocolSpec { enabled: true, .. }) => Door::Plain,
        _ => Door::Closed,
    };
    Stack {
        component: "",
        grpc: door(spec.ingestion.otlp.grpc),
        http: door(spec.ingestion.otlp.http),
        multitenant: spec.multitenancy.is_some_and(|multitenancy| multitenancy.enabled),
    }
}
