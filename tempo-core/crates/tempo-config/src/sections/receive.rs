//! `distributor`: what takes spans in.

use serde::{Deserialize, Serialize};

use super::Ring;
use crate::duration::GoDuration;

/// `distributor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Distributor {
    /// Where spans come in.
    pub receivers: Receivers,
    /// The longest attribute key or value; longer ones are cut and counted.
    pub max_attribute_bytes: u64,
    /// How long a client over its limits should wait.
    pub retry_after_on_resource_exhausted: GoDuration,
    /// The ring's own section; read, and not needed: membership is one gossip.
    pub ring: Ring,
}

impl Default for Distributor {
    fn default() -> Self {
        Self {
            receivers: Receivers::default(),
            max_attribute_bytes: 2048,
            retry_after_on_resource_exhausted: GoDuration::seconds(5),
            ring: Ring::default(),
        }
    }
}

/// `distributor.receivers`: the receivers that we have. Others (jaeger, zipkin, kafka) are reported as unknown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Receivers {
    /// OTLP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<OtlpReceiver>,
}

/// An OTLP receiver.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OtlpReceiver {
    /// Its doors.
    pub protocols: OtlpProtocols,
}

/// The doors of an OTLP receiver; one that is named without anything has its default endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OtlpProtocols {
    /// OTLP/gRPC.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub grpc: Option<ReceiverEndpoint>,
    /// OTLP/HTTP.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub http: Option<ReceiverEndpoint>,
}

/// A key that is there without a value (`grpc:`) stands for the default.
fn named<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<ReceiverEndpoint>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

/// Where a door listens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiverEndpoint {
    /// Host and port; `localhost` and the protocol's port when empty.
    pub endpoint: String,
    /// TLS, when given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
}

/// Files with a server's TLS identity.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsFiles {
    /// The certificate.
    pub cert_file: String,
    /// The key.
    pub key_file: String,
    /// The CA that clients' certificates must be of; none are asked for when empty.
    pub client_ca_file: String,
    /// The lowest TLS version.
    pub min_version: String,
}
