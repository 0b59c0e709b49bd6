//! Whether a parsed query makes sense, and whether it is one that can be evaluated at all.

use crate::ast::{
    Aggregate, Attribute, Expression, Intrinsic, MetricsFunction, MetricsQuery, Operator, Pipeline, Query,
    Root, ScalarExpression, Scope, SecondStage, SpansetExpression, Stage, Static, UnaryOperator,
};
use crate::error::QueryError;

/// How many attributes a series may be grouped by.
const MAX_GROUPS: usize = 5;
/// The largest number of values that `compare()` may be asked for.
const MAX_COMPARE_TOP: i64 = 1000;

/// What is known of a value's type before any span is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    /// An attribute: only the span knows.
    Any,
    Nil,
    Bool,
    Number,
    String,
    Status,
    Kind,
}

impl Type {
    fn meets(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "an attribute",
            Self::Nil => "nil",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Status => "a status",
            Self::Kind => "a kind",
        }
    }
}

/// Checks a query; what makes no sense is told before what is not supported.
pub(crate) fn check(query: &Query) -> Result<(), QueryError> {
    let mut checker = Checker { unsupported: None };
    match &query.root {
        Root::Search(pipeline) => checker.pipeline(pipeline)?,
        Root::Metrics(query) => checker.metrics(query)?,
    }
    checker
        .unsupported
        .map_or(Ok(()), |what| Err(QueryError::Unsupported(what)))
}

fn invalid<T>(message: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Validate(message.into()))
}

struct Checker {
    /// The first thing that parses and is not evaluated.
    unsupported: Option<String>,
}

