//! What stands between bars: spansets, aggregates, series and numbers, joined by operators. Which may meet which is
//! decided here, by kind.

use super::Parser;
use super::field::operator;
use crate::ast::{
    Aggregate, Expression, MetricsQuery, Operator, Pipeline, Relation, Root, ScalarExpression,
    SpansetExpression, SpansetOperator, Stage, Static,
};
use crate::error::QueryError;
use crate::fold::arithmetic;
use crate::lexer::TokenKind;

/// A part of a query whose kind decides what may follow.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// One filter, or several joined.
    Spanset(SpansetExpression),
    /// Stages, not in parentheses.
    Pipeline(Pipeline),
    /// `(stages)`: may be a side of a spanset operator.
    Wrapped(Pipeline),
    /// A number, an aggregate, or arithmetic of them.
    Scalar(ScalarExpression),
    /// Series.
    Metrics(MetricsQuery),
    /// `(series)`: may be a side of arithmetic.
    WrappedMetrics(MetricsQuery),
}

type Joined = Result<Operand, String>;

impl Operand {
    pub(super) fn into_root(self) -> Result<Root, String> {
        match self {
            Self::Metrics(query) | Self::WrappedMetrics(query) => Ok(Root::Metrics(query)),
            other => other.into_pipeline().map(Root::Search),
        }
    }

    pub(super) fn into_pipeline(self) -> Result<Pipeline, String> {
        match self {
            Self::Spanset(spanset) => Ok(Pipeline {
                stages: vec![Stage::Spanset(spanset)],
            }),
            Self::Pipeline(pipeline) | Self::Wrapped(pipeline) => Ok(pipeline),
            Self::Scalar(_) => {
                Err("an aggregate must be compared with a number, like count() > 2".to_owned())
            }
            Self::Metrics(_) | Self::WrappedMetrics(_) => {
                Err("nothing of spans may follow a series".to_owned())
            }
        }
    }

    pub(super) fn into_metrics(self) -> Result<MetricsQuery, String> {
        match self {
            Self::Metrics(query) | Self::WrappedMetrics(query) => Ok(query),
            _ => Err("topk() and bottomk() follow a function like rate()".to_owned()),
        }
    }

    /// As the next stage of `pipeline`.
    pub(super) fn after(self, pipeline: Pipeline) -> Joined {
        let mut pipeline = pipeline;
        match self {
            Self::Spanset(spanset) => pipeline.stages.push(Stage::Spanset(spanset)),
            Self::Pipeline(next) if matches!(*next.stages, [Stage::ScalarFilter { .. }]) => {
                pipeline.stages.extend(next.stages);
            }
            // `{ } | count()` in parentheses is the side of a comparison: it is told apart by whoever closes them.
            Self::Scalar(ScalarExpression::Aggregate(aggregate)) => {
                return Ok(Self::Scalar(ScalarExpression::Pipeline(pipeline, aggregate)));
            }
            _ => return Err("this may not follow a '|'".to_owned()),
        }
        Ok(Self::Pipeline(pipeline))
    }

    /// As a side of a spanset operator.
    fn into_side(self) -> Result<SpansetExpression, String> {
        match self {
            Self::Spanset(spanset) => Ok(spanset),
            Self::Wrapped(pipeline) => Ok(SpansetExpression::Pipeline(pipeline)),
            Self::Pipeline(_) => Err("put the pipeline in parentheses".to_owned()),
            _ => Err("&&, || and structural operators join spansets".to_owned()),
        }
    }

    /// As a side of arithmetic between series.
    fn into_term(self) -> Result<MetricsQuery, String> {
        match self {
            Self::WrappedMetrics(query)
            | Self::Metrics(query @ (MetricsQuery::Binary { .. } | MetricsQuery::Constant(_))) => Ok(query),
            Self::Scalar(ScalarExpression::Static(number @ (Static::Int(_) | Static::Float(_)))) => {
                Ok(MetricsQuery::Constant(number))
            }
            Self::Metrics(_) => Err("put the series in parentheses to compute with them".to_owned()),
            _ => Err("series are computed with series in parentheses and plain numbers".to_owned()),
        }
    }

    fn is_metrics(&self) -> bool {
        matches!(self, Self::Metrics(_) | Self::WrappedMetrics(_))
    }
}

/// Binding powers: logical, structural and comparison, sum, product, power.
fn power(symbol: &str) -> Option<(u8, bool)> {
    Some(match symbol {
        "&&" | "||" => (1, false),
        "+" | "-" => (3, false),
        "*" | "/" | "%" => (5, false),
        "^" => (6, true),
        _ if structural(symbol).is_some() => (2, false),
        "=" | "!=" | "<=" | ">=" => (2, false),
        _ => return None,
    })
}

fn structural(symbol: &str) -> Option<SpansetOperator> {
    let (negated, union) = (symbol.starts_with('!'), symbol.starts_with('&'));
    let relation = match symbol.trim_start_matches(['!', '&']) {
        ">" => Relation::Child,
        ">>" => Relation::Descendant,
        "<" => Relation::Parent,
        "<<" => Relation::Ancestor,
        "~" => Relation::Sibling,
        _ => return None,
    };
    Some(SpansetOperator::Structural {
        relation,
        negated,
        union,
    })
}

