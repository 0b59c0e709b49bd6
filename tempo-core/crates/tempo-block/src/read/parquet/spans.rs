//! Spans as they were sent, put together again from all columns.

use std::collections::HashMap;

use arrow::array::{Array, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, UInt32Type, UInt64Type};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, InstrumentationScope, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::span::{Event, Link};
use tempo_model::proto::trace::{ResourceSpans, ScopeSpans, Span, Status};
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::ROOT;

use super::arrays::{Texts, binary, booleans, fixed, numbers};
use super::fields::{Layout, ListLeaves};
use super::file::{LeafNumber, element_path};
use super::leaf::Leaf;
use super::parents::parents;
use crate::read::ReadError;
use crate::schema::{ValueKind, spans, value};

/// The decoded leaves of some rows of a row group: of whole traces.
pub(super) struct Decoded<'a> {
    pub(super) layout: Layout<'a>,
    /// Those that [`Layout::all_leaves`] names.
    pub(super) leaves: HashMap<LeafNumber, Leaf>,
    pub(super) rows: usize,
}

impl Decoded<'_> {
    /// The spans, grouped by resource and scope in the order of rows.
    pub(super) fn resource_spans(&self) -> Result<Vec<ResourceSpans>, ReadError> {
        if self.rows == 0 {
            return Ok(Vec::new());
        }
        let damaged = || self.layout.damaged("a column is missing or not of the format's type");
        let columns = SpanColumns::new(self).ok_or_else(damaged)?;
        let owners = OwnerColumns::new(self).ok_or_else(damaged)?;
        let mut grouped = Grouped::default();
        for row in 0..self.rows {
            let span = columns.span(row).map_err(|error| self.value_error(error))?;
            grouped
                .add(&owners, row, span)
                .map_err(|error| self.value_error(error))?;
        }
        Ok(grouped.resources)
    }

    fn value_error(&self, error: SpanError) -> ReadError {
        match error {
            SpanError::Value(source) => ReadError::Value {
                file: self.layout.file.path.clone(),
                source,
            },
            SpanError::Missing => self.layout.damaged("a value is missing"),
        }
    }

    fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.get(&self.layout.file.leaf(path)?)
    }

    fn texts(&self, path: &str) -> Option<Texts> {
        Texts::new(&self.leaf(path)?.values)
    }

    fn counts(&self, path: &str) -> Option<PrimitiveArray<UInt32Type>> {
        numbers::<UInt32Type>(&self.leaf(path)?.values).cloned()
    }

    /// The list of attributes of a scope; an empty one where no row has any.
    fn list(&self, scope: Scope) -> Option<AttributeList<'_>> {
        match self.layout.list(scope) {
            None => Some(AttributeList(None)),
            Some(list) => AttributeList::new(self, list),
        }
    }

    /// The attribute columns of a scope.
    fn attributes(&self, scope: Scope) -> Option<Attributes<'_>> {
        let mut columns = Vec::new();
        for (place, column) in self.layout.file.contents.columns.iter().enumerate() {
            if let Some((leaf, kind)) = self.layout.column_at(place).filter(|_| column.scope == scope) {
                let values = AttributeValues::new(kind, self.leaves.get(&leaf)?)?;
                columns.push((column.key.as_str(), values));
            }
        }
        Some(Attributes {
            columns,
            list: self.list(scope)?,
        })
    }
}

/// Why a span cannot be put together.
enum SpanError {
    Value(value::ValueError),
    Missing,
}

impl From<value::ValueError> for SpanError {
    fn from(error: value::ValueError) -> Self {
        Self::Value(error)
    }
}

/// Spans by resource and scope.
#[derive(Default)]
struct Grouped {
    resources: Vec<ResourceSpans>,
    /// By the numbers that rows have for them.
    by_resource: HashMap<u32, usize>,
    by_scope: HashMap<(u32, u32), usize>,
}

impl Grouped {
    fn add(&mut self, owners: &OwnerColumns<'_>, row: usize, span: Span) -> Result<(), SpanError> {
        let (resource, scope) = (owners.resource_ord.value(row), owners.scope_ord.value(row));
        let place = *self.by_resource.entry(resource).or_insert(self.resources.len());
        if place == self.resources.len() {
            self.resources.push(owners.resource(row)?);
        }
        let scopes = &mut self.resources.get_mut(place).ok_or(SpanError::Missing)?.scope_spans;
        let place = *self.by_scope.entry((resource, scope)).or_insert(scopes.len());
        if place == scopes.len() {
            scopes.push(owners.scope(row)?);
        }
        scopes.get_mut(place).ok_or(SpanError::Missing)?.spans.push(span);
        Ok(())
    }
}