impl Checker {
    fn not_supported(&mut self, what: impl Into<String>) {
        self.unsupported.get_or_insert_with(|| what.into());
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<(), QueryError> {
        pipeline.stages.iter().try_for_each(|stage| match stage {
            Stage::Spanset(spanset) => self.spanset(spanset),
            Stage::ScalarFilter { left, right, .. } => self.scalar_filter(left, right),
            Stage::By(expression) => self.by(expression),
            Stage::Coalesce => Ok(()),
            Stage::Select(attributes) => {
                self.attributes(attributes);
                Ok(())
            }
        })
    }

    fn by(&mut self, expression: &Expression) -> Result<(), QueryError> {
        self.expression(expression)?;
        if references_span(expression) {
            Ok(())
        } else {
            invalid("by() must name an attribute of the span")
        }
    }

    fn spanset(&mut self, spanset: &SpansetExpression) -> Result<(), QueryError> {
        match spanset {
            SpansetExpression::Filter(expression) => {
                let of = self.expression(expression)?;
                if of.meets(Type::Bool) {
                    Ok(())
                } else {
                    invalid(format!("a filter must be true or false, not {}", of.name()))
                }
            }
            SpansetExpression::Binary { left, right, .. } => {
                self.spanset(left)?;
                self.spanset(right)
            }
            SpansetExpression::Pipeline(pipeline) => self.pipeline(pipeline),
        }
    }

    fn scalar_filter(&mut self, left: &ScalarExpression, right: &ScalarExpression) -> Result<(), QueryError> {
        self.scalar(left)?;
        self.scalar(right)?;
        let simple = matches!(
            (left, right),
            (ScalarExpression::Aggregate(_), ScalarExpression::Static(_))
        );
        if !simple {
            self.not_supported(
                "an aggregate must stand alone on the left and a constant on the right, like count() > 2",
            );
        }
        Ok(())
    }

    fn scalar(&mut self, scalar: &ScalarExpression) -> Result<(), QueryError> {
        match scalar {
            ScalarExpression::Static(_) | ScalarExpression::Aggregate(Aggregate::Count) => Ok(()),
            ScalarExpression::Aggregate(Aggregate::Of(_, expression)) => self.aggregated(expression),
            ScalarExpression::Binary { left, right, .. } => {
                self.scalar(left)?;
                self.scalar(right)
            }
            ScalarExpression::Pipeline(pipeline, aggregate) => {
                self.pipeline(pipeline)?;
                self.scalar(&ScalarExpression::Aggregate(aggregate.clone()))
            }
        }
    }

    fn aggregated(&mut self, expression: &Expression) -> Result<(), QueryError> {
        let of = self.expression(expression)?;
        if !of.meets(Type::Number) {
            return invalid(format!("an aggregate is of numbers, not of {}", of.name()));
        }
        if references_span(expression) {
            Ok(())
        } else {
            invalid("an aggregate must name an attribute of the span")
        }
    }

    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            self.attribute(attribute);
        }
    }

    fn attribute(&mut self, attribute: &Attribute) {
        if let Attribute::Parent(name) = attribute {
            self.not_supported(format!("'{name}': attributes of the parent span"));
        }
    }

    fn expression(&mut self, expression: &Expression) -> Result<Type, QueryError> {
        match expression {
            Expression::Static(value) => Ok(type_of_static(value)),
            Expression::Attribute(attribute) => {
                self.attribute(attribute);
                Ok(type_of_attribute(attribute))
            }
            Expression::Unary(operator, operand) => {
                let of = self.expression(operand)?;
                let (wanted, sign) = match operator {
                    UnaryOperator::Negate => (Type::Number, '-'),
                    UnaryOperator::Not => (Type::Bool, '!'),
                };
                if of.meets(wanted) {
                    Ok(of)
                } else {
                    invalid(format!("'{sign}' is not for {}", of.name()))
                }
            }
            Expression::Binary {
                operator,
                left,
                right,
            } => self.binary(*operator, left, right),
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Expression,
        right: &Expression,
    ) -> Result<Type, QueryError> {
        let (of_left, of_right) = (self.expression(left)?, self.expression(right)?);
        let mismatch = || {
            invalid(format!(
                "'{operator}' does not join {} and {}",
                of_left.name(),
                of_right.name()
            ))
        };
        if of_left == Type::Nil || of_right == Type::Nil {
            return nil_comparison(operator, left, right);
        }
        if operator.is_regex() {
            return regex(of_left, right);
        }
        if !of_left.meets(of_right) {
            return mismatch();
        }
        let both = |wanted: Type| of_left.meets(wanted) && of_right.meets(wanted);
        let either = |of: Type| of_left == of || of_right == of;
        let (fine, result) = match operator {
            _ if operator.is_arithmetic() && of_left == Type::Any && of_right == Type::Any => {
                (true, Type::Any)
            }
            _ if operator.is_arithmetic() => (both(Type::Number), Type::Number),
            _ if operator.is_logical() => (both(Type::Bool), Type::Bool),
            _ if operator.is_ordering() => (
                !either(Type::Status) && !either(Type::Kind) && !either(Type::Bool),
                Type::Bool,
            ),
            _ => (true, Type::Bool),
        };
        if fine { Ok(result) } else { mismatch() }
    }

    fn metrics(&mut self, query: &MetricsQuery) -> Result<(), QueryError> {
        match query {
            MetricsQuery::Constant(_) => Ok(()),
            MetricsQuery::Series(series) => {
                self.pipeline(&series.pipeline)?;
                self.function(&series.function)?;
                self.attributes(&series.by);
                if series.by.len() > MAX_GROUPS {
                    self.not_supported(format!("grouping by more than {MAX_GROUPS} attributes"));
                }
                Ok(())
            }
            MetricsQuery::Binary { left, right, .. } => {
                if is_compare(left) || is_compare(right) {
                    return invalid("nothing may follow compare()");
                }
                self.metrics(left)?;
                self.metrics(right)
            }
            MetricsQuery::SecondStage(series, stage) => {
                if is_compare(series) {
                    return invalid("nothing may follow compare()");
                }
                if let SecondStage::TopK(count) | SecondStage::BottomK(count) = stage
                    && *count <= 0
                {
                    return invalid("topk() and bottomk() take a number above zero");
                }
                self.metrics(series)
            }
        }
    }

    fn function(&mut self, function: &MetricsFunction) -> Result<(), QueryError> {
        match function {
            MetricsFunction::Rate | MetricsFunction::CountOverTime => {}
            MetricsFunction::MinOverTime(attribute)
            | MetricsFunction::MaxOverTime(attribute)
            | MetricsFunction::AvgOverTime(attribute)
            | MetricsFunction::SumOverTime(attribute)
            | MetricsFunction::HistogramOverTime(attribute)
            | MetricsFunction::QuantileOverTime(attribute, _) => self.attribute(attribute),
            MetricsFunction::Compare { selection, top, .. } => {
                self.spanset(selection)?;
                if top.is_some_and(|top| top > MAX_COMPARE_TOP) {
                    return invalid(format!("compare() gives at most {MAX_COMPARE_TOP} values"));
                }
            }
        }
        Ok(())
    }
}

