//! The canonical text of a syntax tree.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Aggregate, AggregateFunction, Attribute, Expression, Hint, Intrinsic, Kind, MetricsFunction,
    MetricsPipeline, MetricsQuery, Operator, Pipeline, Query, Relation, Root, ScalarExpression, Scope,
    SecondStage, SpansetExpression, SpansetOperator, Stage, Static, Status, UnaryOperator,
};

impl Display for Query {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Search(pipeline) => write!(formatter, "{pipeline}")?,
            Root::Metrics(query) => write!(formatter, "{query}")?,
        }
        if self.hints.is_empty() {
            return Ok(());
        }
        formatter.write_str(" with(")?;
        list(formatter, &self.hints)?;
        formatter.write_str(")")
    }
}

/// `a, b, c`
fn list<T: Display>(formatter: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(index, item)| {
        let separator = if index == 0 { "" } else { ", " };
        write!(formatter, "{separator}{item}")
    })
}

impl Display for Hint {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.key, self.value)
    }
}

impl Display for Pipeline {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.stages.iter().enumerate().try_for_each(|(index, stage)| {
            let separator = if index == 0 { "" } else { " | " };
            write!(formatter, "{separator}{stage}")
        })
    }
}

impl Display for Stage {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spanset(spanset) => write!(formatter, "{spanset}"),
            Self::ScalarFilter {
                operator,
                left,
                right,
            } => write!(formatter, "{left} {operator} {right}"),
            Self::By(expression) => write!(formatter, "by({expression})"),
            Self::Coalesce => formatter.write_str("coalesce()"),
            Self::Select(attributes) => {
                formatter.write_str("select(")?;
                list(formatter, attributes)?;
                formatter.write_str(")")
            }
        }
    }
}

impl Display for SpansetExpression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(expression) => write!(formatter, "{{ {expression} }}"),
            Self::Binary {
                operator,
                left,
                right,
            } => write!(formatter, "({left}) {operator} ({right})"),
            Self::Pipeline(pipeline) => write!(formatter, "{pipeline}"),
        }
    }
}

impl Display for SpansetOperator {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (relation, negated, union) = match self {
            Self::And => return formatter.write_str("&&"),
            Self::Or => return formatter.write_str("||"),
            Self::Structural {
                relation,
                negated,
                union,
            } => (relation, negated, union),
        };
        let prefix = match (negated, union) {
            (true, _) => "!",
            (_, true) => "&",
            _ => "",
        };
        let relation = match relation {
            Relation::Child => ">",
            Relation::Descendant => ">>",
            Relation::Parent => "<",
            Relation::Ancestor => "<<",
            Relation::Sibling => "~",
        };
        write!(formatter, "{prefix}{relation}")
    }
}

impl Display for ScalarExpression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(formatter, "{value}"),
            Self::Aggregate(aggregate) => write!(formatter, "{aggregate}"),
            Self::Binary {
                operator,
                left,
                right,
            } => write!(formatter, "({left} {operator} {right})"),
            Self::Pipeline(pipeline, aggregate) => write!(formatter, "({pipeline} | {aggregate})"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => formatter.write_str("count()"),
            Self::Of(function, expression) => write!(formatter, "{function}({expression})"),
        }
    }
}

impl Display for AggregateFunction {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Sum => "sum",
        })
    }
}

impl Display for Expression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(formatter, "{value}"),
            Self::Attribute(attribute) => write!(formatter, "{attribute}"),
            Self::Unary(operator, operand) => {
                let operator = match operator {
                    UnaryOperator::Negate => '-',
                    UnaryOperator::Not => '!',
                };
                write!(formatter, "{operator}{}", Operand(operand))
            }
            Self::Binary {
                operator,
                left,
                right,
            } => write!(formatter, "{} {operator} {}", Operand(left), Operand(right)),
        }
    }
}

/// An operand of an operator: in parentheses unless it stands for itself.
struct Operand<'a>(&'a Expression);

impl Display for Operand<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Static(_) | Expression::Attribute(_) => write!(formatter, "{}", self.0),
            nested => write!(formatter, "({nested})"),
        }
    }
}

impl Display for Operator {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "^",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
            Self::And => "&&",
            Self::Or => "||",
        })
    }
}

impl Display for Static {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => formatter.write_str("nil"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Int(i64::MIN) => formatter.write_str("minInt"),
            Self::Int(number) => write!(formatter, "{number}"),
            Self::Float(number) if number.is_nan() => formatter.write_str("(0.0 / 0.0)"),
            Self::Float(number) if number.is_infinite() => write!(formatter, "({:?} / 0.0)", number.signum()),
            Self::Float(number) => write!(formatter, "{number:?}"),
            Self::Duration(nanos) => formatter.write_str(&go_duration(*nanos)),
            Self::String(text) if text.contains('`') => quoted(formatter, text),
            Self::String(text) => write!(formatter, "`{text}`"),
            Self::Status(status) => write!(formatter, "{status}"),
            Self::Kind(kind) => write!(formatter, "{kind}"),
        }
    }
}

