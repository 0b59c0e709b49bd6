//! Events and links of a segment's spans.

use std::ops::Range;

use tempo_model::view::{EventView, LinkView};
use tempo_model::wire::WireError;

use crate::head::attributes::{AttributeTable, Limit};
use crate::head::intern::Coded;

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

/// The entries of a row among rows in ascending order.
pub(crate) fn entries_of(rows: &[u32], row: u32) -> Range<usize> {
    let start = rows.partition_point(|other| *other < row);
    start..rows.partition_point(|other| *other <= row)
}

impl Events {
    pub(super) fn push(
        &mut self,
        row: u32,
        event: &EventView<'_>,
        span_start: u64,
        limit: &mut Limit,
    ) -> Result<(), WireError> {
        let number = self.row.len() as u32;
        self.row.push(row);
        self.time
            .push(event.time_unix_nanos.wrapping_sub(span_start) as i64);
        self.name.push_text(event.name);
        self.dropped.push(event.dropped_attributes_count);
        self.attributes.push(number, &event.attributes, limit)
    }

    /// Adds the events of the first `rows` rows of `other`, which here are numbered from `base`.
    pub(super) fn extend(&mut self, other: &Self, base: u32, rows: u32) {
        let first = self.row.len() as u32;
        let count = other.row.partition_point(|row| *row < rows);
        self.row
            .extend(other.row.iter().take(count).map(|row| base + row));
        self.time.extend(other.time.iter().take(count));
        self.dropped.extend(other.dropped.iter().take(count));
        self.name.extend(&other.name, count);
        self.attributes.extend(&other.attributes, first, count as u32);
    }

    pub(super) fn seal(&mut self) {
        self.row.shrink_to_fit();
        self.time.shrink_to_fit();
        self.dropped.shrink_to_fit();
        self.name.seal();
        self.attributes.seal();
    }

    /// Which events are a row's.
    pub(crate) fn of_row(&self, row: u32) -> Range<usize> {
        entries_of(&self.row, row)
    }

    pub(super) fn memory(&self) -> usize {
        self.row.capacity() * 16 + self.name.memory() + self.attributes.memory()
    }
}

impl Links {
    pub(super) fn push(&mut self, row: u32, link: &LinkView<'_>, limit: &mut Limit) -> Result<(), WireError> {
        let number = self.row.len() as u32;
        self.row.push(row);
        self.trace_id.push_bytes(link.trace_id);
        self.span_id.push_bytes(link.span_id);
        self.trace_state.push_text(link.trace_state);
        self.flags.push(link.flags);
        self.dropped.push(link.dropped_attributes_count);
        self.attributes.push(number, &link.attributes, limit)
    }

    /// Adds the links of the first `rows` rows of `other`, which here are numbered from `base`.
    pub(super) fn extend(&mut self, other: &Self, base: u32, rows: u32) {
        let first = self.row.len() as u32;
        let count = other.row.partition_point(|row| *row < rows);
        self.row
            .extend(other.row.iter().take(count).map(|row| base + row));
        self.flags.extend(other.flags.iter().take(count));
        self.dropped.extend(other.dropped.iter().take(count));
        self.trace_id.extend(&other.trace_id, count);
        self.span_id.extend(&other.span_id, count);
        self.trace_state.extend(&other.trace_state, count);
        self.attributes.extend(&other.attributes, first, count as u32);
    }

    pub(super) fn seal(&mut self) {
        self.row.shrink_to_fit();
        self.flags.shrink_to_fit();
        self.dropped.shrink_to_fit();
        for coded in [&mut self.trace_id, &mut self.span_id, &mut self.trace_state] {
            coded.seal();
        }
        self.attributes.seal();
    }

    /// Which links are a row's.
    pub(crate) fn of_row(&self, row: u32) -> Range<usize> {
        entries_of(&self.row, row)
    }

    pub(super) fn memory(&self) -> usize {
        let texts = [&self.trace_id, &self.span_id, &self.trace_state];
        self.row.capacity() * 12
            + texts.into_iter().map(Coded::memory).sum::<usize>()
            + self.attributes.memory()
    }
}
