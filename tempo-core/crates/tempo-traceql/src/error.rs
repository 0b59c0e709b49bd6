//! What can be wrong with a query.

/// Why a query is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not TraceQL.
    #[error("parse error at line {line}, col {column}: {message}")]
    Parse {
        /// Counted from one.
        line: usize,
        /// Counted from one, in characters.
        column: usize,
        /// What was found and what was expected.
        message: String,
    },
    /// TraceQL that makes no sense, such as a string compared with a number.
    #[error("invalid query: {0}")]
    Validate(String),
    /// TraceQL that is not evaluated.
    #[error("not supported: {0}")]
    Unsupported(String),
}
