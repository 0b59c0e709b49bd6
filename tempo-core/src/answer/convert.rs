//! Results of scans as messages. Pure.

use std::collections::{BTreeMap, BTreeSet};

use tempo_block::read::ReadTotals;
use tempo_model::SpanId;
use tempo_model::proto::common::{AnyValue, ArrayValue, KeyValue, any_value};
use tempo_model::proto::tempopb;
use tempo_traceql::ast::{Scope, Static};
use tempo_traceql::search::{AttributeValue, Candidate, Matched, SpanMatch, SpansetMatch, TraceMatch};
use tempo_traceql::tags::TagValue;

use crate::rpc::messages::{Candidates, FoundTrace, Statistics};

/// What reading blocks took.
pub fn statistics(totals: &ReadTotals) -> Statistics {
    Statistics {
        inspected_bytes: totals.bytes + totals.cached_bytes,
        inspected_spans: totals.spans,
        inspected_traces: 0,
    }
}

/// A trace of some row groups, or heads.
pub(super) fn matched(matched: Matched) -> FoundTrace {
    FoundTrace {
        row_groups: matched.batches,
        ..found(matched.trace)
    }
}

/// Candidates by their row groups, or heads.
pub(super) fn candidates(found: Vec<(Candidate, u32)>) -> Vec<Candidates> {
    let mut by_row_group: BTreeMap<u32, Vec<Candidate>> = BTreeMap::new();
    for (candidate, row_group) in found {
        by_row_group.entry(row_group).or_default().push(candidate);
    }
    let message = |(row_group, candidates): (u32, Vec<Candidate>)| Candidates {
        row_group,
        trace_ids: candidates
            .iter()
            .flat_map(|candidate| candidate.trace_id)
            .collect(),
        starts: candidates.iter().map(|candidate| candidate.start_ns).collect(),
        ends: candidates.iter().map(|candidate| candidate.end_ns).collect(),
    };
    by_row_group.into_iter().map(message).collect()
}

/// A trace that matches.
pub(crate) fn found(trace: TraceMatch) -> FoundTrace {
    let (root_service_name, root_trace_name) = trace.root.map_or_else(Default::default, |root| {
        (root.service.to_string(), root.name.to_string())
    });
    let services = trace.services.into_iter();
    FoundTrace {
        trace_id: trace.trace_id.to_vec(),
        root_service_name,
        root_trace_name,
        start_unix_nanos: trace.start_ns,
        end_unix_nanos: trace.end_ns,
        span_sets: trace.spansets.into_iter().map(span_set).collect(),
        service_stats: services
            .map(|(name, stats)| {
                let stats = tempopb::ServiceStats {
                    span_count: small(stats.spans),
                    error_count: small(stats.errors),
                };
                (name, stats)
            })
            .collect(),
        row_groups: Vec::new(),
    }
}

fn span_set(set: SpansetMatch) -> tempopb::SpanSet {
    tempopb::SpanSet {
        spans: set.spans.into_iter().map(span).collect(),
        matched: small(set.matched),
        attributes: attributes(set.attributes),
    }
}

fn span(span: SpanMatch) -> tempopb::Span {
    tempopb::Span {
        span_id: SpanId(span.span_id).to_string(),
        name: span.name,
        start_time_unix_nano: span.start_ns,
        duration_nanos: span.duration_ns,
        attributes: attributes(span.attributes),
    }
}

fn attributes(attributes: BTreeMap<String, AttributeValue>) -> Vec<KeyValue> {
    attributes
        .into_iter()
        .map(|(key, value)| KeyValue {
            key,
            value: Some(match value {
                AttributeValue::One(value) => any_value(value),
                AttributeValue::Array(values) => AnyValue {
                    value: Some(any_value::Value::ArrayValue(ArrayValue {
                        values: values.into_iter().map(any_value).collect(),
                    })),
                },
            }),
        })
        .collect()
}

/// What OTLP has no type for is told by its text.
fn any_value(value: Static) -> AnyValue {
    use any_value::Value;
    AnyValue {
        value: Some(match value {
            Static::String(text) => Value::StringValue(text),
            Static::Int(number) => Value::IntValue(number),
            Static::Float(number) => Value::DoubleValue(number),
            Static::Bool(value) => Value::BoolValue(value),
            Static::Duration(_) | Static::Status(_) | Static::Kind(_) | Static::Nil => {
                Value::StringValue(value.to_string())
            }
        }),
    }
}

pub(super) fn scope((scope, names): (Scope, BTreeSet<String>)) -> Option<tempopb::SearchTagsV2Scope> {
    (!names.is_empty()).then(|| tempopb::SearchTagsV2Scope {
        name: scope.name().to_owned(),
        tags: names.into_iter().collect(),
    })
}

pub(super) fn tag_value(value: TagValue) -> tempopb::TagValue {
    tempopb::TagValue {
        r#type: value.kind.to_owned(),
        value: value.value,
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tempo_traceql::ast::Status;

    use super::*;

    #[test]
    fn values_keep_their_types() {
        let text = |value| match any_value(value).value {
            Some(any_value::Value::StringValue(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(Static::Status(Status::Error)), "error");
        assert_eq!(text(Static::Duration(1_500_000_000)), "1.5s");
        assert_eq!(
            any_value(Static::Int(7)).value,
            Some(any_value::Value::IntValue(7))
        );
    }
}
