//! What a query needs of a trace: each span by itself, or the trace as a whole.
//!
//! Of a query that looks at spans one by one, a part of a trace that has matches gives the matches of that part. Of any
//! other (`count()`, `>>`, `traceDuration`) only the whole trace gives an answer. Then a part names [`Candidates`]: traces
//! of which it has spans that a match cannot do without. Each matching trace is a candidate of at least one of its parts.

use crate::ast::{
    Attribute, Expression, Intrinsic, Operator, Pipeline, SpansetExpression, SpansetOperator, Stage, Static,
};
use crate::evaluate::{EvaluateError, RowSet, Source, rows_where};
use crate::plan::Plan;

/// Filters of which one must hold for a span of every trace that matches, chosen to hold for as few as can be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidates {
    filters: Vec<Expression>,
    plan: Plan,
}

impl Candidates {
    /// What tells the candidates of a pipeline; `None` when it looks at spans one by one.
    pub(super) fn of(pipeline: &Pipeline) -> Option<Self> {
        (!is_by_span(pipeline)).then(|| Self::of_pipeline(pipeline))
    }

    /// What prunes batches without candidates.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The rows that make their traces candidates.
    pub(super) fn rows(&self, source: &Source<'_>) -> Result<RowSet, EvaluateError> {
        let mut rows = Vec::new();
        for filter in &self.filters {
            match rows_where(source, filter)? {
                all @ RowSet::All(_) => return Ok(all),
                RowSet::Some(some) => rows.extend(some),
            }
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(RowSet::Some(rows))
    }

    fn new(filters: Vec<Expression>) -> Self {
        Self {
            plan: Plan::Any(filters.iter().map(Plan::of_filter).collect()),
            filters,
        }
    }

    fn everything() -> Self {
        Self::new(vec![Expression::Static(Static::Bool(true))])
    }

    fn of_pipeline(pipeline: &Pipeline) -> Self {
        let spansets = pipeline.stages.iter().filter_map(|stage| match stage {
            Stage::Spanset(spanset) => Some(Self::of_spanset(spanset)),
            _ => None,
        });
        spansets.reduce(Self::rarer).unwrap_or_else(Self::everything)
    }

    fn of_spanset(spanset: &SpansetExpression) -> Self {
        match spanset {
            SpansetExpression::Filter(filter) => Self::new(vec![of_one_span(filter)]),
            SpansetExpression::Pipeline(pipeline) => Self::of_pipeline(pipeline),
            SpansetExpression::Binary {
                operator,
                left,
                right,
            } => match operator {
                SpansetOperator::Or => {
                    let mut filters = Self::of_spanset(left).filters;
                    filters.extend(Self::of_spanset(right).filters);
                    Self::new(filters)
                }
                operator if operator.takes_right_alone() => Self::of_spanset(right),
                _ => Self::of_spanset(left).rarer(Self::of_spanset(right)),
            },
        }
    }

    /// Of two that are both necessary, the one with more conditions; in doubt the right side, which is mostly what is
    /// rare: `{ a service } >> { an error }`.
    fn rarer(self, right: Self) -> Self {
        if self.plan.conditions() > right.plan.conditions() {
            self
        } else {
            right
        }
    }
}

/// Whether a trace's matches are those of its parts: whatever spans there are besides, a span that matches does so.
fn is_by_span(pipeline: &Pipeline) -> bool {
    pipeline.stages.iter().all(|stage| match stage {
        Stage::Spanset(SpansetExpression::Filter(expression)) | Stage::By(expression) => {
            is_of_one_span(expression)
        }
        Stage::Coalesce => true,
        Stage::Select(attributes) => attributes.iter().all(is_of_span),
        Stage::Spanset(_) | Stage::ScalarFilter { .. } => false,
    })
}

fn is_of_one_span(expression: &Expression) -> bool {
    match expression {
        Expression::Static(_) => true,
        Expression::Attribute(attribute) => is_of_span(attribute),
        Expression::Unary(_, operand) => is_of_one_span(operand),
        expression if asks_for_root(expression) => true,
        Expression::Binary { left, right, .. } => is_of_one_span(left) && is_of_one_span(right),
    }
}

/// Whether an attribute is the span's own, not what its trace makes of it.
fn is_of_span(attribute: &Attribute) -> bool {
    !matches!(
        attribute,
        Attribute::Parent(_)
            | Attribute::Intrinsic(
                Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootServiceName
                    | Intrinsic::ChildCount
                    | Intrinsic::NestedSetLeft
                    | Intrinsic::NestedSetRight
                    | Intrinsic::NestedSetParent
            )
    )
}

/// `nestedSetParent < 0`, in which clients ask for root spans: a span knows by itself whether it has a parent.
fn asks_for_root(expression: &Expression) -> bool {
    match expression {
        Expression::Binary {
            operator: Operator::Less,
            left,
            right,
        } => {
            matches!(
                &**left,
                Expression::Attribute(Attribute::Intrinsic(Intrinsic::NestedSetParent))
            ) && matches!(&**right, Expression::Static(Static::Int(0)))
        }
        _ => false,
    }
}

/// What of a filter can be told of a span by itself; the rest is taken to hold.
fn of_one_span(filter: &Expression) -> Expression {
    match filter {
        filter if is_of_one_span(filter) => filter.clone(),
        Expression::Binary {
            operator: operator @ (Operator::And | Operator::Or),
            left,
            right,
        } => {
            let everything = Expression::Static(Static::Bool(true));
            let (left, right) = (of_one_span(left), of_one_span(right));
            match operator {
                Operator::And if left == everything => right,
                Operator::And if right == everything => left,
                Operator::Or if left == everything || right == everything => everything,
                operator => Expression::Binary {
                    operator: *operator,
                    left: left.into(),
                    right: right.into(),
                },
            }
        }
        _ => Expression::Static(Static::Bool(true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Root;

    fn candidates(query: &str) -> Option<Vec<String>> {
        let Root::Search(pipeline) = crate::parse(query).expect("parse").root else {
            panic!("a search")
        };
        let candidates = Candidates::of(&pipeline)?;
        Some(candidates.filters.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn filters_of_single_spans_need_no_whole_trace() {
        for query in [
            "{}",
            "{ .a = 1 && name = `x` } | { duration > 1s }",
            "{ nestedSetParent < 0 && status = error }",
            "{ .a = 1 } | by(.b) | select(.c) | coalesce()",
            "{ trace:id = `1` }",
        ] {
            assert_eq!(candidates(query), None, "{query}");
        }
    }

    #[test]
    fn candidates_have_what_every_match_needs_and_few_have() {
        for (query, filters) in [
            ("{ .a = 1 } >> { .b = 2 }", vec![".b = 2"]),
            ("{ .a = 1 && .c = 1 } >> { .b = 2 }", vec!["(.a = 1) && (.c = 1)"]),
            ("{ .a = 1 && .c = 1 } !>> { .b = 2 }", vec![".b = 2"]),
            ("{ .a = 1 } || { .b = 2 }", vec![".a = 1", ".b = 2"]),
            (
                "({ .a = 1 } && { .b = 2 }) || { .c = 3 }",
                vec![".b = 2", ".c = 3"],
            ),
            ("{ .a = 1 } | count() > 2", vec![".a = 1"]),
            ("{} | count() > 2", vec!["true"]),
            ("count() > 2", vec!["true"]),
            ("({ .a = 1 } | count() > 2) && {}", vec![".a = 1"]),
        ] {
            let filters: Vec<String> = filters.into_iter().map(str::to_owned).collect();
            assert_eq!(candidates(query), Some(filters), "{query}");
        }
    }

    #[test]
    fn what_only_the_whole_trace_tells_is_taken_to_hold() {
        for (query, filter) in [
            ("{ traceDuration > 1s && .a = 1 }", ".a = 1"),
            ("{ traceDuration > 1s || .a = 1 }", "true"),
            ("{ !(rootName = `x`) }", "true"),
            (
                "{ .a = 1 && (.b = 2 || span:childCount > 1) && .c = 3 }",
                "(.a = 1) && (.c = 3)",
            ),
            ("{ nestedSetParent < 5 }", "true"),
        ] {
            assert_eq!(candidates(query), Some(vec![filter.to_owned()]), "{query}");
        }
    }
}