fn is_compare(query: &MetricsQuery) -> bool {
    match query {
        MetricsQuery::Series(series) => matches!(series.function, MetricsFunction::Compare { .. }),
        MetricsQuery::SecondStage(series, _) => is_compare(series),
        _ => false,
    }
}

/// `x = nil`: only for what may be missing.
fn nil_comparison(operator: Operator, left: &Expression, right: &Expression) -> Result<Type, QueryError> {
    if !matches!(operator, Operator::Equal | Operator::NotEqual) {
        return invalid("nil is compared with = and !=");
    }
    let always_there = |side: &Expression| match side {
        Expression::Attribute(Attribute::Intrinsic(_)) => true,
        Expression::Attribute(Attribute::Scoped(Scope::Resource, key)) => key == "service.name",
        _ => false,
    };
    if operator == Operator::Equal && (always_there(left) || always_there(right)) {
        return invalid("this is always set, so it is never nil");
    }
    Ok(Type::Bool)
}

fn regex(of_left: Type, right: &Expression) -> Result<Type, QueryError> {
    let Expression::Static(Static::String(pattern)) = right else {
        return invalid("a regular expression is a string");
    };
    if !of_left.meets(Type::String) {
        return invalid(format!("a regular expression is not for {}", of_left.name()));
    }
    match crate::text::anchored(pattern) {
        Ok(_) => Ok(Type::Bool),
        Err(error) => invalid(format!("regular expression '{pattern}': {error}")),
    }
}

fn references_span(expression: &Expression) -> bool {
    match expression {
        Expression::Static(_) => false,
        Expression::Attribute(_) => true,
        Expression::Unary(_, operand) => references_span(operand),
        Expression::Binary { left, right, .. } => references_span(left) || references_span(right),
    }
}

fn type_of_static(value: &Static) -> Type {
    match value {
        Static::Nil => Type::Nil,
        Static::Bool(_) => Type::Bool,
        Static::Int(_) | Static::Float(_) | Static::Duration(_) => Type::Number,
        Static::String(_) => Type::String,
        Static::Status(_) => Type::Status,
        Static::Kind(_) => Type::Kind,
    }
}

fn type_of_attribute(attribute: &Attribute) -> Type {
    let Attribute::Intrinsic(intrinsic) = attribute else {
        return Type::Any;
    };
    match intrinsic {
        Intrinsic::Duration
        | Intrinsic::TraceDuration
        | Intrinsic::ChildCount
        | Intrinsic::EventTimeSinceStart
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent => Type::Number,
        Intrinsic::Status => Type::Status,
        Intrinsic::Kind => Type::Kind,
        // Upstream leaves these untyped, so queries that mix them with numbers are accepted, and match nothing.
        Intrinsic::InstrumentationName | Intrinsic::InstrumentationVersion => Type::Any,
        _ => Type::String,
    }
}
