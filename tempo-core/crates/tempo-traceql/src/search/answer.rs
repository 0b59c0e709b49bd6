//! What is told of matching traces and spans: the only columns read are those that are told.

use std::collections::{BTreeMap, BTreeSet};

use super::{AttributeValue, SearchOptions, ServiceStats, SpanMatch, SpansetMatch, TraceMatch};
use crate::ast::{Attribute, Intrinsic, Scope, Static, Status};
use crate::columns::{Column, FetchError, Field, Part, TraceRow, Values};
use crate::evaluate::values::{Cell, cells};
use crate::evaluate::{RowSet, Source, Spanset};

/// The answer for the chosen traces, in their order.
pub(super) fn answer(
    source: &Source<'_>,
    chosen: &[(TraceRow, u32, Vec<Spanset>)],
    attributes: &BTreeSet<Attribute>,
    options: SearchOptions,
) -> Result<Vec<TraceMatch>, FetchError> {
    let shown = |set: &Spanset| -> Vec<u32> {
        let count = if options.spans_per_spanset == 0 {
            set.rows.len()
        } else {
            options.spans_per_spanset
        };
        set.rows.iter().take(count).copied().collect()
    };
    let all: BTreeSet<u32> = chosen
        .iter()
        .flat_map(|(_, _, sets)| sets.iter().flat_map(shown))
        .collect();
    let spans = spans(source, &RowSet::Some(all.into_iter().collect()), attributes)?;
    let mut services = services(source, &chosen.iter().map(|(_, ordinal, _)| *ordinal).collect())?;
    let told = |(trace, ordinal, sets): &(TraceRow, u32, Vec<Spanset>)| TraceMatch {
        trace_id: trace.trace_id,
        root: trace.root.clone(),
        start_ns: trace.start_ns,
        end_ns: trace.end_ns,
        services: services.remove(ordinal).unwrap_or_default(),
        spansets: sets
            .iter()
            .map(|set| SpansetMatch {
                spans: shown(set)
                    .iter()
                    .filter_map(|row| spans.get(row).cloned())
                    .collect(),
                matched: set.rows.len() as u64,
                attributes: set.attributes.clone(),
            })
            .collect(),
    };
    Ok(chosen.iter().map(told).collect())
}

/// What is told of each row.
fn spans(
    source: &Source<'_>,
    rows: &RowSet,
    attributes: &BTreeSet<Attribute>,
) -> Result<BTreeMap<u32, SpanMatch>, FetchError> {
    let ids = span_ids(&source.field(&Field::SpanId, rows)?);
    let column = |field: &Field| Ok::<_, FetchError>(cells(&source.field(field, rows)?, rows));
    let (names, starts, durations) = (
        column(&Field::Name)?,
        column(&Field::Start)?,
        column(&Field::Duration)?,
    );
    let mut told = told(attributes);
    told.sort_by_key(|attribute| precedence(attribute));
    let values: Vec<(String, Vec<Cell>)> = told
        .into_iter()
        .map(|attribute| Ok((bare_key(attribute), cells(&source.column(attribute, rows)?, rows))))
        .collect::<Result<_, FetchError>>()?;
    let number = |cells: &[Cell], position: usize| match cells.get(position).and_then(Cell::first) {
        Some(Static::Int(number) | Static::Duration(number)) => *number as u64,
        _ => 0,
    };
    let span = |(position, row): (usize, u32)| {
        let span = SpanMatch {
            span_id: ids.get(position).copied().unwrap_or_default(),
            name: match names.get(position).and_then(Cell::first) {
                Some(Static::String(name)) => name.clone(),
                _ => String::new(),
            },
            start_ns: number(&starts, position),
            duration_ns: number(&durations, position),
            attributes: values
                .iter()
                .filter_map(|(key, cells)| Some((key.clone(), value_of(cells.get(position)?)?)))
                .collect(),
        };
        (row, span)
    };
    Ok(rows.iter().enumerate().map(span).collect())
}

/// Ids of spans, which every row has.
fn span_ids(column: &Column) -> Vec<[u8; 8]> {
    match column.parts.as_slice() {
        [
            Part {
                values: Values::SpanId(ids),
                ..
            },
        ] => ids.clone(),
        _ => Vec::new(),
    }
}

/// Without what every span is told with, and what is told of its trace.
fn told(attributes: &BTreeSet<Attribute>) -> Vec<&Attribute> {
    let is_told = |attribute: &&Attribute| {
        !matches!(
            attribute,
            Attribute::Intrinsic(
                Intrinsic::Name
                    | Intrinsic::Duration
                    | Intrinsic::SpanId
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootServiceName
                    | Intrinsic::TraceId
            )
        )
    };
    attributes.iter().filter(is_told).collect()
}

/// Of values with the same bare key the one told is that with the highest precedence.
fn precedence(attribute: &Attribute) -> u8 {
    match attribute {
        Attribute::Scoped(Scope::Resource, _) => 0,
        Attribute::Scoped(Scope::Instrumentation, _) => 1,
        Attribute::Scoped(Scope::Span, _) => 2,
        Attribute::Unscoped(_) | Attribute::Parent(_) => 3,
        Attribute::Scoped(Scope::Event, _) => 4,
        Attribute::Scoped(Scope::Link, _) => 5,
        Attribute::Intrinsic(_) => 6,
    }
}

fn bare_key(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Scoped(_, key) | Attribute::Unscoped(key) => key.clone(),
        other => other.to_string(),
    }
}

/// Of several values, such as those of events, the last is told.
fn value_of(cell: &Cell) -> Option<AttributeValue> {
    match cell {
        Cell::Array(values) => Some(AttributeValue::Array(values.clone())),
        other => other.all().last().cloned().map(AttributeValue::One),
    }
}

/// How many spans each service has in each of some traces.
fn services(
    source: &Source<'_>,
    traces: &BTreeSet<u32>,
) -> Result<BTreeMap<u32, BTreeMap<String, ServiceStats>>, FetchError> {
    let ordinals = source.ordinals()?;
    let mut is_wanted = vec![false; traces.last().map_or(0, |last| *last as usize + 1)];
    for trace in traces {
        if let Some(is_wanted) = is_wanted.get_mut(*trace as usize) {
            *is_wanted = true;
        }
    }
    let rows = (0..)
        .zip(ordinals)
        .filter(|(_, ordinal)| is_wanted.get(**ordinal as usize) == Some(&true));
    let rows = RowSet::Some(rows.map(|(row, _)| row).collect());
    let service_name = Field::Attribute(Scope::Resource, "service.name".to_owned());
    let names = cells(&source.field(&service_name, &rows)?, &rows);
    let statuses = cells(&source.field(&Field::Status, &rows)?, &rows);
    let mut services: BTreeMap<u32, BTreeMap<String, ServiceStats>> = BTreeMap::new();
    for (row, (name, status)) in rows.iter().zip(names.iter().zip(&statuses)) {
        let name = match name.first() {
            Some(Static::String(name)) => name.clone(),
            _ => String::new(),
        };
        let ordinal = ordinals.get(row as usize).copied().unwrap_or_default();
        let stats = services.entry(ordinal).or_default().entry(name).or_default();
        stats.spans += 1;
        stats.errors += u64::from(status.first() == Some(&Static::Status(Status::Error)));
    }
    Ok(services)
}
