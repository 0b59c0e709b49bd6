//! Routes the spans of a request by trace id, as byte ranges: values are never decoded.

use bytes::Bytes;

use crate::ids::TraceId;
use crate::view;
use crate::wire::{Fields, WireError, put_length_delimited};

/// The part of a request that goes to one shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// An encoded `ExportTraceServiceRequest`.
    pub payload: Bytes,
    /// How many spans are in it.
    pub spans: usize,
}

/// Splits `payload` into `shards` parts; `shard_of` says where a trace goes. The spans of a trace keep their order, and
/// resource and scope are repeated in every part that has spans of theirs. A part without spans is empty.
///
/// A shard out of range counts as the last. Spans whose trace id is not 16 bytes go where the zero id goes; the
/// distributor refuses them before (see [`crate::validate`]).
pub fn by_trace(
    payload: &Bytes,
    shards: usize,
    shard_of: impl Fn(TraceId) -> usize,
) -> Result<Vec<Part>, WireError> {
    let mut router = Router {
        parts: vec![Out::default(); shards.max(1)],
        shard_of,
    };
    for field in Fields::of(payload) {
        let field = field?;
        if field.number == 1 {
            router.resource_spans(field.bytes("ExportTraceServiceRequest")?)?;
        }
    }
    Ok(router.parts.into_iter().map(Out::finish).collect())
}

/// Tells `visit` the trace id and the encoded length of every span, in order. Of a span that has several ids the first one
/// counts.
pub fn for_each_span(payload: &[u8], mut visit: impl FnMut(TraceId, usize)) -> Result<(), WireError> {
    for resource_spans in view::resource_spans(payload) {
        for scope_spans in resource_spans?.scope_spans() {
            for span in scope_spans?.spans() {
                let span = span?;
                visit(first_trace_id(span)?, span.len());
            }
        }
    }
    Ok(())
}

fn first_trace_id(span: &[u8]) -> Result<TraceId, WireError> {
    for field in Fields::of(span) {
        let field = field?;
        if field.number == 1 {
            return Ok(TraceId::try_from(field.bytes("Span")?).unwrap_or_default());
        }
    }
    Ok(TraceId::default())
}

/// A part under construction: a buffer for each level of nesting, as lengths come before contents.
#[derive(Debug, Clone, Default)]
struct Out {
    request: Vec<u8>,
    resource: Vec<u8>,
    scope: Vec<u8>,
    spans: usize,
}

impl Out {
    fn end_scope(&mut self, header: &[u8]) {
        if !self.scope.is_empty() {
            put_length_delimited(&mut self.resource, 2, header.len() + self.scope.len());
            self.resource.extend_from_slice(header);
            self.resource.append(&mut self.scope);
        }
    }

    fn end_resource(&mut self, header: &[u8]) {
        if !self.resource.is_empty() {
            put_length_delimited(&mut self.request, 1, header.len() + self.resource.len());
            self.request.extend_from_slice(header);
            self.request.append(&mut self.resource);
        }
    }

    fn finish(self) -> Part {
        Part {
            payload: self.request.into(),
            spans: self.spans,
        }
    }
}

struct Router<F> {
    parts: Vec<Out>,
    shard_of: F,
}

impl<F: Fn(TraceId) -> usize> Router<F> {
    fn resource_spans(&mut self, message: &[u8]) -> Result<(), WireError> {
        let mut header = Vec::new();
        for field in Fields::of(message) {
            let field = field?;
            if field.number == 2 {
                self.scope_spans(field.bytes("ResourceSpans")?)?;
            } else {
                header.extend_from_slice(field.raw);
            }
        }
        self.parts.iter_mut().for_each(|part| part.end_resource(&header));
        Ok(())
    }

    fn scope_spans(&mut self, message: &[u8]) -> Result<(), WireError> {
        let mut header = Vec::new();
        for field in Fields::of(message) {
            let field = field?;
            if field.number == 2 {
                let shard = (self.shard_of)(trace_id(field.bytes("ScopeSpans")?)?);
                let last = self.parts.len() - 1;
                if let Some(part) = self.parts.get_mut(shard.min(last)) {
                    part.scope.extend_from_slice(field.raw);
                    part.spans += 1;
                }
            } else {
                header.extend_from_slice(field.raw);
            }
        }
        self.parts.iter_mut().for_each(|part| part.end_scope(&header));
        Ok(())
    }
}

fn trace_id(span: &[u8]) -> Result<TraceId, WireError> {
    let mut id = TraceId::default();
    for field in Fields::of(span) {
        let field = field?;
        if field.number == 1 {
            id = TraceId::try_from(field.bytes("Span")?).unwrap_or_default();
        }
    }
    Ok(id)
}
