//! What a request holds, found in one walk down to the last nested value, and whether its ids are what they must be.

use crate::view::{self, AttributeView, EventView, LinkView, MAX_VALUE_DEPTH, SpanView, ValueView};
use crate::wire::WireError;

/// An id of the wrong size. The texts are those that Tempo's users know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// A trace id that is not 16 bytes.
    #[error("trace ids must be 128 bit, received {bits} bits")]
    Trace {
        /// What it is.
        bits: usize,
    },
    /// A span id that is not 8 bytes or is all zero.
    #[error("span ids must be 64 bit and not all zero, received {bits} bits")]
    Span {
        /// What it is, zero bytes at the front not counted.
        bits: usize,
    },
}

/// What a well-formed request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// The number of spans.
    pub spans: usize,
    /// The longest attribute key or string value, in bytes.
    pub longest_attribute: usize,
    /// The first id of the wrong size.
    pub invalid_id: Option<InvalidId>,
}

/// Walks all of an encoded `ExportTraceServiceRequest`. What passes here can be read by every view without an error.
pub fn contents(payload: &[u8]) -> Result<Contents, WireError> {
    let mut contents = Contents::default();
    let mut span = SpanView::default();
    for resource_spans in view::resource_spans(payload) {
        let resource_spans = resource_spans?;
        contents.attributes(&view::resource(resource_spans.resource)?.0)?;
        for scope_spans in resource_spans.scope_spans() {
            let scope_spans = scope_spans?;
            contents.attributes(&view::ScopeView::read(scope_spans.scope)?.attributes)?;
            for message in scope_spans.spans() {
                span.read(message?)?;
                contents.span(&span)?;
            }
        }
    }
    Ok(contents)
}

/// Walks an attribute value to its ends. What passes here can be read without an error.
pub fn value(value: ValueView<'_>) -> Result<(), WireError> {
    Contents::default().value(value, 0)
}

/// What is wrong with the ids of a span.
fn invalid_id(span: &SpanView<'_>) -> Option<InvalidId> {
    if span.trace_id.len() != 16 {
        return Some(InvalidId::Trace {
            bits: span.trace_id.len() * 8,
        });
    }
    if span.span_id.len() != 8 || span.span_id.iter().all(|byte| *byte == 0) {
        let significant = span.span_id.iter().skip_while(|byte| **byte == 0).count();
        return Some(InvalidId::Span {
            bits: significant * 8,
        });
    }
    None
}

impl Contents {
    fn span(&mut self, span: &SpanView<'_>) -> Result<(), WireError> {
        self.invalid_id = self.invalid_id.or_else(|| invalid_id(span));
        self.spans += 1;
        self.attributes(&span.attributes)?;
        for event in &span.events {
            self.attributes(&EventView::read(event)?.attributes)?;
        }
        for link in &span.links {
            self.attributes(&LinkView::read(link)?.attributes)?;
        }
        Ok(())
    }

    fn attributes(&mut self, attributes: &[AttributeView<'_>]) -> Result<(), WireError> {
        for attribute in attributes {
            self.longest_attribute = self.longest_attribute.max(attribute.key.len());
            self.value(attribute.value, 0)?;
        }
        Ok(())
    }

    fn value(&mut self, value: ValueView<'_>, depth: usize) -> Result<(), WireError> {
        if depth > MAX_VALUE_DEPTH {
            return Err(WireError::TooDeep {
                limit: MAX_VALUE_DEPTH,
            });
        }
        match value {
            ValueView::String(text) => self.longest_attribute = self.longest_attribute.max(text.len()),
            ValueView::Array(array) => {
                for value in view::array_values(array) {
                    self.value(value?, depth + 1)?;
                }
            }
            ValueView::KeyValueList(list) => {
                for attribute in view::key_values(list) {
                    let attribute = attribute?;
                    self.longest_attribute = self.longest_attribute.max(attribute.key.len());
                    self.value(attribute.value, depth + 1)?;
                }
            }
            ValueView::Empty
            | ValueView::Bool(_)
            | ValueView::Int(_)
            | ValueView::Double(_)
            | ValueView::Bytes(_) => {}
        }
        Ok(())
    }
}
