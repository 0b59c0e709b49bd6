//! A run of spans as columns. One segment of a head is open and grows, the others are sealed and shared.
//!
//! A segment has dictionaries of its own; traces, resources and scopes are numbered by the head.

use tempo_model::view::{EventView, LinkView, SpanView};
use tempo_model::wire::WireError;

use super::attributes::AttributeTable;
use super::intern::Coded;

/// Columns of spans. Rows are numbered from zero.
#[derive(Debug, Clone, Default)]
pub(crate) struct Segment {
    /// Place of the trace in the head.
    pub(crate) trace: Vec<u32>,
    /// Place of the resource in the head.
    pub(crate) resource: Vec<u32>,
    /// Place of the scope in the head.
    pub(crate) scope: Vec<u32>,
    pub(crate) span_id: Vec<[u8; 8]>,
    /// Zero for none.
    pub(crate) parent: Vec<[u8; 8]>,
    /// Parent ids that are neither absent nor eight bytes that are not all zero, with their rows.
    pub(crate) odd_parents: Vec<(u32, Box<[u8]>)>,
    pub(crate) start: Vec<u64>,
    /// End minus start, modulo 2^64.
    pub(crate) duration: Vec<i64>,
    pub(crate) name: Coded,
    pub(crate) kind: Vec<i32>,
    /// `None` where no status is set.
    pub(crate) status: Vec<Option<i32>>,
    pub(crate) status_message: Coded,
    pub(crate) trace_state: Coded,
    pub(crate) flags: Vec<u32>,
    /// Rows whose client dropped attributes, events or links, with how many.
    pub(crate) dropped: Vec<(u32, [u32; 3])>,
    pub(crate) attributes: AttributeTable,
    pub(crate) events: Events,
    pub(crate) links: Links,
    /// Ids of the traces that the head saw here first, in their order.
    pub(crate) new_traces: Vec<[u8; 16]>,
    /// When the newest of the spans arrived, nanoseconds since the Unix epoch.
    pub(crate) last_arrival_ns: u64,
}

/// Events of a segment's spans; they are the owners of their attributes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events {
    /// The row of each event, ascending.
    pub(crate) row: Vec<u32>,
    /// Nanoseconds from the span's start, modulo 2^64.
    pub(crate) time: Vec<i64>,
    pub(crate) name: Coded,
    pub(crate) dropped: Vec<u32>,
    pub(crate) attributes: AttributeTable,
}

/// Links of a segment's spans; they are the owners of their attributes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links {
    /// The row of each link, ascending.
    pub(crate) row: Vec<u32>,
    pub(crate) trace_id: Coded,
    pub(crate) span_id: Coded,
    pub(crate) trace_state: Coded,
    pub(crate) flags: Vec<u32>,
    pub(crate) dropped: Vec<u32>,
    pub(crate) attributes: AttributeTable,
}

/// What the head says of a span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) trace: u32,
    pub(crate) resource: u32,
    pub(crate) scope: u32,
    pub(crate) span_id: [u8; 8],
}

impl Segment {
    pub(crate) fn rows(&self) -> usize {
        self.start.len()
    }

    /// Appends a span. One that is malformed somewhere inside leaves nothing behind.
    pub(crate) fn push(&mut self, span: &SpanView<'_>, place: Place) -> Result<(), WireError> {
        let row = self.rows() as u32;
        let events = span.events.iter().map(|event| EventView::read(event));
        let events: Vec<EventView<'_>> = events.collect::<Result<_, _>>()?;
        let links = span.links.iter().map(|link| LinkView::read(link));
        let links: Vec<LinkView<'_>> = links.collect::<Result<_, _>>()?;
        self.trace.push(place.trace);
        self.resource.push(place.resource);
        self.scope.push(place.scope);
        self.span_id.push(place.span_id);
        self.push_parent(row, span.parent_span_id);
        self.start.push(span.start_unix_nanos);
        self.duration
            .push(span.end_unix_nanos.wrapping_sub(span.start_unix_nanos) as i64);
        self.name.push_text(span.name);
        self.kind.push(span.kind);
        self.status.push(span.has_status.then_some(span.status_code));
        self.status_message.push_text(span.status_message);
        self.trace_state.push_text(span.trace_state);
        self.flags.push(span.flags);
        let dropped = [
            span.dropped_attributes_count,
            span.dropped_events_count,
            span.dropped_links_count,
        ];
        if dropped != [0; 3] {
            self.dropped.push((row, dropped));
        }
        self.attributes.push(row, &span.attributes);
        for event in &events {
            self.events.push(row, event, span.start_unix_nanos);
        }
        for link in &links {
            self.links.push(row, link);
        }
        Ok(())
    }

