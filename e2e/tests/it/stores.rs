//! The engine's object store on a real MinIO: the contract that every store fulfils, networks that fail, and what users
//! are told when their settings are wrong.

#[path = "../../../tempo-core/crates/tempo-block/tests/it/store/contract.rs"]
mod contract;
mod faults;
mod identity;
mod messages;
mod tls;

use anyhow::{Context, Result};
use e2e::Minio;
use tempo_block::store::{Problem, S3Credentials, S3Settings, Settings, Store, open, probe};
use tempo_runtime::Environment;

const BUCKET: &str = "traces";

/// Settings that are right, at an address (host and port).
fn settings(address: impl Into<String>) -> S3Settings {
    S3Settings {
        endpoint: address.into(),
        bucket: BUCKET.to_owned(),
        prefix: "stack/one".to_owned(),
        insecure: true,
        credentials: S3Credentials::Static {
            access_key: Minio::ACCESS_KEY.to_owned(),
            secret_key: Minio::SECRET_KEY.to_owned(),
            session_token: String::new(),
        },
        ..S3Settings::default()
    }
}

fn opened(settings: S3Settings) -> Result<Store> {
    Ok(open(&Settings::S3(settings))?)
}

/// What is wrong with the settings, and what users are told.
async fn trouble(settings: S3Settings) -> Result<(Problem, String)> {
    let store = opened(settings)?;
    let error = probe(&Environment::system(), &*store)
        .await
        .err()
        .context("these settings should not work")?;
    Ok((
        error.problem().context("not a store's problem")?,
        error.to_string(),
    ))
}
