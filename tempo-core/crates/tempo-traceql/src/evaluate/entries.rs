//! Conditions on events and links: several in one conjunction hold for one event or link.

use std::collections::BTreeSet;

use super::predicate::{Predicate, row_of};
use super::rows::{RowSet, sorted};
use super::source::Source;
use crate::ast::{Attribute, Intrinsic, Scope};
use crate::columns::{Column, FetchError, Field, Part, Rows};

/// An event or link: its row, and its number within the row.
pub(super) type Entry = (u32, u32);

/// Whether an attribute is one of events or of links.
pub(super) fn scope(attribute: &Attribute) -> Option<Scope> {
    match attribute {
        Attribute::Scoped(scope @ (Scope::Event | Scope::Link), _) => Some(*scope),
        Attribute::Intrinsic(Intrinsic::EventName | Intrinsic::EventTimeSinceStart) => Some(Scope::Event),
        Attribute::Intrinsic(Intrinsic::LinkTraceId | Intrinsic::LinkSpanId) => Some(Scope::Link),
        _ => None,
    }
}

/// The entries with a value that satisfies a predicate.
pub(super) fn matching(predicate: &Predicate, column: &Column, rows: &RowSet) -> BTreeSet<Entry> {
    let mut found = BTreeSet::new();
    for part in &column.parts {
        let entries = entries_of(part);
        predicate.each(part, |index| {
            let entry = entries.get(index).copied();
            found.extend(row_of(part, index, rows).zip(entry));
        });
    }
    found
}

/// The rows of entries.
pub(super) fn rows_of(entries: &BTreeSet<Entry>) -> Vec<u32> {
    sorted(entries.iter().map(|(row, _)| *row).collect())
}

/// The rows with an event or link that lacks a value in `column`.
pub(super) fn lacking(
    source: &Source<'_>,
    scope: Scope,
    column: &Column,
    rows: &RowSet,
) -> Result<Vec<u32>, FetchError> {
    let every = if scope == Scope::Event {
        Field::EventName
    } else {
        Field::LinkSpanId
    };
    let every = present_entries(&source.field(&every, rows)?, rows);
    let having = present_entries(column, rows);
    Ok(sorted(every.difference(&having).map(|(row, _)| *row).collect()))
}

fn present_entries(column: &Column, rows: &RowSet) -> BTreeSet<Entry> {
    let of_part = |part: &Part| {
        let entries = entries_of(part);
        let indexes = entries.into_iter().enumerate();
        indexes
            .filter_map(|(index, entry)| Some((row_of(part, index, rows)?, entry)))
            .collect::<Vec<_>>()
    };
    column.parts.iter().flat_map(of_part).collect()
}

/// The entry of each value.
fn entries_of(part: &Part) -> Vec<u32> {
    match &part.rows {
        Rows::Entries { entries, .. } => entries.clone(),
        Rows::Dense => vec![0; part.values.len()],
        Rows::Sparse(rows) => {
            let mut previous = None;
            let number = |row: &u32| {
                let entry = match previous {
                    Some((last, entry)) if last == *row => entry + 1,
                    _ => 0,
                };
                previous = Some((*row, entry));
                entry
            };
            rows.iter().map(number).collect()
        }
    }
}
