//! The parts of Tempo's configuration that stacks of both kinds share, and its files.

use serde::Serialize;
use serde_json::Value;
use tempo_config::{
    Arguments, AzureStorage, Backend, Config, ConfigError, GcsStorage, GoDuration, OtlpReceiver,
    ReceiverEndpoint, S3Storage, TlsFiles, TraceStorage, merge,
};

use crate::{
    object_storage::ObjectStorage,
    pod::{
        DATA_DIRECTORY,
        storage::{CA_DIRECTORY, CERTIFICATE_DIRECTORY},
    },
    receivers::ReceiverTls,
    storage_secret::{AzureCredentials, S3Credentials, StorageAccess},
    validation::{Notice, NoticeKind, ValidationError},
};

/// Port of Tempo's HTTP API, metrics and health.
pub const HTTP_PORT: i32 = 3200;
/// Port of the components' own gRPC.
pub const GRPC_PORT: i32 = 9095;
/// Port of the gossip.
pub const GOSSIP_PORT: i32 = 7946;
/// Port of OTLP over gRPC.
pub const OTLP_GRPC_PORT: i32 = 4317;
/// Port of OTLP over HTTP.
pub const OTLP_HTTP_PORT: i32 = 4318;

const EXTRA_CONFIG: &str = "spec.extraConfig.tempo";

/// Why a file of a ConfigMap could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A configuration cannot be made a tree.
    #[error("cannot write {file}")]
    Tree {
        /// Name of the file.
        file: &'static str,
        /// What is wrong.
        #[source]
        source: ConfigError,
    },
    /// A tree cannot be written as YAML.
    #[error("cannot write {file} as YAML")]
    Yaml {
        /// Name of the file.
        file: &'static str,
        /// What is wrong.
        #[source]
        source: serde_yaml::Error,
    },
}

/// A file of a ConfigMap: what differs from Tempo's defaults, with the user's settings over it.
pub fn file(name: &'static str, config: &Config, extra: Option<&Value>) -> Result<String, BuildError> {
    let mut tree = config
        .to_tree()
        .map_err(|source| BuildError::Tree { file: name, source })?;
    if let Some(extra) = extra {
        // The API server forgets in which order keys were written; files must become the same objects.
        let mut extra = extra.clone();
        extra.sort_all_objects();
        merge(&mut tree, &extra);
    }
    to_yaml(name, &tree)
}

/// A value as the text of a file of a ConfigMap.
pub fn to_yaml(name: &'static str, value: &impl Serialize) -> Result<String, BuildError> {
    serde_yaml::to_string(value).map_err(|source| BuildError::Yaml { file: name, source })
}

/// Loads a written file as the engine will. What the engine would refuse is an error, what it would not
/// know a notice: both can only come from the user's own settings.
pub fn check(text: &str, extra: Option<&Value>) -> Result<Vec<Notice>, ValidationError> {
    if extra.is_none() {
        return Ok(Vec::new());
    }
    let loaded = tempo_config::load(text, &Arguments::default(), |_| None)
        .map_err(|error| ValidationError::configuration(EXTRA_CONFIG, error.to_string()))?;
    let unknown = loaded.warnings.into_iter();
    Ok(unknown
        .map(|warning| Notice::new(NoticeKind::UnknownSetting, EXTRA_CONFIG, warning))
        .collect())
}

/// A duration of a spec.
pub fn duration(text: &str, path: &str) -> Result<GoDuration, ValidationError> {
    text.parse().map_err(|error: tempo_config::ParseDurationError| {
        ValidationError::configuration(path, error.to_string())
    })
}

/// Sets what all processes have in common.
pub fn common(config: &mut Config, timeout: GoDuration, multitenancy: bool, mcp_server: bool) {
    config.multitenancy_enabled = multitenancy;
    config.server.http_server_read_timeout = timeout;
    config.server.http_server_write_timeout = timeout;
    config.query_frontend.mcp_server.enabled = mcp_server;
}

/// An OTLP receiver of one protocol on all addresses.
pub fn receiver_endpoint(port: i32, tls: Option<(&ReceiverTls, &ReceiverDirectories)>) -> ReceiverEndpoint {
    ReceiverEndpoint {
        endpoint: format!("0.0.0.0:{port}"),
        tls: tls.map(|(tls, directories)| receiver_tls(tls, directories)),
    }
}

/// The OTLP receivers.
pub fn otlp(grpc: Option<ReceiverEndpoint>, http: Option<ReceiverEndpoint>) -> OtlpReceiver {
    OtlpReceiver {
        protocols: tempo_config::OtlpProtocols { grpc, http },
    }
}

/// Where the certificate and the CA of a receiver are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverDirectories {
    /// Directory of the certificate.
    pub certificate: String,
    /// Directory of the clients' CA.
    pub ca: String,
}

fn receiver_tls(tls: &ReceiverTls, directories: &ReceiverDirectories) -> TlsFiles {
    let ca = tls
        .client_ca
        .as_ref()
        .map(|(_, key)| format!("{}/{key}", directories.ca));
    TlsFiles {
        cert_file: format!("{}/tls.crt", directories.certificate),
        key_file: format!("{}/tls.key", directories.certificate),
        client_ca_file: ca.unwrap_or_default(),
        min_version: tls.min_version.clone(),
    }
}

/// The `storage.trace` section of an object store.
pub fn object_storage(storage: &ObjectStorage) -> TraceStorage {
    let mut section = local_storage("traces");
    match &storage.access {
        StorageAccess::S3(access) => {
            section.backend = Backend::S3;
            section.s3 = S3Storage {
                endpoint: access.endpoint.clone(),
                bucket: access.bucket.clone(),
                insecure: access.insecure,
                region: match &access.credentials {
                    S3Credentials::Role { region, .. } => region.clone(),
                    S3Credentials::Keys { .. } => String::new(),
                },
                ..s3_tls(storage)
            };
        }
        StorageAccess::Azure(access) => {
            section.backend = Backend::Azure;
            section.azure = AzureStorage {
                container_name: access.container.clone(),
                use_federated_token: matches!(access.credentials, AzureCredentials::FederatedToken { .. }),
                ..AzureStorage::default()
            };
        }
        StorageAccess::Gcs(access) => {
            section.backend = Backend::Gcs;
            section.gcs = GcsStorage {
                bucket_name: access.bucket.clone(),
                ..GcsStorage::default()
            };
        }
    }
    section
}

/// The `storage.trace` section of a folder under the data directory.
pub fn local_storage(folder: &str) -> TraceStorage {
    let mut section = TraceStorage::default();
    section.local.path = format!("{DATA_DIRECTORY}/{folder}");
    section.wal.path = format!("{DATA_DIRECTORY}/wal");
    section
}

fn s3_tls(storage: &ObjectStorage) -> S3Storage {
    let certificate = |file: &str| match storage.certificate {
        Some(_) => format!("{CERTIFICATE_DIRECTORY}/{file}"),
        None => String::new(),
    };
    S3Storage {
        tls_ca_path: storage
            .ca
            .as_ref()
            .map(|(_, key)| format!("{CA_DIRECTORY}/{key}"))
            .unwrap_or_default(),
        tls_cert_path: certificate("tls.crt"),
        tls_key_path: certificate("tls.key"),
        tls_min_version: storage.min_tls_version.clone(),
        ..S3Storage::default()
    }
}
