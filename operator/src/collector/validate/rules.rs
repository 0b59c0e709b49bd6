//! Fields that exclude each other, and fields that nothing is built for (pure).
//!
//! The CustomResourceDefinition has the same rules; files that never meet an API server are checked here.

use crate::{
    crd::{
        CollectorSpec,
        collector::{AbsentPart, CollectorMode, IngressRuleType},
        common::IngressType,
    },
    references::Dereferenced,
    validation::{Notice, NoticeKind, ValidationError},
};

/// A rule: whether it is broken, the path of the field, and what to do.
type Rule<'a> = (bool, &'a str, &'a str);

/// Refuses what cannot be built.
pub(super) fn check(spec: &CollectorSpec, found: &Dereferenced) -> Result<(), ValidationError> {
    let broken = modes(spec)
        .into_iter()
        .chain(scaling(spec))
        .chain(others(spec))
        .find(|(is_broken, ..)| *is_broken);
    if let Some((_, path, message)) = broken {
        return Err(ValidationError::configuration(path, message));
    }
    let account = &spec.service_account;
    if !account.is_empty() && !found.service_accounts.contains(account) {
        return Err(ValidationError::configuration(
            "spec.serviceAccount",
            format!("ServiceAccount {account:?} not found"),
        ));
    }
    Ok(())
}

/// What only some modes have.
fn modes(spec: &CollectorSpec) -> Vec<Rule<'static>> {
    let not = |mode: CollectorMode, is_set: bool| spec.mode != mode && is_set;
    let sidecar = |is_set: bool| spec.mode == CollectorMode::Sidecar && is_set;
    let pods_own = "mode sidecar does not take it: it is the pod's own";
    vec![
        (
            not(
                CollectorMode::Statefulset,
                !spec.volume_claim_templates.is_empty(),
            ),
            "spec.volumeClaimTemplates",
            "volumeClaimTemplates need mode statefulset",
        ),
        (
            not(
                CollectorMode::Statefulset,
                spec.persistent_volume_claim_retention_policy.is_some(),
            ),
            "spec.persistentVolumeClaimRetentionPolicy",
            "persistentVolumeClaimRetentionPolicy needs mode statefulset",
        ),
        (
            not(CollectorMode::Statefulset, !spec.service_name.is_empty()),
            "spec.serviceName",
            "serviceName needs mode statefulset",
        ),
        (
            not(CollectorMode::Statefulset, spec.pod_management_policy.is_some()),
            "spec.podManagementPolicy",
            "podManagementPolicy needs mode statefulset",
        ),
        (
            not(
                CollectorMode::Deployment,
                spec.deployment_update_strategy.is_some(),
            ),
            "spec.deploymentUpdateStrategy",
            "deploymentUpdateStrategy needs mode deployment",
        ),
        (
            not(
                CollectorMode::Daemonset,
                spec.daemon_set_update_strategy.is_some(),
            ),
            "spec.daemonSetUpdateStrategy",
            "daemonSetUpdateStrategy needs mode daemonset",
        ),
        (
            sidecar(!spec.tolerations.is_empty()),
            "spec.tolerations",
            pods_own,
        ),
        (
            sidecar(!spec.priority_class_name.is_empty()),
            "spec.priorityClassName",
            pods_own,
        ),
        (sidecar(spec.affinity.is_some()), "spec.affinity", pods_own),
        (
            sidecar(!spec.additional_containers.is_empty()),
            "spec.additionalContainers",
            pods_own,
        ),
        (
            sidecar(spec.ingress.is_some()),
            "spec.ingress",
            "ingress cannot lead to sidecars",
        ),
    ]
}

