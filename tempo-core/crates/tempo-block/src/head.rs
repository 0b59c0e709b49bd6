//! The columnar head: what was received and is not in a block yet, searched like a block. Append-only; a
//! [`HeadSnapshot`] is what was in it at one moment and never changes.
//!
//! ```text
//! record ─► Head::append ─► open Segment ─ snapshot ─► HeadSnapshot ─┬─ RowGroup: the evaluator reads it
//!                                                                    └─ write::block: it becomes a block
//! ```
//! A snapshot is a list of sealed [`segment::Segment`]s, which are shared and never change; its rows are theirs, one
//! segment after the other in order of arrival. Taking one seals the open segment, so it costs nothing that grows with
//! the head. Small neighbours are joined as they come, so that there are few segments however often snapshots are
//! taken.
//!
//! Rows say by number which trace, resource and scope they belong to. Numbers are the head's: a segment lists what was
//! first seen in it ([`segment::Introduced`]), and the lists of all segments in order are the tables that the numbers
//! point into ([`HeadSnapshot::tables`]). Dictionaries of attributes, names and events are a segment's own.
//!
//! Not here: which records are in it and whether they are durable (`wal`, the ingester).

pub(crate) mod attributes;
mod batch;
pub(crate) mod intern;
pub(crate) mod owner;
pub(crate) mod segment;
pub(crate) mod snapshot;
mod trace;

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans};
use tempo_model::view::{self, ResourceSpansView, ScopeSpansView};
use tempo_model::wire::WireError;

use attributes::Limit;
pub use intern::seed_hashes;
use owner::{Numbers, Owner};
use segment::{Place, Scratch, Segment};
pub use snapshot::HeadSnapshot;

/// How a head takes spans in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSettings {
    /// Attribute keys and string values longer than this many bytes are cut; 0 is no limit.
    pub max_attribute_bytes: usize,
}

