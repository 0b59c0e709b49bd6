//! Views of an encoded `ExportTraceServiceRequest`: everything borrowed, nothing allocated per span.
//!
//! ```text
//! payload ─ resource_spans() ─► ResourceSpansView ─ scope_spans() ─► ScopeSpansView ─ spans() ─► bytes ─ SpanView::read()
//! ```
//!
//! Strings are bytes here: whoever stores one the first time decides about invalid UTF-8 (we replace it by U+FFFD).
//! A singular field that occurs twice takes its last value; unknown fields are passed over.

use crate::wire::{Field, Fields, WireError};

/// How deep arrays and key-value lists may be nested in one attribute value.
pub const MAX_VALUE_DEPTH: usize = 32;

/// The messages of field `number` in `message`, in order.
fn repeated<'a>(
    message: &'a [u8],
    number: u32,
    name: &'static str,
) -> impl Iterator<Item = Result<&'a [u8], WireError>> + use<'a> {
    Fields::of(message).filter_map(move |field| match field {
        Ok(field) if field.number == number => Some(field.bytes(name)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

/// The `ResourceSpans` of a request.
pub fn resource_spans(payload: &[u8]) -> impl Iterator<Item = Result<ResourceSpansView<'_>, WireError>> {
    repeated(payload, 1, "ExportTraceServiceRequest").map(|message| ResourceSpansView::read(message?))
}

/// The spans of one resource.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResourceSpansView<'a> {
    /// The encoded `Resource`; empty when there is none. Equal bytes are equal resources.
    pub resource: &'a [u8],
    /// The schema of the resource.
    pub schema_url: &'a [u8],
    message: &'a [u8],
}

impl<'a> ResourceSpansView<'a> {
    /// Reads an encoded `ResourceSpans`.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self {
            message,
            ..Self::default()
        };
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => view.resource = field.bytes("ResourceSpans")?,
                3 => view.schema_url = field.bytes("ResourceSpans")?,
                _ => {}
            }
        }
        Ok(view)
    }

    /// The `ScopeSpans` in order.
    pub fn scope_spans(&self) -> impl Iterator<Item = Result<ScopeSpansView<'a>, WireError>> + use<'a> {
        repeated(self.message, 2, "ResourceSpans").map(|message| ScopeSpansView::read(message?))
    }
}

/// The spans of one instrumentation scope.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScopeSpansView<'a> {
    /// The encoded `InstrumentationScope`; empty when there is none.
    pub scope: &'a [u8],
    /// The schema of the scope.
    pub schema_url: &'a [u8],
    message: &'a [u8],
}

impl<'a> ScopeSpansView<'a> {
    /// Reads an encoded `ScopeSpans`.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self {
            message,
            ..Self::default()
        };
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => view.scope = field.bytes("ScopeSpans")?,
                3 => view.schema_url = field.bytes("ScopeSpans")?,
                _ => {}
            }
        }
        Ok(view)
    }

    /// The encoded spans in order, for [`SpanView::read`].
    pub fn spans(&self) -> impl Iterator<Item = Result<&'a [u8], WireError>> + use<'a> {
        repeated(self.message, 2, "ScopeSpans")
    }
}

/// An attribute value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum ValueView<'a> {
    /// No value is set.
    #[default]
    Empty,
    /// A string (see the module about UTF-8).
    String(&'a [u8]),
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// An encoded `ArrayValue`; [`array_values`] walks it.
    Array(&'a [u8]),
    /// An encoded `KeyValueList`; [`key_values`] walks it.
    KeyValueList(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> ValueView<'a> {
    /// Reads an encoded `AnyValue`.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut value = Self::Empty;
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => value = Self::String(field.bytes("AnyValue")?),
                2 => value = Self::Bool(field.varint("AnyValue")? != 0),
                3 => value = Self::Int(field.varint("AnyValue")? as i64),
                4 => value = Self::Double(f64::from_bits(field.fixed64("AnyValue")?)),
                5 => value = Self::Array(field.bytes("AnyValue")?),
                6 => value = Self::KeyValueList(field.bytes("AnyValue")?),
                7 => value = Self::Bytes(field.bytes("AnyValue")?),
                _ => {}
            }
        }
        Ok(value)
    }
}

