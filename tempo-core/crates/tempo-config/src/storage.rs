//! `storage`: where blocks, the commit log and the WAL lie.

use serde::{Deserialize, Serialize};

/// `storage`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// `storage.trace`.
    pub trace: TraceStorage,
}

/// `storage.trace`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TraceStorage {
    /// Which of the stores below is used.
    pub backend: Backend,
    /// The local folder.
    pub local: LocalStorage,
    /// S3 and what speaks its protocol.
    pub s3: S3Storage,
    /// Google Cloud Storage.
    pub gcs: GcsStorage,
    /// Azure Blob Storage.
    pub azure: AzureStorage,
    /// The write-ahead log of ingesters.
    pub wal: WalStorage,
    /// What is kept of blocks close to queries. Not in upstream, whose caches are servers of their own.
    pub block_cache: BlockCache,
    /// How often upstream polls for blocks. Read and ignored: the commit log shows a block after one GET.
    pub blocklist_poll: Option<crate::GoDuration>,
}

/// `storage.trace.block_cache`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockCache {
    /// Bytes of memory: a third each for metadata, column chunks, and what is decoded of them.
    pub memory_bytes: u64,
    /// A folder of a local disk that outlives the process, or not; none when empty.
    pub disk_path: String,
    /// What the folder's files may take, in bytes.
    pub disk_bytes: u64,
}

impl Default for BlockCache {
    /// 192 MB of memory, no disk; 1 GB of it where a folder is given.
    fn default() -> Self {
        Self {
            memory_bytes: 192 << 20,
            disk_path: String::new(),
            disk_bytes: 1 << 30,
        }
    }
}

/// The kinds of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// A folder on this machine; one process writes it, or several on the same machine.
    #[default]
    Local,
    /// S3.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// `storage.trace.local`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalStorage {
    /// The folder of blocks and log.
    pub path: String,
}

impl Default for LocalStorage {
    fn default() -> Self {
        Self {
            path: "/var/tempo/traces".to_owned(),
        }
    }
}

/// `storage.trace.wal`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WalStorage {
    /// The folder of the WAL: a disk that survives the process.
    pub path: String,
    /// The most bytes of the WAL; ours. Pushes beyond are refused until blocks are committed.
    pub max_bytes: u64,
}

impl Default for WalStorage {
    fn default() -> Self {
        Self {
            path: "/var/tempo/wal".to_owned(),
            max_bytes: 4 << 30,
        }
    }
}

/// `storage.trace.s3`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct S3Storage {
    /// Host and port, with or without a scheme.
    pub endpoint: String,
    /// The bucket; it must exist.
    pub bucket: String,
    /// A folder in the bucket.
    pub prefix: String,
    /// The region; `us-east-1` when empty.
    pub region: String,
    /// The access key id.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
    /// The session token of temporary credentials.
    pub session_token: String,
    /// Speak plain HTTP where the endpoint has no scheme.
    pub insecure: bool,
    /// `endpoint/bucket` rather than `bucket.endpoint`; MinIO needs it, and it is what we do unless this is false.
    pub forcepathstyle: Option<bool>,
    /// A file with the CA that signed the server's certificate.
    pub tls_ca_path: String,
    /// A file with the client's certificate.
    pub tls_cert_path: String,
    /// A file with the client's key.
    pub tls_key_path: String,
    /// The name that the server's certificate must have. Not supported: the engine warns and takes the endpoint's.
    pub tls_server_name: String,
    /// Accept any certificate: for trying things out only.
    pub tls_insecure_skip_verify: bool,
    /// The lowest TLS version: `VersionTLS12` (which it is when empty) or `VersionTLS13`.
    pub tls_min_version: String,
}

/// `storage.trace.gcs`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GcsStorage {
    /// The bucket; it must exist.
    pub bucket_name: String,
    /// A folder in the bucket.
    pub prefix: String,
    /// Another endpoint, for test servers.
    pub endpoint: String,
    /// Speak plain HTTP.
    pub insecure: bool,
}

/// `storage.trace.azure`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AzureStorage {
    /// The account.
    pub storage_account_name: String,
    /// Its key.
    pub storage_account_key: String,
    /// The container; it must exist.
    pub container_name: String,
    /// A folder in the container.
    pub prefix: String,
    /// Another endpoint suffix.
    pub endpoint_suffix: String,
    /// Workload identity.
    pub use_federated_token: bool,
}