impl Default for HeadSettings {
    /// 2,048 bytes, as upstream.
    fn default() -> Self {
        Self {
            max_attribute_bytes: 2048,
        }
    }
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadAppended {
    /// Spans taken in.
    pub spans: usize,
    /// Attribute keys and values that were cut.
    pub truncated: usize,
}

/// A segment with this many rows is sealed, and small ones are joined up to it.
const MAX_SEGMENT_ROWS: usize = 1 << 16;
/// A segment with this many attribute columns is sealed, and small ones are joined up to it.
const MAX_SEGMENT_COLUMNS: usize = 4096;

/// The head of a tenant. It has one owner; readers work on snapshots.
#[derive(Debug, Default)]
pub struct Head {
    settings: HeadSettings,
    sealed: Vec<Arc<Segment>>,
    /// Memory of `sealed`.
    sealed_bytes: usize,
    open: Segment,
    /// Rows of `sealed`.
    sealed_spans: usize,
    traces: HashMap<[u8; 16], u32>,
    /// The trace of the last span, with its number.
    last_trace: Option<([u8; 16], u32)>,
    resources: Numbers,
    scopes: Numbers,
    /// Arrivals of the first and the last record, nanoseconds since the Unix epoch.
    arrivals_ns: Option<(u64, u64)>,
    /// The last snapshot, while nothing was appended after it.
    published: Option<Arc<HeadSnapshot>>,
}

/// How long lists of the open segment were before an append.
#[derive(Debug, Clone, Copy)]
struct Mark {
    rows: usize,
    traces: usize,
    resources: usize,
    scopes: usize,
}

impl Head {
    /// An empty head.
    pub fn new(settings: HeadSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Takes in the spans of a record (an encoded `ExportTraceServiceRequest`) that arrived at `arrival_ns`
    /// (nanoseconds since the Unix epoch). A malformed record leaves nothing behind. What is not UTF-8 in texts is
    /// replaced by U+FFFD; ids of the wrong size, which receivers refuse, are cut or filled with zeros on the left.
    pub fn append(&mut self, payload: &[u8], arrival_ns: u64) -> Result<HeadAppended, WireError> {
        let mark = self.mark();
        let mut limit = Limit {
            max_bytes: self.settings.max_attribute_bytes,
            truncated: 0,
        };
        if let Err(error) = self.take_in(payload, &mut limit) {
            self.go_back(mark);
            return Err(error);
        }
        let spans = self.open.rows() - mark.rows;
        if spans > 0 {
            let (first, last) = self.arrivals_ns.unwrap_or((arrival_ns, arrival_ns));
            self.arrivals_ns = Some((first.min(arrival_ns), last.max(arrival_ns)));
            self.published = None;
        }
        if is_full(self.open.rows(), self.open.attribute_columns()) {
            self.seal();
        }
        Ok(HeadAppended {
            spans,
            truncated: limit.truncated,
        })
    }

    /// Takes in a segment whose spans arrived at `arrival_ns`, and whose traces and owners were numbered by
    /// [`Self::trace`], [`Self::resource_of`] and [`Self::scope_of`] just before.
    pub(crate) fn append_segment(&mut self, mut segment: Segment, arrival_ns: u64) {
        if segment.rows() == 0 {
            return;
        }
        self.seal();
        segment.introduced = std::mem::take(&mut self.open.introduced);
        segment.seal();
        self.sealed_spans += segment.rows();
        self.sealed_bytes += segment.memory();
        self.sealed.push(Arc::new(segment));
        let (first, last) = self.arrivals_ns.unwrap_or((arrival_ns, arrival_ns));
        self.arrivals_ns = Some((first.min(arrival_ns), last.max(arrival_ns)));
        self.published = None;
    }

    /// Number of spans.
    pub fn spans(&self) -> usize {
        self.sealed_spans + self.open.rows()
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> usize {
        /// A trace's id and number in a table that is about two thirds full.
        const TRACE: usize = 32;
        self.sealed_bytes
            + self.open.memory()
            + self.traces.len() * TRACE
            + self.resources.memory()
            + self.scopes.memory()
    }

    /// When the oldest record arrived; `None` when there is none.
    pub fn first_arrival_ns(&self) -> Option<u64> {
        self.arrivals_ns.map(|(first, _)| first)
    }

    /// What is in it now. Cheap when nothing was appended since the last call.
    pub fn snapshot(&mut self) -> Arc<HeadSnapshot> {
        if let Some(published) = &self.published {
            return Arc::clone(published);
        }
        self.seal();
        let snapshot = Arc::new(HeadSnapshot::new(self.sealed.clone(), self.arrivals_ns));
        self.published = Some(Arc::clone(&snapshot));
        snapshot
    }

    fn take_in(&mut self, payload: &[u8], limit: &mut Limit) -> Result<(), WireError> {
        let mut scratch = Scratch::default();
        for resource_spans in view::resource_spans(payload) {
            let resource_spans = resource_spans?;
            for scope_spans in resource_spans.scope_spans() {
                self.take_in_scope(&resource_spans, &scope_spans?, &mut scratch, limit)?;
            }
        }
        Ok(())
    }

    fn take_in_scope<'a>(
        &mut self,
        resource_spans: &ResourceSpansView<'a>,
        scope_spans: &ScopeSpansView<'a>,
        scratch: &mut Scratch<'a>,
        limit: &mut Limit,
    ) -> Result<(), WireError> {
        let mut owners = None;
        for message in scope_spans.spans() {
            scratch.span.read(message?)?;
            let (resource, scope) = match owners {
                Some(known) => known,
                // Only now that there is a span of them.
                None => *owners.insert((
                    self.resource(resource_spans, limit)?,
                    self.scope(scope_spans, limit)?,
                )),
            };
            let place = Place {
                trace: self.trace(right_aligned(scratch.span.trace_id)),
                resource,
                scope,
                span_id: right_aligned(scratch.span.span_id),
            };
            self.open.push(scratch, place, limit)?;
        }
        Ok(())
    }

    /// The number of a resource, given as a message without spans.
    pub(crate) fn resource_of(&mut self, message: ResourceSpans) -> Result<u32, WireError> {
        let payload = ExportTraceServiceRequest {
            resource_spans: vec![message],
        }
        .encode_to_vec();
        let view = view::resource_spans(&payload).next().transpose()?;
        self.resource(&view.unwrap_or_default(), &mut Limit::none())
    }

    /// The number of a scope, given as a message without spans.
    pub(crate) fn scope_of(&mut self, message: ScopeSpans) -> Result<u32, WireError> {
        let payload = ResourceSpans {
            scope_spans: vec![message],
            ..ResourceSpans::default()
        };
        let payload = ExportTraceServiceRequest {
            resource_spans: vec![payload],
        }
        .encode_to_vec();
        let resource = view::resource_spans(&payload)
            .next()
            .transpose()?
            .unwrap_or_default();
        let view = resource.scope_spans().next().transpose()?;
        self.scope(&view.unwrap_or_default(), &mut Limit::none())
    }

    /// The number of a trace.
    pub(crate) fn trace(&mut self, id: [u8; 16]) -> u32 {
        if let Some((last, number)) = self.last_trace
            && last == id
        {
            return number;
        }
        let new = self.traces.len() as u32;
        let number = *self.traces.entry(id).or_insert(new);
        if number == new {
            self.open.introduced.trace_ids.push(id);
        }
        self.last_trace = Some((id, number));
        number
    }

    fn resource(&mut self, view: &ResourceSpansView<'_>, limit: &mut Limit) -> Result<u32, WireError> {
        let make = |limit: &mut Limit| Owner::of_resource(view, limit);
        let (number, new) = self
            .resources
            .number(view.schema_url, view.resource, limit, make)?;
        self.open.introduced.resources.extend(new.map(Arc::new));
        Ok(number)
    }

    fn scope(&mut self, view: &ScopeSpansView<'_>, limit: &mut Limit) -> Result<u32, WireError> {
        let make = |limit: &mut Limit| Owner::of_scope(view, limit);
        let (number, new) = self.scopes.number(view.schema_url, view.scope, limit, make)?;
        self.open.introduced.scopes.extend(new.map(Arc::new));
        Ok(number)
    }

    fn mark(&self) -> Mark {
        let introduced = &self.open.introduced;
        Mark {
            rows: self.open.rows(),
            traces: introduced.trace_ids.len(),
            resources: introduced.resources.len(),
            scopes: introduced.scopes.len(),
        }
    }

    /// Undoes what was appended since `mark`. Slow, as it is for records that are refused before they get here.
    fn go_back(&mut self, mark: Mark) {
        let spoiled = std::mem::take(&mut self.open);
        self.open.extend(&spoiled, mark.rows);
        let mut introduced = spoiled.introduced;
        for id in introduced.trace_ids.drain(mark.traces..) {
            self.traces.remove(&id);
        }
        self.last_trace = None;
        self.resources
            .forget(introduced.resources.drain(mark.resources..).count());
        self.scopes.forget(introduced.scopes.drain(mark.scopes..).count());
        self.open.introduced = introduced;
    }

    /// Moves the open segment to the sealed ones, and joins small neighbours among those: each span is moved a number
    /// of times that grows with the logarithm of the segment's size.
    fn seal(&mut self) {
        if self.open.rows() == 0 {
            return;
        }
        let mut last = std::mem::take(&mut self.open);
        self.sealed_spans += last.rows();
        last.seal();
        while let Some(before) = self.sealed.last()
            && before.rows() <= 2 * last.rows()
            && !is_full(
                before.rows() + last.rows(),
                before.attribute_columns() + last.attribute_columns(),
            )
        {
            self.sealed_bytes -= before.memory();
            last = Segment::joined(before, &last);
            self.sealed.pop();
        }
        self.sealed_bytes += last.memory();
        self.sealed.push(Arc::new(last));
    }
}

fn is_full(rows: usize, columns: usize) -> bool {
    rows >= MAX_SEGMENT_ROWS || columns >= MAX_SEGMENT_COLUMNS
}

/// An id of `N` bytes: the last ones of longer ids, zeros before shorter ones.
pub(crate) fn right_aligned<const N: usize>(id: &[u8]) -> [u8; N] {
    let mut aligned = [0; N];
    for (to, from) in aligned.iter_mut().rev().zip(id.iter().rev()) {
        *to = *from;
    }
    aligned
}

#[cfg(test)]
mod tests {
    use tempo_model::proto::trace::Span;