/// The columns of resources and scopes.
struct OwnerColumns<'a> {
    resource_ord: PrimitiveArray<UInt32Type>,
    resource_schema_url: Texts,
    resource_dropped: PrimitiveArray<UInt32Type>,
    resource_attributes: Attributes<'a>,
    scope_ord: PrimitiveArray<UInt32Type>,
    scope_name: Texts,
    scope_version: Texts,
    scope_schema_url: Texts,
    scope_dropped: PrimitiveArray<UInt32Type>,
    scope_attributes: Attributes<'a>,
}

impl<'a> OwnerColumns<'a> {
    fn new(decoded: &'a Decoded<'_>) -> Option<Self> {
        Some(Self {
            resource_ord: decoded.counts(spans::RESOURCE_ORD)?,
            resource_schema_url: decoded.texts(spans::RESOURCE_SCHEMA_URL)?,
            resource_dropped: decoded.counts(spans::RESOURCE_DROPPED_ATTRIBUTES)?,
            resource_attributes: decoded.attributes(Scope::Resource)?,
            scope_ord: decoded.counts(spans::SCOPE_ORD)?,
            scope_name: decoded.texts(spans::SCOPE_NAME)?,
            scope_version: decoded.texts(spans::SCOPE_VERSION)?,
            scope_schema_url: decoded.texts(spans::SCOPE_SCHEMA_URL)?,
            scope_dropped: decoded.counts(spans::SCOPE_DROPPED_ATTRIBUTES)?,
            scope_attributes: decoded.attributes(Scope::Instrumentation)?,
        })
    }

    /// The resource of a row, without spans.
    fn resource(&self, row: usize) -> Result<ResourceSpans, SpanError> {
        Ok(ResourceSpans {
            resource: Some(Resource {
                attributes: self.resource_attributes.of(row)?,
                dropped_attributes_count: self.resource_dropped.value(row),
            }),
            scope_spans: Vec::new(),
            schema_url: self.resource_schema_url.owned(row),
        })
    }

    /// The scope of a row, without spans.
    fn scope(&self, row: usize) -> Result<ScopeSpans, SpanError> {
        Ok(ScopeSpans {
            scope: Some(InstrumentationScope {
                name: self.scope_name.owned(row),
                version: self.scope_version.owned(row),
                attributes: self.scope_attributes.of(row)?,
                dropped_attributes_count: self.scope_dropped.value(row),
            }),
            spans: Vec::new(),
            schema_url: self.scope_schema_url.owned(row),
        })
    }
}

/// The columns of spans.
struct SpanColumns<'a> {
    trace_id: &'a FixedSizeBinaryArray,
    span_id: &'a FixedSizeBinaryArray,
    parents: Vec<u32>,
    parent_id: Option<&'a BinaryArray>,
    start: &'a PrimitiveArray<UInt64Type>,
    duration: &'a PrimitiveArray<Int64Type>,
    name: Texts,
    kind: &'a PrimitiveArray<Int32Type>,
    status_code: Option<&'a PrimitiveArray<Int32Type>>,
    status_message: Texts,
    trace_state: Texts,
    flags: PrimitiveArray<UInt32Type>,
    dropped_attributes: PrimitiveArray<UInt32Type>,
    dropped_events: PrimitiveArray<UInt32Type>,
    dropped_links: PrimitiveArray<UInt32Type>,
    attributes: Attributes<'a>,
    events: Option<EventColumns<'a>>,
    links: Option<LinkColumns<'a>>,
}

