//! The syntax tree of a query. Its `Display` is the canonical text: operators fully parenthesised.
//! It parses to the same tree, unless its parentheses are nested deeper than the parser allows (200).

mod display;
mod value;

pub use display::go_duration;
pub(crate) use value::INTRINSICS;
pub use value::{Attribute, Intrinsic, Kind, Scope, Static, Status};

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

impl SpansetOperator {
    /// Whether there is an answer when the left side is empty: spans of the right side.
    pub(crate) fn takes_right_alone(self) -> bool {
        match self {
            Self::And => false,
            Self::Or => true,
            Self::Structural { negated, union, .. } => negated && !union,
        }
    }
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

    /// The comparison that holds when the sides are swapped; `None` for other operators.
    pub fn flipped(self) -> Option<Self> {
        Some(match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            _ => return None,
        })
    }

    /// `< <= > >=`
    pub fn is_ordering(self) -> bool {
        matches!(
            self,
            Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
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
