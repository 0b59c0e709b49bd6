//! What a tempo container needs to reach its object store.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EnvVar, ProjectedVolumeSource, ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
};

use super::{mount, secret_variable};
use crate::{
    kubernetes::volumes,
    object_storage::ObjectStorage,
    storage_secret::{AzureCredentials, GcsAccess, S3Credentials, StorageAccess},
};

/// Where the CA of the store is mounted.
pub const CA_DIRECTORY: &str = "/var/run/tls/storage/ca";
/// Where the client certificate for the store is mounted.
pub const CERTIFICATE_DIRECTORY: &str = "/var/run/tls/storage/cert";
const SECRET_DIRECTORY: &str = "/etc/storage/secrets/";
const TOKEN_DIRECTORY: &str = "/var/run/secrets/storage/serviceaccount";
const TOKEN_SECONDS: i64 = 3600;

/// Additions to a pod whose tempo container reads and writes an object store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StorageAdditions {
    /// Arguments of the container.
    pub args: Vec<String>,
    /// Environment variables of the container.
    pub env: Vec<EnvVar>,
    /// Mounts of the container.
    pub mounts: Vec<VolumeMount>,
    /// Volumes of the pod.
    pub volumes: Vec<Volume>,
}

impl StorageAdditions {
    /// The additions for a store.
    pub fn of(storage: &ObjectStorage) -> Self {
        let mut additions = Self::default();
        match &storage.access {
            StorageAccess::S3(access) => additions.s3(&access.credentials, &storage.secret),
            StorageAccess::Azure(access) => additions.azure(&access.credentials, &storage.secret),
            StorageAccess::Gcs(access) => additions.gcs(access, &storage.secret),
        }
        if let Some((config_map, _)) = &storage.ca {
            additions.volume(volumes::config_map("storage-ca", config_map), CA_DIRECTORY);
        }
        if let Some(secret) = &storage.certificate {
            additions.volume(volumes::secret("storage-cert", secret), CERTIFICATE_DIRECTORY);
        }
        additions
    }

    fn s3(&mut self, credentials: &S3Credentials, secret: &str) {
        if let S3Credentials::Keys {
            access_key,
            secret_key,
        } = credentials
        {
            self.env
                .push(secret_variable("S3_SECRET_KEY", secret, secret_key));
            self.env
                .push(secret_variable("S3_ACCESS_KEY", secret, access_key));
            self.args
                .push("--storage.trace.s3.secret_key=$(S3_SECRET_KEY)".to_owned());
            self.args
                .push("--storage.trace.s3.access_key=$(S3_ACCESS_KEY)".to_owned());
        }
    }

    fn azure(&mut self, credentials: &AzureCredentials, secret: &str) {
        match credentials {
            AzureCredentials::AccountKey => {
                self.env
                    .push(secret_variable("AZURE_ACCOUNT_NAME", secret, "account_name"));
                self.env
                    .push(secret_variable("AZURE_ACCOUNT_KEY", secret, "account_key"));
                self.args
                    .push("--storage.trace.azure.storage_account_name=$(AZURE_ACCOUNT_NAME)".to_owned());
                self.args
                    .push("--storage.trace.azure.storage_account_key=$(AZURE_ACCOUNT_KEY)".to_owned());
            }
            AzureCredentials::FederatedToken {
                account_name,
                client_id,
                tenant_id,
                audience,
            } => {
                self.args.push(format!(
                    "--storage.trace.azure.storage_account_name={account_name}"
                ));
                self.env.push(variable("AZURE_CLIENT_ID", client_id));
                self.env.push(variable("AZURE_TENANT_ID", tenant_id));
                self.env.push(variable(
                    "AZURE_FEDERATED_TOKEN_FILE",
                    &format!("{TOKEN_DIRECTORY}/token"),
                ));
                self.token(audience);
            }
        }
    }

    fn gcs(&mut self, access: &GcsAccess, secret: &str) {
        self.env.push(variable(
            "GOOGLE_APPLICATION_CREDENTIALS",
            "/etc/storage/secrets/key.json",
        ));
        self.volume(volumes::secret("storage-secret", secret), SECRET_DIRECTORY);
        if let Some(audience) = &access.token_audience {
            self.token(audience);
        }
    }

    /// A token of the ServiceAccount that the cloud accepts.
    fn token(&mut self, audience: &str) {
        let token = ServiceAccountTokenProjection {
            audience: Some(audience.to_owned()),
            expiration_seconds: Some(TOKEN_SECONDS),
            path: "token".to_owned(),
            ..ServiceAccountTokenProjection::default()
        };
        let projection = VolumeProjection {
            service_account_token: Some(token),
            ..VolumeProjection::default()
        };
        let source = ProjectedVolumeSource {
            sources: Some(vec![projection]),
            ..ProjectedVolumeSource::default()
        };
        let volume = Volume {
            name: "storage-token".to_owned(),
            projected: Some(source),
            ..Volume::default()
        };
        self.volume(volume, TOKEN_DIRECTORY);
    }

    fn volume(&mut self, volume: Volume, path: &str) {
        self.mounts.push(mount(&volume.name, path, true));
        self.volumes.push(volume);
    }
}

/// Annotations that a cloud wants to see on the ServiceAccount of pods with short-lived credentials.
pub fn service_account_annotations(storage: &ObjectStorage) -> BTreeMap<String, String> {
    let annotations: Vec<(&str, &str)> = match &storage.access {
        StorageAccess::S3(access) => match &access.credentials {
            S3Credentials::Role { arn, .. } => {
                vec![
                    ("eks.amazonaws.com/audience", "sts.amazonaws.com"),
                    ("eks.amazonaws.com/role-arn", arn),
                ]
            }
            S3Credentials::Keys { .. } => Vec::new(),
        },
        StorageAccess::Azure(access) => match &access.credentials {
            AzureCredentials::FederatedToken {
                client_id, tenant_id, ..
            } => vec![
                ("azure.workload.identity/client-id", client_id),
                ("azure.workload.identity/tenant-id", tenant_id),
            ],
            AzureCredentials::AccountKey => Vec::new(),
        },
        StorageAccess::Gcs(_) => Vec::new(),
    };
    annotations
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    }
}