impl<'a> SpanColumns<'a> {
    fn new(decoded: &'a Decoded<'_>) -> Option<Self> {
        let leaf = |path: &str| decoded.leaf(path).map(|leaf| &leaf.values);
        let parent_id = leaf(spans::PARENT_SPAN_ID).map(|array| binary(array));
        let parent_id = match parent_id {
            Some(None) => return None,
            known => known.flatten(),
        };
        let status_code = leaf(spans::STATUS_CODE).map(|array| numbers::<Int32Type>(array));
        let ordinals = decoded.counts(spans::TRACE_ORD)?;
        let (positions, depths) = (decoded.counts(spans::POS)?, decoded.counts(spans::DEPTH)?);
        Some(Self {
            trace_id: fixed(leaf(spans::TRACE_ID)?)?,
            span_id: fixed(leaf(spans::SPAN_ID)?)?,
            parents: parents(&dense(ordinals.values()), positions.values(), depths.values(), parent_id)?,
            parent_id,
            start: numbers(leaf(spans::START)?)?,
            duration: numbers(leaf(spans::DURATION)?)?,
            name: decoded.texts(spans::NAME)?,
            kind: numbers(leaf(spans::KIND)?)?,
            status_code: status_code.flatten(),
            status_message: decoded.texts(spans::STATUS_MESSAGE)?,
            trace_state: decoded.texts(spans::TRACE_STATE)?,
            flags: decoded.counts(spans::FLAGS)?,
            dropped_attributes: decoded.counts(spans::DROPPED_ATTRIBUTES)?,
            dropped_events: decoded.counts(spans::DROPPED_EVENTS)?,
            dropped_links: decoded.counts(spans::DROPPED_LINKS)?,
            attributes: decoded.attributes(Scope::Span)?,
            events: EventColumns::new(decoded)?,
            links: LinkColumns::new(decoded)?,
        })
    }

    fn span(&self, row: usize) -> Result<Span, SpanError> {
        let start = self.start.value(row);
        let events = self.events.as_ref().map(|events| events.of(row, start));
        let links = self.links.as_ref().map(|links| links.of(row));
        Ok(Span {
            trace_id: self.trace_id.value(row).to_vec(),
            span_id: self.span_id.value(row).to_vec(),
            trace_state: self.trace_state.owned(row),
            parent_span_id: self.parent(row),
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

    fn parent(&self, row: usize) -> Vec<u8> {
        let received = self.parent_id.filter(|ids| ids.is_valid(row));
        if let Some(ids) = received {
            return ids.value(row).to_vec();
        }
        let parent = self.parents.get(row).copied().unwrap_or(ROOT) as usize;
        if parent < self.span_id.len() {
            self.span_id.value(parent).to_vec()
        } else {
            Vec::new()
        }
    }

    fn status(&self, row: usize) -> Option<Status> {
        let codes = self.status_code.filter(|codes| codes.is_valid(row))?;
        Some(Status {
            message: self.status_message.owned(row),
            code: codes.value(row),
        })
    }
}

/// Numbers from zero without gaps, one for each number that occurs.
fn dense(ordinals: &[u32]) -> Vec<u32> {
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    let mut number = |ordinal: &u32| {
        let next = numbers.len() as u32;
        *numbers.entry(*ordinal).or_insert(next)
    };
    ordinals.iter().map(&mut number).collect()
}

/// Attributes of a scope.
struct Attributes<'a> {
    columns: Vec<(&'a str, AttributeValues<'a>)>,
    list: AttributeList<'a>,
}

impl Attributes<'_> {
    fn of(&self, row: usize) -> Result<Vec<KeyValue>, SpanError> {
        let columns = self.columns.iter();
        let in_columns = columns.filter_map(|(key, values)| Some(key_value(key, values.get(row)?)));
        let mut attributes: Vec<KeyValue> = in_columns.collect();
        self.list.add(row, &mut attributes)?;
        Ok(attributes)
    }
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

/// The values of an attribute column.
enum AttributeValues<'a> {
    Text(Texts),
    Int(&'a PrimitiveArray<Int64Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Bool(&'a BooleanArray),
}

impl<'a> AttributeValues<'a> {
    fn new(kind: ValueKind, leaf: &'a Leaf) -> Option<Self> {
        Some(match kind {
            ValueKind::Int => Self::Int(numbers(&leaf.values)?),
            ValueKind::Double => Self::Double(numbers(&leaf.values)?),
            ValueKind::Bool => Self::Bool(booleans(&leaf.values)?),
            _ => Self::Text(Texts::new(&leaf.values)?),
        })
    }

    fn get(&self, row: usize) -> Option<Value> {
        Some(match self {
            Self::Text(texts) => Value::StringValue(texts.get(row)?.to_owned()),
            Self::Int(values) if values.is_valid(row) => Value::IntValue(values.value(row)),
            Self::Double(values) if values.is_valid(row) => Value::DoubleValue(values.value(row)),
            Self::Bool(values) if values.is_valid(row) => Value::BoolValue(values.value(row)),
            _ => return None,
        })
    }
}

/// A list of attributes in text form; `None` where nobody has any.
struct AttributeList<'a>(Option<ListColumns<'a>>);

struct ListColumns<'a> {
    offsets: &'a [i32],
    keys: Texts,
    kinds: Texts,
    values: Texts,
}

