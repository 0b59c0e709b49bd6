//! A validated TempoMonolithic becomes Kubernetes objects (pure).

pub mod config;
mod workload;

use std::collections::BTreeMap;

use k8s_openapi::api::{
    core::v1::{ConfigMap, Service, ServiceAccount},
    networking::v1::Ingress,
};

use super::validate::ValidatedMonolithic;
use crate::{
    configuration::{BuildError, HTTP_PORT, OTLP_GRPC_PORT, OTLP_HTTP_PORT},
    digest::digest,
    ingress,
    kubernetes::{
        labels::{self, Application, Labels},
        names,
        resources::{Prepared, Resources},
        services,
    },
    minio, pod,
};

/// Component label of the pod.
pub const COMPONENT: &str = "tempo";
const JAEGER_UI: &str = "jaegerui";
const JAEGER_PORTS: [(&str, i32); 3] = [
    ("jaeger-grpc", 16685),
    ("jaeger-ui", 16686),
    ("jaeger-metrics", 16687),
];

/// All objects of a TempoMonolithic.
pub fn build(monolithic: &ValidatedMonolithic) -> Result<Resources<Prepared>, BuildError> {
    let text = config::file(monolithic)?;
    let annotations = BTreeMap::from([
        (pod::CONFIG_HASH.to_owned(), digest([text.as_bytes()])),
        (pod::SECRETS_HASH.to_owned(), monolithic.secrets_hash.clone()),
    ]);
    let mut resources = Resources {
        service_accounts: service_account(monolithic).into_iter().collect(),
        config_maps: vec![config_map(monolithic, text)],
        services: build_services(monolithic),
        ingresses: build_ingress(monolithic).into_iter().collect(),
        stateful_sets: vec![workload::stateful_set(monolithic, annotations)],
        ..Resources::default()
    };
    if let Some(minio) = &monolithic.minio {
        minio::build(
            minio,
            &monolithic.owner,
            Application::TempoMonolithic,
            &mut resources,
        );
    }
    resources.set_volume_retention(&monolithic.volume_retention);
    Ok(resources)
}

fn labels_of(monolithic: &ValidatedMonolithic, component: &str) -> Labels {
    labels::component(Application::TempoMonolithic, &monolithic.owner.name, component)
}

fn name_of(monolithic: &ValidatedMonolithic, component: &str) -> String {
    names::tempo(&monolithic.owner.name, component)
}

fn service_account(monolithic: &ValidatedMonolithic) -> Option<ServiceAccount> {
    if !monolithic.own_service_account {
        return None;
    }
    let mut metadata = monolithic
        .owner
        .metadata(name_of(monolithic, ""), labels_of(monolithic, "serviceaccount"));
    let annotations = monolithic
        .storage
        .objects
        .as_ref()
        .map(pod::storage::service_account_annotations)
        .unwrap_or_default();
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    Some(ServiceAccount {
        metadata,
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    })
}

fn config_map(monolithic: &ValidatedMonolithic, text: String) -> ConfigMap {
    ConfigMap {
        metadata: monolithic
            .owner
            .metadata(name_of(monolithic, "config"), labels_of(monolithic, "config")),
        data: Some(BTreeMap::from([(config::FILE.to_owned(), text)])),
        ..ConfigMap::default()
    }
}

fn build_services(monolithic: &ValidatedMonolithic) -> Vec<Service> {
    let pods = labels_of(monolithic, COMPONENT);
    let mut all = vec![services::cluster(
        &monolithic.owner,
        &name_of(monolithic, ""),
        &pods,
        &pods,
        &doors(monolithic),
    )];
    if monolithic.jaeger_ui.is_some() {
        all.push(services::cluster(
            &monolithic.owner,
            &name_of(monolithic, JAEGER_UI),
            &labels_of(monolithic, JAEGER_UI),
            &pods,
            &JAEGER_PORTS,
        ));
    }
    all
}

/// What the pod listens on for others.
fn doors(monolithic: &ValidatedMonolithic) -> Vec<(&'static str, i32)> {
    let configuration = &monolithic.configuration;
    let grpc = configuration.grpc.as_ref().map(|_| ("otlp-grpc", OTLP_GRPC_PORT));
    let http = configuration.http.as_ref().map(|_| ("otlp-http", OTLP_HTTP_PORT));
    std::iter::once(("http", HTTP_PORT))
        .chain(grpc)
        .chain(http)
        .collect()
}

fn build_ingress(monolithic: &ValidatedMonolithic) -> Option<Ingress> {
    let settings = monolithic.jaeger_ui.as_ref()?.ingress.as_ref()?;
    let name = name_of(monolithic, JAEGER_UI);
    let labels = labels_of(monolithic, JAEGER_UI);
    Some(ingress::build(
        settings,
        &monolithic.owner,
        &name,
        labels,
        &name,
        "jaeger-ui",
    ))
}
