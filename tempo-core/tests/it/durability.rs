//! What an acknowledgement survives.

use std::collections::BTreeSet;
use std::path::Path;

use tempo_core::load::shop::Shop;

use crate::support::{client, engine_in, search, spans_of, traces};

#[tokio::test]
async fn a_stop_leaves_everything_in_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = engine_in(folder.path()).await;
    let (request, ids) = traces(&mut Shop::new(2), 30);
    client(&engine).await.export(request).await.unwrap();
    let status = engine.stop().await.unwrap();
    assert!(status.success(), "{}", engine.log());
    // What is found from here on was not in the write-ahead log.
    std::fs::remove_dir_all(folder.path().join("wal")).unwrap();
    let engine = engine_in(folder.path()).await;
    assert_eq!(search(&engine, "{}").await, ids.into_iter().collect());
}

#[tokio::test]
async fn a_process_killed_under_load_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop::new(3);
    let mut acknowledged = Vec::new();
    for flushes in [false, true] {
        let mut engine = engine_in(folder.path()).await;
        let client = client(&engine).await;
        for round in 0..20 {
            let (request, ids) = traces(&mut shop, 5);
            client.export(request).await.unwrap();
            acknowledged.extend(ids);
            if flushes && round == 10 {
                assert_eq!(
                    engine.get("/flush", &[]).await.unwrap().0,
                    204,
                    "{}",
                    engine.log()
                );
            }
        }
        // More is on its way when the process is killed.
        let (request, _) = traces(&mut shop, 50);
        let sending = tokio::spawn(async move { client.export(request).await });
        tokio::task::yield_now().await;
        engine.kill().await.unwrap();
        sending.abort();
        assert_all_found(folder.path(), &acknowledged).await;
    }
}

#[tokio::test]
async fn a_bit_that_flips_in_the_log_costs_one_record_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = engine_in(folder.path()).await;
    let mut shop = Shop::new(13);
    let mut sent = Vec::new();
    for _ in 0..3 {
        let (request, ids) = traces(&mut shop, 4);
        client(&engine).await.export(request).await.unwrap();
        sent.push(ids);
    }
    engine.kill().await.unwrap();
    let wal = folder.path().join("wal");
    let of_kind = |kind: &str| {
        let files = std::fs::read_dir(&wal)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|end| end == kind))
            .collect::<Vec<_>>()
    };
    let [segment] = of_kind("wal").try_into().expect("one segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&segment, bytes).unwrap();

    let mut engine = engine_in(folder.path()).await;
    let kept: BTreeSet<String> = [&sent[0], &sent[2]].into_iter().flatten().cloned().collect();
    assert_eq!(search(&engine, "{}").await, kept);
    let log = engine.log();
    let report = log
        .lines()
        .find(|line| line.contains("segment is damaged"))
        .expect("a report");
    assert!(
        report.contains(&*segment.to_string_lossy()) && report.contains("offset="),
        "{report}"
    );
    assert_eq!(of_kind("damaged").len(), 1, "it is kept for whoever can mend it");
    engine.kill().await.unwrap();
}

async fn assert_all_found(folder: &Path, acknowledged: &[String]) {
    let mut engine = engine_in(folder).await;
    let found = search(&engine, "{}").await;
    let missing: Vec<&String> = acknowledged.iter().filter(|id| !found.contains(*id)).collect();
    assert!(
        missing.is_empty(),
        "not found by search: {missing:?}\n{}",
        engine.log()
    );
    for id in acknowledged {
        assert!(
            spans_of(&engine, id).await > 0,
            "trace {id} is not found by its id\n{}",
            engine.log()
        );
    }
    engine.kill().await.unwrap();
}