impl<'a> AttributeList<'a> {
    fn new(decoded: &'a Decoded<'_>, list: ListLeaves) -> Option<Self> {
        let texts = |leaf: LeafNumber| Texts::new(&decoded.leaves.get(&leaf)?.values);
        Some(Self(Some(ListColumns {
            offsets: decoded.leaves.get(&list.key)?.offsets.last()?,
            keys: texts(list.key)?,
            kinds: texts(list.kind)?,
            values: texts(list.value)?,
        })))
    }

    /// Adds the attributes of a row, an event or a link.
    fn add(&self, owner: usize, attributes: &mut Vec<KeyValue>) -> Result<(), SpanError> {
        let Some(columns) = &self.0 else {
            return Ok(());
        };
        for place in places(columns.offsets, owner) {
            let kind = columns.kinds.get(place).and_then(ValueKind::parse);
            let (Some(key), Some(kind), Some(text)) = (columns.keys.get(place), kind, columns.values.get(place)) else {
                return Err(SpanError::Missing);
            };
            attributes.push(KeyValue {
                key: key.to_owned(),
                value: Some(value::from_text(kind, text)?),
            });
        }
        Ok(())
    }

    fn of(&self, owner: usize) -> Result<Vec<KeyValue>, SpanError> {
        let mut attributes = Vec::new();
        self.add(owner, &mut attributes)?;
        Ok(attributes)
    }
}

/// The places of the elements of a list.
fn places(offsets: &[i32], owner: usize) -> std::ops::Range<usize> {
    let bounds = offsets.get(owner).zip(offsets.get(owner + 1));
    bounds.map_or(0..0, |(start, end)| *start as usize..*end as usize)
}

/// The columns of events.
struct EventColumns<'a> {
    offsets: &'a [i32],
    time: &'a PrimitiveArray<Int64Type>,
    name: Texts,
    dropped: PrimitiveArray<UInt32Type>,
    attributes: AttributeList<'a>,
}

impl<'a> EventColumns<'a> {
    /// `Some(None)` where no span has an event.
    fn new(decoded: &'a Decoded<'_>) -> Option<Option<Self>> {
        let Some(time) = decoded.leaf(&element_path(spans::EVENTS, spans::TIME)) else {
            return Some(None);
        };
        Some(Some(Self {
            offsets: time.offsets.first()?,
            time: numbers(&time.values)?,
            name: decoded.texts(&element_path(spans::EVENTS, spans::NAME))?,
            dropped: decoded.counts(&element_path(spans::EVENTS, spans::DROPPED_ATTRIBUTES))?,
            attributes: decoded.list(Scope::Event)?,
        }))
    }

    fn of(&self, row: usize, start: u64) -> Result<Vec<Event>, SpanError> {
        let event = |place: usize| {
            Ok(Event {
                time_unix_nano: start.wrapping_add(self.time.value(place) as u64),
                name: self.name.owned(place),
                attributes: self.attributes.of(place)?,
                dropped_attributes_count: self.dropped.value(place),
            })
        };
        places(self.offsets, row).map(event).collect()
    }
}

/// The columns of links.
struct LinkColumns<'a> {
    offsets: &'a [i32],
    trace_id: &'a BinaryArray,
    span_id: &'a BinaryArray,
    trace_state: Texts,
    flags: PrimitiveArray<UInt32Type>,
    dropped: PrimitiveArray<UInt32Type>,
    attributes: AttributeList<'a>,
}

impl<'a> LinkColumns<'a> {
    /// `Some(None)` where no span has a link.
    fn new(decoded: &'a Decoded<'_>) -> Option<Option<Self>> {
        let path = |field: &str| element_path(spans::LINKS, field);
        let Some(trace_id) = decoded.leaf(&path(spans::TRACE_ID)) else {
            return Some(None);
        };
        Some(Some(Self {
            offsets: trace_id.offsets.first()?,
            trace_id: binary(&trace_id.values)?,
            span_id: binary(&decoded.leaf(&path(spans::SPAN_ID))?.values)?,
            trace_state: decoded.texts(&path(spans::TRACE_STATE))?,
            flags: decoded.counts(&path(spans::FLAGS))?,
            dropped: decoded.counts(&path(spans::DROPPED_ATTRIBUTES))?,
            attributes: decoded.list(Scope::Link)?,
        }))
    }

    fn of(&self, row: usize) -> Result<Vec<Link>, SpanError> {
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
        places(self.offsets, row).map(link).collect()
    }
}
