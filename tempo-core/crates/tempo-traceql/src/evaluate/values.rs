//! Values a row at a time: what expressions that are no simple predicate compare, group by and add up.

use super::EvaluateError;
use super::filter::holds;
use super::predicate::{hex, row_of};
use super::rows::RowSet;
use super::source::Source;
use crate::ast::{Expression, Kind, Operator, Static, Status, UnaryOperator};
use crate::columns::{Column, Values};
use crate::fold::{arithmetic, compare};
use crate::search::AttributeValue;

/// The value of an expression for one row.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Cell {
    /// None.
    #[default]
    Missing,
    /// One.
    One(Static),
    /// Several, of events, links or duplicate keys.
    Several(Vec<Static>),
    /// An array.
    Array(Vec<Static>),
}

impl Cell {
    /// The first of the values.
    pub(crate) fn first(&self) -> Option<&Static> {
        self.all().first()
    }

    /// All values.
    pub(crate) fn all(&self) -> &[Static] {
        match self {
            Self::Missing => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) | Self::Array(values) => values,
        }
    }

    fn push(&mut self, value: Static, array: bool) {
        *self = match std::mem::take(self) {
            Self::Missing if array => Self::Array(vec![value]),
            Self::Missing => Self::One(value),
            Self::One(first) => Self::Several(vec![first, value]),
            Self::Several(mut values) => {
                values.push(value);
                Self::Several(values)
            }
            Self::Array(mut values) => {
                values.push(value);
                Self::Array(values)
            }
        };
    }

    /// The one number, for arithmetic.
    fn number(&self) -> Option<&Static> {
        match self {
            Self::One(value) => value.as_number().map(|_| value),
            _ => None,
        }
    }
}

/// The value of `expression` for each of `rows`.
pub(crate) fn values(
    source: &Source<'_>,
    expression: &Expression,
    rows: &RowSet,
) -> Result<Vec<Cell>, EvaluateError> {
    Ok(match expression {
        Expression::Static(value) => vec![Cell::One(value.clone()); rows.len()],
        Expression::Attribute(attribute) => cells(&source.column(attribute, rows)?, rows),
        Expression::Unary(UnaryOperator::Negate, operand) => {
            let zero = Static::Int(0);
            let negated = |cell: Cell| one(arithmetic(Operator::Subtract, &zero, cell.number()?));
            values(source, operand, rows)?
                .into_iter()
                .map(|cell| negated(cell).unwrap_or_default())
                .collect()
        }
        Expression::Binary {
            operator,
            left,
            right,
        } if operator.is_arithmetic() => {
            let computed =
                |left: &Cell, right: &Cell| one(arithmetic(*operator, left.number()?, right.number()?));
            let (left, right) = (values(source, left, rows)?, values(source, right, rows)?);
            left.iter()
                .zip(&right)
                .map(|(left, right)| computed(left, right).unwrap_or_default())
                .collect()
        }
        boolean => {
            let holding = holds(source, boolean, true, rows)?;
            rows.iter()
                .map(|row| Cell::One(Static::Bool(holding.binary_search(&row).is_ok())))
                .collect()
        }
    })
}

fn one(value: Option<Static>) -> Option<Cell> {
    value.map(Cell::One)
}

/// The rows in which some value on the left compares with some value on the right.
pub(super) fn comparing(
    source: &Source<'_>,
    operator: Operator,
    (left, right): (&Expression, &Expression),
    rows: &RowSet,
) -> Result<Vec<u32>, EvaluateError> {
    let (left, right) = (values(source, left, rows)?, values(source, right, rows)?);
    let pairs = rows.iter().zip(left.iter().zip(&right));
    Ok(pairs
        .filter(|(_, (left, right))| any_pair(operator, left, right))
        .map(|(row, _)| row)
        .collect())
}

fn any_pair(operator: Operator, left: &Cell, right: &Cell) -> bool {
    let compares = |left: &Static, right: &Static| compare(operator, left, right) == Some(true);
    let is_nil = |cell: &Cell| cell.first() == Some(&Static::Nil);
    if is_nil(right) {
        return (*left == Cell::Missing) == (operator == Operator::Equal);
    }
    left.all()
        .iter()
        .any(|left| right.all().iter().any(|right| compares(left, right)))
}

/// A column a row at a time.
pub(crate) fn cells(column: &Column, rows: &RowSet) -> Vec<Cell> {
    let mut cells = vec![Cell::Missing; rows.len()];
    for part in &column.parts {
        for index in 0..part.values.len() {
            let position = row_of(part, index, rows).and_then(|row| rows.position(row));
            let cell = position.and_then(|position| cells.get_mut(position));
            if let (Some(cell), Some(value)) = (cell, value_at(&part.values, index)) {
                cell.push(value, part.array);
            }
        }
    }
    cells
}

/// The value at an index.
pub(crate) fn value_at(values: &Values, index: usize) -> Option<Static> {
    Some(match values {
        Values::Int(values) => Static::Int(*values.get(index)?),
        Values::Float(values) => Static::Float(*values.get(index)?),
        Values::Bool(values) => Static::Bool(*values.get(index)?),
        Values::Duration(values) => Static::Duration(*values.get(index)?),
        Values::String { codes, dictionary } => {
            Static::String(dictionary.get(*codes.get(index)?)?.to_owned())
        }
        Values::Status(values) => {
            let number = i32::from(*values.get(index)?);
            Static::Status(Status::ALL.into_iter().find(|status| *status as i32 == number)?)
        }
        Values::Kind(values) => {
            let number = i32::from(*values.get(index)?);
            Static::Kind(Kind::ALL.into_iter().find(|kind| *kind as i32 == number)?)
        }
        Values::SpanId(ids) => Static::String(hex(ids.get(index)?)),
        Values::TraceId(ids) => Static::String(hex(ids.get(index)?)),
    })
}

/// What a span is grouped by: `nil` for missing attributes, `false` for what could not be computed.
pub(crate) fn group(expression: &Expression, cell: &Cell) -> AttributeValue {
    match (cell, expression) {
        (Cell::Array(values), _) => AttributeValue::Array(values.clone()),
        (Cell::Missing, Expression::Attribute(_)) => AttributeValue::One(Static::String("nil".to_owned())),
        (cell, _) => AttributeValue::One(cell.first().cloned().unwrap_or(Static::Bool(false))),
    }
}
