//! What a query asks of storage: conditions without which a batch cannot contribute. Not here: evaluation.

use crate::ast::{
    Attribute, Expression, Operator, Pipeline, Scope, SpansetExpression, SpansetOperator, Stage, Static,
};
use crate::columns::{Condition, Field};
use crate::evaluate::stored;

/// Conditions joined by "all" and "any". It prunes: what satisfies it may match, what does not cannot.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Nothing is known: everything may match.
    Anything,
    /// Some span must satisfy this.
    Condition(Condition),
    /// All of these must hold, not necessarily for one span.
    All(Vec<Self>),
    /// One of these must hold.
    Any(Vec<Self>),
}

impl Plan {
    /// The plan of a pipeline: that of its filters, each of which must leave something.
    pub fn new(pipeline: &Pipeline) -> Self {
        let filters = pipeline.stages.iter().filter_map(|stage| match stage {
            Stage::Spanset(spanset) => Some(of_spanset(spanset)),
            _ => None,
        });
        Self::All(filters.collect())
    }

    /// The plan of a single filter.
    pub(crate) fn of_filter(filter: &Expression) -> Self {
        of_expression(filter)
    }

    /// How many conditions hold at least where the plan is satisfied: the more there are, the rarer that is.
    pub(crate) fn conditions(&self) -> usize {
        match self {
            Self::Anything => 0,
            Self::Condition(_) => 1,
            Self::All(plans) => plans.iter().map(Self::conditions).sum(),
            Self::Any(plans) => plans.iter().map(Self::conditions).min().unwrap_or_default(),
        }
    }

    /// Whether the plan can be satisfied, given which conditions can.
    pub fn may_match(&self, may_match: &dyn Fn(&Condition) -> bool) -> bool {
        match self {
            Self::Anything => true,
            Self::Condition(condition) => may_match(condition),
            Self::All(plans) => plans.iter().all(|plan| plan.may_match(may_match)),
            Self::Any(plans) => plans.iter().any(|plan| plan.may_match(may_match)),
        }
    }

    /// The stored fields that its conditions look at: what a batch is asked for first.
    pub fn fields(&self) -> Vec<Field> {
        match self {
            Self::Anything => Vec::new(),
            Self::Condition(condition) => stored_fields(&condition.attribute),
            Self::All(plans) | Self::Any(plans) => plans.iter().flat_map(Self::fields).collect(),
        }
    }
}

/// The stored fields that make up an attribute.
pub fn stored_fields(attribute: &Attribute) -> Vec<Field> {
    match attribute {
        Attribute::Scoped(scope, key) => vec![Field::Attribute(*scope, key.clone())],
        Attribute::Unscoped(key) => [Scope::Span, Scope::Resource]
            .map(|scope| Field::Attribute(scope, key.clone()))
            .into(),
        Attribute::Intrinsic(intrinsic) => stored(*intrinsic).into_iter().collect(),
        Attribute::Parent(_) => Vec::new(),
    }
}

fn of_spanset(spanset: &SpansetExpression) -> Plan {
    match spanset {
        SpansetExpression::Filter(expression) => of_expression(expression),
        SpansetExpression::Pipeline(pipeline) => Plan::new(pipeline),
        SpansetExpression::Binary {
            operator,
            left,
            right,
        } => match operator {
            SpansetOperator::Or => Plan::Any(vec![of_spanset(left), of_spanset(right)]),
            SpansetOperator::Structural { negated: true, .. } => of_spanset(right),
            _ => Plan::All(vec![of_spanset(left), of_spanset(right)]),
        },
    }
}

fn of_expression(expression: &Expression) -> Plan {
    match expression {
        Expression::Attribute(attribute) => {
            Plan::Condition(condition(attribute, Operator::Equal, &Static::Bool(true)))
        }
        Expression::Binary {
            operator,
            left,
            right,
        } => match (operator, &**left, &**right) {
            (Operator::And, left, right) => Plan::All(vec![of_expression(left), of_expression(right)]),
            (Operator::Or, left, right) => Plan::Any(vec![of_expression(left), of_expression(right)]),
            (Operator::Equal, _, Expression::Static(Static::Nil)) => Plan::Anything,
            (operator, Expression::Attribute(attribute), Expression::Static(operand))
                if !operator.is_arithmetic() =>
            {
                Plan::Condition(condition(attribute, *operator, operand))
            }
            _ => Plan::Anything,
        },
        _ => Plan::Anything,
    }
}

fn condition(attribute: &Attribute, operator: Operator, operand: &Static) -> Condition {
    Condition {
        attribute: attribute.clone(),
        operator,
        operand: operand.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Root;

    /// Whether the query may match where only the conditions on `keys` can be satisfied.
    fn may_match(query: &str, keys: &[&str]) -> bool {
        let query = crate::parse(query).expect("parse");
        let Root::Search(pipeline) = &query.root else {
            panic!("a search")
        };
        let known = |condition: &Condition| match &condition.attribute {
            Attribute::Unscoped(key) => keys.contains(&key.as_str()),
            _ => true,
        };
        Plan::new(pipeline).may_match(&known)
    }

    #[test]
    fn all_and_any_conditions_prune() {
        let query = "{ .a = 1 && (.b = 2 || .c > 3) }";
        assert!(may_match(query, &["a", "c"]));
        assert!(!may_match(query, &["b", "c"]));
        assert!(!may_match(query, &["a"]));
    }

    #[test]
    fn spansets_and_stages_prune() {
        assert!(!may_match("{ .a = 1 } >> { .b = 1 }", &["b"]));
        assert!(may_match("{ .a = 1 } !>> { .b = 1 }", &["b"]));
        assert!(may_match("{ .a = 1 } || { .b = 1 }", &["b"]));
        assert!(!may_match("{ .a = 1 } | { .b = 1 }", &["a"]));
        assert!(!may_match(
            "({ .a = 1 } | count() > 2) && ({ .b = 1 } | count() > 2)",
            &["a"]
        ));
    }

    #[test]
    fn conditions_name_the_fields_that_they_look_at() {
        let Root::Search(pipeline) = &crate::parse("{ .a = 1 && name = `x` && traceDuration > 1s }")
            .expect("parse")
            .root
        else {
            panic!("a search")
        };
        let attribute = |scope| Field::Attribute(scope, "a".to_owned());
        assert_eq!(
            Plan::new(pipeline).fields(),
            [attribute(Scope::Span), attribute(Scope::Resource), Field::Name]
        );
    }

    #[test]
    fn what_holds_without_a_value_does_not_prune() {
        for query in [
            "{ !(.a = 1) }",
            "{ .a = nil }",
            "{}",
            "{ .a + 1 = 2 }",
            "count() > 2",
        ] {
            assert!(may_match(query, &[]), "{query}");
        }
    }
}
