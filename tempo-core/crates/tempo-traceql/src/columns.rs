//! The seam between evaluation and storage: spans as columns. A head and a row group of a block are both a
//! [`SpanBatch`], so one executor serves both.
//!
//! A batch numbers its spans (rows) from zero and its traces (the trace table) from zero. A column is sparse: a list of
//! parts of one type each, whose values say which rows they belong to. Missing is absence; there are no nulls.
//!
//! Not here: what is derived. Properties of the trace come from the trace table, child counts and nested sets from the
//! parents, unscoped attributes from the span's and the resource's; the evaluator does all of it.

use std::fmt;
use std::sync::Arc;

use crate::ast::{Attribute, Operator, Scope, Static};
use crate::text::TextTest;

/// The parent of a span without a parent id, in [`SpanBatch::parents`].
pub const ROOT: u32 = u32::MAX;
/// The parent of a span whose parent is not in the batch, in [`SpanBatch::parents`].
pub const ORPHAN: u32 = u32::MAX - 1;

/// One row group: a head, or a row group of a block. Rows of one trace need not be neighbours. A batch does not change:
/// of a head that grows it is what was published when the batch was made.
pub trait SpanBatch: Send + Sync {
    /// How many spans, fewer than [`ORPHAN`]; rows are numbered from zero.
    fn len(&self) -> usize;

    /// Whether there are no spans.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of `field` in the selected rows. A field that no span has is an empty column, not an error.
    fn column(&self, field: &Field, selection: Selection<'_>) -> Result<Column, FetchError>;

    /// The keys that some span's attributes in a scope have, each once, in no particular order.
    fn attribute_keys(&self, scope: Scope) -> Result<Vec<String>, FetchError>;

    /// For every row, its trace's index in [`SpanBatch::traces`].
    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError>;

    /// The trace table.
    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError>;

    /// For every row, the row of its parent span, or [`ROOT`] or [`ORPHAN`]. A span that is its own parent, or whose
    /// chain of parents runs in a circle, may be given as it is: the evaluator breaks circles.
    fn parents(&self) -> Result<Arc<[u32]>, FetchError>;

    /// Whether a span of the batch may satisfy a condition, as far as zone maps and dictionaries tell cheaply.
    /// False positives cost time, false negatives lose answers.
    fn may_match(&self, _condition: &Condition) -> bool {
        true
    }
}

/// What a batch stores of a span.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Unix time in nanoseconds; [`Values::Int`], dense.
    Start,
    /// Nanoseconds; [`Values::Duration`], dense.
    Duration,
    /// [`Values::String`], dense.
    Name,
    /// [`Values::Status`], dense.
    Status,
    /// [`Values::String`]; empty where there is none, or absent.
    StatusMessage,
    /// [`Values::Kind`], dense.
    Kind,
    /// [`Values::SpanId`], dense.
    SpanId,
    /// [`Values::SpanId`]; absent for spans without a parent.
    ParentId,
    /// [`Values::String`]; one per event.
    EventName,
    /// [`Values::Duration`]; one per event.
    EventTimeSinceStart,
    /// [`Values::TraceId`]; one per link.
    LinkTraceId,
    /// [`Values::SpanId`]; one per link.
    LinkSpanId,
    /// [`Values::String`]; empty where there is none, or absent.
    InstrumentationName,
    /// [`Values::String`]; empty where there is none, or absent.
    InstrumentationVersion,
    /// An attribute of any type, `service.name` included; one part per type that occurs. Values that TraceQL has no
    /// type for (bytes, key-value lists, empty arrays, arrays of several types) are left out. In event and link scope
    /// the rows are [`Rows::Entries`].
    Attribute(Scope, String),
}

impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(scope, key) => write!(formatter, "{}.{key}", scope.name()),
            intrinsic => write!(formatter, "{intrinsic:?}"),
        }
    }
}

/// Which rows a column is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection<'a> {
    /// Every row.
    All,
    /// These rows, ascending, without repetition.
    Rows(&'a [u32]),
}

/// The values of a field: every type that occurs is a part; several parts may hold values of one row.
#[derive(Debug, Clone, Default)]
pub struct Column {
    /// In no particular order.
    pub parts: Vec<Part>,
}

