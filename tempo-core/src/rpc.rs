//! How roles call each other: the contracts, their messages, and who is there to be called.
//!
//! In one process a call is a plain call; between processes it is gRPC with the same messages. Roles know only what is
//! here, never each other.

pub mod client;
pub mod messages;
pub mod peers;
pub mod server;

use async_trait::async_trait;
use tonic::{Code, Status};

use messages::{JobRequest, JobResponse, PushRequest, PushResponse, RecentRequest, RecentResponse};

/// What an ingester does for others.
#[async_trait]
pub trait IngesterApi: Send + Sync + 'static {
    /// Stores spans. An `Ok` means that they are durable.
    async fn push(&self, request: PushRequest) -> Result<PushResponse, CallError>;

    /// Answers a query over what is not in blocks at a log position.
    async fn recent(&self, request: RecentRequest) -> Result<RecentResponse, CallError>;
}

/// What a querier does for others.
#[async_trait]
pub trait QuerierApi: Send + Sync + 'static {
    /// Executes a part of a query.
    async fn run(&self, request: JobRequest) -> Result<JobResponse, CallError>;
}

/// Why a call failed, in terms of what the caller may do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What the caller may do about it.
    pub kind: CallErrorKind,
    /// What went wrong.
    pub message: String,
}

/// What a caller may do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// Nothing: the request itself is wrong.
    InvalidArgument,
    /// Nothing: the request asks for something that is not built yet.
    Unimplemented,
    /// Try again later; there is too much to do now.
    ResourceExhausted,
    /// Try again, elsewhere or later: nothing was done.
    Refused,
    /// Try again, elsewhere or later. Nobody knows whether it was done.
    Unavailable,
    /// Nothing: this is our fault.
    Internal,
}

impl CallError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: CallErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A fault of ours.
    pub fn internal(message: &impl ToString) -> Self {
        Self::new(CallErrorKind::Internal, message.to_string())
    }

    /// Something that may work elsewhere or later.
    pub fn unavailable(message: &impl ToString) -> Self {
        Self::new(CallErrorKind::Unavailable, message.to_string())
    }

    /// Whether the same call may succeed elsewhere or later.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            CallErrorKind::Unavailable | CallErrorKind::Refused | CallErrorKind::ResourceExhausted
        )
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        let kind = match status.code() {
            Code::InvalidArgument => CallErrorKind::InvalidArgument,
            Code::Unimplemented => CallErrorKind::Unimplemented,
            Code::ResourceExhausted => CallErrorKind::ResourceExhausted,
            Code::Aborted => CallErrorKind::Refused,
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown => {
                CallErrorKind::Unavailable
            }
            _ => CallErrorKind::Internal,
        };
        Self::new(kind, status.message())
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let code = match error.kind {
            CallErrorKind::InvalidArgument => Code::InvalidArgument,
            CallErrorKind::Unimplemented => Code::Unimplemented,
            CallErrorKind::ResourceExhausted => Code::ResourceExhausted,
            CallErrorKind::Refused => Code::Aborted,
            CallErrorKind::Unavailable => Code::Unavailable,
            CallErrorKind::Internal => Code::Internal,
        };
        Self::new(code, error.message)
    }
}
