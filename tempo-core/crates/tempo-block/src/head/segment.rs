//! A run of spans as columns. One segment of a head is open and grows, the others are sealed and shared.
//!
//! A segment has dictionaries of its own; traces, resources and scopes are numbered by the head.

mod nested;

use std::sync::Arc;

use tempo_model::view::{EventView, LinkView, SpanView};
use tempo_model::wire::WireError;

pub(super) use nested::entries_of;
pub(crate) use nested::{Events, Links};

use super::attributes::{AttributeTable, Limit};
use super::intern::Coded;
use super::owner::Owner;

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
    pub(crate) introduced: Introduced,
    /// `None` without spans.
    pub(crate) times: Option<Times>,
}

/// What the head saw first in a segment, in the order of the numbers that the head gave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Introduced {
    pub(crate) trace_ids: Vec<[u8; 16]>,
    pub(crate) resources: Vec<Arc<Owner>>,
    pub(crate) scopes: Vec<Arc<Owner>>,
}

/// When a segment's spans are, nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) earliest_start: u64,
    pub(crate) latest_start: u64,
    pub(crate) latest_end: u64,
}

impl Times {
    /// The times of a span; one that ends before its start ends at its start.
    pub(crate) fn of(start: u64, end: u64) -> Self {
        Self {
            earliest_start: start,
            latest_start: start,
            latest_end: end.max(start),
        }
    }

    pub(crate) fn join(self, other: Self) -> Self {
        Self {
            earliest_start: self.earliest_start.min(other.earliest_start),
            latest_start: self.latest_start.max(other.latest_start),
            latest_end: self.latest_end.max(other.latest_end),
        }
    }
}

/// Lists that are used for one span after the other, so that they are allocated once.
#[derive(Debug, Default)]
pub(super) struct Scratch<'a> {
    pub(super) span: SpanView<'a>,
    event: EventView<'a>,
    link: LinkView<'a>,
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

    /// Appends the span in `scratch`. After an error it may be there in part.
    pub(super) fn push(
        &mut self,
        scratch: &mut Scratch<'_>,
        place: Place,
        limit: &mut Limit,
    ) -> Result<(), WireError> {
        let row = self.rows() as u32;
        self.push_intrinsics(row, &scratch.span, place);
        let Scratch { span, event, link } = scratch;
        self.attributes.push(row, &span.attributes, limit)?;
        for message in &span.events {
            event.refill(message)?;
            self.events.push(row, event, span.start_unix_nanos, limit)?;
        }
        for message in &span.links {
            link.refill(message)?;
            self.links.push(row, link, limit)?;
        }
        Ok(())
    }

    fn push_intrinsics(&mut self, row: u32, span: &SpanView<'_>, place: Place) {
        self.trace.push(place.trace);
        self.resource.push(place.resource);
        self.scope.push(place.scope);
        self.span_id.push(place.span_id);
        self.push_parent(row, span.parent_span_id);
        self.push_times(span.start_unix_nanos, span.end_unix_nanos);
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
    }

    pub(crate) fn push_times(&mut self, start: u64, end: u64) {
        self.start.push(start);
        self.duration.push(end.wrapping_sub(start) as i64);
        let times = Times::of(start, end);
        self.times = Some(self.times.map_or(times, |all| all.join(times)));
    }

    /// Adds the first `rows` rows of `other`, but not what it introduced.
    pub(super) fn extend(&mut self, other: &Self, rows: usize) {
        let base = self.rows() as u32;
        self.trace.extend(other.trace.iter().take(rows));
        self.resource.extend(other.resource.iter().take(rows));
        self.scope.extend(other.scope.iter().take(rows));
        self.span_id.extend(other.span_id.iter().take(rows));
        self.parent.extend(other.parent.iter().take(rows));
        self.kind.extend(other.kind.iter().take(rows));
        self.status.extend(other.status.iter().take(rows));
        self.flags.extend(other.flags.iter().take(rows));
        self.name.extend(&other.name, rows);
        self.status_message.extend(&other.status_message, rows);
        self.trace_state.extend(&other.trace_state, rows);
        for (start, duration) in other.start.iter().zip(&other.duration).take(rows) {
            self.push_times(*start, start.wrapping_add(*duration as u64));
        }
        let rows = rows as u32;
        let odd = other.odd_parents.iter().filter(|(row, _)| *row < rows);
        self.odd_parents
            .extend(odd.map(|(row, id)| (base + row, id.clone())));
        let dropped = other.dropped.iter().filter(|(row, _)| *row < rows);
        self.dropped
            .extend(dropped.map(|(row, counts)| (base + row, *counts)));
        self.attributes.extend(&other.attributes, base, rows);
        self.events.extend(&other.events, base, rows);
        self.links.extend(&other.links, base, rows);
    }

    /// Two neighbours as one, sealed.
    pub(super) fn joined(first: &Self, second: &Self) -> Self {
        let mut joined = Self::default();
        for part in [first, second] {
            joined.extend(part, part.rows());
            let introduced = part.introduced.clone();
            joined.introduced.trace_ids.extend(introduced.trace_ids);
            joined.introduced.resources.extend(introduced.resources);
            joined.introduced.scopes.extend(introduced.scopes);
        }
        joined.seal();
        joined
    }

    /// How many attribute columns it has.
    pub(super) fn attribute_columns(&self) -> usize {
        self.attributes.count() + self.events.attributes.count() + self.links.attributes.count()
    }

    /// The times of a row's span.
    pub(crate) fn times_of(&self, row: usize) -> Times {
        let start = self.start.get(row).copied().unwrap_or_default();
        let duration = self.duration.get(row).copied().unwrap_or_default();
        Times::of(start, start.wrapping_add(duration as u64))
    }

    pub(crate) fn push_parent(&mut self, row: u32, parent: &[u8]) {
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

    /// Gives back what only a growing segment needs.
    pub(super) fn seal(&mut self) {
        for coded in [&mut self.name, &mut self.status_message, &mut self.trace_state] {
            coded.seal();
        }
        for numbers in [
            &mut self.trace,
            &mut self.resource,
            &mut self.scope,
            &mut self.flags,
        ] {
            numbers.shrink_to_fit();
        }
        for ids in [&mut self.span_id, &mut self.parent] {
            ids.shrink_to_fit();
        }
        self.start.shrink_to_fit();
        self.duration.shrink_to_fit();
        self.kind.shrink_to_fit();
        self.status.shrink_to_fit();
        self.attributes.seal();
        self.events.seal();
        self.links.seal();
    }

    /// Bytes of memory, about.
    pub(super) fn memory(&self) -> usize {
        /// Columns with a value of every row.
        const ROW: usize = 4 * 3 + 8 * 4 + 4 + 8 + 4;
        let owners = self.introduced.resources.iter().chain(&self.introduced.scopes);
        self.start.capacity() * ROW
            + self.odd_parents.capacity() * 24
            + self.dropped.capacity() * 16
            + self.introduced.trace_ids.capacity() * 16
            + owners.map(|owner| owner.memory()).sum::<usize>()
            + self.name.memory()
            + self.status_message.memory()
            + self.trace_state.memory()
            + self.attributes.memory()
            + self.events.memory()
            + self.links.memory()
    }
}