/// The values of an encoded `ArrayValue`.
pub fn array_values(array: &[u8]) -> impl Iterator<Item = Result<ValueView<'_>, WireError>> {
    repeated(array, 1, "ArrayValue").map(|message| ValueView::read(message?))
}

/// The pairs of an encoded `KeyValueList`; also those of a `Resource`, whose attributes have the same field number.
pub fn key_values(list: &[u8]) -> impl Iterator<Item = Result<AttributeView<'_>, WireError>> {
    repeated(list, 1, "KeyValueList").map(|message| AttributeView::read(message?))
}

/// A key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AttributeView<'a> {
    /// The key; may be empty, may occur again in the same list.
    pub key: &'a [u8],
    /// The value.
    pub value: ValueView<'a>,
}

impl<'a> AttributeView<'a> {
    /// Reads an encoded `KeyValue`.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => view.key = field.bytes("KeyValue")?,
                2 => view.value = ValueView::read(field.bytes("KeyValue")?)?,
                _ => {}
            }
        }
        Ok(view)
    }
}

/// One span. Made once and read into again and again, so that its lists are allocated once.
#[derive(Debug, Clone, Default)]
pub struct SpanView<'a> {
    /// 16 bytes in a valid span.
    pub trace_id: &'a [u8],
    /// 8 bytes in a valid span.
    pub span_id: &'a [u8],
    /// W3C trace state.
    pub trace_state: &'a [u8],
    /// 8 bytes, or empty for a root.
    pub parent_span_id: &'a [u8],
    /// The name.
    pub name: &'a [u8],
    /// `SpanKind`, also values that this version does not know.
    pub kind: i32,
    /// Nanoseconds since the Unix epoch.
    pub start_unix_nanos: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_unix_nanos: u64,
    /// Attributes in order.
    pub attributes: Vec<AttributeView<'a>>,
    /// Attributes that the client dropped.
    pub dropped_attributes_count: u32,
    /// Encoded events in order, for [`EventView::read`].
    pub events: Vec<&'a [u8]>,
    /// Events that the client dropped.
    pub dropped_events_count: u32,
    /// Encoded links in order, for [`LinkView::read`].
    pub links: Vec<&'a [u8]>,
    /// Links that the client dropped.
    pub dropped_links_count: u32,
    /// Whether a status is set at all.
    pub has_status: bool,
    /// `StatusCode`, also values that this version does not know.
    pub status_code: i32,
    /// The status message.
    pub status_message: &'a [u8],
    /// W3C trace flags and OTLP's own bits.
    pub flags: u32,
}

impl<'a> SpanView<'a> {
    /// Reads an encoded `Span` in place of what was there before.
    pub fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        let mut attributes = std::mem::take(&mut self.attributes);
        let mut events = std::mem::take(&mut self.events);
        let mut links = std::mem::take(&mut self.links);
        attributes.clear();
        events.clear();
        links.clear();
        *self = Self {
            attributes,
            events,
            links,
            ..Self::default()
        };
        for field in Fields::of(message) {
            self.read_field(&field?)?;
        }
        Ok(())
    }

    fn read_field(&mut self, field: &Field<'a>) -> Result<(), WireError> {
        const NAME: &str = "Span";
        match field.number {
            1 => self.trace_id = field.bytes(NAME)?,
            2 => self.span_id = field.bytes(NAME)?,
            3 => self.trace_state = field.bytes(NAME)?,
            4 => self.parent_span_id = field.bytes(NAME)?,
            5 => self.name = field.bytes(NAME)?,
            6 => self.kind = field.varint(NAME)? as i32,
            7 => self.start_unix_nanos = field.fixed64(NAME)?,
            8 => self.end_unix_nanos = field.fixed64(NAME)?,
            9 => self.attributes.push(AttributeView::read(field.bytes(NAME)?)?),
            10 => self.dropped_attributes_count = field.varint(NAME)? as u32,
            11 => self.events.push(field.bytes(NAME)?),
            12 => self.dropped_events_count = field.varint(NAME)? as u32,
            13 => self.links.push(field.bytes(NAME)?),
            14 => self.dropped_links_count = field.varint(NAME)? as u32,
            15 => self.read_status(field.bytes(NAME)?)?,
            16 => self.flags = field.fixed32(NAME)?,
            _ => {}
        }
        Ok(())
    }

    fn read_status(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        self.has_status = true;
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                2 => self.status_message = field.bytes("Status")?,
                3 => self.status_code = field.varint("Status")? as i32,
                _ => {}
            }
        }
        Ok(())
    }
}

