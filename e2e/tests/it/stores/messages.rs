//! What users are told when the settings of their bucket are wrong, by what a real MinIO answers: each says what to do.

use anyhow::{Result, ensure};
use e2e::{Minio, MinioOptions, Proxy, Way};
use tempo_block::store::{Problem, S3Credentials, S3Settings};

use super::{BUCKET, settings, trouble};

/// Tries settings, and asserts what is said of them.
async fn assert_told(wrong: S3Settings, problem: Problem, advice: &str) -> Result<()> {
    let (found, text) = trouble(wrong).await?;
    ensure!(found == problem, "{problem:?} was expected: {text}");
    ensure!(text.contains(advice), "'{advice}' was expected: {text}");
    ensure!(!text.contains(Minio::SECRET_KEY), "the secret is told: {text}");
    Ok(())
}

fn signed_with(access_key: &str, secret_key: &str) -> S3Credentials {
    S3Credentials::Static {
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
        session_token: String::new(),
    }
}

#[tokio::test]
async fn wrong_settings_are_told_apart() -> Result<()> {
    let options = MinioOptions {
        buckets: &[BUCKET],
        settings: &[("MINIO_SITE_REGION", "eu-test-1")],
        ..MinioOptions::default()
    };
    let Some(minio) = Minio::with(&options).await? else {
        return Ok(());
    };
    let right = S3Settings {
        region: "eu-test-1".to_owned(),
        ..settings(minio.address())
    };
    let store = super::opened(right.clone())?;
    tempo_block::store::probe(&tempo_runtime::Environment::system(), &*store).await?;

    let bucket = S3Settings {
        bucket: "no-such".to_owned(),
        ..right.clone()
    };
    assert_told(bucket, Problem::Bucket, "create it, or correct its name").await?;
    let region = S3Settings {
        region: "us-west-7".to_owned(),
        ..right.clone()
    };
    assert_told(region, Problem::Region, "set the region").await?;
    let key = S3Settings {
        credentials: signed_with("nobody", Minio::SECRET_KEY),
        ..right.clone()
    };
    assert_told(key, Problem::Credentials, "check access key").await?;
    let secret = S3Settings {
        credentials: signed_with(Minio::ACCESS_KEY, "wrong"),
        ..right.clone()
    };
    assert_told(secret, Problem::Credentials, "check access key, secret key").await?;
    let empty = S3Settings {
        credentials: signed_with(Minio::ACCESS_KEY, ""),
        ..right.clone()
    };
    assert_told(empty, Problem::Credentials, "check access key, secret key").await?;
    let token = S3Credentials::Static {
        access_key: Minio::ACCESS_KEY.to_owned(),
        secret_key: Minio::SECRET_KEY.to_owned(),
        session_token: "expired".to_owned(),
    };
    let token = S3Settings {
        credentials: token,
        ..right.clone()
    };
    assert_told(token, Problem::Credentials, "check access key").await?;
    let https = S3Settings {
        insecure: false,
        ..right.clone()
    };
    assert_told(https, Problem::Tls, "or use the http scheme").await?;

    // A clock that is years behind: MinIO sees requests with another date.
    let proxy = Proxy::start(minio.address(), None, |head| Way::As(dated_2020(head))).await?;
    let skewed = S3Settings {
        endpoint: proxy.address(),
        ..right
    };
    assert_told(skewed, Problem::ClockSkew, "synchronise them (NTP)").await
}

fn dated_2020(head: &str) -> String {
    let line = |line: &str| match line.split_once(": ") {
        Some((name, _)) if name.eq_ignore_ascii_case("x-amz-date") => format!("{name}: 20200101T000000Z"),
        _ => line.to_owned(),
    };
    head.split("\r\n").map(line).collect::<Vec<_>>().join("\r\n")
}
