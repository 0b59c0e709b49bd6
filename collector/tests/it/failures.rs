//! What goes wrong between an exporter and its server: nobody listens, TLS at one end only, refusals of every kind,
//! spans that are rejected.

use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use tempo_collector::Service;
use tempo_model::proto::trace::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tempo_receiver::raw_codec::RawCodec;
use tempo_receiver::{ConsumeError, ErrorKind};
use tempo_runtime::{Shutdown, server};
use tokio::net::TcpListener;

use crate::support::{Backend, Running, collector, eventually, push_grpc, push_http, request};

const STOP: Duration = Duration::from_mins(1);
const DIRECT: &str = "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}";
const QUICK_RETRY: &str = "retry_on_failure: {initial_interval: 1ms, max_interval: 10ms}";

/// What a scripted server says: a status, a header, and the body.
type Reply = (u16, Option<(&'static str, &'static str)>, Bytes);

/// An HTTP server that answers as it is told, and then 200.
struct Scripted {
    address: std::net::SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Scripted {
    async fn start(replies: Vec<Reply>) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let (counted, replies) = (Arc::clone(&requests), Mutex::new(VecDeque::from(replies)));
        let replies = Arc::new(replies);
        let answer = move |_: Request| {
            counted.fetch_add(1, Ordering::Relaxed);
            let (status, header, body) = replies.lock().pop_front().unwrap_or((200, None, Bytes::new()));
            ready(
                (
                    reqwest::StatusCode::from_u16(status).unwrap(),
                    header.map(|it| [it]),
                    body,
                )
                    .into_response(),
            )
        };
        let address = serve(Router::new().fallback(answer)).await;
        Self { address, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn serve(router: Router) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::serve_http(
        "test",
        listener,
        None,
        router,
        Shutdown::new(),
    ));
    address
}

fn counts(service: &Service, what: &str, spans: usize) -> bool {
    let line = format!("otelcol_exporter_{what}_spans_total");
    let metrics = service.metrics().render();
    metrics
        .lines()
        .any(|it| it.starts_with(&line) && it.ends_with(&format!(" {spans}")))
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_to_the_client() {
    // Nobody listens on a port that was just given back and lies among those of outgoing connections.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for exporter in [
        format!("otlp_grpc: {{endpoint: '{address}', tls: {{insecure: true}}, {DIRECT}}}"),
        format!("otlp_http: {{endpoint: 'http://{address}', {DIRECT}}}"),
        format!("otlp_grpc: {{endpoint: 'no-such-host.invalid:4317', tls: {{insecure: true}}, {DIRECT}}}"),
    ] {
        let service = collector("{}", &exporter).await;
        let status = push_grpc(&service, &request(0, 2)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
        assert!(!status.message().is_empty());
        assert_eq!(push_http(&service, &request(0, 2)).await, 503);
        assert!(
            counts(&service, "send_failed", 4),
            "{}",
            service.metrics().render()
        );
        assert!(service.stop(STOP).await);
    }
}

#[tokio::test]
async fn tls_at_the_clients_end_only_reaches_nobody() {
    let backend = Arc::new(Backend::default());
    let (grpc, http) = (
        Running::grpc(&backend, "127.0.0.1:0").await,
        Running::http(&backend).await,
    );
    for exporter in [
        format!("otlp_grpc: {{endpoint: '{}', {DIRECT}}}", grpc.address),
        format!("otlp_http: {{endpoint: 'https://{}', {DIRECT}}}", http.address),
    ] {
        let service = collector("{}", &exporter).await;
        let status = push_grpc(&service, &request(0, 1)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable, "{exporter}: {status}");
    }
    assert!(backend.ids().is_empty());
}

#[tokio::test]
async fn what_passes_is_sent_again_over_http() {
    for (status, header) in [
        (429, None),
        (429, Some(("retry-after", "0"))),
        (502, None),
        (503, None),
        (503, Some(("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"))),
        (504, None),
    ] {
        let server = Scripted::start(vec![(status, header, Bytes::new()); 2]).await;
        let exporter = format!(
            "otlp_http: {{endpoint: 'http://{}', {QUICK_RETRY}}}",
            server.address
        );
        let service = collector("{}", &exporter).await;
        push_grpc(&service, &request(0, 3)).await.unwrap();
        eventually("the spans are sent", || counts(&service, "sent", 3)).await;
        assert!(service.stop(STOP).await);
        assert_eq!(server.requests(), 3, "{status} {header:?}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_given_up_over_http() {
    for (status, header) in [
        (301, Some(("location", "/elsewhere"))),
        (400, None),
        (401, None),
        (404, None),
        (500, Some(("retry-after", "0"))),
    ] {
        let server = Scripted::start(vec![(status, header, Bytes::new())]).await;
        let exporter = format!(
            "otlp_http: {{endpoint: 'http://{}', {QUICK_RETRY}}}",
            server.address
        );
        let service = collector("{}", &exporter).await;
        push_grpc(&service, &request(0, 3)).await.unwrap();
        eventually("the failure is counted", || counts(&service, "send_failed", 3)).await;
        assert!(service.stop(STOP).await);
        assert_eq!(server.requests(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_exhausted_server_is_asked_again_over_grpc_only_if_it_says_when() {
    for (retry_after, what) in [(Some(Duration::from_millis(1)), "sent"), (None, "send_failed")] {
        let backend = Arc::new(Backend::default());
        let exhausted = ConsumeError::new(ErrorKind::ResourceExhausted { retry_after }, "too much");
        *backend.refuses.lock() = Some(exhausted);
        let running = Running::grpc(&backend, "127.0.0.1:0").await;
        let exporter = format!(
            "otlp_grpc: {{endpoint: '{}', tls: {{insecure: true}}, {QUICK_RETRY}}}",
            running.address
        );
        let service = collector("{}", &exporter).await;
        push_grpc(&service, &request(0, 3)).await.unwrap();
        eventually("it was asked", || backend.refused.load(Ordering::Relaxed) > 0).await;
        if retry_after.is_some() {
            eventually("it is asked again", || {
                backend.refused.load(Ordering::Relaxed) > 1
            })
            .await;
            *backend.refuses.lock() = None;
        }
        eventually("the outcome is counted", || counts(&service, what, 3)).await;
        let asked = backend.refused.load(Ordering::Relaxed);
        assert_eq!(
            (asked == 1, backend.ids().is_empty()),
            (retry_after.is_none(), retry_after.is_none())
        );
        assert!(service.stop(STOP).await);
    }
}

/// Answers every Export with a part of the spans rejected.
struct Partial;

impl tonic::server::UnaryService<Bytes> for Partial {
    type Response = Bytes;
    type Future = Ready<Result<tonic::Response<Bytes>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<Bytes>) -> Self::Future {
        ready(Ok(tonic::Response::new(partial())))
    }
}

fn partial() -> Bytes {
    let response = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "two are too old".to_owned(),
        }),
    };
    response.encode_to_vec().into()
}

#[tokio::test]
async fn rejected_spans_are_not_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let answer = move |request: Request| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut grpc = tonic::server::Grpc::new(RawCodec);
            grpc = grpc.accept_compressed(tonic::codec::CompressionEncoding::Gzip);
            let answer = grpc.unary(Partial, request).await;
            let (parts, body) = answer.into_parts();
            Response::from_parts(parts, axum::body::Body::new(body))
        }
    };
    let grpc = serve(Router::new().fallback(answer)).await;
    let http = Scripted::start(vec![(
        200,
        Some(("content-type", "application/x-protobuf")),
        partial(),
    )])
    .await;
    for exporter in [
        format!("otlp_grpc: {{endpoint: '{grpc}', tls: {{insecure: true}}, {QUICK_RETRY}}}"),
        format!(
            "otlp_http: {{endpoint: 'http://{}', {QUICK_RETRY}}}",
            http.address
        ),
    ] {
        let service = collector("{}", &exporter).await;
        push_grpc(&service, &request(0, 5)).await.unwrap();
        eventually("the request is counted", || counts(&service, "sent", 5)).await;
        assert!(!counts(&service, "send_failed", 5));
        assert!(service.stop(STOP).await);
    }
    assert_eq!((requests.load(Ordering::Relaxed), http.requests()), (1, 1));
}
