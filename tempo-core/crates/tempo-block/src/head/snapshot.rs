//! What was in a head at one moment, and what is derived of it when it is asked for.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tempo_model::view::ValueView;
use tempo_traceql::columns::{ORPHAN, ROOT, RootSpan, SpanBatch, TraceRow};

use super::owner::Owner;
use super::segment::{Segment, Times};
use crate::read::{ReadError, RowGroup, RowGroupSummary, Wanted};
use crate::schema::value::text_of;

/// What was in a head at one moment.
#[derive(Debug, Default)]
pub struct HeadSnapshot {
    /// In order of arrival; none is empty.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The number of the first row of each segment.
    pub(crate) first_rows: Vec<u32>,
    rows: usize,
    arrivals_ns: Option<(u64, u64)>,
    tables: OnceLock<Tables>,
    ordinals: OnceLock<Arc<[u32]>>,
    traces: OnceLock<Arc<[TraceRow]>>,
    parents: OnceLock<Arc<[u32]>>,
}

/// What numbers in segments point to.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// By [`Segment::trace`].
    pub(crate) trace_ids: Vec<[u8; 16]>,
    /// By [`Segment::resource`].
    pub(crate) resources: Vec<Arc<Owner>>,
    /// By [`Segment::scope`].
    pub(crate) scopes: Vec<Arc<Owner>>,
}

impl HeadSnapshot {
    pub(super) fn new(segments: Vec<Arc<Segment>>, arrivals_ns: Option<(u64, u64)>) -> Self {
        let mut rows = 0;
        let mut first_rows = Vec::with_capacity(segments.len());
        for segment in &segments {
            first_rows.push(rows as u32);
            rows += segment.rows();
        }
        Self {
            segments,
            first_rows,
            rows,
            arrivals_ns,
            ..Self::default()
        }
    }

    /// Number of spans.
    pub fn spans(&self) -> usize {
        self.rows
    }

    /// Arrival of the first and the last record, nanoseconds since the Unix epoch; `None` when empty.
    pub fn arrivals_ns(&self) -> Option<(u64, u64)> {
        self.arrivals_ns
    }

    /// Times of all its spans, as if it were one row group of a block.
    pub fn summary(&self) -> RowGroupSummary {
        let times = self.segments.iter().filter_map(|segment| segment.times);
        let times = times.reduce(Times::join).unwrap_or_else(|| Times::of(0, 0));
        RowGroupSummary {
            number: 0,
            spans: self.rows as u64,
            start_ns: times.earliest_start,
            latest_start_ns: times.latest_start,
            end_ns: times.latest_end,
        }
    }

    /// The segments with the number of their first row.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (u32, &Arc<Segment>)> {
        self.first_rows.iter().copied().zip(&self.segments)
    }

    /// What numbers in segments point to.
    pub(crate) fn tables(&self) -> &Tables {
        self.tables.get_or_init(|| {
            let mut tables = Tables::default();
            for segment in &self.segments {
                let introduced = &segment.introduced;
                tables.trace_ids.extend_from_slice(&introduced.trace_ids);
                tables.resources.extend_from_slice(&introduced.resources);
                tables.scopes.extend_from_slice(&introduced.scopes);
            }
            tables
        })
    }

    /// For every row, the number of its trace.
    pub(crate) fn ordinals(&self) -> &Arc<[u32]> {
        self.ordinals.get_or_init(|| {
            let ordinals = self.segments.iter().flat_map(|segment| &segment.trace);
            ordinals.copied().collect()
        })
    }

    /// The trace table, by the number of the trace.
    pub(crate) fn trace_rows(&self) -> &Arc<[TraceRow]> {
        self.traces.get_or_init(|| self.make_trace_rows())
    }

    /// For every row, its parent's row, `ROOT` or `ORPHAN`.
    pub(crate) fn parent_rows(&self) -> &Arc<[u32]> {
        self.parents.get_or_init(|| self.make_parent_rows())
    }

    fn make_trace_rows(&self) -> Arc<[TraceRow]> {
        let tables = self.tables();
        let services: Vec<Arc<str>> = tables.resources.iter().map(|owner| service(owner)).collect();
        let unknown = |trace_id: &[u8; 16]| TraceRow {
            trace_id: *trace_id,
            start_ns: u64::MAX,
            end_ns: 0,
            root: None,
            continued: true,
        };
        let mut traces: Vec<TraceRow> = tables.trace_ids.iter().map(unknown).collect();
        for segment in &self.segments {
            let mut names: HashMap<u32, Arc<str>> = HashMap::new();
            for row in 0..segment.rows() {
                let Some(trace) = segment
                    .trace
                    .get(row)
                    .and_then(|trace| traces.get_mut(*trace as usize))
                else {
                    continue;
                };
                let times = segment.times_of(row);
                trace.start_ns = trace.start_ns.min(times.earliest_start);
                trace.end_ns = trace.end_ns.max(times.latest_end);
                if !segment.has_parent(row) {
                    let code = segment.name.codes.get(row).copied().unwrap_or_default();
                    let name = names.entry(code).or_insert_with(|| segment.name.text(row).into());
                    let resource = segment.resource.get(row).copied().unwrap_or_default();
                    trace.root = Some(RootSpan {
                        name: Arc::clone(name),
                        service: services.get(resource as usize).cloned().unwrap_or_default(),
                    });
                }
            }
        }
        traces.into()
    }

    fn make_parent_rows(&self) -> Arc<[u32]> {
        let mut rows: HashMap<(u32, [u8; 8]), u32> = HashMap::with_capacity(self.rows);
        for (first_row, segment) in self.parts() {
            let ids = segment.trace.iter().copied().zip(segment.span_id.iter().copied());
            rows.extend(ids.zip(first_row..));
        }
        let parent = |segment: &Segment, row: usize| {
            if !segment.has_parent(row) {
                return ROOT;
            }
            let id = segment.raw_parent(row).try_into().ok();
            let id = segment.trace.get(row).copied().zip(id);
            id.and_then(|id| rows.get(&id).copied()).unwrap_or(ORPHAN)
        };
        let segments = self.segments.iter();
        segments
            .flat_map(|segment| (0..segment.rows()).map(move |row| (segment, row)))
            .map(|(segment, row)| parent(segment, row))
            .collect()
    }
}

/// `service.name` of a resource; of several, the last. Empty when missing.
fn service(owner: &Owner) -> Arc<str> {
    let names = owner.attributes().filter_map(|attribute| match attribute.value {
        ValueView::String(name) if attribute.key == b"service.name" => Some(name),
        _ => None,
    });
    text_of(names.last().unwrap_or_default()).into()
}

#[async_trait]
impl RowGroup for HeadSnapshot {
    fn batch(&self) -> &dyn SpanBatch {
        self
    }

    fn take_missing(&self) -> Vec<Wanted> {
        Vec::new()
    }

    async fn load(&self, _wanted: &[Wanted]) -> Result<(), ReadError> {
        Ok(())
    }
}
