//! What the process tells about itself.

use std::time::Duration;

use crate::support::{collector, push_grpc, push_http, request};

async fn get(address: std::net::SocketAddr, path: &str) -> (reqwest::StatusCode, String) {
    let answer = reqwest::get(format!("http://{address}{path}"))
        .await
        .expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

#[tokio::test]
async fn health_and_metrics_are_served() {
    let service = collector("{}", "debug: {verbosity: detailed}").await;
    push_grpc(&service, &request(0, 3)).await.unwrap();
    assert_eq!(push_http(&service, &request(0, 2)).await, 200);
    let addresses = service.addresses().clone();
    assert_eq!(get(addresses["extensions::health_check"], "/").await.0, 200);
    let (status, metrics) = get(addresses["metrics"], "/metrics").await;
    assert_eq!(status, 200);
    for (transport, spans) in [("grpc", 3), ("http", 2)] {
        let line = format!(
            "otelcol_receiver_accepted_spans_total{{receiver=\"otlp\",transport=\"{transport}\"}} {spans}"
        );
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(service.stop(Duration::from_mins(1)).await);
    assert!(
        tokio::net::TcpStream::connect(addresses["receivers::otlp::OTLP/gRPC"])
            .await
            .is_err()
    );
}
