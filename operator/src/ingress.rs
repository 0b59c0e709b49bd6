//! Publishing of a door by an Ingress.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend,
    IngressSpec as KubernetesIngressSpec, ServiceBackendPort,
};

use crate::{
    crd::common::{IngressSpec, IngressType},
    kubernetes::{labels::Labels, owner::Owner},
};

/// A checked Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressSettings {
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Host name; empty for the default backend.
    pub host: String,
    /// Class of the Ingress controller.
    pub class: Option<String>,
}

/// The Ingress that a spec asks for, if it asks for one. (Routes are not built.)
pub fn published(spec: &IngressSpec) -> Option<IngressSettings> {
    (spec.kind == IngressType::Ingress).then(|| IngressSettings {
        annotations: spec.annotations.clone(),
        host: spec.host.clone(),
        class: spec.ingress_class_name.clone(),
    })
}

/// An Ingress to a named port of a Service.
pub fn build(
    settings: &IngressSettings,
    owner: &Owner,
    name: &str,
    labels: Labels,
    service: &str,
    port: &str,
) -> Ingress {
    let backend = IngressBackend {
        service: Some(IngressServiceBackend {
            name: service.to_owned(),
            port: Some(ServiceBackendPort {
                name: Some(port.to_owned()),
                number: None,
            }),
        }),
        ..IngressBackend::default()
    };
    let mut spec = KubernetesIngressSpec {
        ingress_class_name: settings.class.clone(),
        ..KubernetesIngressSpec::default()
    };
    if settings.host.is_empty() {
        spec.default_backend = Some(backend);
    } else {
        spec.rules = Some(vec![rule(&settings.host, backend)]);
    }
    let mut metadata = owner.metadata(name.to_owned(), labels);
    metadata.annotations = (!settings.annotations.is_empty()).then(|| settings.annotations.clone());
    Ingress {
        metadata,
        spec: Some(spec),
        ..Ingress::default()
    }
}

fn rule(host: &str, backend: IngressBackend) -> IngressRule {
    let path = HTTPIngressPath {
        path: Some("/".to_owned()),
        path_type: "Prefix".to_owned(),
        backend,
    };
    IngressRule {
        host: Some(host.to_owned()),
        http: Some(HTTPIngressRuleValue { paths: vec![path] }),
    }
}
