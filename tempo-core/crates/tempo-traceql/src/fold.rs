//! Computing what is constant. What has the wrong types is left for the check to refuse.

use crate::ast::{Expression, Operator, Static, UnaryOperator};

/// `expression` with its topmost operation computed when its operands are constants.
/// Otherwise a comparison has its constant on the right.
pub(crate) fn fold(expression: Expression) -> Expression {
    let folded = match &expression {
        Expression::Unary(operator, operand) => match &**operand {
            Expression::Static(value) => unary(*operator, value),
            _ => None,
        },
        Expression::Binary {
            operator,
            left,
            right,
        } => match (&**left, &**right) {
            (Expression::Static(left), Expression::Static(right)) => binary(*operator, left, right),
            _ => None,
        },
        Expression::Static(_) | Expression::Attribute(_) => None,
    };
    match (folded, expression) {
        (Some(value), _) => Expression::Static(value),
        (None, expression) => constant_last(expression),
    }
}

/// `nil = .x` as `.x = nil`, and so on for all comparisons: the constant is on the right.
fn constant_last(expression: Expression) -> Expression {
    match expression {
        Expression::Binary {
            operator,
            left,
            right,
        } if matches!(*left, Expression::Static(_)) && !matches!(*right, Expression::Static(_)) => {
            match operator.flipped() {
                Some(operator) => Expression::Binary {
                    operator,
                    left: right,
                    right: left,
                },
                None => Expression::Binary {
                    operator,
                    left,
                    right,
                },
            }
        }
        other => other,
    }
}

fn unary(operator: UnaryOperator, value: &Static) -> Option<Static> {
    match (operator, value) {
        (UnaryOperator::Not, Static::Bool(value)) => Some(Static::Bool(!value)),
        (UnaryOperator::Negate, Static::Int(number)) => Some(Static::Int(number.wrapping_neg())),
        (UnaryOperator::Negate, Static::Float(number)) => Some(Static::Float(-number)),
        (UnaryOperator::Negate, Static::Duration(number)) => Some(Static::Duration(number.wrapping_neg())),
        _ => None,
    }
}

/// `left operator right` for any operator.
pub(crate) fn binary(operator: Operator, left: &Static, right: &Static) -> Option<Static> {
    match operator {
        _ if operator.is_arithmetic() => arithmetic(operator, left, right),
        Operator::And | Operator::Or => match (left, right) {
            (Static::Bool(left), Static::Bool(right)) => Some(Static::Bool(if operator == Operator::And {
                *left && *right
            } else {
                *left || *right
            })),
            _ => None,
        },
        Operator::Regex | Operator::NotRegex => match (left, right) {
            (Static::String(text), Static::String(pattern)) => {
                let matches = crate::text::anchored(pattern).ok()?.is_match(text);
                Some(Static::Bool(matches == (operator == Operator::Regex)))
            }
            _ => None,
        },
        _ => compare(operator, left, right).map(Static::Bool),
    }
}

/// Arithmetic: of two integers an integer, of anything else a float; durations are floats of nanoseconds. `None` for
/// other types and division of integers by zero.
pub(crate) fn arithmetic(operator: Operator, left: &Static, right: &Static) -> Option<Static> {
    match (left, right) {
        (Static::Int(left), Static::Int(right)) => integers(operator, *left, *right).map(Static::Int),
        _ => floats(operator, left.as_number()?, right.as_number()?).map(Static::Float),
    }
}

/// Arithmetic of integers, wrapping as Go's does.
pub(crate) fn integers(operator: Operator, left: i64, right: i64) -> Option<i64> {
    match operator {
        Operator::Add => Some(left.wrapping_add(right)),
        Operator::Subtract => Some(left.wrapping_sub(right)),
        Operator::Multiply => Some(left.wrapping_mul(right)),
        Operator::Divide => (right != 0).then(|| left.wrapping_div(right)),
        Operator::Modulo => (right != 0).then(|| left.wrapping_rem(right)),
        Operator::Power => Some((left as f64).powf(right as f64) as i64),
        _ => None,
    }
}

/// Arithmetic of floats.
pub(crate) fn floats(operator: Operator, left: f64, right: f64) -> Option<f64> {
    Some(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Power => left.powf(right),
        _ => return None,
    })
}

/// `left operator right` for comparisons; `None` where the types do not meet. Nil equals nothing, itself included.
pub(crate) fn compare(operator: Operator, left: &Static, right: &Static) -> Option<bool> {
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    if let (Static::Nil, Static::Nil) = (left, right) {
        return equality.then_some(false);
    }
    let ordering = match (left, right) {
        (Static::String(left), Static::String(right)) => left.as_bytes().partial_cmp(right.as_bytes()),
        (Static::Bool(left), Static::Bool(right)) if equality => left.partial_cmp(right),
        (Static::Status(left), Static::Status(right)) if equality => {
            (*left as i32).partial_cmp(&(*right as i32))
        }
        (Static::Kind(left), Static::Kind(right)) if equality => (*left as i32).partial_cmp(&(*right as i32)),
        (Static::Int(left) | Static::Duration(left), Static::Int(right) | Static::Duration(right)) => {
            left.partial_cmp(right)
        }
        _ => {
            let (left, right) = (left.as_number()?, right.as_number()?);
            return Some(ordered(operator, left.partial_cmp(&right)));
        }
    };
    ordering.map(|ordering| ordered(operator, Some(ordering)))
}

/// Whether an ordering satisfies a comparison; of NaN nothing but `!=` is true.
pub(crate) fn ordered(operator: Operator, ordering: Option<std::cmp::Ordering>) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match operator {
        Operator::Equal => ordering == Some(Equal),
        Operator::NotEqual => ordering != Some(Equal),
        Operator::Less => ordering == Some(Less),
        Operator::LessEqual => matches!(ordering, Some(Less | Equal)),
        Operator::Greater => ordering == Some(Greater),
        Operator::GreaterEqual => matches!(ordering, Some(Greater | Equal)),
        _ => false,
    }
}
