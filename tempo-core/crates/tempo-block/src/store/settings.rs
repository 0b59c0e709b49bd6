//! What a store is made from. Plain values, filled from the configuration by the process that opens the store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Which store, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// In memory, gone with the process: tests and simulations.
    Memory,
    /// A folder on this machine, made if it is not there.
    Local {
        /// The folder.
        folder: PathBuf,
    },
    /// S3 and what speaks its protocol.
    S3(S3Settings),
    /// Google Cloud Storage.
    Gcs(GcsSettings),
    /// Azure Blob Storage.
    Azure(AzureSettings),
}

/// S3 and what speaks its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct S3Settings {
    /// `host[:port]` or a URL; empty means AWS.
    pub endpoint: String,
    /// The bucket; it must exist.
    pub bucket: String,
    /// A folder in the bucket, or empty.
    pub prefix: String,
    /// When empty, what the surroundings say with ambient credentials (`AWS_REGION`), else `us-east-1`.
    pub region: String,
    /// How requests are signed.
    pub credentials: S3Credentials,
    /// Speak plain HTTP to an endpoint that names no scheme.
    pub insecure: bool,
    /// `bucket.endpoint` in place of `endpoint/bucket`.
    pub virtual_hosted_style: bool,
    /// Whom to trust, and as whom to be known.
    pub tls: TlsSettings,
    /// How long requests may take.
    pub limits: RequestLimits,
}

/// TLS towards a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// A PEM file with the CA that signed the server's certificate.
    pub ca_file: Option<PathBuf>,
    /// PEM files with the certificate, and with the key, by which the server knows this client.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Refuse TLS 1.2; older versions are never spoken.
    pub only_tls_1_3: bool,
    /// Accept any certificate: for trying things out only.
    pub skip_certificate_check: bool,
}

/// How long requests to a store may take, and how often they are made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// To connect.
    pub connect_timeout: Duration,
    /// For one attempt with its body.
    pub request_timeout: Duration,
    /// Attempts after the first. Only what may safely be repeated is.
    pub max_retries: usize,
    /// No attempt begins later after the first.
    pub retry_timeout: Duration,
}

impl Default for RequestLimits {
    /// 5 s, 30 s, 5 retries within a minute.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            max_retries: 5,
            retry_timeout: Duration::from_mins(1),
        }
    }
}

/// How requests to S3 are signed.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum S3Credentials {
    /// What the surroundings offer: a web identity token (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`), the
    /// container's or the machine's role, or `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    #[default]
    Surroundings,
    /// A key.
    Static {
        /// The access key id.
        access_key: String,
        /// The secret key.
        secret_key: String,
        /// The session token of a temporary key, or empty.
        session_token: String,
    },
}

/// Names the key and never the secret.
impl fmt::Debug for S3Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surroundings => formatter.write_str("Surroundings"),
            Self::Static { access_key, .. } => write!(formatter, "Static({access_key})"),
        }
    }
}

/// Google Cloud Storage. Credentials come from the surroundings (`GOOGLE_SERVICE_ACCOUNT`, workload identity).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GcsSettings {
    /// The bucket; it must exist.
    pub bucket: String,
    /// A folder in the bucket, or empty.
    pub prefix: String,
    /// Another endpoint, as a URL, or empty.
    pub endpoint: String,
    /// A file with a service account's key; the surroundings' identity without it.
    pub service_account_file: Option<PathBuf>,
}

/// Azure Blob Storage.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AzureSettings {
    /// The storage account.
    pub account: String,
    /// Its key; workload identity or the machine's identity without it.
    pub key: String,
    /// The container; it must exist.
    pub container: String,
    /// A folder in the container, or empty.
    pub prefix: String,
    /// Another endpoint, as a URL, or empty.
    pub endpoint: String,
}

/// Leaves the key out.
impl fmt::Debug for AzureSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            account,
            key: _,
            container,
            prefix,
            endpoint,
        } = self;
        write!(
            formatter,
            "AzureSettings({account}, {container}, {prefix}, {endpoint})"
        )
    }
}