impl Parser<'_> {
    /// Operands joined by operators that bind tighter than `minimum`.
    pub(super) fn operand(&mut self, minimum: u8) -> Result<Operand, QueryError> {
        self.nested(|parser| {
            let mut left = parser.primary()?;
            while let TokenKind::Symbol(symbol) = *parser.peek() {
                let Some((power, right_grouping)) = power(symbol) else {
                    break;
                };
                if power <= minimum {
                    break;
                }
                parser.take_operator()?;
                let right = parser.operand(if right_grouping { power - 1 } else { power })?;
                left = join(symbol, left, right).map_err(|message| parser.error(message))?;
            }
            Ok(left)
        })
    }

    fn primary(&mut self) -> Result<Operand, QueryError> {
        if self.is("{") {
            return self.spanset_filter().map(Operand::Spanset);
        }
        if self.take("(") {
            let inner = self.stages()?;
            self.expect(")")?;
            return Ok(match inner {
                Operand::Pipeline(pipeline) => Operand::Wrapped(pipeline),
                Operand::Metrics(query) => Operand::WrappedMetrics(query),
                other => other,
            });
        }
        if self.is_call("count") {
            self.position += 2;
            self.expect(")")?;
            return Ok(Operand::Scalar(ScalarExpression::Aggregate(Aggregate::Count)));
        }
        if let Some(function) = self.aggregate_function() {
            self.position += 2;
            let of = self.expression(0)?;
            self.expect(")")?;
            return Ok(Operand::Scalar(ScalarExpression::Aggregate(Aggregate::Of(
                function, of,
            ))));
        }
        let is_number = matches!(
            self.peek(),
            TokenKind::Int(_) | TokenKind::Float(_) | TokenKind::Duration(_)
        );
        if is_number || self.is("-") {
            let constant = self.constant()?;
            if constant.as_number().is_some() {
                return Ok(Operand::Scalar(ScalarExpression::Static(constant)));
            }
        }
        Err(self.unexpected("a spanset like { status = error }, an aggregate or a number"))
    }

    /// `{ expression }`
    pub(super) fn spanset_filter(&mut self) -> Result<SpansetExpression, QueryError> {
        self.expect("{")?;
        if self.take("}") {
            return Ok(SpansetExpression::Filter(Expression::Static(Static::Bool(true))));
        }
        let expression = self.expression(0)?;
        self.expect("}")?;
        Ok(SpansetExpression::Filter(expression))
    }
}

fn join(symbol: &str, left: Operand, right: Operand) -> Joined {
    let value_operator = operator(symbol);
    if left.is_metrics() || right.is_metrics() {
        return join_metrics(
            value_operator.ok_or("this operator is not for series")?,
            left,
            right,
        );
    }
    if let (Operand::Scalar(left), Operand::Scalar(right)) = (&left, &right) {
        return join_scalars(
            value_operator.ok_or("this operator is not for numbers")?,
            left,
            right,
        );
    }
    let operator = match symbol {
        "&&" => SpansetOperator::And,
        "||" => SpansetOperator::Or,
        _ => structural(symbol).ok_or_else(|| format!("'{symbol}' does not join spansets"))?,
    };
    let both_plain = matches!((&left, &right), (Operand::Spanset(_), Operand::Spanset(_)));
    let (left, right) = (left.into_side()?, right.into_side()?);
    let joined = SpansetExpression::Binary {
        operator,
        left: left.into(),
        right: right.into(),
    };
    // A pipeline on a side makes the whole a pipeline of its own.
    Ok(if both_plain {
        Operand::Spanset(joined)
    } else {
        Operand::Wrapped(Pipeline {
            stages: vec![Stage::Spanset(joined)],
        })
    })
}

fn join_metrics(operator: Operator, left: Operand, right: Operand) -> Joined {
    if matches!(
        operator,
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide
    ) {
        let (left, right) = (left.into_term()?.into(), right.into_term()?.into());
        return Ok(Operand::Metrics(MetricsQuery::Binary {
            operator,
            left,
            right,
        }));
    }
    if operator.is_arithmetic() || operator.is_logical() || operator.is_regex() {
        return Err("series are computed with + - * / and compared with = != < <= > >=".to_owned());
    }
    match right {
        Operand::Scalar(ScalarExpression::Static(constant)) => {
            let stage = crate::ast::SecondStage::Filter(operator, constant);
            Ok(Operand::Metrics(MetricsQuery::SecondStage(
                left.into_metrics()?.into(),
                stage,
            )))
        }
        _ => Err("series are compared with a number".to_owned()),
    }
}

fn join_scalars(operator: Operator, left: &ScalarExpression, right: &ScalarExpression) -> Joined {
    use ScalarExpression::Static as Constant;
    if operator.is_logical() || operator.is_regex() {
        return Err("aggregates are joined by arithmetic and comparison".to_owned());
    }
    if operator.is_arithmetic() {
        if let (Constant(left), Constant(right)) = (left, right) {
            let duration = |value: &Static| matches!(value, Static::Duration(_));
            if duration(left) || duration(right) {
                return Err("durations are not computed with here".to_owned());
            }
            let folded = arithmetic(operator, left, right).ok_or("this cannot be computed")?;
            return Ok(Operand::Scalar(Constant(folded)));
        }
        let (left, right) = (left.clone().into(), right.clone().into());
        return Ok(Operand::Scalar(ScalarExpression::Binary {
            operator,
            left,
            right,
        }));
    }
    if matches!((left, right), (Constant(_), Constant(_))) {
        return Err("a comparison needs an aggregate, like count() > 2".to_owned());
    }
    let stage = Stage::ScalarFilter {
        operator,
        left: left.clone(),
        right: right.clone(),
    };
    Ok(Operand::Pipeline(Pipeline { stages: vec![stage] }))
}
