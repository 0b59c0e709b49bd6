//! Collectors, valid and not.

mod reference;

use serde_json::{Value, json};

use super::*;
use crate::{crd::TempoStack, validation::NoticeKind};

fn collector(spec: &Value) -> Collector {
    serde_json::from_value(json!({"metadata": {"name": "edge", "namespace": "shop"}, "spec": spec})).unwrap()
}

/// A Collector with an OTLP receiver whose traces pipeline names `exporters`.
fn spec(exporters: &Value) -> Value {
    let ids: Vec<&String> = exporters.as_object().unwrap().keys().collect();
    json!({"config": {
        "receivers": {"otlp": {"protocols": {"grpc": null, "http": {"endpoint": ":14318"}}}},
        "exporters": exporters,
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ids}}},
    }})
}

fn environment() -> Environment {
    Environment::from_variables(|_| None).unwrap()
}

/// A namespace with one stack, `shop`.
fn with_stack(stack_spec: &Value) -> Dereferenced {
    let mut stack_spec = stack_spec.clone();
    stack_spec["storage"] = json!({"minio": {}});
    let stack: TempoStack =
        serde_json::from_value(json!({"metadata": {"name": "shop"}, "spec": stack_spec})).unwrap();
    Dereferenced {
        tempo_stacks: [("shop".to_owned(), stack)].into(),
        ..Dereferenced::default()
    }
}

fn valid(spec: &Value, found: &Dereferenced) -> (ValidatedCollector, Value) {
    let validated =
        validate(&collector(spec), found, &environment()).unwrap_or_else(|error| panic!("{error}"));
    let configuration = serde_yaml::from_str(&validated.configuration).unwrap();
    (validated, configuration)
}

fn error(spec: &Value, found: &Dereferenced) -> (String, String) {
    let error = validate(&collector(spec), found, &environment()).unwrap_err();
    (error.path, error.message)
}

#[test]
fn receivers_listen_where_other_pods_reach_them() {
    let mut spec = spec(&json!({"debug": {}}));
    spec["config"]["receivers"]["otlp/unused"] = json!({"protocols": {"grpc": {"endpoint": "0.0.0.0:5317"}}});
    spec["config"]["extensions"] = json!({"health_check": null});
    spec["config"]["service"]["extensions"] = json!(["health_check"]);
    let (validated, configuration) = valid(&spec, &Dereferenced::default());
    let protocols = &configuration["receivers"]["otlp"]["protocols"];
    assert_eq!(protocols["grpc"]["endpoint"], "0.0.0.0:4317");
    assert_eq!(protocols["http"]["endpoint"], "0.0.0.0:14318");
    assert_eq!(
        configuration["extensions"]["health_check"]["endpoint"],
        "0.0.0.0:13133"
    );
    let ports: Vec<(&str, i32)> = validated
        .ports
        .iter()
        .map(|port| (port.name.as_str(), port.container_port))
        .collect();
    assert_eq!(ports, [("otlp-grpc", 4317), ("otlp-http", 14318)]);
    let health = HealthCheck {
        port: 13133,
        path: "/".to_owned(),
    };
    assert_eq!(validated.health, Some(health));
}

#[test]
fn a_port_of_the_user_wins_over_a_receivers() {
    let mut spec = spec(&json!({"debug": {}}));
    spec["ports"] = json!([{"name": "traces", "port": 80, "targetPort": 4317}]);
    let (validated, _) = valid(&spec, &Dereferenced::default());
    let ports: Vec<(&str, i32, i32)> = validated
        .ports
        .iter()
        .map(|port| (port.name.as_str(), port.service_port, port.container_port))
        .collect();
    assert_eq!(ports, [("otlp-http", 14318, 14318), ("traces", 80, 4317)]);
}

