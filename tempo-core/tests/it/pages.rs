//! What every process shows of itself.

use std::net::TcpListener;

use tempo_core::load::engine::{Engine, EngineError, Ports};

use crate::support::{binary, engine, json};

#[tokio::test]
async fn a_process_says_how_it_is_and_with_which_settings() {
    let (_folder, mut engine) = engine().await;
    assert_eq!(
        engine.get("/ready", &[]).await.unwrap(),
        (200, "ready\n".to_owned())
    );
    let (_, config) = engine.get("/status/config", &[]).await.unwrap();
    let port = engine.ports().http;
    assert!(config.contains(&format!("http_listen_port: {port}")), "{config}");
    let (_, diff) = engine.get("/status/config", &[("mode", "diff")]).await.unwrap();
    assert!(
        diff.contains("http_listen_port") && !diff.contains("query_frontend"),
        "{diff}"
    );
    let (_, status) = engine.get("/status", &[]).await.unwrap();
    for section in [
        "/status/version",
        "/status/services",
        "/status/endpoints",
        "| ingester",
    ] {
        assert!(status.contains(section), "{section} is missing in {status}");
    }
    let build = json(&engine, "/api/status/buildinfo", &[]).await;
    assert!(build["version"].as_str().unwrap().starts_with("2.10."));
    let (_, metrics) = engine.get("/metrics", &[]).await.unwrap();
    for name in [
        "tempo_build_info{",
        "tempo_request_duration_seconds_bucket{",
        "route=\"ready\"",
    ] {
        assert!(metrics.contains(name), "{name} is missing in {metrics}");
    }
    assert_eq!(engine.get("/status/nothing", &[]).await.unwrap().0, 404);
    assert_eq!(engine.get("/nothing", &[]).await.unwrap().0, 404);
    assert!(engine.stop().await.unwrap().success());
}

#[tokio::test]
async fn secrets_are_masked_and_limits_of_tenants_follow_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = folder.path().join("overrides.yaml");
    std::fs::write(
        &overrides,
        "overrides: {a: {ingestion: {rate_limit_bytes: 4711}}}",
    )
    .unwrap();
    let ports = Ports::free().unwrap();
    let configuration = format!(
        "{}overrides: {{per_tenant_override_config: '{}', per_tenant_override_period: 50ms}}\n",
        Engine::configuration(folder.path(), ports),
        overrides.display()
    );
    let arguments = [
        "-target=all",
        "-storage.trace.s3.secret_key=very-secret",
        "-http_api_prefix=/tempo/",
    ];
    let mut engine = Engine::spawn(binary(), &arguments, folder.path(), &configuration, ports)
        .await
        .unwrap();
    engine.wait_until_ready().await.unwrap();
    let (_, config) = engine.get("/status/config", &[]).await.unwrap();
    assert!(
        config.contains("<secret>") && !config.contains("very-secret"),
        "{config}"
    );
    let (_, build) = engine.get("/tempo/api/status/buildinfo", &[]).await.unwrap();
    assert!(build.contains("tempo-rs"), "{build}");
    assert_eq!(engine.get("/tempo/api/echo", &[]).await.unwrap().1, "echo");
    let (_, limits) = engine.get("/status/overrides/a", &[]).await.unwrap();
    assert!(limits.contains("rate_limit_bytes: 4711"), "{limits}");
    std::fs::write(
        &overrides,
        "overrides: {a: {ingestion: {rate_limit_bytes: 4712}}}",
    )
    .unwrap();
    crate::support::eventually("the changed limit", async || {
        let (_, limits) = engine.get("/status/runtime_config", &[]).await.unwrap();
        limits.contains("rate_limit_bytes: 4712")
    })
    .await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    for what in ["HTTP", "OTLP/gRPC", "OTLP/HTTP"] {
        let folder = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut ports = Ports::free().unwrap();
        match what {
            "HTTP" => ports.http = port,
            "OTLP/gRPC" => ports.otlp_grpc = port,
            _ => ports.otlp_http = port,
        }
        let error = Engine::start(binary(), folder.path(), ports).await.unwrap_err();
        let EngineError::Ended { status, log } = error else {
            panic!("{error}");
        };
        assert_eq!(status.code(), Some(1));
        for part in [&format!("127.0.0.1:{port}"), what, "another process"] {
            assert!(log.contains(part), "{part} is missing in {log}");
        }
    }
}