    fn push_parent(&mut self, row: u32, parent: &[u8]) {
        let id = <[u8; 8]>::try_from(parent).unwrap_or_default();
        self.parent.push(id);
        if id == [0; 8] && !parent.is_empty() {
            self.odd_parents.push((row, parent.into()));
        }
    }

    /// The parent id of a row as it was received; empty for none.
    pub(crate) fn raw_parent(&self, row: usize) -> &[u8] {
        match self.parent.get(row) {
            Some(id) if *id != [0; 8] => id,
            _ => {
                let odd = self
                    .odd_parents
                    .binary_search_by_key(&(row as u32), |(row, _)| *row);
                odd.ok()
                    .and_then(|index| self.odd_parents.get(index))
                    .map_or(&[], |(_, id)| &**id)
            }
        }
    }

    /// Whether a row has a parent, be it one that cannot be found.
    pub(crate) fn has_parent(&self, row: usize) -> bool {
        self.raw_parent(row).iter().any(|byte| *byte != 0)
    }

    /// Attributes, events and links that a row's client dropped.
    pub(crate) fn dropped(&self, row: usize) -> [u32; 3] {
        let found = self.dropped.binary_search_by_key(&(row as u32), |(row, _)| *row);
        found
            .ok()
            .and_then(|index| self.dropped.get(index))
            .map_or([0; 3], |(_, counts)| *counts)
    }

    /// When a row's span ends, nanoseconds since the Unix epoch; not before its start.
    pub(crate) fn end(&self, row: usize) -> u64 {
        let start = self.start.get(row).copied().unwrap_or_default();
        let duration = self.duration.get(row).copied().unwrap_or_default();
        start.wrapping_add(duration as u64).max(start)
    }

    /// Gives back what only a growing segment needs.
    pub(crate) fn seal(&mut self) {
        for coded in [
            &mut self.name,
            &mut self.status_message,
            &mut self.trace_state,
            &mut self.events.name,
            &mut self.links.trace_id,
            &mut self.links.span_id,
            &mut self.links.trace_state,
        ] {
            coded.interner.seal();
        }
        self.attributes.seal();
        self.events.attributes.seal();
        self.links.attributes.seal();
    }

    /// Bytes of memory, about.
    pub(crate) fn memory(&self) -> usize {
        const FIXED: usize = 4 * 3 + 8 * 4 + 4 + 8 + 4;
        self.rows() * FIXED
            + self.odd_parents.len() * 24
            + self.dropped.len() * 16
            + self.new_traces.len() * 16
            + self.name.memory()
            + self.status_message.memory()
            + self.trace_state.memory()
            + self.attributes.memory()
            + self.events.memory()
            + self.links.memory()
    }
}

/// The entries of a row among rows in ascending order.
fn entries_of(rows: &[u32], row: u32) -> std::ops::Range<usize> {
    let start = rows.partition_point(|other| *other < row);
    start..rows.partition_point(|other| *other <= row)
}

impl Events {
    fn push(&mut self, row: u32, event: &EventView<'_>, span_start: u64) {
        let number = self.row.len() as u32;
        self.row.push(row);
        self.time
            .push(event.time_unix_nanos.wrapping_sub(span_start) as i64);
        self.name.push_text(event.name);
        self.dropped.push(event.dropped_attributes_count);
        self.attributes.push(number, &event.attributes);
    }

    /// Which events are a row's.
    pub(crate) fn of_row(&self, row: u32) -> std::ops::Range<usize> {
        entries_of(&self.row, row)
    }

    fn memory(&self) -> usize {
        self.row.len() * 16 + self.name.memory() + self.attributes.memory()
    }
}

impl Links {
    fn push(&mut self, row: u32, link: &LinkView<'_>) {
        let number = self.row.len() as u32;
        self.row.push(row);
        self.trace_id.push_bytes(link.trace_id);
        self.span_id.push_bytes(link.span_id);
        self.trace_state.push_text(link.trace_state);
        self.flags.push(link.flags);
        self.dropped.push(link.dropped_attributes_count);
        self.attributes.push(number, &link.attributes);
    }

    /// Which links are a row's.
    pub(crate) fn of_row(&self, row: u32) -> std::ops::Range<usize> {
        entries_of(&self.row, row)
    }

    fn memory(&self) -> usize {
        let texts = [&self.trace_id, &self.span_id, &self.trace_state];
        self.row.len() * 12 + texts.into_iter().map(Coded::memory).sum::<usize>() + self.attributes.memory()
    }
}
