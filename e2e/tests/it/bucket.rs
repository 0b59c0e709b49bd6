//! An engine whose bucket is not as it should be: it is not ready and says why, does not end, and loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use e2e::{Engine, Minio, MinioOptions, Proxy, Way};

use crate::minio::{found_ids, sent_ids};

const BUCKET: &str = "traces";

async fn minio(buckets: &[&str]) -> Result<Option<Minio>> {
    Minio::with(&MinioOptions {
        buckets,
        ..MinioOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_named_and_waited_for() -> Result<()> {
    let Some(minio) = minio(&[]).await? else {
        return Ok(());
    };
    let mut engine = Engine::start(&Engine::storage_at(minio.address(), BUCKET), &[])?;
    engine
        .wait_until_it_says(&["store:", BUCKET, "there is no such bucket; create it"])
        .await?;
    ensure!(engine.is_running()?, "it ended: {}", engine.log());
    minio.make_bucket(BUCKET)?;
    engine.wait_until_ready().await?;
    engine.stop().await
}

#[tokio::test]
async fn wrong_keys_are_told_without_a_secret_and_end_nothing() -> Result<()> {
    let Some(minio) = minio(&[BUCKET]).await? else {
        return Ok(());
    };
    let storage = Engine::storage_at(minio.address(), BUCKET).replace(Minio::SECRET_KEY, "not-the-secret");
    let mut engine = Engine::start(&storage, &[])?;
    engine
        .wait_until_it_says(&["store:", "does not accept the credentials; check access key"])
        .await?;
    let (_, ready) = engine.api().get("/ready", &[]).await?;
    let told = ready + &engine.log();
    ensure!(!told.contains("not-the-secret"), "the secret is told: {told}");
    ensure!(engine.is_running()?, "it ended: {told}");
    engine.stop().await
}

/// The bucket goes away under a running engine; more spans come in, the process is killed, and starts without a bucket.
#[tokio::test]
async fn nothing_is_lost_while_the_bucket_is_away() -> Result<()> {
    let Some(minio) = minio(&[BUCKET]).await? else {
        return Ok(());
    };
    let away = Arc::new(AtomicBool::new(false));
    let is_away = Arc::clone(&away);
    let decide = move |_: &str| {
        if is_away.load(Ordering::Relaxed) {
            Way::Refused
        } else {
            Way::Through
        }
    };
    let proxy = Proxy::start(minio.address(), None, decide).await?;
    let mut engine = Engine::start(&Engine::storage_at(&proxy.address(), BUCKET), &[])?;
    engine.wait_until_ready().await?;
    let mut sent = sent_ids(&engine.otlp(), 10).await?;
    if sent.is_empty() {
        return Ok(());
    }
    away.store(true, Ordering::Relaxed);
    sent.extend(sent_ids(&engine.otlp(), 10).await?);
    sent.sort();
    ensure!(sent.len() == 20, "spans were refused while the bucket was away");

    engine.kill_and_launch().await?;
    engine.wait_until_it_says(&["store:", &proxy.address()]).await?;
    ensure!(engine.is_running()?, "it ended: {}", engine.log());
    away.store(false, Ordering::Relaxed);
    engine.wait_until_ready().await?;
    assert_eq!(found_ids(&engine.api()).await?, sent);
    engine.stop().await
}
