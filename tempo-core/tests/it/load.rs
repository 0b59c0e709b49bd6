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

/// Every figure but the counts of callgrind, which is not everywhere.
const MEASURED: &str = "--only=footprint,ingest,fresh,queries,compaction,replay";

#[tokio::test]
async fn the_benchmark_puts_figures_beside_every_bar() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.md");
    let record = vec![format!("--record={}", history.display())];
    let bench = run_beside(
        &["bench", "--spans=3000", "--batch=8", "--json", MEASURED],
        record,
    )
    .await;
    assert!(bench.status.success(), "{}", errors(&bench));
    let report: Value = serde_json::from_slice(&bench.stdout).unwrap();
    assert!(report["spans"].as_u64().unwrap() >= 3000, "{report}");
    let bars = report["bars"].as_array().unwrap();
    assert_eq!(bars.len(), 36, "every bar is there: {report}");
    for bar in bars {
        let is_optional = bar["key"] == "BinarySize";
        assert!(is_optional || bar["measured"].is_f64(), "{bar}");
    }
    let figure = |key: &str| {
        let bar = bars.iter().find(|bar| bar["key"] == key).unwrap();
        bar["measured"].as_f64().unwrap()
    };
    for exact in ["StoredSpans", "ReplaySpans", "FoundById", "FoundBySearch"] {
        assert!((figure(exact) - 1.0).abs() < 1e-9, "{exact} in {report}");
    }
    for positive in [
        "IngestRate",
        "IngestPeak",
        "StoredBytes",
        "HitLatency",
        "Start",
        "IdleMemory",
    ] {
        assert!(figure(positive) > 0.0, "{positive} in {report}");
    }
    let history = std::fs::read_to_string(history).unwrap();
    assert!(history.contains("| spans a second | 35 k | 64 k |"), "{history}");
}

const GROWTH: [&str; 6] = [
    "bench",
    "growth",
    "--spans=500,1500",
    "--blocks=1,3",
    "--spans-in-blocks=900",
    "--batch=8",
];

#[tokio::test]
async fn growth_is_plotted() {
    let folder = tempfile::tempdir().unwrap();
    let plots = vec![format!("--plots={}", folder.path().display())];
    let growth = run_beside(&GROWTH, plots).await;
    assert!(growth.status.success(), "{}", errors(&growth));
    let points: Value = serde_json::from_slice(&growth.stdout).unwrap();
    assert_eq!(points["blocks"][1]["size"], 3, "{points}");
    assert!(
        points["spans"][0]["bytes a span"].as_f64().unwrap() > 0.0,
        "{points}"
    );
    for plot in ["growth-spans.svg", "growth-blocks.svg"] {
        let image = std::fs::read_to_string(folder.path().join(plot)).unwrap();
        assert!(image.contains("query p50, ms"), "{image}");
    }
}

#[tokio::test]
async fn the_benchmark_drives_any_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(binary(), folder.path(), Ports::free().unwrap())
        .await
        .unwrap();
    let against = vec![
        format!("--against=127.0.0.1:{}", engine.ports().otlp_grpc),
        format!("--pid={}", engine.process_id().unwrap()),
    ];
    let bench = run_beside(&["bench", "--spans=1000", "--json"], against).await;
    assert!(bench.status.success(), "{}", errors(&bench));
    let figures: Value = serde_json::from_slice(&bench.stdout).unwrap();
    assert!(figures["spans"].as_u64().unwrap() >= 1000, "{figures}");
    assert_eq!(figures["failed_spans"], 0);
    assert!(figures["server_peak_bytes"].as_u64().unwrap() > 0, "{figures}");
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