    use super::*;

    fn record(spans: u64) -> Vec<u8> {
        let span = |id: u64| Span {
            trace_id: vec![1; 16],
            span_id: id.to_be_bytes().to_vec(),
            ..Span::default()
        };
        let scope_spans = ScopeSpans {
            spans: (0..spans).map(span).collect(),
            ..ScopeSpans::default()
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            }],
        }
        .encode_to_vec()
    }

    #[test]
    fn segments_stay_few_however_often_snapshots_are_taken() {
        let mut head = Head::default();
        let record = record(1);
        for spans in 1..=1000 {
            head.append(&record, 1).unwrap();
            let snapshot = head.snapshot();
            assert_eq!((snapshot.spans(), head.spans()), (spans, spans));
            assert!(
                snapshot.segments.len() <= 10,
                "{} segments",
                snapshot.segments.len()
            );
            let bytes: usize = head.sealed.iter().map(|segment| segment.memory()).sum();
            assert_eq!(head.sealed_bytes, bytes);
        }
    }

    #[test]
    fn large_segments_are_sealed_and_not_moved_again() {
        let mut head = Head::default();
        let record = record(MAX_SEGMENT_ROWS as u64 / 2);
        for _ in 0..5 {
            head.append(&record, 1).unwrap();
        }
        let rows = |snapshot: &HeadSnapshot| -> Vec<usize> {
            let segments = snapshot.segments.iter();
            segments.map(|segment| segment.rows()).collect()
        };
        let half = MAX_SEGMENT_ROWS / 2;
        let before = head.snapshot();
        assert_eq!(rows(&before), [2 * half, 2 * half, half]);
        head.append(&record, 1).unwrap();
        let after = head.snapshot();
        assert_eq!(rows(&after), [2 * half, 2 * half, half, half]);
        assert!(Arc::ptr_eq(&before.segments[0], &after.segments[0]));
    }
}
