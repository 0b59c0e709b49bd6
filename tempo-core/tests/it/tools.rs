//! The subcommands that look at a store and mend it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tempo_core::load::shop::Shop;

use crate::support::{client, engine_in, errors, run, search, spans_of, traces};

/// A store with the traces in one block, and their ids.
async fn stored(count: usize) -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = engine_in(folder.path()).await;
    let (request, ids) = traces(&mut Shop::new(5), count);
    client(&engine).await.export(request).await.unwrap();
    assert!(engine.stop().await.unwrap().success(), "{}", engine.log());
    (folder, ids)
}

/// Runs a tool on the store in `folder`.
fn tool(folder: &Path, words: &[&str]) -> Output {
    let store = folder.join("traces").display().to_string();
    let words: Vec<&str> = words.iter().copied().chain(["--folder", &store]).collect();
    run(&words)
}

fn output(output: &Output) -> String {
    assert!(output.status.success(), "{}", errors(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(shown: &Output) -> Value {
    serde_json::from_str(&output(shown)).unwrap()
}

/// The ids of the live blocks.
fn live(folder: &Path) -> Vec<String> {
    let log = json(&tool(folder, &["inspect", "log", "--live", "--json"]));
    let blocks = log["tenants"][0]["live"].as_array().unwrap().clone();
    blocks
        .iter()
        .map(|block| block["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_store_can_be_looked_into() {
    let (folder, _) = stored(10).await;
    let folder = folder.path();
    let blocks = live(folder);
    let [block] = &blocks[..] else {
        panic!("{blocks:?}");
    };
    let contents = json(&tool(folder, &["inspect", "block", block, "--json"]));
    let spans = contents["meta"]["spans"].as_u64().unwrap();
    let in_groups = contents["row_groups"].as_array().unwrap().iter();
    assert_eq!(
        in_groups
            .map(|group| group["spans"].as_u64().unwrap())
            .sum::<u64>(),
        spans
    );
    assert!(
        contents["attributes"]
            .to_string()
            .contains("resource.service.name"),
        "{contents}"
    );
    let table = output(&tool(folder, &["inspect", "block", block]));
    assert!(table.contains("span.http.status_code"), "{table}");
    assert!(output(&tool(folder, &["inspect", "log", "--live"])).contains(block.as_str()));
    let paths = output(&tool(folder, &["inspect", "log", "--paths"]));
    assert!(
        std::fs::metadata(paths.trim()).unwrap().len() > 0,
        "DuckDB can read {paths}"
    );
    let none = tool(folder, &["inspect", "block", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    assert!(
        !none.status.success() && errors(&none).contains("no live block"),
        "{}",
        errors(&none)
    );
    let nowhere = run(&["inspect", "log", "--folder", "/none/traces"]);
    assert!(!nowhere.status.success() && errors(&nowhere).contains("/none/traces"));
}

#[tokio::test]
async fn a_write_ahead_log_can_be_looked_into_while_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine_in(folder.path()).await;
    let (request, _) = traces(&mut Shop::new(6), 3);
    client(&engine).await.export(request).await.unwrap();
    let wal = folder.path().join("wal").display().to_string();
    let segments = json(&run(&["inspect", "wal", &wal, "--json"]));
    assert_eq!(segments[0]["tenants"][0]["records"], 1, "{segments}");
    assert!(output(&run(&["inspect", "wal", &wal])).contains("single-tenant"));
    assert!(!run(&["inspect", "wal", "/none/wal"]).status.success());
}

#[tokio::test]
async fn a_missing_file_is_found_and_taken_out_of_the_log_when_asked_to() {
    let (folder, _) = stored(10).await;
    let folder = folder.path();
    output(&tool(folder, &["check"]));
    let block = live(folder).remove(0);
    let spans = folder.join(format!("traces/single-tenant/blocks/{block}/spans.parquet"));
    std::fs::remove_file(spans).unwrap();
    let found = tool(folder, &["check", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let findings: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(findings[0]["problems"][0]["kind"], "missing", "{findings}");
    let repaired = output(&tool(folder, &["check", "--repair"]));
    assert!(repaired.contains("taken out of the log"), "{repaired}");
    assert!(repaired.contains("1 live block, 1 problem"), "{repaired}");
    assert_eq!(live(folder), Vec::<String>::new());
    output(&tool(folder, &["check"]));
}

#[tokio::test]
async fn a_file_that_was_cut_is_damaged_and_the_spans_of_its_block_are_saved() {
    let (folder, ids) = stored(10).await;
    let block = live(folder.path()).remove(0);
    let catalogue = folder
        .path()
        .join(format!("traces/single-tenant/blocks/{block}/catalogue"));
    std::fs::write(catalogue, "short").unwrap();
    let found = tool(folder.path(), &["check", "--json"]);
    assert_eq!(found.status.code(), Some(1));
    let findings: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(findings[0]["problems"][0]["kind"], "damaged", "{findings}");
    output(&tool(folder.path(), &["check", "--repair"]));
    assert_ne!(live(folder.path()), [block]);
    output(&tool(folder.path(), &["check"]));
    let mut engine = engine_in(folder.path()).await;
    assert_eq!(search(&engine, "{}").await, ids.into_iter().collect());
    assert!(engine.stop().await.unwrap().success());
}

#[tokio::test]
async fn a_flipped_bit_is_found_unless_no_spans_are_read() {
    let (folder, _) = stored(10).await;
    let folder = folder.path();
    let block = live(folder).remove(0);
    let spans = folder.join(format!("traces/single-tenant/blocks/{block}/spans.parquet"));
    let mut bytes = std::fs::read(&spans).unwrap();
    bytes[100] ^= 4;
    std::fs::write(&spans, bytes).unwrap();
    output(&tool(folder, &["check", "--quick"]));
    let found = tool(folder, &["check"]);
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(
        text.contains("spans.parquet at byte") && text.contains("damaged"),
        "{text}"
    );
    // Its only row group is lost.
    output(&tool(folder, &["check", "--repair"]));
    assert_eq!(live(folder), Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_trace_is_gone_and_the_others_are_not() {
    let (folder, ids) = stored(10).await;
    let (doomed, others) = ids.split_first().unwrap();
    let deleted = json(&tool(folder.path(), &["delete", "--trace", doomed, "--json"]));
    assert_eq!(deleted["blocks"], 1, "{deleted}");
    let mut engine = engine_in(folder.path()).await;
    assert_eq!(spans_of(&engine, doomed).await, 0);
    assert_eq!(search(&engine, "{}").await, others.iter().cloned().collect());
    assert!(engine.stop().await.unwrap().success());
    output(&tool(folder.path(), &["delete", "--everything"]));
    assert_eq!(live(folder.path()), Vec::<String>::new());
    let nothing = tool(folder.path(), &["delete"]);
    assert!(errors(&nothing).contains("--trace"), "{}", errors(&nothing));
}
