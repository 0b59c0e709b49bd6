//! The storage Secret of Azure Blob Storage.

use super::{AzureAccess, AzureCredentials, StorageSecretError, field, has_any, required};
use crate::{crd::common::CredentialMode, references::SecretData};

const DEFAULT_AUDIENCE: &str = "api://AzureADTokenExchange";
const TOKEN_FIELDS: [&str; 2] = ["client_id", "tenant_id"];

pub(super) fn parse(
    mode: Option<CredentialMode>,
    secret: &SecretData,
) -> Result<AzureAccess, StorageSecretError> {
    let credentials = match mode.map_or_else(|| inferred_mode(secret), Ok)? {
        CredentialMode::Static => account_key(secret)?,
        CredentialMode::Token => federated_token(secret)?,
        CredentialMode::TokenCco => return Err(StorageSecretError::AzureTokenCco),
    };
    Ok(AzureAccess {
        container: required(secret, "container")?,
        credentials,
    })
}

fn inferred_mode(secret: &SecretData) -> Result<CredentialMode, StorageSecretError> {
    match (
        field(secret, "tenant_id").is_some(),
        field(secret, "account_key").is_some(),
    ) {
        (true, true) => Err(StorageSecretError::MixedCredentials),
        (true, false) => Ok(CredentialMode::Token),
        (false, _) => Ok(CredentialMode::Static),
    }
}

fn account_key(secret: &SecretData) -> Result<AzureCredentials, StorageSecretError> {
    for key in ["container", "account_name", "account_key"] {
        required(secret, key)?;
    }
    if has_any(secret, &TOKEN_FIELDS) {
        return Err(StorageSecretError::MixedCredentials);
    }
    Ok(AzureCredentials::AccountKey)
}

fn federated_token(secret: &SecretData) -> Result<AzureCredentials, StorageSecretError> {
    required(secret, "container")?;
    Ok(AzureCredentials::FederatedToken {
        account_name: required(secret, "account_name")?,
        client_id: required(secret, "client_id")?,
        tenant_id: required(secret, "tenant_id")?,
        audience: field(secret, "audience").unwrap_or_else(|| DEFAULT_AUDIENCE.to_owned()),
    })
}
