//! Collectors that point to a stack.

use super::*;

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
    assert_eq!(validated.notices, []);
}

#[test]
fn a_reference_to_a_stack_with_tls_brings_its_certificates() {
    let tls = json!({"template": {"distributor": {"tls": {"enabled": true, "certName": "cert"}}}});
    let mut found = with_stack(&tls);
    let mut spec = spec(&json!({"otlp_http": {}}));
    spec["config"]["service"]["pipelines"]["traces/2"] = json!({"receivers": ["otlp"]});
    spec["tempoRef"] = json!({"name": "shop"});
    let (validated, configuration) = valid(&spec, &found);
    assert!(
        validated.notices[0].message.contains("speak TLS"),
        "{:?}",
        validated.notices
    );
    assert_eq!(
        configuration["exporters"]["otlp_grpc/tempo"]["tls"],
        json!({"insecure": false})
    );

    spec["tempoRef"] = json!({"name": "shop", "caName": "ca", "certName": "own"});
    assert_eq!(error(&spec, &found).0, "spec.tempoRef.caName");
    found
        .config_maps
        .insert("ca".to_owned(), [("ca.crt".to_owned(), String::new())].into());
    assert_eq!(error(&spec, &found).0, "spec.tempoRef.certName");
    let files = ["tls.crt", "tls.key"].map(|file| (file.to_owned(), Vec::new()));
    found.secrets.insert("own".to_owned(), files.into());
    let (validated, configuration) = valid(&spec, &found);
    assert_eq!(validated.notices, []);
    let tls = json!({
        "insecure": false,
        "ca_file": "/var/run/tls/tempo/ca/ca.crt",
        "cert_file": "/var/run/tls/tempo/cert/tls.crt",
        "key_file": "/var/run/tls/tempo/cert/tls.key",
    });
    assert_eq!(
        configuration["exporters"],
        json!({
            "otlp_grpc/tempo": {"endpoint": "tempo-shop-distributor.shop.svc:4317", "tls": tls},
            "otlp_http": {"endpoint": "https://tempo-shop-distributor.shop.svc:4318", "tls": tls},
        })
    );
    let mounted: Vec<&str> = validated
        .container
        .mounts
        .iter()
        .map(|mount| mount.mount_path.as_str())
        .collect();
    assert_eq!(mounted, ["/var/run/tls/tempo/ca", "/var/run/tls/tempo/cert"]);
    let references = references(&collector(&spec));
    assert_eq!((references.config_maps.len(), references.secrets.len()), (1, 1));

    let (validated, _) = valid(
        &spec,
        &Dereferenced {
            tempo_stacks: with_stack(&json!({})).tempo_stacks,
            ..found
        },
    );
    assert!(validated.notices[0].message.contains("are not used"));
}

#[test]
fn a_reference_alone_is_a_whole_collector() {
    let spec = json!({"tempoRef": {"name": "shop"}});
    let (validated, configuration) = valid(&spec, &with_stack(&json!({})));
    assert_eq!(
        configuration["service"]["pipelines"],
        json!({"traces": {
            "receivers": ["otlp"], "processors": ["memory_limiter", "batch"], "exporters": ["otlp_grpc/tempo"],
        }})
    );
    let ports: Vec<i32> = validated.ports.iter().map(|port| port.container_port).collect();
    assert_eq!((ports, validated.metrics_port), (vec![4317, 4318], Some(8888)));
    assert!(validated.health.is_some());
    assert_eq!(error(&json!({}), &Dereferenced::default()).0, "spec.config");
}

#[test]
fn a_stack_that_speaks_only_http_is_spoken_to_so() {
    let monolithic =
        json!({"metadata": {"name": "small"}, "spec": {"ingestion": {"otlp": {"grpc": {"enabled": false}}}}});
    let monolithic: crate::crd::TempoMonolithic = serde_json::from_value(monolithic).unwrap();
    let found = Dereferenced {
        tempo_monolithics: [("small".to_owned(), monolithic)].into(),
        ..Dereferenced::default()
    };
    let reference = json!({"kind": "TempoMonolithic", "name": "small"});
    let (_, configuration) = valid(&json!({"tempoRef": reference}), &found);
    assert_eq!(
        configuration["exporters"],
        json!({"otlp_http/tempo": {"endpoint": "http://tempo-small.shop.svc:4318", "tls": {"insecure": true}}})
    );
    let mut over_grpc = spec(&json!({"otlp": {}}));
    over_grpc["tempoRef"] = reference;
    let (path, message) = error(&over_grpc, &found);
    assert_eq!(path, "spec.config.exporters.otlp");
    assert!(message.contains("does not receive OTLP over gRPC"), "{message}");
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
