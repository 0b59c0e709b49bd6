//! TraceQL: from text to a checked query, and its evaluation over columnar batches.
//!
//! ```text
//! text ─ lexer ─ parser (constants folded) ─ check ─► Query ─ evaluate over a SpanBatch ─► TraceMatch ─ merge
//! ```
//!
//! Not here: storage formats, HTTP, and which batches there are. docs/traceql.md lists what departs from upstream.

pub mod ast;
mod check;
pub mod columns;
mod error;
mod evaluate;
mod fold;
mod lexer;
pub mod metrics;
mod parser;
pub mod plan;
pub mod search;
pub mod tags;
pub mod text;

pub use ast::Query;
pub use error::QueryError;
pub use evaluate::EvaluateError;

/// Parses and checks a query.
pub fn parse(text: &str) -> Result<Query, QueryError> {
    let query = parser::parse(text)?;
    check::check(&query)?;
    Ok(query)
}

/// Parses what names a value of a span: `span.http.method`, `.foo`, `name`, `event:name`.
pub fn parse_attribute(text: &str) -> Result<ast::Attribute, QueryError> {
    parser::parse_attribute(text)
}
