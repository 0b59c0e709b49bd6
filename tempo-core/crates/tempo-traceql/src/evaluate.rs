//! Evaluation of a pipeline over one batch: predicate columns first, then row sets, then what is said of traces.
//!
//! ```text
//! pipeline ─ spansets, stage after stage
//!   ├─ filter      which rows an expression holds for; columns are fetched only for rows still in question
//!   │    ├─ predicate   attribute against constant, a column at a time
//!   │    └─ values      everything else, a row at a time
//!   ├─ structural  relations in the tree of spans
//!   └─ aggregate   count, min, max, avg, sum, and the groups of by()
//! ```
//!
//! Not here: which batches there are, and joining the answers of several (see [`crate::search`]).

mod aggregate;
mod entries;
mod filter;
mod pipeline;
mod predicate;
mod rows;
mod source;
mod structural;
mod tree;
pub(crate) mod values;

use crate::columns::FetchError;

pub(crate) use pipeline::{Spanset, rows_where, run, run_rows};
pub(crate) use predicate::positions;
pub(crate) use rows::RowSet;
pub(crate) use source::{Source, stored};

/// Why a query could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The batch could not be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Parsed and checked, and not evaluated.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A side of a structural operator has several spansets in one trace.
    #[error("a side of '{0}' has several spansets of one trace: join them with coalesce() after by()")]
    SeveralSpansets(String),
    /// A regular expression that the check would have refused.
    #[error("compile a regular expression: {0}")]
    Regex(#[from] regex::Error),
}
