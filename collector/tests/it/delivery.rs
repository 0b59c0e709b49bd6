//! From a client through the Collector to a backend, in fair weather and foul.

use std::sync::Arc;
use std::time::Duration;

use tempo_receiver::{ConsumeError, ErrorKind};

use crate::support::{Backend, Running, collector, eventually, push_grpc, push_http, request};

const QUICK_RETRY: &str = "{initial_interval: 10ms, max_interval: 20ms}";
const STOP: Duration = Duration::from_mins(1);

fn grpc_exporter(address: impl std::fmt::Display, more: &str) -> String {
    format!(
        "otlp_grpc: {{endpoint: '{address}', tls: {{insecure: true}}, retry_on_failure: {QUICK_RETRY}, {more}}}"
    )
}

fn unavailable() -> ConsumeError {
    ConsumeError::new(ErrorKind::Unavailable { retry_after: None }, "not now")
}

#[tokio::test]
async fn spans_pass_unchanged_over_both_protocols_and_with_headers() {
    let backend = Arc::new(Backend::default());
    let over_grpc = Running::grpc(&backend, "127.0.0.1:0").await;
    let over_http = Running::http(&backend).await;
    for exporter in [
        grpc_exporter(over_grpc.address, "headers: {X-Scope-OrgID: acme}"),
        format!(
            "otlphttp: {{endpoint: 'http://{}', headers: {{X-Scope-OrgID: acme}}}}",
            over_http.address
        ),
        format!(
            "otlp_http: {{endpoint: 'http://{}', compression: zstd, headers: {{X-Scope-OrgID: acme}}}}",
            over_http.address
        ),
    ] {
        let service = collector("{}", &exporter).await;
        push_grpc(&service, &request(0, 3)).await.unwrap();
        assert_eq!(push_http(&service, &request(3, 2)).await, 200);
        assert!(service.stop(STOP).await);
        let mut spans = backend.spans();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        let sent = request(0, 5).resource_spans.remove(0).scope_spans.remove(0).spans;
        assert_eq!(spans, sent, "{exporter}");
        for batch in backend.batches.lock().drain(..) {
            assert_eq!(batch.header("x-scope-orgid"), Some("acme"), "{exporter}");
        }
    }
}

#[tokio::test]
async fn a_backend_that_was_dead_gets_everything_once_it_lives() {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let address = running.address;
    let service = collector("batch: {timeout: 10ms}", &grpc_exporter(address, "")).await;
    push_grpc(&service, &request(0, 10)).await.unwrap();
    eventually("the first spans arrive", || backend.ids().len() == 10).await;
    running.stop().await;
    for first in (10..60).step_by(10) {
        push_grpc(&service, &request(first, 10)).await.unwrap();
    }
    let _again = Running::grpc(&backend, &address.to_string()).await;
    eventually("all spans arrive", || backend.ids() == (0..60).collect()).await;
    assert!(service.stop(STOP).await);
}

#[tokio::test]
async fn stopping_sends_what_waits() {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let service = collector("batch: {timeout: 1h}", &grpc_exporter(running.address, "")).await;
    push_grpc(&service, &request(0, 7)).await.unwrap();
    assert!(backend.ids().is_empty());
    assert!(service.stop(STOP).await);
    assert_eq!(backend.ids(), (0..7).collect());
}

#[tokio::test]
async fn stopping_says_when_not_all_could_be_sent() {
    let backend = Arc::new(Backend::default());
    *backend.refuses.lock() = Some(unavailable());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let service = collector("{}", &grpc_exporter(running.address, "")).await;
    push_grpc(&service, &request(0, 1)).await.unwrap();
    assert!(!service.stop(Duration::from_millis(100)).await);
}

#[tokio::test]
async fn a_full_queue_refuses_and_the_client_may_try_again() {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let gate = backend.gate.lock().await;
    let queue = "sending_queue: {queue_size: 2, num_consumers: 1}";
    let service = collector("{}", &grpc_exporter(running.address, queue)).await;
    push_grpc(&service, &request(0, 1)).await.unwrap();
    push_grpc(&service, &request(1, 1)).await.unwrap();
    let status = push_grpc(&service, &request(2, 1)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    assert_eq!(push_http(&service, &request(2, 1)).await, 503);
    drop(gate);
    eventually("the queue empties", || backend.ids().len() == 2).await;
    eventually("there is room", || {
        service
            .metrics()
            .render()
            .contains("queue_size{exporter=\"otlp_grpc\"} 0")
    })
    .await;
    push_grpc(&service, &request(2, 1)).await.unwrap();
    assert!(service.stop(STOP).await);
    assert_eq!(backend.ids(), (0..3).collect());
}

#[tokio::test]
async fn a_request_larger_than_the_queue_is_refused_for_good() {
    let queue = "sending_queue: {queue_size: 5, sizer: items}";
    let service = collector("{}", &grpc_exporter("127.0.0.1:1", queue)).await;
    let status = push_grpc(&service, &request(0, 6)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}");
    assert!(
        status.details().is_empty(),
        "a delay would make clients try for ever"
    );
}

#[tokio::test]
async fn without_a_queue_the_client_hears_the_backend() {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let direct = "sending_queue: {enabled: false}";
    let exporter = grpc_exporter(running.address, direct).replace(QUICK_RETRY, "{enabled: false}");
    let service = collector("{}", &exporter).await;
    for (error, code) in [
        (unavailable(), tonic::Code::Unavailable),
        (
            ConsumeError::new(ErrorKind::InvalidArgument, "wrong"),
            tonic::Code::InvalidArgument,
        ),
        (
            ConsumeError::new(ErrorKind::Internal, "ours"),
            tonic::Code::Internal,
        ),
    ] {
        *backend.refuses.lock() = Some(error);
        assert_eq!(
            push_grpc(&service, &request(0, 1)).await.unwrap_err().code(),
            code
        );
    }
    *backend.refuses.lock() = None;
    push_grpc(&service, &request(0, 1)).await.unwrap();
    assert_eq!(backend.ids().len(), 1);
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_and_not_sent_again() {
    let backend = Arc::new(Backend::default());
    *backend.refuses.lock() = Some(ConsumeError::new(ErrorKind::InvalidArgument, "wrong"));
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let service = collector("{}", &grpc_exporter(running.address, "")).await;
    push_grpc(&service, &request(0, 4)).await.unwrap();
    eventually("the failure is counted", || {
        service
            .metrics()
            .render()
            .contains("otelcol_exporter_send_failed_spans_total{exporter=\"otlp_grpc\"} 4")
    })
    .await;
    *backend.refuses.lock() = None;
    assert!(service.stop(STOP).await);
    assert!(backend.ids().is_empty());
}

#[tokio::test]
async fn a_stuck_exporter_holds_up_no_other() {
    let (stuck, well) = (Arc::new(Backend::default()), Arc::new(Backend::default()));
    let (one, other) = (
        Running::grpc(&stuck, "127.0.0.1:0").await,
        Running::grpc(&well, "127.0.0.1:0").await,
    );
    let _gate = stuck.gate.lock().await;
    let exporters = format!(
        "otlp_grpc/stuck: {{endpoint: '{}', tls: {{insecure: true}}}}\notlp_grpc/well: {{endpoint: '{}', tls: {{insecure: true}}}}",
        one.address, other.address
    );
    let service = collector("{}", &exporters).await;
    for first in 0..20 {
        push_grpc(&service, &request(first, 1)).await.unwrap();
    }
    eventually("the other one has all", || well.ids().len() == 20).await;
    assert!(stuck.ids().is_empty());
}
