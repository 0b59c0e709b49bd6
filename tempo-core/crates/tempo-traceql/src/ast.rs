//! The syntax tree of a query.

use std::fmt;
use std::time::Duration;

/// A query: what is searched or computed, and hints on how.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What is searched or computed.
    pub root: Root,
    /// `with(key=value, ...)`.
    pub hints: Vec<Hint>,
}

/// The two kinds of query.
#[derive(Debug, Clone, PartialEq)]
pub enum Root {
    /// Gives spansets.
    Search(Pipeline),
    /// Gives series.
    Metrics(MetricsQuery),
}

/// `key=value` of a hint.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Static,
}

/// Stages, each of which takes the spansets of the one before.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pipeline {
    /// In order; never empty in a parsed query.
    pub stages: Vec<Stage>,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Keeps spans.
    Spanset(SpansetExpression),
    /// Keeps spansets by an aggregate: `count() > 2`.
    ScalarFilter {
        /// Comparison.
        operator: Operator,
        /// Left side.
        left: ScalarExpression,
        /// Right side.
        right: ScalarExpression,
    },
    /// Splits spansets by a value.
    By(Expression),
    /// Joins the spansets of a trace.
    Coalesce,
    /// Gives more attributes with the spans.
    Select(Vec<Attribute>),
}

/// Which spans of a trace are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum SpansetExpression {
    /// `{ ... }`; an empty one keeps all.
    Filter(Expression),
    /// Two sets combined.
    Binary {
        /// Logical or structural.
        operator: SpansetOperator,
        /// Left side.
        left: Box<Self>,
        /// Right side.
        right: Box<Self>,
    },
    /// `({ ... } | ...)` as a side of an operator.
    Pipeline(Pipeline),
}

/// How two spansets are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpansetOperator {
    /// `&&`
    And,
    /// `||`
    Or,
    /// A relation in the trace's tree.
    Structural {
        /// Which.
        relation: Relation,
        /// `!`: spans of the right side without the relation.
        negated: bool,
        /// `&`: both sides of the matching pairs.
        union: bool,
    },
}

/// A relation in the trace's tree, seen from the right side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `>`: the parent is on the left.
    Child,
    /// `>>`: an ancestor is on the left.
    Descendant,
    /// `<`: a child is on the left.
    Parent,
    /// `<<`: a descendant is on the left.
    Ancestor,
    /// `~`: a sibling is on the left.
    Sibling,
}

/// An expression over the spans of a set.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalarExpression {
    /// A number or a duration.
    Static(Static),
    /// `count()`, `avg(...)`, ...
    Aggregate(Aggregate),
    /// Arithmetic.
    Binary {
        /// Arithmetic.
        operator: Operator,
        /// Left side.
        left: Box<Self>,
        /// Right side.
        right: Box<Self>,
    },
    /// `({ ... } | count())`.
    Pipeline(Pipeline, Aggregate),
}

/// A function of the spans of a set.
#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    /// How many.
    Count,
    /// A function of a value of each.
    Of(AggregateFunction, Expression),
}

/// The functions of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateFunction {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean.
    Avg,
    /// The sum.
    Sum,
}

/// An expression over one span.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A constant.
    Static(Static),
    /// A value of the span.
    Attribute(Attribute),
    /// `-x` or `!x`.
    Unary(UnaryOperator, Box<Self>),
    /// `x op y`.
    Binary {
        /// The operator.
        operator: Operator,
        /// Left side.
        left: Box<Self>,
        /// Right side.
        right: Box<Self>,
    },
}

/// `-` and `!`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `-`
    Negate,
    /// `!`
    Not,
}

/// Operators between values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Named for what they are.
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Regex,
    NotRegex,
    And,
    Or,
}

impl Operator {
    /// `+ - * / % ^`
    pub fn is_arithmetic(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Modulo | Self::Power
        )
    }

    /// `&& ||`
    pub fn is_logical(self) -> bool {
        matches!(self, Self::And | Self::Or)
    }

    /// `=~ !~`
    pub fn is_regex(self) -> bool {
        matches!(self, Self::Regex | Self::NotRegex)
    }

    /// `< <= > >=`
    pub fn is_ordering(self) -> bool {
        matches!(
            self,
            Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
    }
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Static {
    /// `nil`
    Nil,
    /// `true`, `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A duration in nanoseconds.
    Duration(i64),
    /// A string.
    String(String),
    /// `ok`, `error`, `unset`
    Status(Status),
    /// `server`, `client`, ...
    Kind(Kind),
}

impl Static {
    /// As a number, for comparison between ints, floats and durations.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Duration(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

impl From<Duration> for Static {
    fn from(duration: Duration) -> Self {
        Self::Duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// The status of a span. The numbers are OTLP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Status {
    Unset = 0,
    Ok = 1,
    Error = 2,
}

impl Status {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::Unset, Self::Ok, Self::Error];

    /// The keyword.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// The kind of a span. The numbers are OTLP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Kind {
    Unspecified = 0,
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

impl Kind {
    /// All of them, by number.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::Internal,
        Self::Server,
        Self::Client,
        Self::Producer,
        Self::Consumer,
    ];

    /// The keyword.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// A value of a span, as a query names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// A property that every span has a place for.
    Intrinsic(Intrinsic),
    /// A key with a scope.
    Scoped(Scope, String),
    /// `.key`: the span's, or else the resource's.
    Unscoped(String),
    /// `parent...`: parsed, and not evaluated.
    Parent(String),
}

/// Where an attribute is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Scope {
    Span,
    Resource,
    Event,
    Link,
    Instrumentation,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Span,
        Self::Resource,
        Self::Event,
        Self::Link,
        Self::Instrumentation,
    ];

    /// The word before the point.
    pub fn name(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
        }
    }
}