#[test]
fn mistakes_in_the_configuration_are_named_with_their_path() {
    let good = || spec(&json!({"debug": {}}));
    let with = |pointer: &str, value: Value| {
        let mut spec = good();
        *spec.pointer_mut(pointer).unwrap() = value;
        spec
    };
    for (spec, path, message) in [
        (
            with("/config/service/pipelines", json!({})),
            "spec.config.service.pipelines",
            "at least one pipeline",
        ),
        (
            with("/config/service/pipelines/traces/exporters", json!([])),
            "spec.config.service.pipelines.traces",
            "has no exporters",
        ),
        (
            with("/config/service/pipelines/traces/receivers", json!(["zipkin"])),
            "spec.config.service.pipelines.traces.receivers",
            "\"zipkin\" is not defined under receivers",
        ),
        (
            with(
                "/config/service",
                json!({"extensions": ["health_check"], "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}}),
            ),
            "spec.config.service.extensions",
            "\"health_check\" is not defined under extensions",
        ),
        (
            with("/config/receivers", json!(["otlp"])),
            "spec.config.receivers",
            "must be an object",
        ),
    ] {
        let error = error(&spec, &Dereferenced::default());
        assert_eq!(error.0, path);
        assert!(error.1.contains(message), "{}", error.1);
    }
}

#[test]
fn what_the_own_collector_cannot_run_is_refused() {
    let mut zipkin = spec(&json!({"debug": {}}));
    zipkin["config"]["receivers"]["zipkin"] = json!({});
    let mut metrics = spec(&json!({"debug": {}}));
    metrics["config"]["service"]["pipelines"]["metrics"] =
        json!({"receivers": ["otlp"], "exporters": ["debug"]});
    let mut connector = spec(&json!({"debug": {}}));
    connector["config"]["connectors"] = json!({"spanmetrics": {}});
    for (spec, path, message) in [
        (
            &zipkin,
            "spec.config.receivers.zipkin",
            "supported here: otlp; or set spec.image",
        ),
        (&metrics, "spec.config.service.pipelines.metrics", "traces/NAME"),
        (&connector, "spec.config.connectors.spanmetrics", "no connectors"),
        (
            &spec(&json!({"kafka/a": {}})),
            "spec.config.exporters.kafka/a",
            "debug, otlp_grpc, otlp_http",
        ),
    ] {
        let error = error(spec, &Dereferenced::default());
        assert_eq!(error.0, path);
        assert!(error.1.contains(message), "{}", error.1);
        let mut other_image = spec.clone();
        other_image["image"] = json!("otel/opentelemetry-collector-contrib");
        valid(&other_image, &Dereferenced::default());
    }
    let old = json!({"otlphttp": {"endpoint": "https://example.org"}, "logging": {}, "otlp/b": {"endpoint": "b:1"}});
    valid(&spec(&old), &Dereferenced::default());
}

#[test]
fn what_the_own_collector_cannot_read_is_refused_before_it_is_deployed() {
    let with = |exporter: Value| spec(&json!({"otlp_grpc": exporter}));
    for (exporter, path, message) in [
        (
            json!({"endpoint": "b:1", "timeout": "soon"}),
            ".timeout",
            "'soon' is not a duration",
        ),
        (
            json!({"endpoint": "b:1", "retry": true}),
            ".retry",
            "unknown field `retry`",
        ),
        (json!({"endpoint": "nowhere"}), ".endpoint", "is not host:port"),
        (
            json!({"endpoint": "b:1", "timeout": "${env:KNOWN}"}),
            ".timeout",
            "'later' is not a duration",
        ),
    ] {
        let mut spec = with(exporter);
        spec["env"] = json!([{"name": "KNOWN", "value": "later"}]);
        let error = error(&spec, &Dereferenced::default());
        assert_eq!(error.0, format!("spec.config.exporters.otlp_grpc{path}"));
        assert!(error.1.contains(message), "{}", error.1);
        spec["image"] = json!("otel/opentelemetry-collector-contrib");
        valid(&spec, &Dereferenced::default());
    }
    // Nobody knows here what will stand there.
    let mut unknown = with(json!({"endpoint": "${env:HOST}", "timeout": "${file:/timeout}"}));
    unknown["env"] = json!([{"name": "HOST", "value": "$(NODE):4317"}]);
    valid(&unknown, &Dereferenced::default());
}

#[test]
fn secrets_and_config_maps_of_volumes_are_referred_to() {
    let mut spec = spec(&json!({"debug": {}}));
    spec["volumes"] = json!([
        {"name": "a", "secret": {"secretName": "certificate"}},
        {"name": "b", "configMap": {"name": "settings"}},
        {"name": "c", "projected": {"sources": [
            {"secret": {"name": "token"}},
            {"configMap": {"name": "ca"}},
            {"serviceAccountToken": {"path": "token"}},
        ]}},
        {"name": "d", "emptyDir": {}},
    ]);
    spec["initContainers"] = json!([{
        "name": "first",
        "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "key"}}}],
        "envFrom": [{"configMapRef": {"name": "variables"}}],
    }]);
    let references = references(&collector(&spec));
    assert_eq!(
        references.secrets,
        ["certificate".to_owned(), "key".to_owned(), "token".to_owned()].into()
    );
    assert_eq!(
        references.config_maps,
        ["ca".to_owned(), "settings".to_owned(), "variables".to_owned()].into()
    );
}

#[test]
fn fields_that_exclude_each_other_are_refused() {
    for (fields, path) in [
        (
            json!({"volumeClaimTemplates": [{"metadata": {"name": "queue"}}]}),
            "volumeClaimTemplates",
        ),
        (
            json!({"persistentVolumeClaimRetentionPolicy": {}}),
            "persistentVolumeClaimRetentionPolicy",
        ),
        (json!({"serviceName": "mine"}), "serviceName"),
        (json!({"podManagementPolicy": "Parallel"}), "podManagementPolicy"),
        (json!({"daemonSetUpdateStrategy": {}}), "daemonSetUpdateStrategy"),
        (
            json!({"mode": "daemonset", "deploymentUpdateStrategy": {}}),
            "deploymentUpdateStrategy",
        ),
        (
            json!({"mode": "daemonset", "autoscaler": {"maxReplicas": 2}}),
            "autoscaler",
        ),
        (
            json!({"autoscaler": {"minReplicas": 3, "maxReplicas": 2}}),
            "autoscaler.minReplicas",
        ),
        (json!({"autoscaler": {"maxReplicas": 0}}), "autoscaler"),
        (
            json!({"replicas": 3, "autoscaler": {"maxReplicas": 2}}),
            "replicas",
        ),
        (json!({"mode": "sidecar", "tolerations": [{}]}), "tolerations"),
        (
            json!({"mode": "sidecar", "ingress": {"type": "ingress"}}),
            "ingress",
        ),
        (
            json!({"ingress": {"type": "ingress", "ruleType": "subdomain", "hostname": "*"}}),
            "ingress.hostname",
        ),
        (
            json!({"targetAllocator": {"enabled": true, "replicas": 2}}),
            "targetAllocator",
        ),
        (json!({"configVersions": 0}), "configVersions"),
        (
            json!({"ports": [{"name": "other", "port": 80, "targetPort": "nowhere"}]}),
            "ports",
        ),
        (json!({"ports": [{"name": "metrics", "port": 80}]}), "ports"),
    ] {
        let mut spec = spec(&json!({"debug": {}}));
        for (field, value) in fields.as_object().unwrap() {
            spec[field] = value.clone();
        }
        assert_eq!(
            error(&spec, &Dereferenced::default()).0,
            format!("spec.{path}"),
            "{fields}"
        );
    }

    let mut account = spec(&json!({"debug": {}}));
    account["serviceAccount"] = json!("mine");
    assert_eq!(error(&account, &Dereferenced::default()).0, "spec.serviceAccount");

    let mut ports = spec(&json!({"debug": {}}));
    ports["ports"] = json!([{"name": "otlp-grpc", "port": 80}]);
    assert!(error(&ports, &Dereferenced::default()).1.contains("rename one"));
}

#[test]
fn what_is_not_built_is_said() {
    let mut unbuilt = spec(&json!({"debug": {}}));
    unbuilt["ingress"] = json!({"type": "route"});
    unbuilt["httpRoute"] = json!({"enabled": true, "gateway": "public"});
    unbuilt["observability"] = json!({"metrics": {"enableMetrics": true}});
    unbuilt["livenessProbe"] = json!({"periodSeconds": 1});
    unbuilt["sessionAffinityConfig"] = json!({});
    unbuilt["targetAllocator"] = json!({"enabled": false, "replicas": 2});
    let (validated, _) = valid(&unbuilt, &Dereferenced::default());
    let paths: Vec<&str> = validated.notices.iter().map(|notice| notice.path).collect();
    assert_eq!(
        paths,
        [
            "spec.ingress.type",
            "spec.httpRoute",
            "spec.observability.metrics",
            "spec.sessionAffinityConfig",
            "spec.livenessProbe",
        ]
    );

    let mut sidecar = spec(&json!({"debug": {}}));
    sidecar["mode"] = json!("sidecar");
    sidecar["args"] = json!({"config": "/mine.yaml", "drain-timeout": "5"});
    let (validated, _) = valid(&sidecar, &Dereferenced::default());
    let kinds: Vec<NoticeKind> = validated.notices.iter().map(|notice| notice.kind).collect();
    assert_eq!(kinds, [NoticeKind::NotBuilt, NoticeKind::Warning]);
    assert_eq!(validated.container.args, ["--drain-timeout=5"]);
    assert_eq!(
        crate::collector::build::build(&validated),
        crate::kubernetes::resources::Resources::default()
    );
}
