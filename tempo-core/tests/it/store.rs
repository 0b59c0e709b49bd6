//! Stores that do not work.

use tempo_core::load::engine::{Engine, EngineError, Ports};

use crate::support::{binary, eventually};

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::free().unwrap();
    // Nobody listens on the gossip port of an engine with all roles.
    let arguments = [
        "-target=all",
        "-storage.trace.backend=s3",
        "-storage.trace.s3.bucket=traces",
        &format!("-storage.trace.s3.endpoint=http://127.0.0.1:{}", ports.gossip),
        "-storage.trace.s3.access_key=a",
        "-storage.trace.s3.secret_key=b",
    ];
    let configuration = Engine::configuration(folder.path(), ports);
    let mut engine = Engine::spawn(binary(), &arguments, folder.path(), &configuration, ports)
        .await
        .unwrap();
    eventually("not ready because of the store", async || {
        match engine.get("/ready", &[]).await {
            Ok((503, text)) => text.contains("store:") && text.contains("127.0.0.1"),
            _ => false,
        }
    })
    .await;
    let (status, _) = engine.get("/api/search", &[]).await.unwrap();
    assert_eq!(status, 503);
    assert!(
        engine.stop().await.unwrap().success(),
        "a process that waits for its store stops when asked to"
    );
}

#[tokio::test]
async fn a_store_without_a_bucket_ends_with_the_missing_setting() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::free().unwrap();
    let configuration = Engine::configuration(folder.path(), ports);
    let arguments = ["-target=all", "-storage.trace.backend=s3"];
    let mut engine = Engine::spawn(binary(), &arguments, folder.path(), &configuration, ports)
        .await
        .unwrap();
    let error = engine.wait_until_ready().await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Ended { log, .. } if log.contains("bucket")),
        "{error}"
    );
}
