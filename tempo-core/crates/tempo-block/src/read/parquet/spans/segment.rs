//! Rows of a row group as a segment of a head, column by column: for merging, which puts no span together.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use arrow::array::Array;
use arrow::datatypes::{Int32Type, Int64Type, UInt64Type};
use tempo_model::TraceId;
use tempo_traceql::ast::Scope;

use super::attributes::Attributes;
use super::nested::{EventColumns, LinkColumns};
use super::span::ParentIds;
use super::{Broken, Decoded, OwnerColumns, broken};
use crate::head::Head;
use crate::head::intern::Coded;
use crate::head::segment::Segment;
use crate::read::ReadError;
use crate::read::parquet::arrays::Texts;
use crate::schema::spans;

/// In place of a place: none.
pub(super) const NOWHERE: u32 = u32::MAX;

/// What only the same span has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanKey<'a> {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: &'a [u8],
    pub(crate) name: &'a str,
    pub(crate) kind: i32,
    pub(crate) start_ns: u64,
    /// Start and duration; modulo 2^64.
    pub(crate) end_ns: u64,
}

/// Some rows of a row group.
pub(super) struct Kept {
    /// Ascending.
    pub(super) rows: Vec<u32>,
    /// For each row of the row group its place among `rows`, or [`NOWHERE`].
    pub(super) places: Vec<u32>,
}

