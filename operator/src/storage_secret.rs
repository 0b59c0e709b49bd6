//! The storage Secret contract: keys of a Secret become typed access to an object store (pure).
//!
//! The keys and the messages are those that users of the upstream operator know.

mod azure;
mod gcs;
mod s3;

#[cfg(test)]
mod tests;

use crate::{
    crd::{common::CredentialMode, tempostack::StorageSecretType},
    references::SecretData,
};

/// How an object store is reached. Credentials stay in their Secret; containers refer to its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageAccess {
    /// S3 and what speaks like it.
    S3(S3Access),
    /// Azure Blob Storage.
    Azure(AzureAccess),
    /// Google Cloud Storage.
    Gcs(GcsAccess),
}

/// Access to S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Access {
    /// Host and, where it is not the scheme's, port.
    pub endpoint: String,
    /// Whether the connection is plain HTTP.
    pub insecure: bool,
    /// The bucket.
    pub bucket: String,
    /// Where the credentials come from.
    pub credentials: S3Credentials,
}

/// Where credentials for S3 come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Credentials {
    /// Keys in a Secret.
    Keys {
        /// Key of the Secret that holds the access key.
        access_key: &'static str,
        /// Key of the Secret that holds the secret key.
        secret_key: &'static str,
    },
    /// A role that the pod's ServiceAccount may assume.
    Role {
        /// Amazon Resource Name of the role.
        arn: String,
        /// Region of the bucket.
        region: String,
    },
}

/// Access to Azure Blob Storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureAccess {
    /// The container.
    pub container: String,
    /// Where the credentials come from.
    pub credentials: AzureCredentials,
}

/// Where credentials for Azure come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AzureCredentials {
    /// `account_name` and `account_key` in the Secret.
    AccountKey,
    /// A federated identity of the pod's ServiceAccount.
    FederatedToken {
        /// Name of the storage account.
        account_name: String,
        /// Id of the identity.
        client_id: String,
        /// Id of the directory.
        tenant_id: String,
        /// Audience of the token.
        audience: String,
    },
}

/// Access to Google Cloud Storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcsAccess {
    /// The bucket.
    pub bucket: String,
    /// Audience of the projected token for an external account; absent for a plain service account key.
    pub token_audience: Option<String>,
}

/// Why a Secret does not describe an object store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageSecretError {
    /// A key is missing or empty.
    #[error("storage secret must contain \"{0}\" field")]
    MissingField(&'static str),
    /// A key holds bytes that are no text.
    #[error("\"{0}\" field of storage secret must be text in UTF-8")]
    NotText(&'static str),
    /// Keys of both credential modes are there.
    #[error("storage secret contains fields for long lived and short lived configuration")]
    MixedCredentials,
    /// The endpoint has no scheme or host.
    #[error("\"endpoint\" field of storage secret must be a valid URL")]
    MalformedEndpoint,
    /// The key file of Google Cloud Storage is missing.
    #[error("missing secret field key.json")]
    MissingKeyFile,
    /// The key file of Google Cloud Storage is not JSON.
    #[error("gcp storage secret cannot be parsed from JSON content")]
    MalformedKeyFile,
    /// The external account reads its token from elsewhere than where it is mounted.
    #[error("credential source in secret needs to point to token file")]
    ForeignTokenFile,
    /// Azure knows no cloud credential operator mode here.
    #[error("not supported by azure secret credential mode")]
    AzureTokenCco,
    /// Google knows no cloud credential operator mode here.
    #[error("credential mode not supported for GCS")]
    GcsTokenCco,
    /// The cloud credential operator mode of S3 is not built.
    #[error(
        "credentialMode token-cco is not supported: use token with \"role_arn\" and \"region\" in the storage secret"
    )]
    S3TokenCco,
}

/// Reads the Secret of an object store. Without a mode, the keys that are there tell it.
pub fn parse(
    kind: StorageSecretType,
    mode: Option<CredentialMode>,
    secret: &SecretData,
) -> Result<StorageAccess, StorageSecretError> {
    match kind {
        StorageSecretType::S3 => s3::parse(mode, secret).map(StorageAccess::S3),
        StorageSecretType::Azure => azure::parse(mode, secret).map(StorageAccess::Azure),
        StorageSecretType::Gcs => gcs::parse(mode, secret).map(StorageAccess::Gcs),
    }
}

/// A field of the Secret as text, without surrounding white space; absent when empty.
fn field(secret: &SecretData, key: &str) -> Option<String> {
    let text = String::from_utf8_lossy(secret.get(key)?);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn required(secret: &SecretData, key: &'static str) -> Result<String, StorageSecretError> {
    if secret
        .get(key)
        .is_some_and(|value| str::from_utf8(value).is_err())
    {
        return Err(StorageSecretError::NotText(key));
    }
    field(secret, key).ok_or(StorageSecretError::MissingField(key))
}

fn has_any(secret: &SecretData, keys: &[&str]) -> bool {
    keys.iter().any(|key| field(secret, key).is_some())
}
