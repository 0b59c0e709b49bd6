//! The binary as a process: it forwards, tells its health, and empties its queues when it is told to end.

use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::ports::reserve_port;
use crate::support::{Backend, Running, eventually, push_to, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_told_to_end_sends_what_it_has() {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("collector.yaml");
    let (otlp, health) = (reserve_port().unwrap(), reserve_port().unwrap());
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
    tell("TERM", &child);
    let status = tokio::task::spawn_blocking(move || child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(backend.ids(), (0..9).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_hung_up_reads_its_configuration_again_and_loses_nothing() {
    let backend = Arc::new(Backend::default());
    let running = Running::grpc(&backend, "127.0.0.1:0").await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("collector.yaml");
    let (otlp, other, health) = (
        reserve_port().unwrap(),
        reserve_port().unwrap(),
        reserve_port().unwrap(),
    );
    let write = |otlp: &str| {
        let yaml = format!(
            "
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{otlp}'}}}}}}}}
processors: {{batch: {{timeout: 1h}}}}
exporters: {{otlp_grpc: {{endpoint: '{}', tls: {{insecure: true}}}}}}
extensions: {{health_check: {{endpoint: '127.0.0.1:{health}'}}}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [otlp_grpc]}}}}
",
            running.address
        );
        std::fs::write(&file, yaml).unwrap();
    };
    let log = std::fs::File::create(directory.path().join("log")).unwrap();
    write(&otlp.to_string());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tempo-collector"))
        .arg("--config")
        .arg(&file)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    eventually("the process is healthy", || is_healthy(health)).await;
    let says = |text: &str| {
        std::fs::read_to_string(directory.path().join("log"))
            .unwrap()
            .contains(text)
    };
    let at = |port: u16| format!("127.0.0.1:{port}").parse().unwrap();
    push_to(at(otlp), &request(0, 3)).await.unwrap();

    write("nowhere");
    tell("HUP", &child);
    eventually("the mistake is named", || says("what ran goes on")).await;
    push_to(at(otlp), &request(3, 3)).await.unwrap();

    write(&other.to_string());
    tell("HUP", &child);
    eventually("the other door is open", || {
        says("was read again") && is_healthy(health)
    })
    .await;
    push_to(at(other), &request(6, 3)).await.unwrap();
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", otlp)).await.is_err());
    eventually("what the earlier service took is sent", || {
        backend.ids() == (0..6).collect()
    })
    .await;

    // A door that cannot be had.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    write(&taken.local_addr().unwrap().port().to_string());
    tell("HUP", &child);
    eventually("the earlier configuration is used", || {
        says("the earlier one is") && is_healthy(health)
    })
    .await;
    push_to(at(other), &request(9, 1)).await.unwrap();

    tell("TERM", &child);
    let status = tokio::task::spawn_blocking(move || child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(backend.ids(), (0..10).collect());
}

fn tell(name: &str, child: &std::process::Child) {
    let told = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(told.success());
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