/// A property that every span has a place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // tempo's documentation of intrinsics names them; the table below has their text.
pub enum Intrinsic {
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    SpanId,
    ParentId,
    ChildCount,
    TraceDuration,
    RootName,
    RootServiceName,
    TraceId,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    InstrumentationName,
    InstrumentationVersion,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
}

/// Every intrinsic by every name it has; where there are two, the first is how it is printed.
pub(crate) const INTRINSICS: [(&str, Intrinsic); 29] = [
    ("duration", Intrinsic::Duration),
    ("span:duration", Intrinsic::Duration),
    ("name", Intrinsic::Name),
    ("span:name", Intrinsic::Name),
    ("status", Intrinsic::Status),
    ("span:status", Intrinsic::Status),
    ("statusMessage", Intrinsic::StatusMessage),
    ("span:statusMessage", Intrinsic::StatusMessage),
    ("kind", Intrinsic::Kind),
    ("span:kind", Intrinsic::Kind),
    ("span:id", Intrinsic::SpanId),
    ("span:parentID", Intrinsic::ParentId),
    ("span:childCount", Intrinsic::ChildCount),
    ("traceDuration", Intrinsic::TraceDuration),
    ("trace:duration", Intrinsic::TraceDuration),
    ("rootName", Intrinsic::RootName),
    ("trace:rootName", Intrinsic::RootName),
    ("rootServiceName", Intrinsic::RootServiceName),
    ("trace:rootService", Intrinsic::RootServiceName),
    ("trace:id", Intrinsic::TraceId),
    ("event:name", Intrinsic::EventName),
    ("event:timeSinceStart", Intrinsic::EventTimeSinceStart),
    ("link:traceID", Intrinsic::LinkTraceId),
    ("link:spanID", Intrinsic::LinkSpanId),
    ("instrumentation:name", Intrinsic::InstrumentationName),
    ("instrumentation:version", Intrinsic::InstrumentationVersion),
    ("nestedSetLeft", Intrinsic::NestedSetLeft),
    ("nestedSetRight", Intrinsic::NestedSetRight),
    ("nestedSetParent", Intrinsic::NestedSetParent),
];

impl Intrinsic {
    /// How it is printed.
    pub fn name(self) -> &'static str {
        INTRINSICS
            .iter()
            .find(|(_, intrinsic)| *intrinsic == self)
            .map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Intrinsic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A query that gives series.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsQuery {
    /// `{ ... } | rate() ...`
    Series(MetricsPipeline),
    /// A constant.
    Constant(Static),
    /// `(m) op (m)`
    Binary {
        /// `+ - * /`
        operator: Operator,
        /// Left side.
        left: Box<Self>,
        /// Right side.
        right: Box<Self>,
    },
    /// `m | topk(n)`, `m > 5`
    SecondStage(Box<Self>, SecondStage),
}

/// A search pipeline and the function that makes series of it.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsPipeline {
    /// Which spans.
    pub pipeline: Pipeline,
    /// Which function.
    pub function: MetricsFunction,
    /// `by(...)`.
    pub by: Vec<Attribute>,
}

/// A function that makes series.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // Named for the functions.
pub enum MetricsFunction {
    Rate,
    CountOverTime,
    MinOverTime(Attribute),
    MaxOverTime(Attribute),
    AvgOverTime(Attribute),
    SumOverTime(Attribute),
    QuantileOverTime(Attribute, Vec<f64>),
    HistogramOverTime(Attribute),
    Compare {
        selection: Box<SpansetExpression>,
        top: Option<i64>,
        range: Option<(i64, i64)>,
    },
}

/// What is done with series.
#[derive(Debug, Clone, PartialEq)]
pub enum SecondStage {
    /// The `n` largest.
    TopK(i64),
    /// The `n` smallest.
    BottomK(i64),
    /// Those whose value compares.
    Filter(Operator, Static),
}
