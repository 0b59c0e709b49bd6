//! What a request must be before it is acknowledged: well-formed to the last nested value, with ids of the right size.

use crate::view::{self, AttributeView, EventView, LinkView, MAX_VALUE_DEPTH, SpanView, ValueView};
use crate::wire::WireError;

/// Why a request is refused as a whole. The texts are those that Tempo's users know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not an encoded request.
    #[error("cannot decode the OTLP request: {0}")]
    Malformed(#[from] WireError),
    /// A trace id that is not 16 bytes.
    #[error("trace ids must be 128 bit, received {bits} bits")]
    TraceId {
        /// What it is.
        bits: usize,
    },
    /// A span id that is not 8 bytes or is all zero.
    #[error("span ids must be 64 bit and not all zero, received {bits} bits")]
    SpanId {
        /// What it is, zero bytes at the front not counted.
        bits: usize,
    },
}

/// What a valid request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// The number of spans.
    pub spans: usize,
    /// The longest attribute key or string value, in bytes.
    pub longest_attribute: usize,
}

/// Walks all of an encoded request and says what it holds.
pub fn request(payload: &[u8]) -> Result<Contents, InvalidRequest> {
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

impl Contents {
    fn span(&mut self, span: &SpanView<'_>) -> Result<(), InvalidRequest> {
        if span.trace_id.len() != 16 {
            return Err(InvalidRequest::TraceId { bits: span.trace_id.len() * 8 });
        }
        if span.span_id.len() != 8 || span.span_id.iter().all(|byte| *byte == 0) {
            let significant = span.span_id.iter().skip_while(|byte| **byte == 0).count();
            return Err(InvalidRequest::SpanId { bits: significant * 8 });
        }
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
            return Err(WireError::TooDeep { limit: MAX_VALUE_DEPTH });
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
