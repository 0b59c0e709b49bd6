//! A row group of `traces.parquet`: the trace table of a row group of `spans.parquet`.

use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::schema::types::SchemaDescriptor;
use tempo_model::view::ValueView;

use super::chunk::{Chunk, Values};
use super::plan::PlannedTrace;
use super::row_group::Chunks;
use super::rows::{Rows, at};
use super::source::Source;
use super::texts::MadeTexts;
use crate::head::segment::Segment;

/// The share of absent ids that pass a filter. A query by id asks the filters of all blocks, so that even a thousand of
/// them rarely cost a read; the price is 0.2 bytes a span.
const FALSE_POSITIVES: f64 = 1e-5;
/// `StatusCode` of an error in OTLP.
const STATUS_ERROR: i32 = 2;

/// A trace of the table, as far as its spans tell.
#[derive(Debug, Clone, Copy, Default)]
struct Tally<'a> {
    errors: u32,
    /// The last received.
    root: Option<(&'a Segment, usize)>,
}

/// Encodes the trace table of row group `number`, and says whether one of its traces may go on in other blocks.
pub(super) fn encode(
    source: &Source,
    rows: &Rows<'_>,
    number: usize,
    schema: &SchemaDescriptor,
) -> Result<(Vec<Chunk>, bool), ParquetError> {
    let traces: Vec<(&PlannedTrace, Tally<'_>)> = rows
        .traces
        .iter()
        .filter_map(|trace| tallied(source, *trace))
        .collect();
    let count = traces.len();
    let ids: Vec<&[u8]> = traces.iter().map(|(trace, _)| &trace.id[..]).collect();
    let filter = filter(&ids)?;
    let mut roots = Roots::default();
    for (_, tally) in &traces {
        roots.push(source, tally.root);
    }
    let continued: Vec<bool> = traces
        .iter()
        .map(|(trace, tally)| source.may_go_on(trace, tally.root.is_some()))
        .collect();
    let goes_on = continued.contains(&true);

    let times = |time: fn(&PlannedTrace) -> u64| {
        Values::Times(traces.iter().map(|(trace, _)| time(trace) as i64).collect())
    };
    let mut chunks = Chunks::of(schema, count)?;
    chunks.required(Values::Bytes(ids))?;
    chunks.required(Values::Int32(vec![number as i32; count]))?;
    chunks.required(Values::Rising((0..count as i32).collect()))?;
    chunks.required(times(|trace| trace.start_ns))?;
    chunks.required(times(|trace| trace.end_ns - trace.start_ns))?;
    chunks.optional(&roots.present, roots.services.values())?;
    chunks.optional(&roots.present, roots.names.values())?;
    chunks.required(Values::Int32(
        traces.iter().map(|(trace, _)| trace.spans as i32).collect(),
    ))?;
    chunks.required(Values::Int32(
        traces.iter().map(|(_, tally)| tally.errors as i32).collect(),
    ))?;
    chunks.required(Values::Bool(continued))?;
    let mut chunks = chunks.finish();
    if let Some(of_ids) = chunks.first_mut() {
        of_ids.close.bloom_filter = Some(filter);
    }
    Ok((chunks, goes_on))
}

fn tallied(source: &Source, trace: usize) -> Option<(&PlannedTrace, Tally<'_>)> {
    let mut tally = Tally::default();
    for (segment, row) in source.rows_of(trace) {
        let segment = source.segment(segment)?;
        tally.errors += u32::from(at(&segment.status, row) == Some(STATUS_ERROR));
        if !segment.has_parent(row) {
            tally.root = Some((segment, row));
        }
    }
    Some((source.traces.get(trace)?, tally))
}

fn filter(ids: &[&[u8]]) -> Result<Sbbf, ParquetError> {
    let mut filter = Sbbf::new_with_ndv_fpp(ids.len().max(1) as u64, FALSE_POSITIVES)?;
    for id in ids {
        filter.insert(*id);
    }
    Ok(filter)
}

/// Service and name of root spans.
#[derive(Debug, Default)]
struct Roots {
    present: Vec<u8>,
    services: MadeTexts,
    names: MadeTexts,
}

impl Roots {
    fn push(&mut self, source: &Source, root: Option<(&Segment, usize)>) {
        self.present.push(u8::from(root.is_some()));
        let Some((segment, row)) = root else {
            return;
        };
        self.names.push(segment.name.bytes(row));
        let resource = source
            .snapshot
            .tables()
            .resources
            .get(at(&segment.resource, row) as usize);
        let services = resource.into_iter().flat_map(|resource| resource.attributes());
        let services = services.filter_map(|attribute| match attribute.value {
            ValueView::String(name) if attribute.key == b"service.name" => Some(name),
            _ => None,
        });
        self.services.push(services.last().unwrap_or_default());
    }
}
