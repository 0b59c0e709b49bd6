//! Defaults: a spec as its user wrote it becomes a spec with every default in place (pure).
//!
//! Defaults are never written back into a stored resource, so that a later change of `size` reaches
//! everything that follows from it.

use kube::ResourceExt;

use crate::{
    crd::{
        Quantity, TempoMonolithic, TempoStack,
        common::{ManagementState, default_storage_size},
        tempomonolithic::{Backend, OtlpProtocolSpec},
        tempostack::IngestionLimitSpec,
    },
    kubernetes::{
        labels::{MANAGED_BY, MANAGER},
        names,
    },
    sizing,
    stack::component::Component,
};

const RETENTION: &str = "48h";
const TIMEOUT: &str = "30s";
const RESULT_LIMIT: i64 = 20;
const SERVICES_QUERY_DURATION: &str = "72h";
const MEMORY_STORAGE_SIZE: &str = "2Gi";

/// A TempoStack with its defaults.
pub fn tempo_stack(stack: &TempoStack) -> TempoStack {
    let mut stack = stack.clone();
    let name = stack.name_any();
    let managed_by = stack.labels_mut().entry(MANAGED_BY.to_owned()).or_default();
    if managed_by.is_empty() {
        MANAGER.clone_into(managed_by);
    }

    let spec = &mut stack.spec;
    if spec.service_account.is_empty() {
        spec.service_account = names::tempo(&name, "");
    }
    if spec.storage_size.units().is_ok_and(|bytes| bytes <= 0.0) {
        spec.storage_size = default_storage_size();
    }
    spec.retention
        .global
        .traces
        .get_or_insert_with(|| RETENTION.to_owned());
    spec.timeout.get_or_insert_with(|| TIMEOUT.to_owned());
    if spec.search.default_result_limit.unwrap_or(0) == 0 {
        spec.search.default_result_limit = Some(RESULT_LIMIT);
    }
    let interface = &mut spec.template.query_frontend.jaeger_query;
    if interface.enabled {
        interface
            .services_query_duration
            .get_or_insert_with(|| SERVICES_QUERY_DURATION.to_owned());
    }

    let replication_factor = *spec
        .replication_factor
        .get_or_insert_with(|| sizing::replication_factor(spec.size));
    for component in Component::ALL {
        let replicas = sizing::replicas(spec.size, component, replication_factor);
        component
            .template_mut(&mut spec.template)
            .replicas
            .get_or_insert(replicas);
    }
    if let Some(size) = spec.size {
        fill_limits(&mut spec.limits.global.ingestion, &sizing::ingestion_limits(size));
    }
    stack
}

/// Takes over the limits that are not set.
fn fill_limits(limits: &mut IngestionLimitSpec, defaults: &IngestionLimitSpec) {
    let IngestionLimitSpec {
        ingestion_burst_size_bytes,
        ingestion_rate_limit_bytes,
        max_bytes_per_trace,
        max_traces_per_user,
    } = limits;
    *ingestion_burst_size_bytes = ingestion_burst_size_bytes.or(defaults.ingestion_burst_size_bytes);
    *ingestion_rate_limit_bytes = ingestion_rate_limit_bytes.or(defaults.ingestion_rate_limit_bytes);
    *max_bytes_per_trace = max_bytes_per_trace.or(defaults.max_bytes_per_trace);
    *max_traces_per_user = max_traces_per_user.or(defaults.max_traces_per_user);
}

/// A TempoMonolithic with its defaults.
pub fn tempo_monolithic(monolithic: &TempoMonolithic) -> TempoMonolithic {
    let mut monolithic = monolithic.clone();
    let name = monolithic.name_any();
    let spec = &mut monolithic.spec;
    spec.management.get_or_insert(ManagementState::Managed);
    if spec.service_account.is_empty() {
        spec.service_account = names::tempo(&name, "");
    }
    spec.timeout.get_or_insert_with(|| TIMEOUT.to_owned());
    let traces = &mut spec.storage.get_or_insert_default().traces;
    let size = if traces.backend == Backend::Memory {
        Quantity::new(MEMORY_STORAGE_SIZE)
    } else {
        default_storage_size()
    };
    traces.size.get_or_insert(size);
    let otlp = &mut spec.ingestion.otlp;
    for protocol in [&mut otlp.grpc, &mut otlp.http] {
        protocol.get_or_insert(OtlpProtocolSpec {
            enabled: true,
            tls: None,
        });
    }
    monolithic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(spec: &str) -> TempoStack {
        let text = format!(
            "{{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {{name: shop}}, spec: {{storage: {{secret: {{name: bucket, type: s3}}}}, {spec}}}}}"
        );
        serde_yaml::from_str(&text).unwrap()
    }

    #[test]
    fn a_size_sets_replicas_replication_and_limits() {
        let spec = tempo_stack(&stack("size: 1x.pico")).spec;
        assert_eq!(spec.replication_factor, Some(2));
        for component in Component::ALL {
            assert_eq!(
                component.template(&spec.template).replicas,
                Some(2),
                "{component:?}"
            );
        }
        assert_eq!(
            spec.limits.global.ingestion.ingestion_rate_limit_bytes,
            Some(600_000)
        );
    }

    #[test]
    fn what_the_user_wrote_stays() {
        let written = stack(
            "size: 1x.pico, replicationFactor: 3, template: {ingester: {replicas: 5}}, timeout: 5m, \
             limits: {global: {ingestion: {ingestionRateLimitBytes: 7}}}",
        );
        let spec = tempo_stack(&written).spec;
        assert_eq!(
            (spec.replication_factor, spec.template.ingester.replicas),
            (Some(3), Some(5))
        );
        assert_eq!(spec.timeout.as_deref(), Some("5m"));
        assert_eq!(spec.limits.global.ingestion.ingestion_rate_limit_bytes, Some(7));
        assert_eq!(
            spec.limits.global.ingestion.ingestion_burst_size_bytes,
            Some(1_200_000)
        );
    }

    #[test]
    fn defaulting_twice_is_defaulting_once() {
        let once = tempo_stack(&stack(
            "size: 1x.small, template: {queryFrontend: {jaegerQuery: {enabled: true}}}",
        ));
        assert_eq!(tempo_stack(&once), once);
    }

    #[test]
    fn an_empty_monolithic_is_complete() {
        let empty: TempoMonolithic = serde_yaml::from_str(
            "{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoMonolithic, metadata: {name: shop}, spec: {}}",
        )
        .unwrap();
        let spec = tempo_monolithic(&empty).spec;
        let traces = spec.storage.unwrap().traces;
        assert_eq!(
            (traces.backend, traces.size),
            (Backend::Memory, Some(Quantity::new("2Gi")))
        );
        assert!(spec.ingestion.otlp.grpc.unwrap().enabled && spec.ingestion.otlp.http.unwrap().enabled);
    }
}
