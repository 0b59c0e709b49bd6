//! What a door hands on, and what it may hear.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use tempo_model::validate::Contents;

/// A request as it came through a door.
#[derive(Debug, Clone)]
pub struct TraceBatch {
    /// An encoded `ExportTraceServiceRequest`, known to be well formed.
    pub payload: Bytes,
    /// What the payload holds.
    pub contents: Contents,
    /// The request's headers (HTTP) or metadata (gRPC).
    pub headers: HeaderMap,
    /// `grpc` or `http`, for metrics.
    pub transport: &'static str,
}

impl TraceBatch {
    /// A header's value as text; `None` when absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Takes spans in. An `Ok` is the acknowledgement that the client hears.
#[async_trait]
pub trait TraceConsumer: Send + Sync + 'static {
    /// Takes `batch`, but for what the answer says was dropped; after an error, none of it counts as taken.
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError>;
}

/// What was taken of a batch: all of it, unless this says otherwise. Clients hear of the rest as OTLP's partial success,
/// and do not send it again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// Spans that were dropped for good.
    pub rejected_spans: u64,
    /// Why; empty when nothing was.
    pub reason: String,
}

/// Why spans were not taken, in the words of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConsumeError {
    /// What the client should do about it.
    pub kind: ErrorKind,
    /// What the client reads.
    pub message: String,
}

impl ConsumeError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// What a client should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Mend the request; sending it again is no use.
    InvalidArgument,
    /// Send smaller requests; sending this one again is no use.
    TooLarge,
    /// Say who you are.
    Unauthenticated,
    /// Send less, or later.
    ResourceExhausted {
        /// When to try again; `None` leaves it to the client.
        retry_after: Option<Duration>,
    },
    /// Try again.
    Unavailable {
        /// When to try again; `None` leaves it to the client.
        retry_after: Option<Duration>,
    },
    /// Report it: this is our fault.
    Internal,
}

impl ErrorKind {
    /// When the client should try again.
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::ResourceExhausted { retry_after } | Self::Unavailable { retry_after } => retry_after,
            Self::InvalidArgument | Self::TooLarge | Self::Unauthenticated | Self::Internal => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::ResourceExhausted { .. } | Self::Unavailable { .. })
    }
}
