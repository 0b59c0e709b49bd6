//! Events and links.

use arrow::array::{BinaryArray, PrimitiveArray};
use arrow::datatypes::{Int64Type, UInt32Type};
use tempo_model::proto::trace::span::{Event, Link};
use tempo_traceql::ast::Scope;

use super::attributes::{AttributeList, elements};
use super::segment::{Kept, NOWHERE, coded};
use super::{Broken, Decoded, broken};
use crate::head::intern::Coded;
use crate::head::segment::{Events, Links};
use crate::read::parquet::arrays::Texts;
use crate::read::parquet::file::element_path;
use crate::schema::spans;

/// The columns of events.
pub(super) struct EventColumns<'a> {
    offsets: &'a [i32],
    time: &'a PrimitiveArray<Int64Type>,
    name: Texts,
    dropped: &'a PrimitiveArray<UInt32Type>,
    attributes: AttributeList<'a>,
}

impl<'a> EventColumns<'a> {
    /// `None` where no span has an event.
    pub(super) fn new(decoded: &'a Decoded<'_>) -> Result<Option<Self>, Broken> {
        let path = |field: &str| element_path(spans::EVENTS, field);
        let Some(offsets) = offsets(decoded, &path(spans::TIME))? else {
            return Ok(None);
        };
        Ok(Some(Self {
            offsets,
            time: decoded.numbers(&path(spans::TIME))?,
            name: decoded.texts(&path(spans::NAME))?,
            dropped: decoded.counts(&path(spans::DROPPED_ATTRIBUTES))?,
            attributes: AttributeList::new(decoded, Scope::Event)?,
        }))
    }

    /// The events of the span of a row that starts at `start`.
    pub(super) fn of(&self, row: usize, start: u64) -> Result<Vec<Event>, Broken> {
        let event = |place: usize| {
            Ok(Event {
                time_unix_nano: start.wrapping_add(self.time.value(place) as u64),
                name: self.name.owned(place),
                attributes: self.attributes.of(place)?,
                dropped_attributes_count: self.dropped.value(place),
            })
        };
        elements(self.offsets, row).map(event).collect()
    }

    /// Adds the events of rows that are kept.
    pub(super) fn fill(&self, kept: &Kept, events: &mut Events) -> Result<(), Broken> {
        let taken = Taken::of(self.offsets, kept, self.time.len());
        events.time = taken.each(|place| self.time.value(place));
        events.dropped = taken.each(|place| self.dropped.value(place));
        events.name = coded(&self.name, taken.numbers.iter().copied());
        events.row = taken.owners;
        self.attributes.fill(&taken.places, &mut events.attributes)
    }
}

/// The columns of links.
pub(super) struct LinkColumns<'a> {
    offsets: &'a [i32],
    trace_id: &'a BinaryArray,
    span_id: &'a BinaryArray,
    trace_state: Texts,
    flags: &'a PrimitiveArray<UInt32Type>,
    dropped: &'a PrimitiveArray<UInt32Type>,
    attributes: AttributeList<'a>,
}

impl<'a> LinkColumns<'a> {
    /// `None` where no span has a link.
    pub(super) fn new(decoded: &'a Decoded<'_>) -> Result<Option<Self>, Broken> {
        let path = |field: &str| element_path(spans::LINKS, field);
        let Some(offsets) = offsets(decoded, &path(spans::TRACE_ID))? else {
            return Ok(None);
        };
        Ok(Some(Self {
            offsets,
            trace_id: decoded.binary(&path(spans::TRACE_ID))?,
            span_id: decoded.binary(&path(spans::SPAN_ID))?,
            trace_state: decoded.texts(&path(spans::TRACE_STATE))?,
            flags: decoded.counts(&path(spans::FLAGS))?,
            dropped: decoded.counts(&path(spans::DROPPED_ATTRIBUTES))?,
            attributes: AttributeList::new(decoded, Scope::Link)?,
        }))
    }

    /// The links of the span of a row.
    pub(super) fn of(&self, row: usize) -> Result<Vec<Link>, Broken> {
        let link = |place: usize| {
            Ok(Link {
                trace_id: self.trace_id.value(place).to_vec(),
                span_id: self.span_id.value(place).to_vec(),
                trace_state: self.trace_state.owned(place),
                attributes: self.attributes.of(place)?,
                dropped_attributes_count: self.dropped.value(place),
                flags: self.flags.value(place),
            })
        };
        elements(self.offsets, row).map(link).collect()
    }

    /// Adds the links of rows that are kept.
    pub(super) fn fill(&self, kept: &Kept, links: &mut Links) -> Result<(), Broken> {
        let taken = Taken::of(self.offsets, kept, self.flags.len());
        links.trace_id = taken.bytes(self.trace_id);
        links.span_id = taken.bytes(self.span_id);
        links.trace_state = coded(&self.trace_state, taken.numbers.iter().copied());
        links.flags = taken.each(|place| self.flags.value(place));
        links.dropped = taken.each(|place| self.dropped.value(place));
        links.row = taken.owners;
        self.attributes.fill(&taken.places, &mut links.attributes)
    }
}

/// The events or links of rows that are kept.
struct Taken {
    /// The places of their rows among those that are kept.
    owners: Vec<u32>,
    /// Their numbers among all events or links.
    numbers: Vec<usize>,
    /// For all events or links the place among those that are taken, or [`NOWHERE`].
    places: Vec<u32>,
}

impl Taken {
    fn of(offsets: &[i32], kept: &Kept, count: usize) -> Self {
        let mut taken = Self {
            owners: Vec::new(),
            numbers: Vec::new(),
            places: vec![NOWHERE; count],
        };
        for (owner, row) in (0..).zip(kept.each()) {
            for number in elements(offsets, row) {
                if let Some(place) = taken.places.get_mut(number) {
                    *place = taken.numbers.len() as u32;
                    taken.numbers.push(number);
                    taken.owners.push(owner);
                }
            }
        }
        taken
    }

    fn each<T>(&self, value: impl Fn(usize) -> T) -> Vec<T> {
        self.numbers.iter().map(|number| value(*number)).collect()
    }

    fn bytes(&self, values: &BinaryArray) -> Coded {
        let mut coded = Coded::default();
        for number in &self.numbers {
            coded.push_bytes(values.value(*number));
        }
        coded
    }
}

/// Where the elements of each row start; `None` where no row has any.
fn offsets<'a>(decoded: &'a Decoded<'_>, path: &str) -> Result<Option<&'a [i32]>, Broken> {
    let Some(leaf) = decoded.leaf(path) else {
        return Ok(None);
    };
    let offsets = leaf.offsets.first().ok_or_else(|| broken(path))?;
    Ok(Some(&offsets[..]))
}
