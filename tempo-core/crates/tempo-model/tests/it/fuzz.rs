//! No bytes make a decoder panic, and decoders of one format agree about what they take.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_model::view::{EventView, LinkView, SpanView, resource_spans};
use tempo_model::{TraceId, json, split, validate};

use crate::arbitrary::request;
use crate::edits::{edited, edited_text};

/// Reads everything that views can read.
fn walk(payload: &[u8]) -> Option<usize> {
    let mut spans = 0;
    for resource in resource_spans(payload) {
        for scope in resource.ok()?.scope_spans() {
            for message in scope.ok()?.spans() {
                let mut span = SpanView::default();
                span.read(message.ok()?).ok()?;
                for event in &span.events {
                    EventView::read(event).ok()?;
                }
                for link in &span.links {
                    LinkView::read(link).ok()?;
                }
                spans += 1;
            }
        }
    }
    Some(spans)
}

proptest! {
    #[test]
    fn fuzz_otlp(payload in request().prop_flat_map(|request| edited(vec![request.encode_to_vec()]))) {
        let contents = validate::contents(&payload);
        let walked = walk(&payload);
        if let Ok(contents) = contents {
            prop_assert_eq!(walked, Some(contents.spans), "views read what was found valid");
            let mut told = 0;
            prop_assert!(split::for_each_span(&payload, |_, _| told += 1).is_ok());
            prop_assert_eq!(told, contents.spans);
        }
        let parts = split::by_trace(&Bytes::from(payload.clone()), 3, |id| usize::from(id.0[0]));
        if let (Ok(parts), Ok(contents)) = (parts, contents) {
            let spans: usize = parts.iter().map(|part| part.spans).sum();
            prop_assert_eq!(spans, contents.spans);
        }
        let _ = ExportTraceServiceRequest::decode(payload.as_slice());
    }

    #[test]
    fn fuzz_otlp_json(body in edited_text(&[
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[{"scope":{"name":"s"},"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b9c7c989f97918e1","name":"n","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":2,"attributes":[{"key":"i","value":{"intValue":"7"}},{"key":"d","value":{"doubleValue":0.5}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true}]}}}],"events":[{"timeUnixNano":"3","name":"e"}],"links":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b9c7c989f97918e1"}],"status":{"code":2,"message":"m"}}]}]}]}"#,
        r#"{"resourceSpans":[]}"#,
    ])) {
        if let Ok(request) = json::otlp::request(body.as_bytes()) {
            let payload = request.encode_to_vec();
            prop_assert!(validate::contents(&payload).is_ok(), "what JSON gives is valid protobuf");
        }
    }

    #[test]
    fn fuzz_ids(text in edited_text(&["0af7651916cd43dd8448eb211c80319c", "b9c7c989f97918e1", "0"])) {
        if let Ok(id) = text.parse::<TraceId>() {
            prop_assert_eq!(id.to_string().parse::<TraceId>().ok(), Some(id));
        }
    }
}
