//! The `batch` and `memory_limiter` processors.

use std::sync::Arc;
use std::time::Duration;

use tempo_receiver::{ConsumeError, ErrorKind};

use crate::support::{Backend, Running, collector, eventually, push_grpc, push_http, request};

const STOP: Duration = Duration::from_mins(1);

async fn with_backend(processors: &str) -> (Arc<Backend>, tempo_collector::Service) {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let exporter = format!(
        "otlp_grpc: {{endpoint: '{}', tls: {{insecure: true}}, sending_queue: {{enabled: false}}, \
         retry_on_failure: {{enabled: false}}}}",
        running.address
    );
    let service = collector(processors, &exporter).await;
    (backend, service)
}

fn sizes(backend: &Backend) -> Vec<usize> {
    backend
        .batches
        .lock()
        .iter()
        .map(|batch| batch.contents.spans)
        .collect()
}

#[tokio::test]
async fn small_requests_become_one() {
    let (backend, service) = with_backend("batch: {send_batch_size: 100, timeout: 1h}").await;
    for first in (0..100).step_by(10) {
        push_grpc(&service, &request(first, 10)).await.unwrap();
    }
    eventually("the batch is sent", || !backend.ids().is_empty()).await;
    assert_eq!(sizes(&backend), [100]);
    assert_eq!(backend.ids(), (0..100).collect());
    assert!(
        service
            .metrics()
            .render()
            .contains("batch_size_trigger_send_total{processor=\"batch\"} 1")
    );
}

#[tokio::test]
async fn large_requests_are_cut() {
    let (backend, service) =
        with_backend("batch: {send_batch_size: 0, timeout: 0, send_batch_max_size: 50}").await;
    push_grpc(&service, &request(0, 120)).await.unwrap();
    assert_eq!(sizes(&backend), [50, 50, 20]);
    assert_eq!(backend.ids(), (0..120).collect());
}

#[tokio::test]
async fn a_batch_that_is_refused_is_kept_and_callers_feel_it() {
    let (backend, service) = with_backend("batch: {send_batch_size: 10, timeout: 1ms}").await;
    *backend.refuses.lock() = Some(ConsumeError::new(
        ErrorKind::Unavailable { retry_after: None },
        "not now",
    ));
    let mut taken = Vec::new();
    for first in (0..1000).step_by(10) {
        match push_grpc(&service, &request(first, 10)).await {
            Ok(()) => taken.extend(first..first + 10),
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unavailable);
                break;
            }
        }
    }
    assert!(taken.len() < 1000, "the processor holds without bound");
    *backend.refuses.lock() = None;
    assert!(service.stop(STOP).await);
    assert_eq!(backend.ids(), taken.into_iter().collect());
}

#[tokio::test]
async fn a_process_that_is_too_large_takes_nothing() {
    let (backend, service) = with_backend("memory_limiter: {check_interval: 1s, limit_mib: 1}").await;
    let status = push_grpc(&service, &request(0, 3)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(status.message(), "data refused due to high memory usage");
    assert_eq!(push_http(&service, &request(0, 3)).await, 503);
    assert!(backend.ids().is_empty());
    let (backend, service) =
        with_backend("memory_limiter: {check_interval: 1s, limit_percentage: 100}").await;
    push_grpc(&service, &request(0, 3)).await.unwrap();
    assert_eq!(backend.ids().len(), 3);
}