/// Values of one type.
#[derive(Debug, Clone)]
pub struct Part {
    /// Which rows the values belong to.
    pub rows: Rows,
    /// One for each entry of `rows`.
    pub values: Values,
    /// Whether the values of a row are the elements of an array (which may have one element).
    pub array: bool,
}

/// Which rows the values of a part belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// One value for each row of the selection, in order.
    Dense,
    /// The row of each value, ascending; repeated where a row has several values (array elements in their order,
    /// events, links, duplicate keys). Only rows of the selection.
    Sparse(Vec<u32>),
    /// As [`Rows::Sparse`], with which of the span's events or links each value belongs to, counted from zero and
    /// ascending within a row. Without it (as in the intrinsics of events and links, which all of them have) the
    /// first value of a row is the first event's, and so on.
    Entries {
        /// The row of each value.
        rows: Vec<u32>,
        /// The event or link of each value.
        entries: Vec<u32>,
    },
}

/// The values of a part.
#[derive(Debug, Clone)]
pub enum Values {
    /// Integers.
    Int(Vec<i64>),
    /// Floats.
    Float(Vec<f64>),
    /// Booleans.
    Bool(Vec<bool>),
    /// Strings, by their place in a dictionary.
    String {
        /// Places in the dictionary.
        codes: Vec<u32>,
        /// The strings.
        dictionary: Arc<dyn Dictionary>,
    },
    /// Nanoseconds.
    Duration(Vec<i64>),
    /// OTLP status codes.
    Status(Vec<u8>),
    /// OTLP span kinds.
    Kind(Vec<u8>),
    /// Ids of spans, compared as lower-case hex.
    SpanId(Vec<[u8; 8]>),
    /// Ids of traces, compared as lower-case hex.
    TraceId(Vec<[u8; 16]>),
}

impl Values {
    /// How many values.
    pub fn len(&self) -> usize {
        match self {
            Self::Int(values) | Self::Duration(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::String { codes, .. } => codes.len(),
            Self::Status(values) | Self::Kind(values) => values.len(),
            Self::SpanId(values) => values.len(),
            Self::TraceId(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Strings by code. Entries need not be distinct or all used.
pub trait Dictionary: fmt::Debug + Send + Sync {
    /// How many strings; codes are below it.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The string of a code; `None` when the code is out of range.
    fn get(&self, code: u32) -> Option<&str>;
}

impl<T: AsRef<str> + fmt::Debug + Send + Sync> Dictionary for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn get(&self, code: u32) -> Option<&str> {
        self.as_slice().get(code as usize).map(AsRef::as_ref)
    }
}

/// A trace of a batch, as far as the batch has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRow {
    /// The id.
    pub trace_id: [u8; 16],
    /// The earliest start of a span, unix time in nanoseconds.
    pub start_ns: u64,
    /// The latest end of a span, unix time in nanoseconds.
    pub end_ns: u64,
    /// The root span, when the batch has it; of several, the last.
    pub root: Option<RootSpan>,
    /// Whether spans of this trace may be in other batches too.
    pub continued: bool,
}

/// What the trace table says of a root span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSpan {
    /// Its name.
    pub name: Arc<str>,
    /// Its resource's `service.name`; empty when missing.
    pub service: Arc<str>,
}

/// A condition that a span must satisfy: `attribute operator operand`.
///
/// `attribute = nil` never occurs; `attribute != nil` stands for "has the attribute". [`Attribute::Unscoped`] is
/// satisfied by the span's or the resource's. Numbers of all types compare with each other (`200 = 200.0`), an array
/// satisfies a condition with any element; otherwise values of another type than the operand's satisfy nothing. Status
/// message, instrumentation name and version, root name and root service are empty strings where they are absent, and
/// trace ids compare without leading zeros on either side.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The left side.
    pub attribute: Attribute,
    /// A comparison or a regular expression.
    pub operator: Operator,
    /// The right side.
    pub operand: Static,
}

impl Condition {
    /// The test that texts must pass to satisfy the condition; `None` where texts are not what it compares with.
    pub fn text_test(&self) -> Option<TextTest> {
        match &self.operand {
            Static::String(operand) => TextTest::new(self.operator, operand).ok(),
            _ => None,
        }
    }
}

/// A batch could not give a column or table.
#[derive(Debug, thiserror::Error)]
#[error("read {what}: {source}")]
pub struct FetchError {
    /// Which column or table.
    pub what: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
