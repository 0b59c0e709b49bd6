//! `kill -9` of what standalone runs, and of standalone itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Standalone, eventually, is_running, repository, send_traces};

const PATIENCE: Duration = Duration::from_mins(5);
const ROUNDS: usize = 6;
const TRACES: usize = 100;
const ALL: &str = r#"{ resource.service.name = "orders" }"#;

#[tokio::test]
async fn an_ingester_killed_under_load_loses_nothing_that_was_acknowledged() -> Result<()> {
    let standalone = Standalone::start(&repository().join("config/samples/quickstart")).await?;
    let endpoint = format!("http://127.0.0.1:{}", standalone.port(4317));
    let rounds = Arc::new(AtomicUsize::new(0));
    let load = tokio::spawn(send_rounds(endpoint, Arc::clone(&rounds)));

    // The first rounds are stored, later ones on their way.
    eventually("the first rounds", PATIENCE, || async {
        let done = rounds.load(Ordering::Acquire);
        ensure!(done >= 2 || load.is_finished(), "{done} rounds are sent");
        Ok(())
    })
    .await?;
    let killed = standalone.kill_child(&["-target=ingester"]).await?;

    let Some(acknowledged) = load.await?? else {
        return Ok(());
    };
    ensure!(!acknowledged.is_empty(), "nothing was acknowledged");
    let api = standalone.api();
    let found = eventually("every acknowledged trace", PATIENCE, || async {
        let found = api.search(ALL, 2 * ROUNDS * TRACES).await?;
        let ids: BTreeSet<String> = found.iter().cloned().collect();
        let lost = acknowledged.difference(&ids).count();
        ensure!(lost == 0, "{lost} of {} traces are missing", acknowledged.len());
        Ok(found)
    })
    .await
    .with_context(|| standalone.logs())?;
    assert_eq!(
        found.len(),
        acknowledged.len(),
        "a trace was found twice, or one that nobody sent"
    );
    let now = standalone.children(&["-target=ingester"])?;
    assert!(
        now.len() == 1 && now != [killed],
        "{killed} was not started again: {now:?}"
    );
    let status = standalone.stop().await?;
    ensure!(status.success(), "Ctrl-C ended standalone with {status}");
    Ok(())
}

/// Sends round after round; the ids of all traces, or `None` without an SDK.
async fn send_rounds(endpoint: String, rounds: Arc<AtomicUsize>) -> Result<Option<BTreeSet<String>>> {
    let mut ids = BTreeSet::new();
    for _ in 0..ROUNDS {
        let Some(sent) = send_traces("grpc", &endpoint, TRACES).await? else {
            return Ok(None);
        };
        for trace in sent {
            ids.insert(
                trace["trace_id"]
                    .as_str()
                    .context("a sent trace without id")?
                    .to_owned(),
            );
        }
        rounds.fetch_add(1, Ordering::AcqRel);
    }
    Ok(Some(ids))
}

#[tokio::test]
async fn no_child_outlives_a_killed_standalone() -> Result<()> {
    let standalone = Standalone::start(&repository().join("config/samples/quickstart")).await?;
    let children = standalone.kill().await?;
    ensure!(children.len() >= 6, "standalone had the children {children:?}");
    eventually("the children to end", PATIENCE, || {
        let running: Vec<&u32> = children.iter().filter(|child| is_running(**child)).collect();
        let ended = if running.is_empty() {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{running:?} run"))
        };
        async move { ended }
    })
    .await
}
