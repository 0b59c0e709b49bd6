//! Rules that join several fields of a TempoMonolithic, and what its owner should know.

use kube::ResourceExt;

use crate::{
    crd::{TempoMonolithic, TempoMonolithicSpec, tempomonolithic::JaegerUiSpec},
    kubernetes::names,
    references::Dereferenced,
    validation::{Notice, NoticeKind, Reason, ValidationError},
};

const LONGEST_NAME: usize = 63;

/// Checks the rules of a resource that has its defaults.
pub(super) fn check(monolithic: &TempoMonolithic, found: &Dereferenced) -> Result<(), ValidationError> {
    let (name, spec) = (monolithic.name_any(), &monolithic.spec);
    if name.len() > LONGEST_NAME {
        return Err(error(
            "metadata.name",
            format!("must be no more than {LONGEST_NAME} characters"),
        ));
    }
    if found.tempo_stacks.contains_key(&name) {
        return Err(error(
            "metadata.name",
            format!("TempoStack {name:?} is in this namespace already; choose another name"),
        ));
    }
    let account = &spec.service_account;
    if *account != names::tempo(&name, "") && !found.service_accounts.contains(account) {
        return Err(error(
            "spec.serviceAccount",
            format!("ServiceAccount {account:?} not found"),
        ));
    }
    check_rbac(spec)?;
    match &spec.jaegerui {
        Some(interface) if !interface.enabled && is_published(interface) => Err(error(
            "spec.jaegerui.enabled",
            "turn the Jaeger UI on to publish it by an ingress or a route",
        )),
        _ => Ok(()),
    }
}

fn check_rbac(spec: &TempoMonolithicSpec) -> Result<(), ValidationError> {
    const PATH: &str = "spec.query.rbac.enabled";
    let tenants = spec.multitenancy.as_ref().filter(|tenants| tenants.enabled);
    if !spec.query.rbac.enabled {
        return Ok(());
    }
    if tenants.is_none() {
        return Err(ValidationError::new(
            Reason::InvalidTenantsConfiguration,
            PATH,
            "query RBAC needs spec.multitenancy.enabled",
        ));
    }
    if spec.jaegerui.as_ref().is_some_and(|interface| interface.enabled) {
        return Err(error(
            PATH,
            "the Jaeger UI cannot be used with query RBAC; turn one of them off",
        ));
    }
    Ok(())
}

fn is_published(interface: &JaegerUiSpec) -> bool {
    has_route(interface) || interface.ingress.as_ref().is_some_and(|ingress| ingress.enabled)
}

fn has_route(interface: &JaegerUiSpec) -> bool {
    interface.route.as_ref().is_some_and(|route| route.enabled)
}

fn error(path: impl Into<String>, message: impl Into<String>) -> ValidationError {
    ValidationError::configuration(path, message)
}

/// What the owner of a resource should know.
pub(super) fn notices(spec: &TempoMonolithicSpec) -> Vec<Notice> {
    use NoticeKind::{Deprecated, NotBuilt, Warning};
    let interface = spec.jaegerui.as_ref().filter(|interface| interface.enabled);
    let has_tenants = spec
        .multitenancy
        .as_ref()
        .is_some_and(|tenants| tenants.enabled && !tenants.authentication.is_empty());
    let metrics = &spec.observability.metrics;
    let is_on = |switch: Option<&crate::crd::common::Switch>| switch.is_some_and(|switch| switch.enabled);
    let candidates = [
        (
            spec.extra_config
                .as_ref()
                .is_some_and(|extra| extra.tempo.is_some()),
            Notice::new(
                Warning,
                "spec.extraConfig.tempo",
                "overrides generated configuration, which may break the store",
            ),
        ),
        (
            interface.is_some(),
            Notice::new(
                Deprecated,
                "spec.jaegerui",
                "is deprecated; use Grafana's Tempo data source on port 3200",
            ),
        ),
        (
            interface.is_some(),
            Notice::new(
                NotBuilt,
                "spec.jaegerui",
                "nothing answers on the Jaeger ports 16685 to 16687 yet",
            ),
        ),
        (
            interface.is_some_and(has_route),
            Notice::new(
                NotBuilt,
                "spec.jaegerui.route",
                "Routes are not made yet; use spec.jaegerui.ingress",
            ),
        ),
        (
            has_tenants,
            Notice::new(
                NotBuilt,
                "spec.multitenancy.authentication",
                "there is no gateway yet: tenants are told apart by X-Scope-OrgID, but nobody checks who they are",
            ),
        ),
        (
            is_on(metrics.service_monitors.as_ref()) || is_on(metrics.prometheus_rules.as_ref()),
            Notice::new(
                NotBuilt,
                "spec.observability.metrics",
                "ServiceMonitors and PrometheusRules are not made yet",
            ),
        ),
        (
            spec.observability
                .grafana
                .data_source
                .as_ref()
                .is_some_and(|source| source.enabled),
            Notice::new(
                NotBuilt,
                "spec.observability.grafana",
                "Grafana data sources are not made yet",
            ),
        ),
    ];
    candidates
        .into_iter()
        .filter_map(|(applies, notice)| applies.then_some(notice))
        .collect()
}
