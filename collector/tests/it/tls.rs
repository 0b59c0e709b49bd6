//! TLS at both ends: from a client's Collector to a server's Collector, over both protocols.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempo_collector::Service;

use crate::support::{
    Backend, Running, collector, configuration, eventually, install_crypto, push_grpc, request,
};

/// A self-signed certificate for `localhost`, and its key.
fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (directory.join("tls.crt"), directory.join("tls.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

async fn server(backend: &Running, certificate: &Path, key: &Path) -> Service {
    let tls = format!(
        "tls: {{cert_file: {}, key_file: {}}}",
        certificate.display(),
        key.display()
    );
    let yaml = format!(
        "
receivers: {{otlp: {{protocols: {{
  grpc: {{endpoint: '127.0.0.1:0', {tls}}}, http: {{endpoint: '127.0.0.1:0', {tls}}}}}}}}}
exporters: {{otlp_grpc: {{endpoint: '{}', tls: {{insecure: true}}}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [otlp_grpc]}}}}
",
        backend.address
    );
    Service::start(&configuration(&yaml).unwrap()).await.unwrap()
}

#[tokio::test]
async fn spans_pass_over_tls_to_a_server_that_is_trusted_and_to_no_other() {
    install_crypto();
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(directory.path());
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let server = server(&running, &certificate, &key).await;
    let grpc = server.addresses()["receivers::otlp::OTLP/gRPC"].port();
    let http = server.addresses()["receivers::otlp::OTLP/HTTP"].port();
    let trusted = format!("tls: {{ca_file: {}}}", certificate.display());
    for (index, exporter) in [
        format!("otlp_grpc: {{endpoint: 'localhost:{grpc}', {trusted}}}"),
        format!(
            "otlp_grpc: {{endpoint: '127.0.0.1:{grpc}', tls: {{ca_file: {}, server_name_override: localhost}}}}",
            certificate.display()
        ),
        format!("otlp_http: {{endpoint: 'https://localhost:{http}', {trusted}}}"),
    ]
    .iter()
    .enumerate()
    {
        let client = collector("{}", exporter).await;
        push_grpc(&client, &request(index as u64, 1)).await.unwrap();
        eventually(exporter, || backend.ids().contains(&(index as u64))).await;
        assert!(client.stop(Duration::from_mins(1)).await);
    }
    let direct = "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";
    for untrusting in [
        format!("otlp_grpc: {{endpoint: 'localhost:{grpc}', {direct}}}"),
        format!("otlp_http: {{endpoint: 'https://localhost:{http}', {direct}}}"),
    ] {
        let client = collector("{}", &untrusting).await;
        let status = push_grpc(&client, &request(100, 1)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    }
    assert!(!backend.ids().contains(&100));
}

#[tokio::test]
async fn files_that_are_not_there_are_named() {
    install_crypto();
    let yaml = "
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}}}}
exporters: {otlp_grpc: {endpoint: 'localhost:1', tls: {ca_file: /nowhere/ca.crt}}}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [otlp_grpc]}}
";
    let error = Service::start(&configuration(yaml).unwrap())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("exporters::otlp_grpc") && error.contains("/nowhere/ca.crt"),
        "{error}"
    );
}
