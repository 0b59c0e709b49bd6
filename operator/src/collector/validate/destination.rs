//! The stack that a Collector sends to.

use crate::{
    configuration::OTLP_GRPC_PORT,
    crd::{
        TempoMonolithic, TempoStack,
        collector::{TempoKind, TempoRef},
    },
    defaults,
    kubernetes::names,
    references::Dereferenced,
    stack::component::Component,
    validation::{Reason, ValidationError},
};

/// Where a stack receives OTLP over gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// Host and port.
    pub(super) endpoint: String,
    /// Whether the door speaks TLS.
    pub(super) tls: bool,
    /// Tenant that spans are sent for.
    pub(super) tenant: Option<String>,
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
    let door = match reference.kind {
        TempoKind::TempoStack => found.tempo_stacks.get(&reference.name).map(of_stack),
        TempoKind::TempoMonolithic => found
            .tempo_monolithics
            .get(&reference.name)
            .map(of_monolithic)
            .transpose()?,
    };
    let door = door.ok_or_else(|| {
        ValidationError::new(
            Reason::StackNotFound,
            "spec.tempoRef",
            format!(
                "{:?} {:?} not found in namespace {namespace:?}; the collector starts once it exists",
                reference.kind, reference.name
            ),
        )
    })?;
    if door.multitenant && reference.tenant.is_none() {
        return Err(ValidationError::configuration(
            "spec.tempoRef.tenant",
            format!(
                "name a tenant: {:?} {:?} is multi-tenant",
                reference.kind, reference.name
            ),
        ));
    }
    let service = names::tempo(&reference.name, door.component);
    Ok(Some(Destination {
        endpoint: format!("{}:{OTLP_GRPC_PORT}", names::service_host(&service, namespace)),
        tls: door.tls,
        tenant: reference.tenant.clone(),
    }))
}

struct Door {
    component: &'static str,
    tls: bool,
    multitenant: bool,
}

fn of_stack(stack: &TempoStack) -> Door {
    Door {
        component: Component::Distributor.as_str(),
        tls: stack.spec.template.distributor.tls.enabled,
        multitenant: stack.spec.tenants.is_some(),
    }
}

fn of_monolithic(monolithic: &TempoMonolithic) -> Result<Door, ValidationError> {
    let spec = defaults::tempo_monolithic(monolithic).spec;
    let grpc = spec.ingestion.otlp.grpc.unwrap_or_default();
    if !grpc.enabled {
        return Err(ValidationError::configuration(
            "spec.tempoRef",
            "the stack does not receive OTLP over gRPC; turn on its spec.ingestion.otlp.grpc",
        ));
    }
    Ok(Door {
        component: "",
        tls: grpc.tls.is_some_and(|tls| tls.enabled),
        multitenant: spec.multitenancy.is_some_and(|multitenancy| multitenancy.enabled),
    })
}
