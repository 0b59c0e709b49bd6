//! Engines to test, spans to send, and questions to ask.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;
use tempo_core::load::client::OtlpClient;
use tempo_core::load::engine::{Engine, Ports};
use tempo_core::load::shop::Shop;
use tempo_runtime::Environment;

const PATIENCE: Duration = Duration::from_mins(1);

/// The binary under test.
pub(crate) fn binary() -> &'static Path {
    // Several tests of one process install it; the first one counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Path::new(env!("CARGO_BIN_EXE_tempo"))
}

/// An engine with all roles in a folder of its own.
pub(crate) async fn engine() -> (TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_in(folder.path()).await;
    (folder, engine)
}

/// An engine with all roles whose data is in `folder`.
pub(crate) async fn engine_in(folder: &Path) -> Engine {
    Engine::start(binary(), folder, Ports::free().unwrap())
        .await
        .unwrap()
}

/// Runs the binary to its end, which must come by itself.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

/// What a process wrote on standard error.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A client of the engine's OTLP/gRPC door.
pub(crate) async fn client(engine: &Engine) -> OtlpClient {
    OtlpClient::grpc(&format!("127.0.0.1:{}", engine.ports().otlp_grpc))
        .await
        .unwrap()
}

/// An encoded request of so many traces that end now, and their ids in hex.
pub(crate) fn traces(shop: &mut Shop, count: usize) -> (Bytes, Vec<String>) {
    let (request, ids) = shop.request(count, Environment::system().clock.unix_nanos());
    (
        request.encode_to_vec().into(),
        ids.iter().map(hex::encode).collect(),
    )
}

/// The JSON answer to a query, which must be 200.
pub(crate) async fn json(engine: &Engine, path: &str, parameters: &[(&str, &str)]) -> Value {
    let (status, text) = engine.get(path, parameters).await.unwrap();
    assert_eq!(status, 200, "GET {path} {parameters:?}: {text}\n{}", engine.log());
    serde_json::from_str(&text).unwrap()
}

/// The ids of the traces that a search finds.
pub(crate) async fn search(engine: &Engine, query: &str) -> BTreeSet<String> {
    let found = json(engine, "/api/search", &[("q", query), ("limit", "10000")]).await;
    let traces = found["traces"].as_array().cloned().unwrap_or_default();
    let id = |trace: &Value| format!("{:0>32}", trace["traceID"].as_str().unwrap_or_default());
    traces.iter().map(id).collect()
}

/// How many spans a trace has, asked by its id; 0 when it is not found.
pub(crate) async fn spans_of(engine: &Engine, id: &str) -> usize {
    let (status, text) = engine.get(&format!("/api/traces/{id}"), &[]).await.unwrap();
    if status == 404 {
        return 0;
    }
    assert_eq!(status, 200, "trace {id}: {text}\n{}", engine.log());
    let trace: Value = serde_json::from_str(&text).unwrap();
    let scopes = trace["batches"].as_array().into_iter().flatten();
    let scopes = scopes.flat_map(|batch| batch["scopeSpans"].as_array().into_iter().flatten());
    scopes
        .map(|scope| scope["spans"].as_array().map_or(0, Vec::len))
        .sum()
}

/// Asks again until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut question: impl FnMut() -> F) {
    let started = Instant::now();
    while !question().await {
        assert!(started.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
