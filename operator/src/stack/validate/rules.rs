//! Rules that join several fields of a TempoStack, and what its owner should know.

use std::collections::BTreeSet;

use kube::ResourceExt;
use url::Url;

use crate::{
    crd::{
        TempoStack, TempoStackSpec,
        common::IngressType,
        tempostack::{JaegerQuerySpec, TracingSpec},
    },
    kubernetes::names,
    references::Dereferenced,
    sizing,
    validation::{Notice, NoticeKind, ValidationError},
};

const LONGEST_NAME: usize = 63;

/// Checks the rules of a stack that has its defaults.
pub(super) fn check(stack: &TempoStack, found: &Dereferenced) -> Result<(), ValidationError> {
    let (name, spec) = (stack.name_any(), &stack.spec);
    if name.len() > LONGEST_NAME {
        return Err(error(
            "metadata.name",
            format!("must be no more than {LONGEST_NAME} characters"),
        ));
    }
    if found.tempo_monolithics.contains_key(&name) {
        return Err(error(
            "metadata.name",
            format!(
                "cannot create TempoStack with name {name:?}: a TempoMonolithic with the same name already exists in the same namespace"
            ),
        ));
    }
    let account = &spec.service_account;
    if *account != names::tempo(&name, "") && !found.service_accounts.contains(account) {
        return Err(error(
            "spec.serviceAccount",
            format!("ServiceAccount {account:?} not found"),
        ));
    }
    spec.storage_size
        .units()
        .map_err(|quantity| error("spec.storageSize", quantity.to_string()))?;
    check_replication(spec)?;
    check_gateway(spec)?;
    check_jaeger_query(&spec.template.query_frontend.jaeger_query)?;
    check_observability(spec)?;
    check_limits(spec)?;
    let generator = &spec.template.metrics_generator;
    if generator.enabled && generator.remote_write_urls.is_empty() {
        return Err(error(
            "spec.template.metricsGenerator.remoteWriteURLs",
            "at least one remote write URL is required when the metrics-generator is enabled",
        ));
    }
    Ok(())
}

fn check_replication(spec: &TempoStackSpec) -> Result<(), ValidationError> {
    let factor = spec.replication_factor.unwrap_or(1);
    if factor < 1 {
        return Err(error("spec.replicationFactor", "must be at least 1"));
    }
    let replicas = spec.template.ingester.replicas.unwrap_or(1);
    let quorum = sizing::quorum(factor);
    if replicas < quorum {
        return Err(error(
            "spec.template.ingester.replicas",
            format!(
                "replica count of {replicas} is lower than the quorum of {quorum} that replicationFactor {factor} needs; raise the replicas or lower the factor"
            ),
        ));
    }
    let mut keys = BTreeSet::new();
    match spec
        .replication_zones
        .iter()
        .find(|zone| !keys.insert(&zone.topology_key))
    {
        Some(zone) => Err(error(
            "spec.replicationZones",
            format!("topologyKey {:?} is there twice", zone.topology_key),
        )),
        None => Ok(()),
    }
}

fn check_gateway(spec: &TempoStackSpec) -> Result<(), ValidationError> {
    let Some(gateway) = spec.template.gateway.as_ref().filter(|gateway| gateway.enabled) else {
        return Ok(());
    };
    let interface = &spec.template.query_frontend.jaeger_query;
    if is_published(interface.ingress.kind) {
        return Err(error(
            "spec.template.gateway.enabled",
            "cannot enable gateway and jaeger query ingress at the same time, please use the Jaeger UI from the gateway",
        ));
    }
    if gateway.rbac.enabled && interface.enabled {
        return Err(error(
            "spec.template.gateway.rbac.enabled",
            "cannot enable gateway rbac and jaegerQuery at the same time; the Jaeger UI does not support query RBAC",
        ));
    }
    if spec.template.distributor.tls.enabled {
        return Err(error(
            "spec.template.gateway.enabled",
            "cannot enable gateway and distributor tls at the same time",
        ));
    }
    Ok(())
}

fn check_jaeger_query(interface: &JaegerQuerySpec) -> Result<(), ValidationError> {
    const PATH: &str = "spec.template.queryFrontend.jaegerQuery";
    if is_published(interface.ingress.kind) && !interface.enabled {
        return Err(error(
            format!("{PATH}.ingress.type"),
            "Ingress cannot be enabled if jaegerQuery is disabled",
        ));
    }
    if interface.monitor_tab.enabled && interface.monitor_tab.prometheus_endpoint.is_empty() {
        return Err(error(
            format!("{PATH}.monitorTab.prometheusEndpoint"),
            "Prometheus endpoint must be set when the Monitor tab is enabled",
        ));
    }
    Ok(())
}

fn check_observability(spec: &TempoStackSpec) -> Result<(), ValidationError> {
    let metrics = &spec.observability.metrics;
    if metrics.create_prometheus_rules && !metrics.create_service_monitors {
        return Err(error(
            "spec.observability.metrics.createPrometheusRules",
            "the Prometheus rules alert based on collected metrics, therefore the createServiceMonitors feature must be enabled when enabling the createPrometheusRules feature",
        ));
    }
    check_tracing(&spec.observability.tracing)
}

