//! A trace's spans as they were sent.

use std::collections::HashMap;

use tempo_model::TraceId;
use tempo_model::proto::common::InstrumentationScope;
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::span::{Event, Link};
use tempo_model::proto::trace::{ResourceSpans, ScopeSpans, Span, Status};

use super::owner::Owner;
use super::segment::Segment;
use super::snapshot::HeadSnapshot;

impl HeadSnapshot {
    /// The spans of a trace as they were sent; empty when there are none. What attributes of one key follow is kept,
    /// what keys follow is not. Spans of one resource and one scope come together.
    pub fn trace(&self, id: TraceId) -> Vec<ResourceSpans> {
        self.some_traces(&[id], usize::MAX)
    }

    /// The spans of some traces as they were sent, of each trace at most `max_spans`.
    pub fn some_traces(&self, ids: &[TraceId], max_spans: usize) -> Vec<ResourceSpans> {
        let mut left: HashMap<u32, usize> = self
            .numbers_of(ids)
            .map(|(number, _)| (number, max_spans))
            .collect();
        if left.is_empty() {
            return Vec::new();
        }
        let rows = self.segments.iter().flat_map(|segment| {
            let rows = segment.trace.iter().zip(0..);
            rows.map(move |(trace, row)| (*trace, (&**segment, row)))
        });
        let wanted = rows.filter(|(trace, _)| {
            let left = left.get_mut(trace).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        });
        self.spans_of(wanted.map(|(_, row)| row))
    }

    /// Those of some traces that it has spans of.
    pub fn held(&self, ids: &[TraceId]) -> Vec<TraceId> {
        self.numbers_of(ids).map(|(_, id)| id).collect()
    }

    fn numbers_of(&self, ids: &[TraceId]) -> impl Iterator<Item = (u32, TraceId)> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        let numbered = (0..).zip(self.tables().trace_ids.iter().copied().map(TraceId));
        numbered.filter(move |(_, id)| ids.binary_search(id).is_ok())
    }

    /// Rows as messages, those of one resource and one scope together.
    pub(crate) fn spans_of<'a>(
        &'a self,
        rows: impl Iterator<Item = (&'a Segment, usize)>,
    ) -> Vec<ResourceSpans> {
        let tables = self.tables();
        let mut found: Vec<ResourceSpans> = Vec::new();
        let mut resources: HashMap<u32, usize> = HashMap::new();
        let mut scopes: HashMap<(u32, u32), usize> = HashMap::new();
        for (segment, row) in rows {
            let number = |numbers: &[u32]| numbers.get(row).copied().unwrap_or_default();
            let (resource, scope) = (number(&segment.resource), number(&segment.scope));
            let place = *resources.entry(resource).or_insert_with(|| {
                found.push(resource_spans(
                    tables.resources.get(resource as usize).map(|owner| &**owner),
                ));
                found.len() - 1
            });
            let Some(of_resource) = found.get_mut(place) else {
                continue;
            };
            let place = *scopes.entry((resource, scope)).or_insert_with(|| {
                let owner = tables.scopes.get(scope as usize).map(|owner| &**owner);
                of_resource.scope_spans.push(scope_spans(owner));
                of_resource.scope_spans.len() - 1
            });
            if let Some(of_scope) = of_resource.scope_spans.get_mut(place) {
                let id = segment
                    .trace
                    .get(row)
                    .and_then(|trace| tables.trace_ids.get(*trace as usize));
                of_scope.spans.push(segment.span(row, id));
            }
        }
        found
    }
}

fn resource_spans(owner: Option<&Owner>) -> ResourceSpans {
    ResourceSpans {
        resource: owner.map(|owner| Resource {
            attributes: owner.attribute_messages(),
            dropped_attributes_count: owner.dropped,
        }),
        scope_spans: Vec::new(),
        schema_url: owner.map(|owner| owner.schema_url.clone()).unwrap_or_default(),
    }
}

fn scope_spans(owner: Option<&Owner>) -> ScopeSpans {
    ScopeSpans {
        scope: owner.map(|owner| InstrumentationScope {
            name: owner.name.clone(),
            version: owner.version.clone(),
            attributes: owner.attribute_messages(),
            dropped_attributes_count: owner.dropped,
        }),
        spans: Vec::new(),
        schema_url: owner.map(|owner| owner.schema_url.clone()).unwrap_or_default(),
    }
}

impl Segment {
    /// A row as a message.
    fn span(&self, row: usize, trace_id: Option<&[u8; 16]>) -> Span {
        let start = self.start.get(row).copied().unwrap_or_default();
        let duration = self.duration.get(row).copied().unwrap_or_default();
        let [attributes, events, links] = self.dropped(row);
        Span {
            trace_id: trace_id.map(|id| id.to_vec()).unwrap_or_default(),
            span_id: self.span_id.get(row).map(|id| id.to_vec()).unwrap_or_default(),
            trace_state: self.trace_state.text(row).to_owned(),
            parent_span_id: self.raw_parent(row).to_vec(),
            flags: self.flags.get(row).copied().unwrap_or_default(),
            name: self.name.text(row).to_owned(),
            kind: self.kind.get(row).copied().unwrap_or_default(),
            start_time_unix_nano: start,
            end_time_unix_nano: start.wrapping_add(duration as u64),
            attributes: self.attributes.of_owner(row as u32),
            dropped_attributes_count: attributes,
            events: self.events_of(row as u32, start),
            dropped_events_count: events,
            links: self.links_of(row as u32),
            dropped_links_count: links,
            status: self.status.get(row).copied().flatten().map(|code| Status {
                message: self.status_message.text(row).to_owned(),
                code,
            }),
        }
    }

    fn events_of(&self, row: u32, span_start: u64) -> Vec<Event> {
        let events = &self.events;
        let event = |number: usize| Event {
            time_unix_nano: span_start
                .wrapping_add(events.time.get(number).copied().unwrap_or_default() as u64),
            name: events.name.text(number).to_owned(),
            attributes: events.attributes.of_owner(number as u32),
            dropped_attributes_count: events.dropped.get(number).copied().unwrap_or_default(),
        };
        events.of_row(row).map(event).collect()
    }

    fn links_of(&self, row: u32) -> Vec<Link> {
        let links = &self.links;
        let link = |number: usize| Link {
            trace_id: links.trace_id.bytes(number).to_vec(),
            span_id: links.span_id.bytes(number).to_vec(),
            trace_state: links.trace_state.text(number).to_owned(),
            attributes: links.attributes.of_owner(number as u32),
            dropped_attributes_count: links.dropped.get(number).copied().unwrap_or_default(),
            flags: links.flags.get(number).copied().unwrap_or_default(),
        };
        links.of_row(row).map(link).collect()
    }
}
