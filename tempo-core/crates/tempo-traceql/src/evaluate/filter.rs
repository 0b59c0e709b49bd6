//! The rows that a boolean expression holds for. Each condition looks only at the rows that the ones before left.

use std::collections::BTreeSet;

use super::EvaluateError;
use super::entries::{self, Entry};
use super::predicate::{Predicate, present};
use super::rows::{RowSet, intersection, union};
use super::source::Source;
use super::values::comparing;
use crate::ast::{Attribute, Expression, Operator, Scope, Static, UnaryOperator};
use crate::columns::Field;

/// The rows of `rows` for which `expression` is `wanted`, ascending.
///
/// A comparison that cannot be made is false. A bare attribute that is missing or no boolean is neither true nor false,
/// and false as a side of `&&` and `||`.
pub(super) fn holds(
    source: &Source<'_>,
    expression: &Expression,
    wanted: bool,
    rows: &RowSet,
) -> Result<Vec<u32>, EvaluateError> {
    let holding = match expression {
        Expression::Static(value) if *value == Static::Bool(wanted) => return Ok(rows.to_vec()),
        Expression::Attribute(attribute) => {
            return satisfying(source, attribute, Operator::Equal, &Static::Bool(wanted), rows);
        }
        Expression::Unary(UnaryOperator::Not, operand) => return holds(source, operand, !wanted, rows),
        Expression::Static(_) | Expression::Unary(UnaryOperator::Negate, _) => return Ok(Vec::new()),
        Expression::Binary { operator, .. } if operator.is_arithmetic() => return Ok(Vec::new()),
        Expression::Binary {
            operator,
            left,
            right,
        } => match operator {
            Operator::And => all_of(source, expression, rows)?,
            Operator::Or => any_of(source, (left, right), rows)?,
            _ => comparison(source, *operator, (left, right), rows)?,
        },
    };
    Ok(if wanted { holding } else { rows.without(&holding) })
}

fn comparison(
    source: &Source<'_>,
    operator: Operator,
    (left, right): (&Expression, &Expression),
    rows: &RowSet,
) -> Result<Vec<u32>, EvaluateError> {
    match (left, right) {
        (Expression::Attribute(attribute), Expression::Static(operand)) => {
            satisfying(source, attribute, operator, operand, rows)
        }
        _ => comparing(source, operator, (left, right), rows),
    }
}

/// The rows whose `attribute` satisfies `operator operand`.
fn satisfying(
    source: &Source<'_>,
    attribute: &Attribute,
    operator: Operator,
    operand: &Static,
    rows: &RowSet,
) -> Result<Vec<u32>, EvaluateError> {
    if *operand == Static::Nil {
        return nil(source, attribute, operator, rows);
    }
    let predicate = Predicate::new(attribute, operator, operand)?;
    Ok(predicate.rows(&source.column(attribute, rows)?, rows))
}

/// `attribute = nil` and `attribute != nil`.
fn nil(
    source: &Source<'_>,
    attribute: &Attribute,
    operator: Operator,
    rows: &RowSet,
) -> Result<Vec<u32>, EvaluateError> {
    if let (Attribute::Unscoped(key), Operator::Equal) = (attribute, operator) {
        // Missing in either place is missing: see docs/traceql.md.
        let having = |scope| {
            let column = source.field(&Field::Attribute(scope, key.clone()), rows)?;
            Ok::<_, EvaluateError>(present(&column, rows))
        };
        return Ok(rows.without(&intersection(&having(Scope::Span)?, &having(Scope::Resource)?)));
    }
    let column = source.column(attribute, rows)?;
    if operator == Operator::NotEqual {
        return Ok(present(&column, rows));
    }
    match entries::scope(attribute) {
        Some(scope) => Ok(entries::lacking(source, scope, &column, rows)?),
        None => Ok(rows.without(&present(&column, rows))),
    }
}

fn any_of(
    source: &Source<'_>,
    (left, right): (&Expression, &Expression),
    rows: &RowSet,
) -> Result<Vec<u32>, EvaluateError> {
    let left = holds(source, left, true, rows)?;
    let rest = RowSet::Some(rows.without(&left));
    Ok(union(&left, &holds(source, right, true, &rest)?))
}

/// A chain of `&&`.
fn all_of(source: &Source<'_>, chain: &Expression, rows: &RowSet) -> Result<Vec<u32>, EvaluateError> {
    let mut conditions = Vec::new();
    flatten(chain, &mut conditions);
    let mut left = rows.clone();
    for scope in [Scope::Event, Scope::Link] {
        let of_entries: Vec<EntryCondition> = conditions
            .iter()
            .filter_map(|condition| EntryCondition::new(condition, scope))
            .collect();
        if of_entries.len() > 1 {
            left = RowSet::Some(same_entry(source, &of_entries, &left)?);
            conditions.retain(|condition| EntryCondition::new(condition, scope).is_none());
        }
    }
    for condition in conditions {
        if left.is_empty() {
            break;
        }
        left = RowSet::Some(holds(source, condition, true, &left)?);
    }
    Ok(left.to_vec())
}

fn flatten<'a>(expression: &'a Expression, conditions: &mut Vec<&'a Expression>) {
    match expression {
        Expression::Binary {
            operator: Operator::And,
            left,
            right,
        } => {
            flatten(left, conditions);
            flatten(right, conditions);
        }
        condition => conditions.push(condition),
    }
}

/// `event.x = 1` and the like.
struct EntryCondition<'a> {
    attribute: &'a Attribute,
    operator: Operator,
    operand: &'a Static,
}

impl<'a> EntryCondition<'a> {
    fn new(expression: &'a Expression, wanted: Scope) -> Option<Self> {
        let Expression::Binary {
            operator,
            left,
            right,
        } = expression
        else {
            return None;
        };
        match (&**left, &**right) {
            (Expression::Attribute(attribute), Expression::Static(operand))
                if *operand != Static::Nil && entries::scope(attribute) == Some(wanted) =>
            {
                Some(Self {
                    attribute,
                    operator: *operator,
                    operand,
                })
            }
            _ => None,
        }
    }
}

/// The rows with one event or link for which all `conditions` hold.
fn same_entry(
    source: &Source<'_>,
    conditions: &[EntryCondition<'_>],
    rows: &RowSet,
) -> Result<Vec<u32>, EvaluateError> {
    let mut left: Option<BTreeSet<Entry>> = None;
    for condition in conditions {
        let predicate = Predicate::new(condition.attribute, condition.operator, condition.operand)?;
        let matching = entries::matching(&predicate, &source.column(condition.attribute, rows)?, rows);
        left = Some(match left {
            Some(left) => left.intersection(&matching).copied().collect(),
            None => matching,
        });
    }
    Ok(entries::rows_of(&left.unwrap_or_default()))
}
