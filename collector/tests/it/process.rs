//! The binary as a process: it forwards, tells its health, and empties its queues when it is told to end.

use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::support::{Backend, Running, eventually, push_to, request};

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_told_to_end_sends_what_it_has() {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("collector.yaml");
    let (otlp, health) = (free_port(), free_port());
    let yaml = format!(
        "
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:${{env:OTLP_PORT}}'}}}}}}}}
processors: {{batch: {{timeout: 1h}}}}
exporters: {{otlp: {{endpoint: '{}', tls: {{insecure: true}}}}}}
extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [otlp]}}}}
",
        running.address
    );
    std::fs::write(&file, yaml).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tempo-collector"))
        .arg(format!("--config={}", file.display()))
        .env("OTLP_PORT", otlp.to_string())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the process is healthy", || is_healthy(health)).await;
    push_to(format!("127.0.0.1:{otlp}").parse().unwrap(), &request(0, 9))
        .await
        .unwrap();
    assert!(backend.ids().is_empty());
    let told = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(told.success());
    let status = tokio::task::spawn_blocking(move || child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(backend.ids(), (0..9).collect());
}

fn is_healthy(port: u16) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut answer = String::new();
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}