impl Decoded<'_> {
    /// Appends the spans that are to be kept to a head, as spans that arrived at `arrival_ns`.
    pub(crate) fn append_to(
        &self,
        head: &mut Head,
        arrival_ns: u64,
        keep: impl FnMut(&SpanKey<'_>) -> bool,
    ) -> Result<(), ReadError> {
        let segment = if self.rows == 0 {
            Ok(Segment::default())
        } else {
            self.segment(head, keep)
        };
        head.append_segment(self.explained(segment)?, arrival_ns);
        Ok(())
    }

    /// How many spans there are of each trace.
    pub(crate) fn spans_by_trace(&self) -> Result<BTreeMap<TraceId, u32>, ReadError> {
        let mut counts = BTreeMap::new();
        let kept = self.kept(|span| {
            *counts.entry(span.trace_id).or_default() += 1;
            false
        });
        self.explained(kept)?;
        Ok(counts)
    }

    fn segment(&self, head: &mut Head, keep: impl FnMut(&SpanKey<'_>) -> bool) -> Result<Segment, Broken> {
        let kept = self.kept(keep)?;
        let mut segment = Segment::default();
        if kept.rows.is_empty() {
            return Ok(segment);
        }
        self.number_traces(&kept, head, &mut segment)?;
        self.number_owners(&kept, head, &mut segment)?;
        self.fill_intrinsics(&kept, &mut segment)?;
        self.fill_dropped(&kept, &mut segment)?;
        Attributes::new(self, Scope::Span)?.fill(&kept.places, &mut segment.attributes)?;
        if let Some(events) = EventColumns::new(self)? {
            events.fill(&kept, &mut segment.events)?;
        }
        if let Some(links) = LinkColumns::new(self)? {
            links.fill(&kept, &mut segment.links)?;
        }
        Ok(segment)
    }

    fn kept(&self, mut keep: impl FnMut(&SpanKey<'_>) -> bool) -> Result<Kept, Broken> {
        let trace_ids = self.fixed(spans::TRACE_ID)?;
        let span_ids = self.fixed(spans::SPAN_ID)?;
        let names = self.texts(spans::NAME)?;
        let kinds = self.numbers::<Int32Type>(spans::KIND)?;
        let starts = self.numbers::<UInt64Type>(spans::START)?;
        let durations = self.numbers::<Int64Type>(spans::DURATION)?;
        let mut kept = Kept {
            rows: Vec::with_capacity(self.rows),
            places: vec![NOWHERE; self.rows],
        };
        for (row, place) in kept.places.iter_mut().enumerate() {
            let trace_id = trace_ids.value(row).try_into();
            let start_ns = starts.value(row);
            let key = SpanKey {
                trace_id: TraceId(trace_id.map_err(|_| broken(spans::TRACE_ID))?),
                span_id: span_ids.value(row),
                name: names.get(row).unwrap_or_default(),
                kind: kinds.value(row),
                start_ns,
                end_ns: start_ns.wrapping_add(durations.value(row) as u64),
            };
            if keep(&key) {
                *place = kept.rows.len() as u32;
                kept.rows.push(row as u32);
            }
        }
        Ok(kept)
    }

    fn number_traces(&self, kept: &Kept, head: &mut Head, segment: &mut Segment) -> Result<(), Broken> {
        let ids = self.fixed(spans::TRACE_ID)?;
        let number = |row| {
            let id = ids.value(row).try_into();
            Ok(head.trace(id.map_err(|_| broken(spans::TRACE_ID))?))
        };
        segment.trace = kept.numbered(self.counts(spans::TRACE_ORD)?.values(), number)?;
        Ok(())
    }

    fn number_owners(&self, kept: &Kept, head: &mut Head, segment: &mut Segment) -> Result<(), Broken> {
        let owners = OwnerColumns::new(self)?;
        let resource = |row| {
            let number = head.resource_of(owners.resource(row)?);
            number.map_err(|_| broken(spans::RESOURCE_ORD))
        };
        segment.resource = kept.numbered(owners.resource_ord.values(), resource)?;
        let scope = |row| {
            let number = head.scope_of(owners.scope(row)?);
            number.map_err(|_| broken(spans::SCOPE_ORD))
        };
        segment.scope = kept.numbered(owners.scope_ord.values(), scope)?;
        Ok(())
    }

    fn fill_intrinsics(&self, kept: &Kept, segment: &mut Segment) -> Result<(), Broken> {
        let parents = ParentIds::new(self)?;
        let span_ids = self.fixed(spans::SPAN_ID)?;
        let starts = self.numbers::<UInt64Type>(spans::START)?;
        let durations = self.numbers::<Int64Type>(spans::DURATION)?;
        for (place, row) in (0..).zip(kept.each()) {
            let id = span_ids.value(row).try_into();
            segment.span_id.push(id.map_err(|_| broken(spans::SPAN_ID))?);
            segment.push_parent(place, parents.of(row));
            let start = starts.value(row);
            segment.push_times(start, start.wrapping_add(durations.value(row) as u64));
        }
        let kinds = self.numbers::<Int32Type>(spans::KIND)?;
        segment.kind = kept.each().map(|row| kinds.value(row)).collect();
        segment.status = vec![None; kept.rows.len()];
        if self.leaf(spans::STATUS_CODE).is_some() {
            let codes = self.numbers::<Int32Type>(spans::STATUS_CODE)?;
            let code = |row| codes.is_valid(row).then(|| codes.value(row));
            segment.status = kept.each().map(code).collect();
        }
        let flags = self.counts(spans::FLAGS)?;
        segment.flags = kept.each().map(|row| flags.value(row)).collect();
        segment.name = kept.coded(&self.texts(spans::NAME)?);
        segment.status_message = kept.coded(&self.texts(spans::STATUS_MESSAGE)?);
        segment.trace_state = kept.coded(&self.texts(spans::TRACE_STATE)?);
        Ok(())
    }

    fn fill_dropped(&self, kept: &Kept, segment: &mut Segment) -> Result<(), Broken> {
        let attributes = self.counts(spans::DROPPED_ATTRIBUTES)?;
        let events = self.counts(spans::DROPPED_EVENTS)?;
        let links = self.counts(spans::DROPPED_LINKS)?;
        for (place, row) in (0..).zip(kept.each()) {
            let dropped = [attributes.value(row), events.value(row), links.value(row)];
            if dropped != [0; 3] {
                segment.dropped.push((place, dropped));
            }
        }
        Ok(())
    }
}

impl Kept {
    /// The rows, ascending.
    pub(super) fn each(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|row| *row as usize)
    }

    /// A number of each row, made once for all rows of one ordinal.
    fn numbered(
        &self,
        ordinals: &[u32],
        mut make: impl FnMut(usize) -> Result<u32, Broken>,
    ) -> Result<Vec<u32>, Broken> {
        let mut known: HashMap<u32, u32> = HashMap::new();
        let mut last = None;
        let mut number = |row: usize| {
            let ordinal = ordinals.get(row).copied().unwrap_or_default();
            if let Some((same, number)) = last
                && same == ordinal
            {
                return Ok(number);
            }
            let number = match known.entry(ordinal) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(make(row)?),
            };
            last = Some((ordinal, number));
            Ok(number)
        };
        self.each().map(&mut number).collect()
    }

    fn coded(&self, texts: &Texts) -> Coded {
        coded(texts, self.each())
    }
}

/// The texts of these rows, each of which has one.
pub(super) fn coded(texts: &Texts, rows: impl Iterator<Item = usize>) -> Coded {
    let code = |row| texts.code(row).unwrap_or_default();
    Coded::of(texts.dictionary(), rows.map(code).collect())
}
