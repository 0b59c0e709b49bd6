//! The storage Secret of Google Cloud Storage.

use serde_json::Value;

use super::{GcsAccess, StorageSecretError, field, required};
use crate::{crd::common::CredentialMode, references::SecretData};

const DEFAULT_AUDIENCE: &str = "openshift";
/// Where the pod finds the token that an external account is read from.
const TOKEN_FILE: &str = "/var/run/secrets/storage/serviceaccount/token";

pub(super) fn parse(
    mode: Option<CredentialMode>,
    secret: &SecretData,
) -> Result<GcsAccess, StorageSecretError> {
    let key_file = field(secret, "key.json").ok_or(StorageSecretError::MissingKeyFile)?;
    let key_file: Value =
        serde_json::from_str(&key_file).map_err(|_| StorageSecretError::MalformedKeyFile)?;
    let token_audience = match mode.unwrap_or_else(|| inferred_mode(&key_file)) {
        CredentialMode::Static => None,
        CredentialMode::Token => {
            if key_file
                .pointer("/credential_source/file")
                .and_then(Value::as_str)
                != Some(TOKEN_FILE)
            {
                return Err(StorageSecretError::ForeignTokenFile);
            }
            Some(field(secret, "audience").unwrap_or_else(|| DEFAULT_AUDIENCE.to_owned()))
        }
        CredentialMode::TokenCco => return Err(StorageSecretError::GcsTokenCco),
    };
    Ok(GcsAccess {
        bucket: required(secret, "bucketname")?,
        token_audience,
    })
}

fn inferred_mode(key_file: &Value) -> CredentialMode {
    match key_file.get("type").and_then(Value::as_str) {
        Some("external_account") => CredentialMode::Token,
        _ => CredentialMode::Static,
    }
}
