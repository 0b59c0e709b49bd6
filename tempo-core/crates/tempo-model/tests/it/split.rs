//! Routing by trace loses nothing, doubles nothing, and changes nothing.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use tempo_model::proto::common::InstrumentationScope;
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, Span};
use tempo_model::split;

use crate::arbitrary;

/// Spans with all that belongs to them, in order.
type Owned = (
    Option<Resource>,
    String,
    Option<InstrumentationScope>,
    String,
    Span,
);

fn spans(request: ExportTraceServiceRequest) -> Vec<Owned> {
    let mut spans = Vec::new();
    for resource_spans in request.resource_spans {
        for scope_spans in resource_spans.scope_spans {
            for span in scope_spans.spans {
                spans.push((
                    resource_spans.resource.clone(),
                    resource_spans.schema_url.clone(),
                    scope_spans.scope.clone(),
                    scope_spans.schema_url.clone(),
                    span,
                ));
            }
        }
    }
    spans
}

proptest! {
    #[test]
    fn every_span_goes_where_its_trace_goes_and_nowhere_else(request in arbitrary::request(), shards in 1..5_usize) {
        let payload = Bytes::from(request.encode_to_vec());
        let shard_of = |first_byte: u8| usize::from(first_byte) % shards;
        let parts = split::by_trace(&payload, shards, |trace_id| shard_of(trace_id.0[0])).unwrap();
        prop_assert_eq!(parts.len(), shards);
        let all = spans(request);
        for (shard, part) in parts.into_iter().enumerate() {
            let decoded = ExportTraceServiceRequest::decode(part.payload).unwrap();
            let expected: Vec<_> = all.iter().filter(|owned| shard_of(owned.4.trace_id[0]) == shard).cloned().collect();
            prop_assert_eq!(part.spans, expected.len());
            prop_assert_eq!(spans(decoded), expected);
        }
    }
}
