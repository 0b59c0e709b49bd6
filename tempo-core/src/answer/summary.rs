//! What is told of a trace besides its matching spans, from its spans. Pure.

use tempo_model::proto::common::any_value;
use tempo_model::proto::trace::{ResourceSpans, StatusCode};

use crate::rpc::messages::FoundTrace;

/// The attribute that names a service.
const SERVICE_NAME: &str = "service.name";

/// The summary of a trace's spans; `None` when there are none.
pub(super) fn of(trace_id: &[u8], spans: &[ResourceSpans]) -> Option<FoundTrace> {
    let mut summary = FoundTrace {
        trace_id: trace_id.to_vec(),
        start_unix_nanos: u64::MAX,
        ..FoundTrace::default()
    };
    for batch in spans {
        let service = service_name(batch);
        for span in batch.scope_spans.iter().flat_map(|scope| &scope.spans) {
            summary.start_unix_nanos = summary.start_unix_nanos.min(span.start_time_unix_nano);
            summary.end_unix_nanos = summary.end_unix_nanos.max(span.end_time_unix_nano);
            let stats = summary.service_stats.entry(service.to_owned()).or_default();
            let is_error = |status: i32| status == StatusCode::Error as i32;
            stats.span_count += 1;
            stats.error_count += u32::from(span.status.as_ref().is_some_and(|status| is_error(status.code)));
            if span.parent_span_id.iter().all(|byte| *byte == 0) {
                service.clone_into(&mut summary.root_service_name);
                summary.root_trace_name.clone_from(&span.name);
            }
        }
    }
    (!summary.service_stats.is_empty()).then_some(summary)
}

fn service_name(batch: &ResourceSpans) -> &str {
    let attributes = batch.resource.iter().flat_map(|resource| &resource.attributes);
    let mut named = attributes.filter(|attribute| attribute.key == SERVICE_NAME);
    match named
        .next()
        .and_then(|attribute| attribute.value.as_ref()?.value.as_ref())
    {
        Some(any_value::Value::StringValue(name)) => name,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use tempo_model::proto::common::{AnyValue, KeyValue};
    use tempo_model::proto::resource::Resource;
    use tempo_model::proto::trace::{ScopeSpans, Span, Status};

    use super::*;

    #[test]
    fn root_times_and_services_come_from_the_spans() {
        let span = |name: &str, parent: &[u8], start, end| Span {
            name: name.to_owned(),
            parent_span_id: parent.to_vec(),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            status: Some(Status {
                code: 2,
                ..Status::default()
            }),
            ..Span::default()
        };
        let service = AnyValue {
            value: Some(any_value::Value::StringValue("shop".to_owned())),
        };
        let shop = ResourceSpans {
            resource: Some(Resource {
                attributes: vec![KeyValue {
                    key: SERVICE_NAME.to_owned(),
                    value: Some(service),
                }],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: vec![span("root", &[], 5, 9)],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        };
        let unnamed = ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span("child", &[1; 8], 6, 12)],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        };
        let summary = of(&[7; 16], &[shop, unnamed]).unwrap();
        assert_eq!(
            (
                summary.root_service_name.as_str(),
                summary.root_trace_name.as_str()
            ),
            ("shop", "root")
        );
        assert_eq!((summary.start_unix_nanos, summary.end_unix_nanos), (5, 12));
        assert_eq!(
            (
                summary.service_stats["shop"].span_count,
                summary.service_stats[""].error_count
            ),
            (1, 1)
        );
        assert_eq!(of(&[7; 16], &[]), None);
    }
}
