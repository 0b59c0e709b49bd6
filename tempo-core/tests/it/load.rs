//! The subcommands that send spans.

use std::net::TcpListener;

use serde_json::Value;
use tempo_core::load::engine::{Engine, Ports};

use crate::support::{binary, errors, run, search};

/// An offset at which the ports that the quickstart publishes are free.
fn free_offset() -> u16 {
    let start = 2000 + (std::process::id() % 300) as u16 * 100;
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..100)
        .map(|step| start + step * 100)
        .find(|offset| [3200, 4317, 4318].iter().all(|port| free(port + offset)))
        .unwrap()
}

/// Runs a subcommand without holding up the test's own runtime.
async fn run_beside(words: &'static [&'static str], more: Vec<String>) -> std::process::Output {
    let run = move || {
        let words: Vec<&str> = words
            .iter()
            .copied()
            .chain(more.iter().map(String::as_str))
            .collect();
        run(&words)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_demo_says_how_to_look_at_what_it_sends() {
    let offset = free_offset();
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports {
        http: 3200 + offset,
        otlp_grpc: 4317 + offset,
        otlp_http: 4318 + offset,
        ..Ports::free().unwrap()
    };
    let engine = Engine::start(binary(), folder.path(), ports).await.unwrap();
    for protocol in [&["demo", "--duration=1"][..], &["demo", "--duration=1", "--http"]] {
        let demo = run_beside(protocol, vec![format!("--port-offset={offset}")]).await;
        assert!(demo.status.success(), "{}", errors(&demo));
        let text = String::from_utf8(demo.stdout).unwrap();
        let found = search(&engine, "{}").await;
        let url = format!("http://127.0.0.1:{}/api/traces/", ports.http);
        let (_, after) = text.split_once(&url).expect("a curl with the trace's URL");
        assert!(
            found.contains(&after[..32]),
            "{text} names a trace that is not found"
        );
        let page = format!("/trace/{}", &after[..32]);
        assert!(text.contains(&page), "{text}");
        assert_eq!(engine.get(&page, &[]).await.unwrap().0, 200);
    }
}

#[tokio::test]
async fn the_demo_without_a_quickstart_says_how_to_start_one() {
    let offset = free_offset();
    let demo = run_beside(&["demo"], vec![format!("--port-offset={offset}")]).await;
    assert!(!demo.status.success());
    let expected = format!("make run PORT_OFFSET={offset}");
    assert!(errors(&demo).contains(&expected), "{}", errors(&demo));
}

#[tokio::test]
async fn the_benchmark_measures_an_engine_of_its_own() {
    let bench = run_beside(&["bench", "--spans=3000", "--json"], Vec::new()).await;
    assert!(bench.status.success(), "{}", errors(&bench));
    let figures: Value = serde_json::from_slice(&bench.stdout).unwrap();
    assert!(figures["spans"].as_u64().unwrap() >= 3000, "{figures}");
    assert_eq!(figures["failed_spans"], 0);
    for measured in [
        "spans_per_s",
        "server_cpu_s_per_m_settled",
        "server_peak_bytes",
        "stored_bytes_per_span",
    ] {
        assert!(
            figures[measured].as_f64().unwrap() > 0.0,
            "{measured} in {figures}"
        );
    }
    let table = run_beside(&["bench", "--spans=3000"], Vec::new()).await;
    assert!(String::from_utf8_lossy(&table.stdout).contains("bytes a span as stored"));
}

#[tokio::test]
async fn the_benchmark_says_when_nobody_listens() {
    let port = Ports::free().unwrap().otlp_grpc;
    let bench = run_beside(
        &["bench", "--spans=100"],
        vec![format!("--against=127.0.0.1:{port}")],
    )
    .await;
    assert!(!bench.status.success());
    assert!(
        errors(&bench).contains(&format!("connect to 127.0.0.1:{port}")),
        "{}",
        errors(&bench)
    );
}