/// An event of a span.
#[derive(Debug, Clone, Default)]
pub struct EventView<'a> {
    /// Nanoseconds since the Unix epoch.
    pub time_unix_nanos: u64,
    /// The name.
    pub name: &'a [u8],
    /// Attributes in order.
    pub attributes: Vec<AttributeView<'a>>,
    /// Attributes that the client dropped.
    pub dropped_attributes_count: u32,
}

impl<'a> EventView<'a> {
    /// Reads an encoded `Event`.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self::default();
        view.refill(message)?;
        Ok(view)
    }

    /// Reads an encoded `Event` in place of what was there before; the list keeps its memory.
    pub fn refill(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        *self = Self {
            attributes,
            ..Self::default()
        };
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => self.time_unix_nanos = field.fixed64("Event")?,
                2 => self.name = field.bytes("Event")?,
                3 => self.attributes.push(AttributeView::read(field.bytes("Event")?)?),
                4 => self.dropped_attributes_count = field.varint("Event")? as u32,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A link of a span.
#[derive(Debug, Clone, Default)]
pub struct LinkView<'a> {
    /// The linked trace.
    pub trace_id: &'a [u8],
    /// The linked span.
    pub span_id: &'a [u8],
    /// W3C trace state.
    pub trace_state: &'a [u8],
    /// Attributes in order.
    pub attributes: Vec<AttributeView<'a>>,
    /// Attributes that the client dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags and OTLP's own bits.
    pub flags: u32,
}

impl<'a> LinkView<'a> {
    /// Reads an encoded `Link`.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self::default();
        view.refill(message)?;
        Ok(view)
    }

    /// Reads an encoded `Link` in place of what was there before; the list keeps its memory.
    pub fn refill(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        *self = Self {
            attributes,
            ..Self::default()
        };
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => self.trace_id = field.bytes("Link")?,
                2 => self.span_id = field.bytes("Link")?,
                3 => self.trace_state = field.bytes("Link")?,
                4 => self.attributes.push(AttributeView::read(field.bytes("Link")?)?),
                5 => self.dropped_attributes_count = field.varint("Link")? as u32,
                6 => self.flags = field.fixed32("Link")?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// An instrumentation scope.
#[derive(Debug, Clone, Default)]
pub struct ScopeView<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The version.
    pub version: &'a [u8],
    /// Attributes in order.
    pub attributes: Vec<AttributeView<'a>>,
    /// Attributes that the client dropped.
    pub dropped_attributes_count: u32,
}

impl<'a> ScopeView<'a> {
    /// Reads an encoded `InstrumentationScope`.
    pub fn read(message: &'a [u8]) -> Result<Self, WireError> {
        let mut view = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => view.name = field.bytes("InstrumentationScope")?,
                2 => view.version = field.bytes("InstrumentationScope")?,
                3 => view
                    .attributes
                    .push(AttributeView::read(field.bytes("InstrumentationScope")?)?),
                4 => view.dropped_attributes_count = field.varint("InstrumentationScope")? as u32,
                _ => {}
            }
        }
        Ok(view)
    }
}

/// The attributes and the dropped count of an encoded `Resource`.
pub fn resource(message: &[u8]) -> Result<(Vec<AttributeView<'_>>, u32), WireError> {
    let attributes = key_values(message).collect::<Result<Vec<_>, _>>()?;
    let mut dropped = 0;
    for field in Fields::of(message) {
        let field = field?;
        if field.number == 2 {
            dropped = field.varint("Resource")? as u32;
        }
    }
    Ok((attributes, dropped))
}
