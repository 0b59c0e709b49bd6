//! What is computed of the spans of a set.

use super::values::Cell;
use crate::ast::{AggregateFunction, Operator, Static};
use crate::fold::{arithmetic, compare};

/// The function of the numbers among `cells`; of several values of one span the first counts. `None` without numbers.
pub(super) fn aggregate<'a>(
    function: AggregateFunction,
    cells: impl Iterator<Item = &'a Cell>,
) -> Option<Static> {
    use crate::ast::Operator::{Greater, Less};
    let is_number = |value: &&Static| value.as_number().is_some();
    let numbers: Vec<&Static> = cells
        .filter(|cell| !matches!(cell, Cell::Array(_)))
        .filter_map(Cell::first)
        .filter(is_number)
        .collect();
    let better = |operator| {
        let pick = |best: &'a Static, next: &'a Static| {
            if compare(operator, next, best) == Some(true) {
                next
            } else {
                best
            }
        };
        numbers.iter().copied().reduce(pick).cloned()
    };
    let sum = || {
        let (first, rest) = numbers.split_first()?;
        rest.iter()
            .try_fold((*first).clone(), |sum, next| add(&sum, next))
    };
    match function {
        AggregateFunction::Min => better(Less),
        AggregateFunction::Max => better(Greater),
        AggregateFunction::Sum => sum(),
        AggregateFunction::Avg => match sum()? {
            Static::Duration(nanos) => Some(Static::Duration(nanos / numbers.len() as i64)),
            sum => Some(Static::Float(sum.as_number()? / numbers.len() as f64)),
        },
    }
}

/// The sum of two numbers; that of two durations is a duration.
fn add(left: &Static, right: &Static) -> Option<Static> {
    match (left, right) {
        (Static::Duration(left), Static::Duration(right)) => {
            Some(Static::Duration(left.saturating_add(*right)))
        }
        _ => arithmetic(Operator::Add, left, right),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: AggregateFunction, values: &[Static]) -> Option<Static> {
        let cells: Vec<Cell> = values.iter().cloned().map(Cell::One).collect();
        aggregate(function, cells.iter())
    }

    #[test]
    fn averages_of_integers_are_floats_and_of_durations_durations() {
        let integers = [Static::Int(1), Static::Int(2)];
        assert_eq!(of(AggregateFunction::Avg, &integers), Some(Static::Float(1.5)));
        let durations = [Static::Duration(10), Static::Duration(25)];
        assert_eq!(of(AggregateFunction::Avg, &durations), Some(Static::Duration(17)));
    }

    #[test]
    fn only_numbers_count() {
        let values = [
            Static::String("9".to_owned()),
            Static::Int(2),
            Static::Bool(true),
            Static::Float(0.5),
        ];
        assert_eq!(of(AggregateFunction::Sum, &values), Some(Static::Float(2.5)));
        assert_eq!(of(AggregateFunction::Max, &values), Some(Static::Int(2)));
        assert_eq!(of(AggregateFunction::Min, &values), Some(Static::Float(0.5)));
        assert_eq!(of(AggregateFunction::Min, &[Static::Bool(true)]), None);
    }
}
