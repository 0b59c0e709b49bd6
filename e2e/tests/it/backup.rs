//! The steps of "Backup and restore" in docs/storage.md, from a running engine, on a local folder and on a real MinIO.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use e2e::{Engine, Minio, MinioOptions, binary};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;
use tempo_block::store::{S3Credentials, S3Settings, Settings, Store, open};
use tokio::process::Command;

use crate::minio::{found_ids, sent_ids};

/// A place for blocks: as an engine is told of it, and as a copy is made of it.
struct Place {
    storage: String,
    store: Store,
}

impl Place {
    fn local(folder: &Path) -> Result<Self> {
        let path = folder.to_owned();
        Ok(Self {
            storage: format!("{{backend: local, local: {{path: {}}}}}", path.display()),
            store: open(&Settings::Local { folder: path })?,
        })
    }

    fn bucket(minio: &Minio, bucket: &str) -> Result<Self> {
        let settings = S3Settings {
            endpoint: minio.address().to_owned(),
            bucket: bucket.to_owned(),
            insecure: true,
            credentials: S3Credentials::Static {
                access_key: Minio::ACCESS_KEY.to_owned(),
                secret_key: Minio::SECRET_KEY.to_owned(),
                session_token: String::new(),
            },
            ..S3Settings::default()
        };
        Ok(Self {
            storage: Engine::storage_at(minio.address(), bucket),
            store: open(&Settings::S3(settings))?,
        })
    }
}

/// The copy: `log` folders first, then `blocks` folders.
async fn copy(from: &dyn ObjectStore, to: &dyn ObjectStore) -> Result<()> {
    for folder in ["log", "blocks"] {
        let objects: Vec<_> = from.list(None).try_collect().await?;
        for object in objects {
            if object
                .location
                .parts()
                .nth(1)
                .is_some_and(|part| part.as_ref() == folder)
            {
                let content = from.get(&object.location).await?.bytes().await?;
                to.put(&object.location, content.into()).await?;
            }
        }
    }
    Ok(())
}

async fn tool(configuration: &Path, words: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary("tempo")?);
    command.args(words).arg("--config").arg(configuration);
    let output = command.output().await.context("run tempo")?;
    ensure!(
        output.status.success(),
        "tempo {words:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}

/// The restore: what the tools say of the copy, and giving up the write-ahead logs that were not copied.
async fn prepare(copied: &Place) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let configuration = folder.path().join("tempo.yaml");
    std::fs::write(
        &configuration,
        format!("storage: {{trace: {}}}\n", copied.storage),
    )?;
    tool(&configuration, &["check"]).await?;
    let log = tool(&configuration, &["inspect", "log", "--json"]).await?;
    let log: Value = serde_json::from_slice(&log.stdout)?;
    let streams = log["streams"].as_array().context("no list of streams")?;
    ensure!(!streams.is_empty(), "the running engine has a stream: {log}");
    for stream in streams {
        let epoch = stream["epoch"].as_str().context("a stream without a name")?;
        tool(&configuration, &["forget", epoch]).await?;
    }
    Ok(())
}

async fn backup_and_restore(original: &Place, copied: &Place) -> Result<()> {
    let mut engine = Engine::start(&original.storage, &[])?;
    engine.wait_until_ready().await?;
    let mut flushed = Vec::new();
    for count in [10, 15] {
        flushed.extend(sent_ids(&engine.otlp(), count).await?);
        let (status, body) = engine.api().get("/flush", &[]).await?;
        ensure!(status == 204, "/flush answered {status}: {body}");
    }
    if flushed.is_empty() {
        return Ok(());
    }
    flushed.sort();
    // These are in the write-ahead log alone: the copy does not have them.
    let later = sent_ids(&engine.otlp(), 5).await?;
    copy(&*original.store, &*copied.store).await?;
    assert_eq!(found_ids(&engine.api()).await?.len(), flushed.len() + later.len());
    engine.stop().await?;

    prepare(copied).await?;
    let mut restored = Engine::start(&copied.storage, &[])?;
    restored.wait_until_ready().await?;
    assert_eq!(found_ids(&restored.api()).await?, flushed);
    for id in &flushed {
        restored.api().json(&format!("/api/v2/traces/{id}"), &[]).await?;
    }
    // It goes on as any other.
    let mut more = sent_ids(&restored.otlp(), 5).await?;
    more.extend(flushed);
    more.sort();
    assert_eq!(found_ids(&restored.api()).await?, more);
    restored.stop().await
}

#[tokio::test]
async fn a_copy_of_a_local_folder_is_a_backup() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let original = Place::local(&folder.path().join("original"))?;
    let copied = Place::local(&folder.path().join("copied"))?;
    backup_and_restore(&original, &copied).await
}

#[tokio::test]
async fn a_copy_of_a_bucket_is_a_backup() -> Result<()> {
    let options = MinioOptions {
        buckets: &["original", "copied"],
        ..MinioOptions::default()
    };
    let Some(minio) = Minio::with(&options).await? else {
        return Ok(());
    };
    let original = Place::bucket(&minio, "original")?;
    let copied = Place::bucket(&minio, "copied")?;
    backup_and_restore(&original, &copied).await
}
