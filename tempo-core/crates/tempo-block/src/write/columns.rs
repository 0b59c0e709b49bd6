//! The columns that every `spans.parquet` has, before the attribute columns.

use parquet::errors::ParquetError;

use super::chunk::Values;
use super::row_group::Chunks;
use super::rows::{Rows, at};
use super::source::Source;
use super::texts::{MadeTexts, Texts};
use crate::head::intern::Coded;
use crate::head::owner::Owner;
use crate::head::segment::Segment;

/// Writes the columns in the order of the schema.
pub(super) fn write(source: &Source, rows: &Rows<'_>, chunks: &mut Chunks) -> Result<(), ParquetError> {
    write_ids(source, rows, chunks)?;
    chunks.required(Values::Times(
        rows.each(|segment, place| at(&segment.start, place.row) as i64),
    ))?;
    chunks.required(Values::Times(
        rows.each(|segment, place| at(&segment.duration, place.row)),
    ))?;
    chunks.required(texts(rows, |segment| &segment.name))?;
    chunks.required(Values::Int32(
        rows.each(|segment, place| at(&segment.kind, place.row)),
    ))?;
    let status = rows.each(|segment, place| at(&segment.status, place.row));
    let has_status: Vec<u8> = status.iter().map(|status| u8::from(status.is_some())).collect();
    chunks.optional(&has_status, Values::Int32(status.into_iter().flatten().collect()))?;
    chunks.required(texts(rows, |segment| &segment.status_message))?;
    chunks.required(texts(rows, |segment| &segment.trace_state))?;
    chunks.required(Values::Int32(
        rows.each(|segment, place| at(&segment.flags, place.row) as i32),
    ))?;
    chunks.required(dropped(rows, |[attributes, _, _]| attributes))?;
    chunks.required(dropped(rows, |[_, events, _]| events))?;
    chunks.required(dropped(rows, |[_, _, links]| links))?;
    let trace_ords = rows.places.iter().map(|place| place.trace_ord as i32);
    chunks.required(Values::Rising(trace_ords.collect()))?;
    chunks.required(Values::Int32(
        rows.places.iter().map(|place| place.tree.pos as i32).collect(),
    ))?;
    chunks.required(Values::Int32(
        rows.places.iter().map(|place| place.tree.depth as i32).collect(),
    ))?;
    write_owners(source, rows, chunks)
}

fn write_ids(source: &Source, rows: &Rows<'_>, chunks: &mut Chunks) -> Result<(), ParquetError> {
    let id = |trace: &usize| source.traces.get(*trace).map(|trace| &trace.id[..]);
    chunks.required(Values::Coded {
        codes: rows.places.iter().map(|place| place.trace_ord).collect(),
        words: rows.traces.iter().filter_map(id).collect(),
    })?;
    let span_id = |segment: &'_ Segment, row: usize| segment.span_id.get(row).copied().unwrap_or_default();
    let span_ids = rows.each(|segment, place| span_id(segment, place.row));
    chunks.required(Values::Bytes(span_ids.iter().map(|id| &id[..]).collect()))?;
    let parents = rows.each(|segment, place| {
        let parent = segment.raw_parent(place.row);
        (place.tree.depth == 0 && !parent.is_empty()).then_some(parent)
    });
    let has_parent: Vec<u8> = parents.iter().map(|parent| u8::from(parent.is_some())).collect();
    chunks.optional(
        &has_parent,
        Values::Bytes(parents.into_iter().flatten().collect()),
    )
}

fn write_owners(source: &Source, rows: &Rows<'_>, chunks: &mut Chunks) -> Result<(), ParquetError> {
    let tables = source.snapshot.tables();
    let resource = |number: usize| tables.resources.get(number).map(|owner| &**owner);
    let scope = |number: usize| tables.scopes.get(number).map(|owner| &**owner);
    let ordinals = |ordinals: &[u32]| Values::Int32(ordinals.iter().map(|ordinal| *ordinal as i32).collect());

    let resources: Vec<&Owner> = rows
        .resources
        .numbers
        .iter()
        .filter_map(|number| resource(*number))
        .collect();
    let of_rows = &rows.resources.of_rows;
    chunks.required(ordinals(of_rows))?;
    chunks.required(owner_texts(&resources, of_rows, |owner| &owner.schema_url).values())?;
    chunks.required(owner_dropped(&resources, of_rows))?;

    let scopes: Vec<&Owner> = rows
        .scopes
        .numbers
        .iter()
        .filter_map(|number| scope(*number))
        .collect();
    let of_rows = &rows.scopes.of_rows;
    chunks.required(ordinals(of_rows))?;
    chunks.required(owner_texts(&scopes, of_rows, |owner| &owner.name).values())?;
    chunks.required(owner_texts(&scopes, of_rows, |owner| &owner.version).values())?;
    chunks.required(owner_texts(&scopes, of_rows, |owner| &owner.schema_url).values())?;
    chunks.required(owner_dropped(&scopes, of_rows))
}

fn dropped(rows: &Rows<'_>, of_what: impl Fn([u32; 3]) -> u32) -> Values<'static> {
    Values::Int32(rows.each(|segment, place| of_what(segment.dropped(place.row)) as i32))
}

/// A text of every row.
fn texts<'a>(rows: &Rows<'a>, coded: impl Fn(&'a Segment) -> &'a Coded) -> Values<'a> {
    let mut texts = Texts::of(
        rows.parts
            .iter()
            .map(|part| &**coded(part.segment).interner.words()),
    );
    for place in &rows.places {
        if let Some(part) = rows.parts.get(place.part) {
            texts.push(place.part, at(&coded(part.segment).codes, place.row));
        }
    }
    texts.into_values()
}

fn owner_texts(owners: &[&Owner], of_rows: &[u32], text: impl Fn(&Owner) -> &str) -> MadeTexts {
    let mut texts = MadeTexts::default();
    let codes: Vec<u32> = owners
        .iter()
        .map(|owner| texts.code(text(owner).as_bytes()))
        .collect();
    for ordinal in of_rows {
        texts.push_code(at(&codes, *ordinal as usize));
    }
    texts
}

fn owner_dropped(owners: &[&Owner], of_rows: &[u32]) -> Values<'static> {
    let dropped: Vec<i32> = owners.iter().map(|owner| owner.dropped as i32).collect();
    Values::Int32(
        of_rows
            .iter()
            .map(|ordinal| at(&dropped, *ordinal as usize))
            .collect(),
    )
}
