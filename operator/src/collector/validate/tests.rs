//! Collectors, valid and not.

use serde_json::{Value, json};

use super::*;
use crate::crd::TempoStack;

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
fn a_reference_fills_in_exporter_endpoint_tls_and_tenant() {
    let mut spec = spec(&json!({}));
    spec["tempoRef"] = json!({"name": "shop", "tenant": "checkout"});
    let found = with_stack(&json!({}));
    let (validated, configuration) = valid(&spec, &found);
    assert_eq!(
        configuration["exporters"],
        json!({"otlp_grpc/tempo": {
            "endpoint": "tempo-shop-distributor.shop.svc:4317",
            "tls": {"insecure": true},
            "headers": {"X-Scope-OrgID": "checkout"},
        }})
    );
    assert_eq!(
        configuration["service"]["pipelines"]["traces"]["exporters"],
        json!(["otlp_grpc/tempo"])
    );
    assert_eq!(validated.notices, []);
}

#[test]
fn a_reference_leaves_alone_what_the_user_wrote() {
    let mut spec = spec(&json!({
        "otlp": {"headers": {"X-Scope-OrgID": "mine"}, "tls": {"ca_file": "/ca.crt"}},
        "otlp_http": {"endpoint": "https://example.org"},
    }));
    spec["tempoRef"] = json!({"name": "shop", "tenant": "checkout"});
    let found =
        with_stack(&json!({"template": {"distributor": {"tls": {"enabled": true, "certName": "cert"}}}}));
    let (validated, configuration) = valid(&spec, &found);
    assert_eq!(
        configuration["exporters"],
        json!({
            "otlp": {
                "endpoint": "tempo-shop-distributor.shop.svc:4317",
                "headers": {"X-Scope-OrgID": "mine"},
                "tls": {"ca_file": "/ca.crt"},
            },
            "otlp_http": {"endpoint": "https://example.org"},
        })
    );
    assert!(
        validated.notices[0].message.contains("speak TLS"),
        "{:?}",
        validated.notices
    );
}

#[test]
fn a_reference_that_nothing_uses_is_said() {
    let mut spec = spec(&json!({"otlp_http": {"endpoint": "https://example.org"}}));
    spec["tempoRef"] = json!({"name": "shop"});
    let (validated, _) = valid(&spec, &with_stack(&json!({})));
    assert!(validated.notices[0].message.contains("is not used"));
}

#[test]
fn a_reference_must_lead_somewhere() {
    let mut spec = spec(&json!({}));
    spec["tempoRef"] = json!({"name": "shop"});
    let (path, message) = error(&spec, &Dereferenced::default());
    assert_eq!(path, "spec.tempoRef");
    assert!(message.contains("not found in namespace \"shop\""), "{message}");

    let tenants =
        json!({"tenants": {"mode": "static", "authentication": [{"tenantName": "a", "tenantId": "a"}]}});
    let (path, message) = error(&spec, &with_stack(&tenants));
    assert_eq!(path, "spec.tempoRef.tenant");
    assert!(message.contains("name a tenant"), "{message}");
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
    assert_eq!(validated.health_port, Some(13133));
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
            "use one of: otlp; or set spec.image",
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
    let references = references(&collector(&spec));
    assert_eq!(
        references.secrets,
        ["certificate".to_owned(), "token".to_owned()].into()
    );
    assert_eq!(
        references.config_maps,
        ["ca".to_owned(), "settings".to_owned()].into()
    );
}

#[test]
fn fields_that_exclude_each_other_are_refused() {
    let mut claims = spec(&json!({"debug": {}}));
    claims["volumeClaimTemplates"] = json!([{"metadata": {"name": "queue"}}]);
    assert_eq!(
        error(&claims, &Dereferenced::default()).0,
        "spec.volumeClaimTemplates"
    );

    let mut account = spec(&json!({"debug": {}}));
    account["serviceAccount"] = json!("mine");
    assert_eq!(error(&account, &Dereferenced::default()).0, "spec.serviceAccount");

    let mut ports = spec(&json!({"debug": {}}));
    ports["ports"] = json!([{"name": "otlp-grpc", "port": 80}]);
    assert!(error(&ports, &Dereferenced::default()).1.contains("rename one"));
}

#[test]
fn what_is_not_built_is_said() {
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
