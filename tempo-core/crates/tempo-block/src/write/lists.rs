//! Lists: attributes without a column of their own, events and links.

use parquet::errors::ParquetError;
use tempo_model::view::{AttributeView, ValueView};

use super::WriteError;
use super::attributes::entries_of;
use super::chunk::Values;
use super::row_group::Chunks;
use super::rows::{NOWHERE, Rows, at};
use super::texts::{MadeTexts, Texts};
use crate::head::attributes::AttributeTable;
use crate::head::attributes::column::Column;
use crate::head::intern::Coded;
use crate::head::segment::Segment;
use crate::schema::{ValueKind, value};

/// An attribute of the owner that is the `owner`th in the file's order.
pub(super) struct Entry<'a> {
    owner: u32,
    key: &'a str,
    column: &'a Column,
    /// The place in the column.
    place: usize,
}

impl<'a> Entry<'a> {
    /// What a column has of owners that go somewhere.
    pub(super) fn all(
        key: &'a str,
        column: &'a Column,
        destinations: &'a [u32],
    ) -> impl Iterator<Item = Self> {
        let owners = column.owners.iter().enumerate();
        owners.filter_map(move |(place, owner)| {
            let owner = *destinations.get(*owner as usize)?;
            (owner != NOWHERE).then_some(Self {
                owner,
                key,
                column,
                place,
            })
        })
    }
}

/// Attribute lists: key, type and text form.
#[derive(Debug, Default)]
pub(super) struct AttributeLists {
    repetition: Vec<u8>,
    definition: Vec<u8>,
    keys: MadeTexts,
    kinds: MadeTexts,
    values: MadeTexts,
    attributes: usize,
}

impl AttributeLists {
    /// The lists of owners that have these levels themselves, being `depth` lists deep. `entries` are in any order; those
    /// of one owner, key and type keep theirs.
    pub(super) fn of_entries(
        repetition: &[u8],
        definition: &[u8],
        depth: u8,
        entries: &[Entry<'_>],
    ) -> Result<Self, WriteError> {
        let owners = definition.iter().map(|level| usize::from(*level == depth)).sum();
        let mut by_owner = by_owner(entries, owners).into_iter().peekable();
        let mut lists = Self::default();
        let mut owner = 0;
        for (repetition, definition) in repetition.iter().zip(definition) {
            let mut attributes = Vec::new();
            if *definition == depth {
                while let Some(entry) = by_owner.next_if(|entry| entry.owner == owner) {
                    attributes.push(lists.codes(entry.key.as_bytes(), entry.column.view(entry.place))?);
                }
                owner += 1;
            }
            lists.push(*repetition, *definition, depth, &attributes);
        }
        Ok(lists)
    }

    /// The lists of rows, each of which has an owner's attributes.
    pub(super) fn of_owners(owners: &[Vec<AttributeView<'_>>], of_rows: &[u32]) -> Result<Self, WriteError> {
        let mut lists = Self::default();
        let mut codes = |attribute: &AttributeView<'_>| lists.codes(attribute.key, attribute.value);
        let owners = owners
            .iter()
            .map(|attributes| attributes.iter().map(&mut codes).collect());
        let owners: Vec<Vec<[u32; 3]>> = owners.collect::<Result<_, _>>()?;
        for ordinal in of_rows {
            let attributes = owners.get(*ordinal as usize).map(Vec::as_slice);
            lists.push(0, 0, 0, attributes.unwrap_or_default());
        }
        Ok(lists)
    }

    fn codes(&mut self, key: &[u8], value: ValueView<'_>) -> Result<[u32; 3], WriteError> {
        let text = match value {
            ValueView::String(text) => self.values.code(text),
            other => self.values.code(value::to_text(other)?.as_bytes()),
        };
        let kind = ValueKind::of(&value).name();
        Ok([self.keys.code(key), self.kinds.code(kind.as_bytes()), text])
    }

    fn push(&mut self, repetition: u8, definition: u8, depth: u8, attributes: &[[u32; 3]]) {
        self.repetition.push(repetition);
        let [_, more @ ..] = attributes else {
            self.definition.push(definition);
            return;
        };
        self.repetition.extend(more.iter().map(|_| depth + 1));
        self.definition.extend(attributes.iter().map(|_| depth + 1));
        for [key, kind, value] in attributes {
            self.keys.push_code(*key);
            self.kinds.push_code(*kind);
            self.values.push_code(*value);
        }
        self.attributes += attributes.len();
    }

    /// How many attributes there are.
    pub(super) fn len(&self) -> usize {
        self.attributes
    }

    /// Writes the columns.
    pub(super) fn write(&self, chunks: &mut Chunks) -> Result<(), ParquetError> {
        for texts in [&self.keys, &self.kinds, &self.values] {
            chunks.repeated(&self.repetition, &self.definition, texts.values())?;
        }
        Ok(())
    }
}

/// Events or links in the order of the rows.
struct Nested<'a> {
    segments: Vec<&'a Segment>,
    /// Number of the segment, and of the event or link in it.
    places: Vec<(usize, usize)>,
    repetition: Vec<u8>,
    definition: Vec<u8>,
    /// For each event or link of each segment, its place among `places`.
    destinations: Vec<Vec<u32>>,
}

impl<'a> Nested<'a> {
    /// `owners` has the row of each event or link of a segment, ascending.
    fn of(rows: &Rows<'a>, owners: impl Fn(&Segment) -> &[u32]) -> Self {
        let segments: Vec<&Segment> = rows.parts.iter().map(|part| part.segment).collect();
        let starts: Vec<Vec<u32>> = segments
            .iter()
            .map(|segment| starts(owners(segment), segment.rows()))
            .collect();
        let mut nested = Self {
            destinations: segments
                .iter()
                .map(|segment| vec![NOWHERE; owners(segment).len()])
                .collect(),
            segments,
            places: Vec::new(),
            repetition: Vec::new(),
            definition: Vec::new(),
        };
        for place in &rows.places {
            let start = |row| starts.get(place.part).map_or(0, |starts| at(starts, row));
            nested.push_row(place.part, start(place.row)..start(place.row + 1));
        }
        nested
    }

