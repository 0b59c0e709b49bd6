//! Lists: attributes without a column of their own, events and links.

use parquet::errors::ParquetError;
use tempo_model::view::{AttributeView, ValueView};

use super::WriteError;
use super::chunk::Values;
use super::row_group::Chunks;
use super::rows::{NOWHERE, Rows, at};
use super::texts::{MadeTexts, Texts};
use crate::head::attributes::AttributeTable;
use crate::head::attributes::column::{Column, ColumnValues};
use crate::head::intern::Coded;
use crate::head::segment::Segment;
use crate::schema::{ValueKind, value};

/// The attributes of one key and type, for lists.
pub(super) struct ListColumn<'a> {
    pub(super) key: &'a str,
    pub(super) column: &'a Column,
    /// For each owner its place in the file's order, or [`NOWHERE`].
    pub(super) destinations: &'a [u32],
}

/// An attribute of the owner that is the `owner`th in the file's order.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    owner: u32,
    /// The number of the column.
    column: u32,
    /// The place in the column.
    place: u32,
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
    /// The lists of owners that have these levels themselves, being `depth` lists deep. Of one owner, attributes of one
    /// column keep their order.
    pub(super) fn of_columns(
        repetition: &[u8],
        definition: &[u8],
        depth: u8,
        columns: &[ListColumn<'_>],
    ) -> Result<Self, WriteError> {
        let owners = definition.iter().map(|level| usize::from(*level == depth)).sum();
        let mut by_owner = by_owner(columns, owners).into_iter().peekable();
        let mut codes: Vec<ColumnCodes<'_>> = columns.iter().map(ColumnCodes::of).collect();
        let mut lists = Self::default();
        let mut attributes = Vec::new();
        let mut owner = 0;
        for (repetition, definition) in repetition.iter().zip(definition) {
            attributes.clear();
            if *definition == depth {
                while let Some(entry) = by_owner.next_if(|entry| entry.owner == owner) {
                    if let Some(codes) = codes.get_mut(entry.column as usize) {
                        attributes.push(codes.of_entry(entry.place as usize, &mut lists)?);
                    }
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
        let owners = owners.iter().map(|attributes| {
            attributes
                .iter()
                .map(|attribute| lists.codes(attribute))
                .collect()
        });
        let owners: Vec<Vec<[u32; 3]>> = owners.collect::<Result<_, _>>()?;
        for ordinal in of_rows {
            let attributes = owners.get(*ordinal as usize).map(Vec::as_slice);
            lists.push(0, 0, 0, attributes.unwrap_or_default());
        }
        Ok(lists)
    }

    fn codes(&mut self, attribute: &AttributeView<'_>) -> Result<[u32; 3], WriteError> {
        let kind = ValueKind::of(&attribute.value).name();
        let value = self.value_code(attribute.value)?;
        Ok([
            self.keys.code(attribute.key),
            self.kinds.code(kind.as_bytes()),
            value,
        ])
    }

    /// The code of a value's text form.
    fn value_code(&mut self, value: ValueView<'_>) -> Result<u32, WriteError> {
        Ok(match value {
            ValueView::String(text) => self.values.code(text),
            other => self.values.code(value::to_text(other)?.as_bytes()),
        })
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
            .map(|segment| starts(owners(segment).iter().copied(), segment.rows()))
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
        let tables = self.segments.iter().zip(&self.destinations);
        let columns = tables.flat_map(|(segment, destinations)| {
            let columns = table(segment).columns();
            columns.map(|(key, column)| ListColumn {
                key,
                column,
                destinations,
            })
        });
        let columns: Vec<ListColumn<'_>> = columns.collect();
        let lists = AttributeLists::of_columns(&self.repetition, &self.definition, 1, &columns)?;
        Ok(lists.write(chunks)?)
    }

    fn each<T>(&self, value: impl Fn(&'a Segment, usize) -> T) -> Vec<T> {
        let of_place = |(part, entry): &(usize, usize)| Some(value(self.segments.get(*part)?, *entry));
        self.places.iter().filter_map(of_place).collect()
    }
}

/// What a column's attributes are in lists: each key, type and word is looked up once.
struct ColumnCodes<'a> {
    key: &'a str,
    column: &'a Column,
    /// Codes of key and type.
    name: Option<[u32; 2]>,
    /// For each word of the column the code of its text form, or [`NOWHERE`].
    words: Vec<u32>,
}

impl<'a> ColumnCodes<'a> {
    fn of(column: &ListColumn<'a>) -> Self {
        let words = column.column.words().map_or(0, |words| words.count());
        Self {
            key: column.key,
            column: column.column,
            name: None,
            words: vec![NOWHERE; words],
        }
    }

    /// Codes of key, type and value of an entry of the column.
    fn of_entry(&mut self, place: usize, lists: &mut AttributeLists) -> Result<[u32; 3], WriteError> {
        let [key, kind] = *self.name.get_or_insert_with(|| {
            [
                lists.keys.code(self.key.as_bytes()),
                lists.kinds.code(self.column.kind.name().as_bytes()),
            ]
        });
        let view = || self.column.view(place);
        let known = match &self.column.values {
            ColumnValues::Coded(coded) => self.words.get_mut(at(&coded.codes, place) as usize),
            _ => None,
        };
        let value = match known {
            None => lists.value_code(view())?,
            Some(code) => {
                if *code == NOWHERE {
                    *code = lists.value_code(view())?;
                }
                *code
            }
        };
        Ok([key, kind, value])
    }
}

/// What the columns have of owners that go somewhere, by a counting sort by owner.
fn by_owner(columns: &[ListColumn<'_>], owners: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (number, column) in (0..).zip(columns) {
        let all = (0..).zip(&column.column.owners);
        entries.extend(all.filter_map(|(place, owner)| {
            let owner = *column.destinations.get(*owner as usize)?;
            (owner != NOWHERE).then_some(Entry {
                owner,
                column: number,
                place,
            })
        }));
    }
    let mut next = starts(entries.iter().map(|entry| entry.owner), owners);
    let mut sorted = vec![Entry::default(); entries.len()];
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
fn starts(owners: impl Iterator<Item = u32>, rows: usize) -> Vec<u32> {
    let mut starts = vec![0; rows + 1];
    for owner in owners {
        if let Some(count) = starts.get_mut(owner as usize + 1) {
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
