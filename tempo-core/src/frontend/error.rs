//! Why a query has no answer, in terms of who is to do something about it.

use tempo_block::log::LogError;
use tempo_traceql::{EvaluateError, QueryError as TraceQlError};

use crate::rpc::{CallError, CallErrorKind};

/// A query without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Who is to do something about it.
    pub kind: QueryErrorKind,
    /// What the client reads.
    pub message: String,
}

/// Who is to do something about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The client: the query is wrong, or asks for what is not built yet.
    BadRequest,
    /// The client: there is too much to give at once.
    TooLarge,
    /// The client, later: too much is under way.
    TooManyRequests,
    /// The client, later: a part of the answer cannot be had now.
    Unavailable,
    /// The client: the query takes too long.
    Timeout,
    /// Us.
    Internal,
}

impl QueryError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A query that is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::BadRequest, message)
    }

    /// A part of the answer that cannot be had now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::Unavailable, message)
    }
}

impl From<CallError> for QueryError {
    fn from(error: CallError) -> Self {
        let kind = match error.kind {
            CallErrorKind::InvalidArgument | CallErrorKind::Unimplemented => QueryErrorKind::BadRequest,
            CallErrorKind::ResourceExhausted => QueryErrorKind::TooManyRequests,
            CallErrorKind::Refused | CallErrorKind::Unavailable => QueryErrorKind::Unavailable,
            CallErrorKind::Internal => QueryErrorKind::Internal,
        };
        Self::new(kind, error.message)
    }
}

impl From<LogError> for QueryError {
    fn from(error: LogError) -> Self {
        let kind = match error {
            LogError::Store { .. } | LogError::NotThere { .. } | LogError::Task(_) => {
                QueryErrorKind::Unavailable
            }
            LogError::Unreadable { .. } | LogError::Unstable { .. } => QueryErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<TraceQlError> for QueryError {
    fn from(error: TraceQlError) -> Self {
        Self::bad_request(format!("invalid TraceQL query: {error}"))
    }
}

impl From<EvaluateError> for QueryError {
    fn from(error: EvaluateError) -> Self {
        Self::bad_request(format!("invalid TraceQL query: {error}"))
    }
}
