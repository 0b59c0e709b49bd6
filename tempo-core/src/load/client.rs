//! An OTLP client: sends encoded requests, tries again when told to come back.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use tempo_receiver::grpc::EXPORT_PATH;
use tempo_receiver::raw_codec::RawCodec;
use tonic::Code;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request that may be sent again is, and the pause after the first attempt, which doubles.
const MOST_ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Spans that could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The address is not one.
    #[error("'{0}' is not an address; write it like 127.0.0.1:4317")]
    Address(String),
    /// Nobody answers.
    #[error("connect to {address}: {reason}")]
    Connect {
        /// Where.
        address: String,
        /// Why.
        reason: String,
    },
    /// The receiver does not take them.
    #[error("export to {address}: {message}")]
    Refused {
        /// Where.
        address: String,
        /// What it says.
        message: String,
    },
}

/// Where OTLP is spoken. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct OtlpClient {
    address: String,
    protocol: Protocol,
}

#[derive(Debug, Clone)]
enum Protocol {
    Grpc(Channel),
    Http(reqwest::Client),
}

/// How a request fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// How often it had to be sent again.
    pub retries: u32,
}

/// One attempt that failed.
struct Failure {
    may_retry: bool,
    message: String,
}

impl OtlpClient {
    /// Connects by gRPC to `address` (`host:port`).
    pub async fn grpc(address: &str) -> Result<Self, ExportError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|_| ExportError::Address(address.to_owned()))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(EXPORT_TIMEOUT)
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| ExportError::Connect {
            address: address.to_owned(),
            reason: with_causes(&error),
        })?;
        Ok(Self {
            address: address.to_owned(),
            protocol: Protocol::Grpc(channel),
        })
    }

    /// Sends by HTTP to `address` (`host:port`); it connects at the first request.
    pub fn http(address: &str) -> Result<Self, ExportError> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|_| ExportError::Address(address.to_owned()))?;
        Ok(Self {
            address: address.to_owned(),
            protocol: Protocol::Http(client),
        })
    }

    /// Sends an encoded `ExportTraceServiceRequest`; an `Ok` is the receiver's acknowledgement.
    pub async fn export(&self, request: Bytes) -> Result<Exported, ExportError> {
        let mut pause = FIRST_PAUSE;
        let mut retries = 0;
        loop {
            match self.attempt(request.clone()).await {
                Ok(()) => return Ok(Exported { retries }),
                Err(failure) if failure.may_retry && retries + 1 < MOST_ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    retries += 1;
                }
                Err(failure) => {
                    return Err(ExportError::Refused {
                        address: self.address.clone(),
                        message: failure.message,
                    });
                }
            }
        }
    }

    async fn attempt(&self, request: Bytes) -> Result<(), Failure> {
        match &self.protocol {
            Protocol::Grpc(channel) => by_grpc(channel, request).await,
            Protocol::Http(client) => by_http(client, &self.address, request).await,
        }
    }
}

async fn by_grpc(channel: &Channel, request: Bytes) -> Result<(), Failure> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Failure {
        may_retry: true,
        message: with_causes(&error),
    })?;
    let path = PathAndQuery::from_static(EXPORT_PATH);
    let answer = grpc.unary(tonic::Request::new(request), path, RawCodec).await;
    answer.map(drop).map_err(|status| Failure {
        may_retry: matches!(
            status.code(),
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
        ),
        message: format!("{:?}: {}", status.code(), status.message()),
    })
}

async fn by_http(client: &reqwest::Client, address: &str, request: Bytes) -> Result<(), Failure> {
    let sending = client
        .post(format!("http://{address}/v1/traces"))
        .header("content-type", "application/x-protobuf")
        .body(request);
    let answer = sending.send().await.map_err(|error| Failure {
        may_retry: true,
        message: with_causes(&error),
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Failure {
        may_retry: matches!(status.as_u16(), 429 | 502..=504),
        message: status.to_string(),
    })
}

/// An error with its causes: libraries put what matters into them.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