fn scaling(spec: &CollectorSpec) -> Vec<Rule<'static>> {
    let Some(autoscaler) = &spec.autoscaler else {
        return Vec::new();
    };
    let most = autoscaler.max_replicas;
    let above = |count: Option<i32>| count.is_some_and(|count| count > most);
    vec![
        (
            !matches!(spec.mode, CollectorMode::Deployment | CollectorMode::Statefulset),
            "spec.autoscaler",
            "autoscaler needs mode deployment or statefulset",
        ),
        (
            most < 1 || autoscaler.min_replicas.is_some_and(|least| least < 1),
            "spec.autoscaler",
            "minReplicas and maxReplicas must be at least 1",
        ),
        (
            above(autoscaler.min_replicas),
            "spec.autoscaler.minReplicas",
            "must not be above autoscaler.maxReplicas",
        ),
        (
            above(spec.replicas),
            "spec.replicas",
            "must not be above autoscaler.maxReplicas",
        ),
    ]
}

fn others(spec: &CollectorSpec) -> Vec<Rule<'static>> {
    let subdomain_of_nothing = spec.ingress.as_ref().is_some_and(|ingress| {
        ingress.rule_type == IngressRuleType::Subdomain && ["", "*"].contains(&ingress.hostname.as_str())
    });
    vec![
        (
            spec.config.is_none() && spec.tempo_ref.is_none(),
            "spec.config",
            "is needed, unless spec.tempoRef names the stack to send to",
        ),
        (
            subdomain_of_nothing,
            "spec.ingress.hostname",
            "ruleType subdomain needs the domain under which each port has a name",
        ),
        (
            is_enabled(spec.target_allocator.as_ref()),
            "spec.targetAllocator",
            "shares out what metrics are read from; a Collector of traces has none: leave it out",
        ),
        (
            spec.config_versions.is_some_and(|versions| versions < 1),
            "spec.configVersions",
            "must be at least 1",
        ),
    ]
}

fn is_enabled(part: Option<&AbsentPart>) -> bool {
    part.is_some_and(|part| part.enabled)
}

/// What the owner of a Collector should know about the fields that they set.
pub(super) fn notices(spec: &CollectorSpec) -> Vec<Notice> {
    use NoticeKind::{NotBuilt, Warning};
    let is_route = |kind: IngressType| kind == IngressType::Route;
    let metrics = &spec.observability.metrics;
    let candidates = [
        (
            spec.mode == CollectorMode::Sidecar,
            NotBuilt,
            "spec.mode",
            "sidecars are not injected yet; use mode deployment",
        ),
        (
            spec.ingress
                .as_ref()
                .is_some_and(|ingress| is_route(ingress.kind)),
            NotBuilt,
            "spec.ingress.type",
            "Routes are not built yet; use type ingress",
        ),
        (
            is_enabled(spec.http_route.as_ref()),
            NotBuilt,
            "spec.httpRoute",
            "HTTPRoutes are not built yet; use spec.ingress",
        ),
        (
            metrics.enable_metrics || !metrics.extra_labels.is_empty(),
            NotBuilt,
            "spec.observability.metrics",
            "ServiceMonitors are not built yet; the pods have the annotations prometheus.io/scrape, port and path",
        ),
        (
            spec.args.contains_key("config"),
            Warning,
            "spec.args.config",
            "is not used: the operator sets --config",
        ),
        (
            spec.session_affinity_config.is_some() && spec.session_affinity.is_none(),
            Warning,
            "spec.sessionAffinityConfig",
            "is not used without sessionAffinity: ClientIP",
        ),
    ];
    candidates
        .into_iter()
        .filter(|(applies, ..)| *applies)
        .map(|(_, kind, path, message)| Notice::new(kind, path, message))
        .collect()
}

/// A notice about probes whose timings are set although there is nothing to ask.
pub(super) fn unused_probes(spec: &CollectorSpec, has_health_check: bool) -> Option<Notice> {
    let probes = [
        ("spec.livenessProbe", &spec.liveness_probe),
        ("spec.readinessProbe", &spec.readiness_probe),
        ("spec.startupProbe", &spec.startup_probe),
    ];
    let (path, _) = probes.into_iter().find(|(_, probe)| probe.is_some())?;
    (!has_health_check).then(|| {
        Notice::new(
            NoticeKind::Warning,
            path,
            "is not used: there are probes only with the extension health_check in service.extensions",
        )
    })
}
