//! Exporters: what carries spans on. Each has its own queue and retries, so that a slow one holds up no other.

pub mod debug;
mod grpc;
mod http;
mod queue;
mod retry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use serde_yaml::Value;
use tempo_receiver::{ConsumeError, ErrorKind};

use self::debug::DebugSettings;
pub use self::queue::{Queue, QueueSettings, Sizer};
pub use self::retry::RetrySettings;
use crate::config::values::{self, ClientTls};
use crate::config::{Problem, Settings, read};

/// Settings of an exporter.
#[derive(Debug, Clone, PartialEq)]
pub enum ExporterSettings {
    /// `otlp_grpc`.
    Grpc(OtlpSettings),
    /// `otlp_http`.
    Http(OtlpSettings),
    /// `debug`.
    Debug(DebugSettings),
}

/// Settings of `otlp_grpc` and `otlp_http`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpSettings {
    /// Where spans go: `host:port` (gRPC) or a URL.
    pub endpoint: String,
    /// The whole URL, where it does not end in `/v1/traces` (HTTP only).
    pub traces_endpoint: String,
    /// How long a request may take; 5s (gRPC) or 30s (HTTP) by default.
    #[serde(deserialize_with = "some_duration")]
    pub timeout: Option<Duration>,
    /// How requests are compressed; gzip by default.
    pub compression: Compression,
    /// Sent with every request.
    #[serde(deserialize_with = "values::headers")]
    pub headers: BTreeMap<String, String>,
    /// TLS, which is on by default.
    pub tls: ClientTls,
    /// What happens when sending fails.
    pub retry_on_failure: RetrySettings,
    /// What waits for sending.
    pub sending_queue: QueueSettings,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            traces_endpoint: String::new(),
            timeout: None,
            compression: Compression::Gzip,
            headers: BTreeMap::new(),
            tls: ClientTls::default(),
            retry_on_failure: RetrySettings::default(),
            sending_queue: QueueSettings::default(),
        }
    }
}

fn some_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    values::duration(deserializer).map(Some)
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// gzip.
    Gzip,
    /// zstd (HTTP only).
    Zstd,
    /// Not at all.
    #[serde(alias = "")]
    None,
}

impl Settings for ExporterSettings {
    fn read(type_name: &str, path: &str, value: Value) -> Result<Self, Problem> {
        if type_name == "debug" {
            return Ok(Self::Debug(read(path, value)?));
        }
        let settings: OtlpSettings = read(path, value)?;
        let at = |key: &'static str| move |reason: String| Problem::new(format!("{path}::{key}"), reason);
        settings.tls.identity().map_err(at("tls"))?;
        settings
            .retry_on_failure
            .check()
            .map_err(at("retry_on_failure"))?;
        settings.sending_queue.check().map_err(at("sending_queue"))?;
        if type_name == "otlp_http" {
            http::check(&settings).map_err(at("endpoint"))?;
            Ok(Self::Http(settings))
        } else {
            grpc::check(&settings).map_err(at("endpoint"))?;
            Ok(Self::Grpc(settings))
        }
    }
}

/// An exporter that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// A file that TLS needs.
    #[error("read {what} {path}: {source}")]
    File {
        /// What it is.
        what: &'static str,
        /// Where it is.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The parts do not fit together.
    #[error("set up the connection to {endpoint}: {reason}")]
    Connection {
        /// Where spans would go.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// A header that cannot be sent.
    #[error("header {name} cannot be sent: {reason}")]
    Header {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
}

/// Sends one request, once.
#[async_trait]
pub trait Sender: Send + Sync + 'static {
    /// Sends an encoded request.
    async fn send(&self, payload: Bytes) -> Result<Sent, SendError>;
}

/// A request that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    /// How many of its spans were not.
    pub rejected_spans: i64,
    /// Why, or a warning.
    pub message: String,
}

/// A request that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct SendError {
    /// What a client should hear.
    pub error: ConsumeError,
    /// Whether sending again may help.
    pub is_retryable: bool,
}

impl SendError {
    /// An error that may pass.
    pub fn retryable(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self {
            error: ConsumeError::new(ErrorKind::Unavailable { retry_after }, message),
            is_retryable: true,
        }
    }

    /// An error that will not pass.
    pub fn permanent(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            error: ConsumeError::new(kind, message),
            is_retryable: false,
        }
    }
}

/// Sends as `otlp_grpc`.
pub fn grpc_sender(settings: &OtlpSettings) -> Result<Arc<dyn Sender>, ExporterError> {
    Ok(Arc::new(grpc::GrpcSender::new(settings)?))
}

/// Sends as `otlp_http`.
pub fn http_sender(settings: &OtlpSettings) -> Result<Arc<dyn Sender>, ExporterError> {
    Ok(Arc::new(http::HttpSender::new(settings)?))
}

fn read_file(what: &'static str, path: &std::path::Path) -> Result<Vec<u8>, ExporterError> {
    std::fs::read(path).map_err(|source| ExporterError::File {
        what,
        path: path.display().to_string(),
        source,
    })
}

/// The headers of the configuration, ready to be sent.
fn header_map(headers: &BTreeMap<String, String>) -> Result<::http::HeaderMap, ExporterError> {
    headers
        .iter()
        .map(|(name, value)| {
            let wrong = |reason: String| ExporterError::Header {
                name: name.clone(),
                reason,
            };
            let key = ::http::HeaderName::try_from(name.to_lowercase())
                .map_err(|error| wrong(error.to_string()))?;
            let value = ::http::HeaderValue::try_from(value).map_err(|error| wrong(error.to_string()))?;
            Ok((key, value))
        })
        .collect()
}