    fn push_row(&mut self, part: usize, entries: std::ops::Range<u32>) {
        if entries.is_empty() {
            self.repetition.push(0);
            self.definition.push(0);
        }
        for entry in entries.clone() {
            self.repetition.push(u8::from(entry != entries.start));
            self.definition.push(1);
            let destination = self
                .destinations
                .get_mut(part)
                .and_then(|all| all.get_mut(entry as usize));
            if let Some(destination) = destination {
                *destination = self.places.len() as u32;
            }
            self.places.push((part, entry as usize));
        }
    }

    fn write(&self, values: Values<'_>, chunks: &mut Chunks) -> Result<(), ParquetError> {
        chunks.repeated(&self.repetition, &self.definition, values)
    }

    fn write_numbers(
        &self,
        numbers: impl Fn(&Segment) -> &[u32],
        chunks: &mut Chunks,
    ) -> Result<(), ParquetError> {
        self.write(
            Values::Int32(self.each(|segment, entry| at(numbers(segment), entry) as i32)),
            chunks,
        )
    }

    fn write_texts(
        &self,
        coded: impl Fn(&'a Segment) -> &'a Coded,
        chunks: &mut Chunks,
    ) -> Result<(), ParquetError> {
        let words = self
            .segments
            .iter()
            .map(|segment| &**coded(segment).interner.words());
        let mut texts = Texts::of(words);
        for (part, entry) in &self.places {
            if let Some(segment) = self.segments.get(*part) {
                texts.push(*part, at(&coded(segment).codes, *entry));
            }
        }
        self.write(texts.into_values(), chunks)
    }

    fn write_attributes(
        &self,
        table: impl Fn(&'a Segment) -> &'a AttributeTable,
        chunks: &mut Chunks,
    ) -> Result<(), WriteError> {
        let mut entries = Vec::new();
        for (segment, destinations) in self.segments.iter().zip(&self.destinations) {
            entries.extend(entries_of(table(segment), destinations));
        }
        let lists = AttributeLists::of_entries(&self.repetition, &self.definition, 1, &entries)?;
        Ok(lists.write(chunks)?)
    }

    fn each<T>(&self, value: impl Fn(&'a Segment, usize) -> T) -> Vec<T> {
        let of_place = |(part, entry): &(usize, usize)| Some(value(self.segments.get(*part)?, *entry));
        self.places.iter().filter_map(of_place).collect()
    }
}

/// A counting sort by owner.
fn by_owner<'e, 'a>(entries: &'e [Entry<'a>], owners: usize) -> Vec<&'e Entry<'a>> {
    let numbers: Vec<u32> = entries.iter().map(|entry| entry.owner).collect();
    let mut next = starts(&numbers, owners);
    let mut sorted: Vec<&Entry<'_>> = entries.iter().collect();
    for entry in entries {
        if let Some(place) = next.get_mut(entry.owner as usize) {
            if let Some(to) = sorted.get_mut(*place as usize) {
                *to = entry;
            }
            *place += 1;
        }
    }
    sorted
}

/// Where the entries of each row begin, and the end of the last; `owners` has the row of each entry.
fn starts(owners: &[u32], rows: usize) -> Vec<u32> {
    let mut starts = vec![0; rows + 1];
    for owner in owners {
        if let Some(count) = starts.get_mut(*owner as usize + 1) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    starts
}

/// Writes the events.
pub(super) fn write_events(rows: &Rows<'_>, chunks: &mut Chunks) -> Result<(), WriteError> {
    let events = Nested::of(rows, |segment| &segment.events.row);
    let times = events.each(|segment, entry| at(&segment.events.time, entry));
    events.write(Values::Int64(times), chunks)?;
    events.write_texts(|segment| &segment.events.name, chunks)?;
    events.write_numbers(|segment| &segment.events.dropped, chunks)?;
    events.write_attributes(|segment| &segment.events.attributes, chunks)
}

/// Writes the links.
pub(super) fn write_links(rows: &Rows<'_>, chunks: &mut Chunks) -> Result<(), WriteError> {
    let links = Nested::of(rows, |segment| &segment.links.row);
    let trace_ids = links.each(|segment, entry| segment.links.trace_id.bytes(entry));
    links.write(Values::Bytes(trace_ids), chunks)?;
    let span_ids = links.each(|segment, entry| segment.links.span_id.bytes(entry));
    links.write(Values::Bytes(span_ids), chunks)?;
    links.write_texts(|segment| &segment.links.trace_state, chunks)?;
    links.write_numbers(|segment| &segment.links.flags, chunks)?;
    links.write_numbers(|segment| &segment.links.dropped, chunks)?;
    links.write_attributes(|segment| &segment.links.attributes, chunks)
}
