//! Rules about tenants.

use crate::{
    crd::{
        TempoStackSpec,
        tenants::{TenantsMode, TenantsSpec},
    },
    validation::{Reason, ValidationError},
};

pub(super) fn check(spec: &TempoStackSpec) -> Result<(), ValidationError> {
    let gateway = spec
        .template
        .gateway
        .as_ref()
        .is_some_and(|gateway| gateway.enabled);
    let Some(tenants) = &spec.tenants else {
        return if gateway {
            Err(error("to enable the gateway, please configure tenants"))
        } else {
            Ok(())
        };
    };
    match tenants.mode {
        TenantsMode::Static if gateway => check_static(tenants),
        TenantsMode::Static => Ok(()),
        TenantsMode::Openshift => check_openshift(tenants, gateway),
    }
}

fn check_static(tenants: &TenantsSpec) -> Result<(), ValidationError> {
    if tenants.authentication.is_empty() {
        return Err(error("spec.tenants.authentication is required in static mode"));
    }
    let Some(authorization) = &tenants.authorization else {
        return Err(error("spec.tenants.authorization is required in static mode"));
    };
    if authorization.roles.is_empty() {
        return Err(error(
            "spec.tenants.authorization.roles is required in static mode",
        ));
    }
    if authorization.role_bindings.is_empty() {
        return Err(error(
            "spec.tenants.authorization.roleBindings is required in static mode",
        ));
    }
    match tenants.authentication.iter().find(|tenant| tenant.oidc.is_none()) {
        Some(tenant) => Err(error(format!(
            "spec.tenants.authentication.oidc is required for tenant {:?} in static mode",
            tenant.tenant_name
        ))),
        None => Ok(()),
    }
}

fn check_openshift(tenants: &TenantsSpec, gateway: bool) -> Result<(), ValidationError> {
    if !gateway {
        return Err(error("openshift mode requires gateway enabled"));
    }
    if tenants.authorization.is_some() {
        return Err(error(
            "spec.tenants.authorization should not be defined in openshift mode",
        ));
    }
    if tenants.authentication.iter().any(|tenant| tenant.oidc.is_some()) {
        return Err(error(
            "spec.tenants.authentication.oidc should not be defined in openshift mode",
        ));
    }
    Ok(())
}

fn error(message: impl Into<String>) -> ValidationError {
    ValidationError::new(Reason::InvalidTenantsConfiguration, "spec.tenants", message)
}
