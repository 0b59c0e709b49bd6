//! The storage Secret of S3.

use url::Url;

use super::{S3Access, S3Credentials, StorageSecretError, field, has_any, required};
use crate::{crd::common::CredentialMode, references::SecretData};

const ACCESS_KEY: &str = "access_key_id";
const SECRET_KEY: &str = "access_key_secret";
const STATIC_FIELDS: [&str; 3] = ["endpoint", ACCESS_KEY, SECRET_KEY];
const TOKEN_FIELDS: [&str; 2] = ["region", "role_arn"];

pub(super) fn parse(
    mode: Option<CredentialMode>,
    secret: &SecretData,
) -> Result<S3Access, StorageSecretError> {
    match mode.map_or_else(|| inferred_mode(secret), Ok)? {
        CredentialMode::Static => with_keys(secret),
        CredentialMode::Token => with_role(secret),
        CredentialMode::TokenCco => Err(StorageSecretError::S3TokenCco),
    }
}

fn inferred_mode(secret: &SecretData) -> Result<CredentialMode, StorageSecretError> {
    match (has_any(secret, &TOKEN_FIELDS), has_any(secret, &STATIC_FIELDS)) {
        (true, true) => Err(StorageSecretError::MixedCredentials),
        (true, false) => Ok(CredentialMode::Token),
        (false, _) => Ok(CredentialMode::Static),
    }
}

fn with_keys(secret: &SecretData) -> Result<S3Access, StorageSecretError> {
    let bucket = required(secret, "bucket")?;
    let endpoint = required(secret, "endpoint")?;
    for key in [ACCESS_KEY, SECRET_KEY] {
        required(secret, key)?;
    }
    let (endpoint, insecure) = host_and_scheme(&endpoint)?;
    let credentials = S3Credentials::Keys {
        access_key: ACCESS_KEY,
        secret_key: SECRET_KEY,
    };
    Ok(S3Access {
        endpoint,
        insecure,
        bucket,
        credentials,
    })
}

fn with_role(secret: &SecretData) -> Result<S3Access, StorageSecretError> {
    let bucket = required(secret, "bucket")?;
    let region = required(secret, "region")?;
    let arn = required(secret, "role_arn")?;
    if field(secret, ACCESS_KEY).is_some() || field(secret, SECRET_KEY).is_some() {
        return Err(StorageSecretError::MixedCredentials);
    }
    Ok(S3Access {
        endpoint: format!("s3.{region}.amazonaws.com"),
        insecure: false,
        bucket,
        credentials: S3Credentials::Role { arn, region },
    })
}

/// The host and port of an endpoint, and whether it is spoken to without TLS.
fn host_and_scheme(endpoint: &str) -> Result<(String, bool), StorageSecretError> {
    let url = Url::parse(endpoint).map_err(|_| StorageSecretError::MalformedEndpoint)?;
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or(StorageSecretError::MalformedEndpoint)?;
    let insecure = match url.scheme() {
        "http" => true,
        "https" => false,
        _ => return Err(StorageSecretError::MalformedEndpoint),
    };
    let authority = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    Ok((authority, insecure))
}
