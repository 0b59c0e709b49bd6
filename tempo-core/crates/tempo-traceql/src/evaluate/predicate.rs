//! An attribute against a constant, a column at a time. Strings are tested once per dictionary entry in use.

use super::EvaluateError;
use super::rows::{RowSet, sorted};
use crate::ast::{Attribute, Intrinsic, Operator, Static};
use crate::columns::{Column, Dictionary, Part, Rows, Values};
use crate::fold::ordered;
use crate::text::TextTest;

/// `operator constant`, ready to be tested on values.
pub(super) struct Predicate {
    operator: Operator,
    operand: Static,
    /// Of a text.
    test: Option<TextTest>,
}

impl Predicate {
    pub(super) fn new(
        attribute: &Attribute,
        operator: Operator,
        operand: &Static,
    ) -> Result<Self, EvaluateError> {
        let operand = match (attribute, operand) {
            // Ids of traces are compared as they are printed.
            (Attribute::Intrinsic(Intrinsic::TraceId), Static::String(id)) if !operator.is_regex() => {
                Static::String(id.trim_start_matches('0').to_owned())
            }
            _ => operand.clone(),
        };
        let test = match &operand {
            Static::String(operand) => Some(TextTest::new(operator, operand)?),
            _ => None,
        };
        Ok(Self {
            operator,
            operand,
            test,
        })
    }

    /// The rows with a value that satisfies the predicate, ascending.
    pub(super) fn rows(&self, column: &Column, rows: &RowSet) -> Vec<u32> {
        let mut matching = Vec::new();
        for part in &column.parts {
            self.each(part, |index| matching.extend(row_of(part, index, rows)));
        }
        sorted(matching)
    }

    /// Calls `found` with the index of every value that satisfies the predicate.
    pub(super) fn each(&self, part: &Part, found: impl FnMut(usize)) {
        match (&part.values, &self.operand) {
            (
                Values::Int(values) | Values::Duration(values),
                Static::Int(operand) | Static::Duration(operand),
            ) => {
                self.compare(values, |value| value.partial_cmp(operand), found);
            }
            // An element of an array differs only from constants of its own type; see docs/traceql.md.
            (Values::Int(_), Static::Float(_)) | (Values::Float(_), Static::Int(_) | Static::Duration(_))
                if part.array && self.operator == Operator::NotEqual => {}
            (Values::Int(values) | Values::Duration(values), Static::Float(operand)) => {
                self.compare(values, |value| (*value as f64).partial_cmp(operand), found);
            }
            (Values::Float(values), operand) => {
                if let Some(operand) = operand.as_number() {
                    self.compare(values, |value| value.partial_cmp(&operand), found);
                }
            }
            (Values::Bool(values), Static::Bool(operand)) => {
                self.compare(values, |value| value.partial_cmp(operand), found);
            }
            (Values::Status(values), Static::Status(operand)) => {
                self.compare(
                    values,
                    |value| i32::from(*value).partial_cmp(&(*operand as i32)),
                    found,
                );
            }
            (Values::Kind(values), Static::Kind(operand)) => {
                self.compare(
                    values,
                    |value| i32::from(*value).partial_cmp(&(*operand as i32)),
                    found,
                );
            }
            (Values::String { codes, dictionary }, Static::String(_)) => {
                self.strings(codes, &**dictionary, found);
            }
            (Values::SpanId(ids), Static::String(_)) => {
                matching_indexes(ids, |id| self.test(&hex(id)), found);
            }
            (Values::TraceId(ids), Static::String(_)) => {
                matching_indexes(ids, |id| self.test(&hex(id)), found);
            }
            _ => {}
        }
    }

    fn compare<T>(
        &self,
        values: &[T],
        compare: impl Fn(&T) -> Option<std::cmp::Ordering>,
        found: impl FnMut(usize),
    ) {
        matching_indexes(values, |value| ordered(self.operator, compare(value)), found);
    }

    fn strings(&self, codes: &[u32], dictionary: &dyn Dictionary, found: impl FnMut(usize)) {
        let mut tested: Vec<Option<bool>> = vec![None; dictionary.len()];
        let test = |code: &u32| {
            let Some(known) = tested.get_mut(*code as usize) else {
                return false;
            };
            *known.get_or_insert_with(|| dictionary.get(*code).is_some_and(|text| self.test(text)))
        };
        matching_indexes(codes, test, found);
    }

    fn test(&self, text: &str) -> bool {
        self.test.as_ref().is_some_and(|test| test.is_satisfied_by(text))
    }
}

fn matching_indexes<T>(values: &[T], mut matches: impl FnMut(&T) -> bool, mut found: impl FnMut(usize)) {
    for (index, value) in values.iter().enumerate() {
        if matches(value) {
            found(index);
        }
    }
}

/// The row of the value at `index` of a part that was fetched for `rows`.
pub(super) fn row_of(part: &Part, index: usize, rows: &RowSet) -> Option<u32> {
    match &part.rows {
        Rows::Dense => rows.row(index),
        Rows::Sparse(rows) | Rows::Entries { rows, .. } => rows.get(index).copied(),
    }
}

/// The position in `rows` of each value of a part that was fetched for them, in the order of values.
pub(crate) fn positions(part: &Part, rows: &RowSet) -> impl Iterator<Item = usize> {
    let mut next = 0;
    (0..part.values.len()).map(move |index| match (&part.rows, rows) {
        (Rows::Dense, _) => index,
        (Rows::Sparse(of) | Rows::Entries { rows: of, .. }, RowSet::All(_)) => {
            of.get(index).map_or(usize::MAX, |row| *row as usize)
        }
        (Rows::Sparse(of) | Rows::Entries { rows: of, .. }, RowSet::Some(rows)) => {
            let Some(row) = of.get(index) else {
                return usize::MAX;
            };
            // Both are ascending.
            while rows.get(next).is_some_and(|other| other < row) {
                next += 1;
            }
            next
        }
    })
}

/// The rows that have a value, ascending.
pub(super) fn present(column: &Column, rows: &RowSet) -> Vec<u32> {
    let mut found = Vec::new();
    for part in &column.parts {
        match &part.rows {
            Rows::Dense => return rows.to_vec(),
            Rows::Sparse(rows) | Rows::Entries { rows, .. } => found.extend_from_slice(rows),
        }
    }
    sorted(found)
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