/// In double quotes, with Go's escapes.
fn quoted(formatter: &mut Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(formatter, "\\{character}")?,
            control if control.is_control() => write!(formatter, "\\u{:04x}", u32::from(control))?,
            other => formatter.write_char(other)?,
        }
    }
    formatter.write_char('"')
}

/// A duration as Go prints it, and as Tempo's API does: `1h30m0s`, `1.5s`, `20ms`, `0s`.
pub fn go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let (unit, factor) = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    if factor < 1_000_000_000 || nanos < 60_000_000_000 {
        return format!("{sign}{}{unit}", fraction(nanos, factor));
    }
    let seconds = fraction(nanos % 60_000_000_000, factor);
    let minutes = nanos / 60_000_000_000;
    if minutes < 60 {
        return format!("{sign}{minutes}m{seconds}s");
    }
    format!("{sign}{}h{}m{seconds}s", minutes / 60, minutes % 60)
}

/// `nanos / factor` exactly, without trailing zeros.
fn fraction(nanos: u64, factor: u64) -> String {
    let rest = nanos % factor;
    if rest == 0 {
        return (nanos / factor).to_string();
    }
    let digits = factor.ilog10() as usize;
    let decimals = format!("{rest:0digits$}");
    format!("{}.{}", nanos / factor, decimals.trim_end_matches('0'))
}

macro_rules! display_by_name {
    ($($type:ty),*) => {$(
        impl Display for $type {
            fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.name())
            }
        }
    )*};
}

display_by_name!(Status, Kind, Scope, Intrinsic);

impl Display for Attribute {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intrinsic(intrinsic) => write!(formatter, "{intrinsic}"),
            Self::Scoped(scope, key) => {
                write!(formatter, "{scope}.")?;
                key_name(formatter, key)
            }
            Self::Unscoped(key) => {
                formatter.write_str(".")?;
                key_name(formatter, key)
            }
            Self::Parent(text) => formatter.write_str(text),
        }
    }
}

/// A key, quoted where it would not be read back as it is.
fn key_name(formatter: &mut Formatter<'_>, key: &str) -> fmt::Result {
    let ends = |character: char| crate::lexer::ends_name(character) || matches!(character, '"' | '\\');
    if !key.is_empty() && !key.contains(ends) && !key.starts_with(|first: char| first.is_ascii_digit()) {
        return formatter.write_str(key);
    }
    write!(
        formatter,
        "\"{}\"",
        key.replace('\\', "\\\\").replace('"', "\\\"")
    )
}

impl Display for MetricsQuery {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(series) => write!(formatter, "{series}"),
            Self::Constant(value) => write!(formatter, "{value}"),
            Self::Binary {
                operator,
                left,
                right,
            } => write!(formatter, "{} {operator} {}", Term(left), Term(right)),
            Self::SecondStage(series, SecondStage::TopK(count)) => {
                write!(formatter, "{series} | topk({count})")
            }
            Self::SecondStage(series, SecondStage::BottomK(count)) => {
                write!(formatter, "{series} | bottomk({count})")
            }
            Self::SecondStage(series, SecondStage::Filter(operator, value)) => {
                write!(formatter, "{series} {operator} {value}")
            }
        }
    }
}

/// A side of arithmetic between series.
struct Term<'a>(&'a MetricsQuery);

impl Display for Term<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            MetricsQuery::Constant(value) => write!(formatter, "{value}"),
            series => write!(formatter, "({series})"),
        }
    }
}

impl Display for MetricsPipeline {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} | {}", self.pipeline, self.function)?;
        if self.by.is_empty() {
            return Ok(());
        }
        formatter.write_str(" by(")?;
        list(formatter, &self.by)?;
        formatter.write_str(")")
    }
}

impl Display for MetricsFunction {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => formatter.write_str("rate()"),
            Self::CountOverTime => formatter.write_str("count_over_time()"),
            Self::MinOverTime(attribute) => write!(formatter, "min_over_time({attribute})"),
            Self::MaxOverTime(attribute) => write!(formatter, "max_over_time({attribute})"),
            Self::AvgOverTime(attribute) => write!(formatter, "avg_over_time({attribute})"),
            Self::SumOverTime(attribute) => write!(formatter, "sum_over_time({attribute})"),
            Self::HistogramOverTime(attribute) => write!(formatter, "histogram_over_time({attribute})"),
            Self::QuantileOverTime(attribute, quantiles) => {
                write!(formatter, "quantile_over_time({attribute}")?;
                quantiles
                    .iter()
                    .try_for_each(|quantile| write!(formatter, ", {quantile:?}"))?;
                formatter.write_str(")")
            }
            Self::Compare {
                selection,
                top,
                range,
            } => {
                write!(formatter, "compare({selection}")?;
                let numbers = top
                    .iter()
                    .chain(range.iter().flat_map(|(start, end)| [start, end]));
                for number in numbers {
                    write!(formatter, ", {number}")?;
                }
                formatter.write_str(")")
            }
        }
    }
}