fn check_tracing(tracing: &TracingSpec) -> Result<(), ValidationError> {
    const PATH: &str = "spec.observability.tracing";
    if tracing.sampling_fraction.is_empty() {
        return Ok(());
    }
    if tracing.sampling_fraction.parse::<f64>().is_err() {
        return Err(error(
            format!("{PATH}.sampling_fraction"),
            "must be a number between 0 and 1, as text",
        ));
    }
    let agent = tracing.jaeger_agent_endpoint.rsplit_once(':');
    if agent.is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
        return Err(error(
            format!("{PATH}.jaeger_agent_endpoint"),
            "must be HOST:PORT",
        ));
    }
    match Url::parse(&tracing.otlp_http_endpoint) {
        Ok(url) if url.has_host() => Ok(()),
        _ => Err(error(
            format!("{PATH}.otlp_http_endpoint"),
            "must be a URL when sampling_fraction is set",
        )),
    }
}

fn check_limits(spec: &TempoStackSpec) -> Result<(), ValidationError> {
    let limits = std::iter::once(&spec.limits.global).chain(spec.limits.per_tenant.values());
    if limits
        .into_iter()
        .any(|limits| limits.query.max_search_bytes_per_trace.is_some())
    {
        return Err(error(
            "spec.limits",
            "this field must be unset for the Tempo 2.x and later: query.maxSearchBytesPerTrace",
        ));
    }
    Ok(())
}

fn is_published(kind: IngressType) -> bool {
    matches!(kind, IngressType::Ingress | IngressType::Route)
}

fn error(path: impl Into<String>, message: impl Into<String>) -> ValidationError {
    ValidationError::configuration(path, message)
}

/// What the owner of a stack should know.
pub(super) fn notices(spec: &TempoStackSpec) -> Vec<Notice> {
    use NoticeKind::{Deprecated, NotBuilt, Warning};
    let interface = &spec.template.query_frontend.jaeger_query;
    let gateway = spec.template.gateway.as_ref();
    let metrics = &spec.observability.metrics;
    let candidates = [
        (
            !spec.template.distributor.tls.cipher_suites.is_empty(),
            NotBuilt,
            "spec.template.distributor.tls.cipherSuites",
            "is not used: all safe cipher suites are offered",
        ),
        (
            spec.extra_config
                .as_ref()
                .is_some_and(|extra| extra.tempo.is_some()),
            Warning,
            "spec.extraConfig.tempo",
            "overrides generated configuration, which may break the stack",
        ),
        (
            spec.size.is_some() && spec.resources.total.is_some(),
            Warning,
            "spec.resources.total",
            "is not used, because spec.size is set",
        ),
        (
            !spec.replication_zones.is_empty(),
            NotBuilt,
            "spec.replicationZones",
            "pods are spread over the zones, but replicas of a span may still be in one zone",
        ),
        (
            spec.network_policy.as_ref().is_some_and(|policy| policy.enabled),
            NotBuilt,
            "spec.networkPolicy",
            "network policies are not made yet: any pod that the cluster lets through reaches the components",
        ),
        (
            interface.enabled,
            Deprecated,
            "spec.template.queryFrontend.jaegerQuery",
            "is deprecated; use Grafana's Tempo data source on port 3200",
        ),
        (
            interface.enabled,
            NotBuilt,
            "spec.template.queryFrontend.jaegerQuery",
            "nothing answers on the Jaeger ports 16685 to 16687 yet",
        ),
        (
            interface.ingress.kind == IngressType::Route,
            NotBuilt,
            "spec.template.queryFrontend.jaegerQuery.ingress.type",
            "Routes are not made yet; use type ingress",
        ),
        (
            gateway.is_some_and(|gateway| gateway.enabled),
            NotBuilt,
            "spec.template.gateway",
            "there is no gateway yet: tenants are told apart by X-Scope-OrgID, but nobody checks who they are",
        ),
        (
            spec.template.metrics_generator.enabled,
            NotBuilt,
            "spec.template.metricsGenerator",
            "there is no metrics-generator yet",
        ),
        (
            metrics.create_service_monitors || metrics.create_prometheus_rules,
            NotBuilt,
            "spec.observability.metrics",
            "ServiceMonitors and PrometheusRules are not made yet",
        ),
        (
            spec.observability.grafana.create_datasource,
            NotBuilt,
            "spec.observability.grafana",
            "Grafana data sources are not made yet",
        ),
        (
            !spec.observability.tracing.sampling_fraction.is_empty(),
            NotBuilt,
            "spec.observability.tracing",
            "the components do not trace themselves yet",
        ),
    ];
    candidates
        .into_iter()
        .filter(|(applies, ..)| *applies)
        .map(|(_, kind, path, message)| Notice::new(kind, path, message))
        .collect()
}
