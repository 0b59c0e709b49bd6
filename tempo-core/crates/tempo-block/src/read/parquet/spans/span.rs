//! The columns of spans, but for resources and scopes.

use std::collections::HashMap;

use arrow::array::{Array, BinaryArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow::datatypes::{Int32Type, Int64Type, UInt32Type, UInt64Type};
use tempo_model::proto::trace::{Span, Status};
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::ROOT;

use super::attributes::Attributes;
use super::nested::{EventColumns, LinkColumns};
use super::{Broken, Decoded, broken};
use crate::read::parquet::arrays::Texts;
use crate::read::parquet::parents::parents;
use crate::schema::spans;

/// The columns of spans.
pub(super) struct SpanColumns<'a> {
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    parents: ParentIds<'a>,
    start: &'a PrimitiveArray<UInt64Type>,
    duration: &'a PrimitiveArray<Int64Type>,
    name: Texts,
    kind: &'a PrimitiveArray<Int32Type>,
    status_code: Option<&'a PrimitiveArray<Int32Type>>,
    status_message: Texts,
    trace_state: Texts,
    flags: &'a PrimitiveArray<UInt32Type>,
    dropped_attributes: &'a PrimitiveArray<UInt32Type>,
    dropped_events: &'a PrimitiveArray<UInt32Type>,
    dropped_links: &'a PrimitiveArray<UInt32Type>,
    attributes: Attributes<'a>,
    events: Option<EventColumns<'a>>,
    links: Option<LinkColumns<'a>>,
}

impl<'a> SpanColumns<'a> {
    pub(super) fn new(decoded: &'a Decoded<'_>) -> Result<Self, Broken> {
        let has = |path: &str| decoded.leaf(path).is_some();
        let status_code = has(spans::STATUS_CODE).then(|| decoded.numbers(spans::STATUS_CODE));
        Ok(Self {
            trace_id: decoded.fixed(spans::TRACE_ID)?,
            span_id: decoded.fixed(spans::SPAN_ID)?,
            parents: ParentIds::new(decoded)?,
            start: decoded.numbers(spans::START)?,
            duration: decoded.numbers(spans::DURATION)?,
            name: decoded.texts(spans::NAME)?,
            kind: decoded.numbers(spans::KIND)?,
            status_code: status_code.transpose()?,
            status_message: decoded.texts(spans::STATUS_MESSAGE)?,
            trace_state: decoded.texts(spans::TRACE_STATE)?,
            flags: decoded.counts(spans::FLAGS)?,
            dropped_attributes: decoded.counts(spans::DROPPED_ATTRIBUTES)?,
            dropped_events: decoded.counts(spans::DROPPED_EVENTS)?,
            dropped_links: decoded.counts(spans::DROPPED_LINKS)?,
            attributes: Attributes::new(decoded, Scope::Span)?,
            events: EventColumns::new(decoded)?,
            links: LinkColumns::new(decoded)?,
        })
    }

    /// The span of a row.
    pub(super) fn span(&self, row: usize) -> Result<Span, Broken> {
        let start = self.start.value(row);
        let events = self.events.as_ref().map(|events| events.of(row, start));
        let links = self.links.as_ref().map(|links| links.of(row));
        Ok(Span {
            trace_id: self.trace_id.value(row).to_vec(),
            span_id: self.span_id.value(row).to_vec(),
            trace_state: self.trace_state.owned(row),
            parent_span_id: self.parents.of(row).to_vec(),
            name: self.name.owned(row),
            kind: self.kind.value(row),
            start_time_unix_nano: start,
            end_time_unix_nano: start.wrapping_add(self.duration.value(row) as u64),
            attributes: self.attributes.of(row)?,
            dropped_attributes_count: self.dropped_attributes.value(row),
            events: events.transpose()?.unwrap_or_default(),
            dropped_events_count: self.dropped_events.value(row),
            links: links.transpose()?.unwrap_or_default(),
            dropped_links_count: self.dropped_links.value(row),
            status: self.status(row),
            flags: self.flags.value(row),
        })
    }

    fn status(&self, row: usize) -> Option<Status> {
        let codes = self.status_code.filter(|codes| codes.is_valid(row))?;
        Some(Status {
            message: self.status_message.owned(row),
            code: codes.value(row),
        })
    }
}

/// The parent id that each row was received with.
pub(super) struct ParentIds<'a> {
    span_id: &'a FixedSizeBinaryArray,
    /// The parent's row.
    parents: Vec<u32>,
    received: Option<&'a BinaryArray>,
}

impl<'a> ParentIds<'a> {
    pub(super) fn new(decoded: &'a Decoded<'_>) -> Result<Self, Broken> {
        let has_received = decoded.leaf(spans::PARENT_SPAN_ID).is_some();
        let received = has_received.then(|| decoded.binary(spans::PARENT_SPAN_ID));
        let received = received.transpose()?;
        let ordinals = decoded.counts(spans::TRACE_ORD)?;
        let (positions, depths) = (decoded.counts(spans::POS)?, decoded.counts(spans::DEPTH)?);
        let trees = parents(
            &renumbered(ordinals.values()),
            positions.values(),
            depths.values(),
            received,
        );
        Ok(Self {
            span_id: decoded.fixed(spans::SPAN_ID)?,
            parents: trees.ok_or_else(|| broken(spans::POS))?,
            received,
        })
    }

    /// The id, empty where none was received.
    pub(super) fn of(&self, row: usize) -> &'a [u8] {
        if let Some(received) = self.received.filter(|ids| ids.is_valid(row)) {
            return received.value(row);
        }
        let parent = self.parents.get(row).copied().unwrap_or(ROOT) as usize;
        if parent < self.span_id.len() {
            self.span_id.value(parent)
        } else {
            &[]
        }
    }
}

/// The same traces numbered from zero without gaps, as the rows of one trace alone are not.
fn renumbered(ordinals: &[u32]) -> Vec<u32> {
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let mut number = |ordinal: &u32| {
        let next = numbers.len() as u32;
        *numbers.entry(*ordinal).or_insert(next)
    };
    ordinals.iter().map(&mut number).collect()
}
