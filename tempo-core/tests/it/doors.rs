//! The OTLP doors beyond plain requests: TLS, and clients that do not let go.

use std::io::Write;
use std::net::TcpStream;

use bytes::Bytes;
use prost::Message;
use tempo_core::load::client::OtlpClient;
use tempo_core::load::engine::{Engine, EngineError, Ports};
use tempo_core::load::shop::Shop;
use tempo_model::proto::trace::ExportTraceServiceResponse;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::support::{binary, client, eventually, search, traces};

/// An engine whose configuration is changed, as a process that may not be ready yet.
async fn spawn(folder: &std::path::Path, change: impl FnOnce(String, Ports) -> String) -> Engine {
    let ports = Ports::free().unwrap();
    let configuration = change(Engine::configuration(folder, ports), ports);
    Engine::spawn(binary(), &["-target=all"], folder, &configuration, ports)
        .await
        .unwrap()
}

fn with_tls(configuration: &str, ports: Ports, folder: &std::path::Path) -> String {
    let files = format!(
        ", tls: {{cert_file: '{0}/tls.crt', key_file: '{0}/tls.key'}}}}",
        folder.display()
    );
    let mut configuration = configuration.to_owned();
    for port in [ports.otlp_grpc, ports.otlp_http] {
        let end = format!("127.0.0.1:{port}'");
        configuration = configuration.replace(&format!("{end}}}"), &format!("{end}{files}"));
    }
    configuration
}

#[tokio::test]
async fn doors_speak_tls_when_they_have_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    std::fs::write(folder.path().join("tls.crt"), &certificate).unwrap();
    std::fs::write(folder.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let mut engine = spawn(folder.path(), |text, ports| with_tls(&text, ports, folder.path())).await;
    engine.wait_until_ready().await.unwrap();
    let mut shop = Shop::new(7);
    let (request, by_http) = traces(&mut shop, 2);
    let trusting = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap())
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/v1/traces", engine.ports().otlp_http);
    let sending = trusting
        .post(url)
        .header("content-type", "application/x-protobuf")
        .body(request);
    assert!(sending.send().await.unwrap().status().is_success());
    let (request, by_grpc) = traces(&mut shop, 2);
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", engine.ports().otlp_grpc)).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate));
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(tempo_receiver::grpc::EXPORT_PATH);
    grpc.unary(
        tonic::Request::new(request),
        path,
        tempo_receiver::raw_codec::RawCodec,
    )
    .await
    .unwrap();
    assert_eq!(
        search(&engine, "{}").await,
        by_http.into_iter().chain(by_grpc).collect()
    );
    let in_the_clear = OtlpClient::grpc(&format!("127.0.0.1:{}", engine.ports().otlp_grpc)).await;
    if let Ok(client) = in_the_clear {
        client.export(traces(&mut shop, 1).0).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = spawn(folder.path(), |text, ports| with_tls(&text, ports, folder.path())).await;
    let error = engine.wait_until_ready().await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Ended { log, .. } if log.contains("tls.key") || log.contains("tls.crt")),
        "{error}"
    );
}

/// Begins a request that never ends.
fn hold_on(engine: &Engine) -> TcpStream {
    let mut held = TcpStream::connect(("127.0.0.1", engine.ports().otlp_http)).unwrap();
    held.write_all(
        b"POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: 10\r\n\r\n",
    )
    .unwrap();
    held
}

#[tokio::test]
async fn a_client_that_does_not_let_go_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let short = |text: String, _| text.replace("server: {", "server: {graceful_shutdown_timeout: 10s, ");
    let mut engine = spawn(folder.path(), short).await;
    engine.wait_until_ready().await.unwrap();
    let (request, _) = traces(&mut Shop::new(8), 3);
    client(&engine).await.export(request).await.unwrap();
    let _held = hold_on(&engine);
    let status = engine.stop().await.unwrap();
    assert!(status.success(), "{}", engine.log());
    assert!(
        engine.log().contains("hold on to their connections"),
        "{}",
        engine.log()
    );
}

#[tokio::test]
async fn a_second_signal_ends_a_process_that_is_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let long = |text: String, _| text.replace("server: {", "server: {graceful_shutdown_timeout: 1h, ");
    let mut engine = spawn(folder.path(), long).await;
    engine.wait_until_ready().await.unwrap();
    let _held = hold_on(&engine);
    engine.terminate().unwrap();
    eventually("stopping", async || engine.log().contains("signal=SIGTERM")).await;
    engine.terminate().unwrap();
    let status = engine.wait().await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(engine.log().contains("second SIGTERM"), "{}", engine.log());
}

#[tokio::test]
async fn what_limits_drop_is_told_and_counted_and_what_is_too_large_is_refused_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let limits = "overrides: {defaults: {ingestion: {max_traces_per_user: 10, rate_limit_bytes: 400000, \
                  burst_size_bytes: 400000}}}\n";
    let mut engine = spawn(folder.path(), |text, _| text + limits).await;
    engine.wait_until_ready().await.unwrap();
    let url = format!("http://127.0.0.1:{}/v1/traces", engine.ports().otlp_http);
    let post = |body: Bytes| {
        reqwest::Client::new()
            .post(&url)
            .header("content-type", "application/x-protobuf")
            .body(body)
            .send()
    };
    let mut shop = Shop::new(9);
    let (request, _) = traces(&mut shop, 15);
    let answer = post(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer = ExportTraceServiceResponse::decode(answer.bytes().await.unwrap()).unwrap();
    let partial = answer.partial_success.unwrap();
    assert!(partial.rejected_spans >= 5, "{partial:?}");
    assert!(
        partial.error_message.starts_with("LIVE_TRACES_EXCEEDED:"),
        "{partial:?}"
    );
    assert_eq!(search(&engine, "{}").await.len(), 10);
    let (_, metrics) = engine.get("/metrics", &[]).await.unwrap();
    let rejected = partial.rejected_spans;
    for line in [
        format!(
            r#"tempo_discarded_spans_total{{reason="live_traces_exceeded",tenant="single-tenant"}} {rejected}"#
        ),
        format!(
            r#"tempo_receiver_refused_spans{{receiver="otlp/otlp_receiver",transport="http"}} {rejected}"#
        ),
        r#"tempo_limits_defaults{limit_name="max_local_traces_per_user"} 10"#.to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is missing in {metrics}");
    }
    let (larger_than_the_burst, _) = traces(&mut shop, 600);
    assert_eq!(post(larger_than_the_burst).await.unwrap().status(), 400);
}
