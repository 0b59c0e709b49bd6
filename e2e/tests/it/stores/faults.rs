//! A network that loses requests and answers, between the engine's store and a real MinIO.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use e2e::{Minio, MinioOptions, Proxy, Way, eventually};
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tempo_block::log::{CommitLog, Transaction};
use tempo_block::store::{RequestLimits, S3Settings, Store, TidyUploads};
use tempo_model::TenantId;
use tempo_runtime::Environment;
use tokio::io::AsyncWriteExt;

use super::contract::{contract, large, read};
use super::{BUCKET, opened, settings, trouble};

const PATIENCE: Duration = Duration::from_mins(1);

async fn minio() -> Result<Option<Minio>> {
    Minio::with(&MinioOptions {
        buckets: &[BUCKET],
        ..MinioOptions::default()
    })
    .await
}

#[tokio::test]
async fn minio_fulfils_the_contract() -> Result<()> {
    let Some(minio) = minio().await? else {
        return Ok(());
    };
    contract(&opened(settings(minio.address()))?).await;
    no_open_uploads(&minio).await
}

async fn no_open_uploads(minio: &Minio) -> Result<()> {
    eventually("uploads to be aborted", PATIENCE, || async {
        let open = minio.open_uploads();
        ensure!(open == 0, "{open} uploads are open");
        Ok(())
    })
    .await
}

/// A decision that is `fault` for the first `count` requests whose head has `word`.
fn first(count: usize, word: &'static str, fault: Way) -> impl Fn(&str) -> Way + Send + Sync {
    let left = AtomicUsize::new(count);
    let take = |left: usize| left.checked_sub(1);
    move |head| {
        let is_hit = head.contains(word)
            && left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok();
        if is_hit { fault.clone() } else { Way::Through }
    }
}

/// Busy servers, lost requests and lost answers are not noticed where the request can be repeated.
#[tokio::test]
async fn what_can_be_repeated_is() -> Result<()> {
    let Some(minio) = minio().await? else {
        return Ok(());
    };
    let path = Path::from("x");
    for fault in [
        Way::Answered(503),
        Way::Answered(429),
        Way::Refused,
        Way::Cut(2),
        Way::AnswerLost,
    ] {
        for (method, word) in [("put", "PUT "), ("get", "GET ")] {
            let proxy = Proxy::start(minio.address(), None, first(2, word, fault.clone())).await?;
            let store = opened(settings(proxy.address()))?;
            let put = store.put(&path, "content".into()).await;
            put.with_context(|| format!("put, {fault:?} of {method}"))?;
            let content = store.get(&path).await?.bytes().await;
            ensure!(content? == "content", "get, {fault:?} of {method}");
        }
    }
    Ok(())
}

/// A commit whose answer is lost has happened once, and its writer knows.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_known_to_have_happened() -> Result<()> {
    let Some(minio) = minio().await? else {
        return Ok(());
    };
    let environment = Environment::system();
    let tenant = TenantId::single();
    let lost = first(1, "/log/00000000000000000001.json HTTP", Way::AnswerLost);
    let puts_alone = move |head: &str| {
        if head.starts_with("PUT ") {
            lost(head)
        } else {
            Way::Through
        }
    };
    let proxy = Proxy::start(minio.address(), None, puts_alone).await?;
    let store = opened(settings(proxy.address()))?;
    let log = CommitLog::open(&environment, &store, &tenant).await?;
    let condemned = Transaction {
        condemn: vec![environment.new_ulid()],
        ..Transaction::default()
    };
    log.commit(condemned).await?;
    let direct = CommitLog::open(&environment, &opened(settings(minio.address()))?, &tenant).await?;
    assert_eq!((log.position(), direct.position()), (1, 1));
    Ok(())
}

/// Of an upload in parts, the second fails for good: there is no object, and no part is left.
#[tokio::test]
async fn an_upload_that_fails_in_the_middle_leaves_nothing() -> Result<()> {
    let Some(minio) = minio().await? else {
        return Ok(());
    };
    let cut = |head: &str| {
        if head.contains("partNumber=2") {
            Way::Cut(1_000_000)
        } else {
            Way::Through
        }
    };
    let proxy = Proxy::start(minio.address(), None, cut).await?;
    let mut quick = settings(proxy.address());
    quick.limits.max_retries = 2;
    let (store, path) = (opened(quick)?, Path::from("blocks/large"));
    let mut upload = writer(&store, &path);
    upload.put(large()).await?;
    let error = upload.shutdown().await.err().context("half of it was lost")?;
    ensure!(error.to_string().contains("2 retries"), "{error}");
    ensure!(
        store.head(&path).await.is_err(),
        "an object of which a part is missing"
    );
    no_open_uploads(&minio).await?;

    // Without the fault, the same goes through.
    let direct = opened(settings(minio.address()))?;
    let mut upload = writer(&direct, &path);
    upload.put(large()).await?;
    upload.shutdown().await?;
    ensure!(
        read(&direct, &path).await == large(),
        "other bytes than were written"
    );
    no_open_uploads(&minio).await
}

fn writer(store: &Store, path: &Path) -> BufWriter {
    let tidy = TidyUploads::new(Environment::system(), Arc::clone(store));
    BufWriter::new(Arc::new(tidy), path.clone())
}

/// A writer that goes away at any moment of its upload leaves no part.
#[tokio::test]
async fn a_dropped_upload_leaves_nothing() -> Result<()> {
    let Some(minio) = minio().await? else {
        return Ok(());
    };
    let store = opened(settings(minio.address()))?;
    for pieces in [1, 12, 30] {
        let mut upload = writer(&store, &Path::from(format!("blocks/{pieces}")));
        for _ in 0..pieces {
            upload.put(Bytes::from(vec![7; 1 << 20])).await?;
        }
        if pieces > 10 {
            // So that there is something to be cleared up.
            eventually("the upload to begin", PATIENCE, || async {
                ensure!(minio.open_uploads() == 1, "none has begun");
                Ok(())
            })
            .await?;
        }
        drop(upload);
        no_open_uploads(&minio).await?;
    }
    Ok(())
}

/// A server that takes connections and says nothing is given up.
#[tokio::test]
async fn silence_ends_after_the_time_limit() -> Result<()> {
    let proxy = Proxy::start("127.0.0.1:1", None, |_| Way::Silence).await?;
    let impatient = S3Settings {
        limits: RequestLimits {
            request_timeout: Duration::from_millis(100),
            max_retries: 1,
            ..RequestLimits::default()
        },
        ..settings(proxy.address())
    };
    let (problem, text) = trouble(impatient).await?;
    assert_eq!(problem, tempo_block::store::Problem::Unreachable, "{text}");
    Ok(())
}
