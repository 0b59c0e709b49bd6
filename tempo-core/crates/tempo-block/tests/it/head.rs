//! The head: what it gives back, what the evaluator sees of it, and what does not disturb it.

pub(crate) mod model;

use std::sync::Arc;

use proptest::prelude::*;
use prost::Message;
use tempo_block::head::{Head, HeadAppended, HeadSettings, HeadSnapshot};
use tempo_model::TraceId;
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_traceql::columns::{Selection, SpanBatch};

use crate::arbitrary;
use model::Model;

/// A head with the requests in it; a snapshot is taken after those that `publish` says.
fn head_of(requests: &[ExportTraceServiceRequest], publish: &[bool]) -> Head {
    let mut head = Head::new(HeadSettings::default());
    for (number, request) in requests.iter().enumerate() {
        let appended = head
            .append(&request.encode_to_vec(), 100 + number as u64)
            .unwrap();
        assert_eq!(appended.truncated, 0);
        if publish.get(number % publish.len().max(1)) == Some(&true) {
            head.snapshot();
        }
    }
    head
}

fn requests() -> impl Strategy<Value = Vec<ExportTraceServiceRequest>> {
    let few_keys = arbitrary::request().prop_map(|mut request| {
        model::each_attribute(&mut request, |attribute| {
            let key = ["a", "b", "service.name"][attribute.key.len() % 3];
            key.clone_into(&mut attribute.key);
        });
        request
    });
    prop::collection::vec(prop_oneof![arbitrary::request(), few_keys], 0..6)
}

/// A request with one span.
fn one_span(change: impl FnOnce(&mut Span)) -> ExportTraceServiceRequest {
    let mut span = Span {
        trace_id: vec![7; 16],
        span_id: vec![1; 8],
        name: "name".to_owned(),
        start_time_unix_nano: 10,
        end_time_unix_nano: 30,
        ..Span::default()
    };
    change(&mut span);
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
    }
}

/// A request with one span that has one attribute, an array of these bytes.
fn with_array(array: &[u8]) -> Vec<u8> {
    let message = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8][..], bytes].concat();
    let value = message(0x12, &message(0x2a, array));
    let span = message(0x4a, &[message(0x0a, b"k"), value].concat());
    message(0x0a, &message(0x12, &message(0x12, &span)))
}

/// The only span of a trace.
fn only_span(snapshot: &HeadSnapshot) -> Span {
    let mut found = snapshot.trace(TraceId([7; 16]));
    assert_eq!(found.len(), 1);
    found.remove(0).scope_spans.remove(0).spans.remove(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn traces_come_back_as_they_were_sent(
        requests in requests(), publish in prop::collection::vec(any::<bool>(), 1..4)
    ) {
        let snapshot = head_of(&requests, &publish).snapshot();
        let mut spans = 0;
        for id in 0..5 {
            let found = snapshot.trace(TraceId([id; 16]));
            prop_assert_eq!(model::spans_of(&found), model::spans_of_trace(&requests, &[id; 16]));
            spans += model::spans_of(&found).len();
        }
        prop_assert_eq!(snapshot.spans(), spans);
    }

    #[test]
    fn columns_hold_what_was_sent(
        requests in requests(), publish in prop::collection::vec(any::<bool>(), 1..4), chosen in any::<u64>()
    ) {
        let snapshot = head_of(&requests, &publish).snapshot();
        let model = Model::new(&requests);
        prop_assert_eq!(snapshot.len(), model.len());
        let rows: Vec<u32> = (0..model.len() as u32).filter(|row| chosen >> (row % 64) & 1 == 1).collect();
        for field in model.fields() {
            for selection in [Selection::All, Selection::Rows(&rows)] {
                let column = snapshot.column(&field, selection).unwrap();
                model::check_shape(&column, selection, model.len());
                prop_assert_eq!(
                    model::values(&column, selection, model.len()), model.expected(&field, selection),
                    "{} {:?}", field, selection
                );
            }
        }
        model.check_tables(&*snapshot);
    }

    #[test]
    fn conditions_are_never_pruned_wrongly(
        requests in requests(), publish in prop::collection::vec(any::<bool>(), 1..4)
    ) {
        let snapshot = head_of(&requests, &publish).snapshot();
        for condition in Model::new(&requests).satisfied_conditions() {
            prop_assert!(snapshot.may_match(&condition), "{:?}", condition);
        }
    }

    #[test]
    fn a_snapshot_does_not_change(before in requests(), after in requests()) {
        let mut head = head_of(&before, &[true, false]);
        let snapshot = head.snapshot();
        for request in &after {
            head.append(&request.encode_to_vec(), 1).unwrap();
            head.snapshot();
        }
        let model = Model::new(&before);
        prop_assert_eq!(snapshot.len(), model.len());
        model.check_tables(&*snapshot);
        for field in model.fields() {
            let column = snapshot.column(&field, Selection::All).unwrap();
            let found = model::values(&column, Selection::All, model.len());
            prop_assert_eq!(found, model.expected(&field, Selection::All));
        }
    }

    #[test]
    fn a_malformed_record_leaves_nothing(
        before in requests(), spoiled in arbitrary::request(), after in requests()
    ) {
        // A request after the other is both in one: all is well until the last value of the last span.
        let payload = [spoiled.encode_to_vec(), with_array(&[0x0a, 5])].concat();
        let mut head = head_of(&before, &[false, true]);
        let spans = head.spans();
        prop_assert!(head.append(&payload, 5).is_err());
        prop_assert_eq!(head.spans(), spans);
        let all: Vec<_> = before.into_iter().chain(after.clone()).collect();
        for request in &after {
            head.append(&request.encode_to_vec(), 1).unwrap();
        }
        let snapshot = head.snapshot();
        let model = Model::new(&all);
        model.check_tables(&*snapshot);
        for field in model.fields() {
            let column = snapshot.column(&field, Selection::All).unwrap();
            let found = model::values(&column, Selection::All, model.len());
            prop_assert_eq!(found, model.expected(&field, Selection::All));
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(payload in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut head = Head::new(HeadSettings::default());
        let _ = head.append(&payload, 1);
        let snapshot = head.snapshot();
        prop_assert_eq!(snapshot.traces().unwrap().is_empty(), snapshot.is_empty());
    }
}

#[test]
fn malformed_nested_values_are_refused() {
    let mut head = Head::new(HeadSettings::default());
    assert!(head.append(&with_array(&[0x0a, 5]), 1).is_err());
    assert_eq!((head.spans(), head.first_arrival_ns()), (0, None));
    assert!(head.append(&with_array(&[0x0a, 0]), 1).is_ok());
    assert_eq!(head.spans(), 1);
}

#[test]
fn long_keys_and_texts_are_cut_between_characters_counted_and_marked() {
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 7,
    });
    let mut request = one_span(|span| {
        span.attributes = vec![
            text("abcdefé", "ok"),
            text("k", "aaaéaaa"),
            text("just 7 ", "…1234"),
        ];
    });
    request.resource_spans[0].resource = Some(tempo_model::proto::resource::Resource {
        attributes: vec![text("r", "12345678")],
        dropped_attributes_count: 0,
    });
    let appended = head.append(&request.encode_to_vec(), 1).unwrap();
    assert_eq!(
        appended,
        HeadAppended {
            spans: 1,
            truncated: 3
        }
    );
    // The resource is known now, and cut all the same.
    assert_eq!(head.append(&request.encode_to_vec(), 1).unwrap(), appended);
    let snapshot = head.snapshot();
    let found = snapshot.trace(TraceId([7; 16]));
    assert_eq!(
        found[0].resource.clone().unwrap().attributes,
        [text("r", "1234…")]
    );
    let mut attributes = found[0].scope_spans[0].spans[0].attributes.clone();
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(
        attributes,
        [text("abcd…", "ok"), text("just 7 ", "…1234"), text("k", "aaa…")]
    );
}

#[test]
fn what_is_not_utf8_is_replaced() {
    let mut payload = one_span(|span| {
        span.name = "n####".to_owned();
        span.attributes = vec![text("k####", "v####")];
    })
    .encode_to_vec();
    for index in 0..payload.len() {
        if payload[index..].starts_with(b"####") {
            payload[index] = 0xff;
        }
    }
    let mut head = Head::new(HeadSettings::default());
    head.append(&payload, 1).unwrap();
    let span = only_span(&head.snapshot());
    assert_eq!(span.name, "n\u{fffd}###");
    assert_eq!(span.attributes, [text("k\u{fffd}###", "v\u{fffd}###")]);
}

#[test]
fn parents_are_looked_up_in_their_trace() {
    let span = |trace: u8, id: u8, parent: Vec<u8>| {
        one_span(|span| {
            span.trace_id = vec![trace; 16];
            span.span_id = vec![id; 8];
            span.parent_span_id = parent;
        })
    };
    let requests = [
        span(1, 1, Vec::new()),
        span(2, 1, vec![0; 8]),
        span(1, 2, vec![1; 8]),
        span(2, 2, vec![1; 8]),
        span(2, 3, vec![9; 8]),
        span(2, 4, vec![1; 4]),
    ];
    let snapshot = head_of(&requests, &[true]).snapshot();
    let (root, orphan) = (tempo_traceql::columns::ROOT, tempo_traceql::columns::ORPHAN);
    assert_eq!(*snapshot.parents().unwrap(), [root, root, 0, 1, orphan, orphan]);
    let parent = |id: u8| {
        let found = snapshot.trace(TraceId([2; 16]));
        let spans = found
            .into_iter()
            .flat_map(|found| found.scope_spans)
            .flat_map(|scope| scope.spans);
        let mut spans = spans.filter(|span| span.span_id == [id; 8]);
        spans.next().unwrap().parent_span_id
    };
    // Odd ones come back as they were sent too.
    assert_eq!((parent(1), parent(4)), (vec![0; 8], vec![1; 4]));
}

#[test]
fn snapshots_are_shared_until_something_is_appended() {
    let mut head = Head::new(HeadSettings::default());
    assert_eq!(head.snapshot().arrivals_ns(), None);
    head.append(&one_span(|_| {}).encode_to_vec(), 20).unwrap();
    let first = head.snapshot();
    assert!(Arc::ptr_eq(&first, &head.snapshot()));
    head.append(&one_span(|_| {}).encode_to_vec(), 10).unwrap();
    let second = head.snapshot();
    assert_eq!((first.spans(), second.spans(), head.spans()), (1, 2, 2));
    assert_eq!(
        (first.arrivals_ns(), second.arrivals_ns()),
        (Some((20, 20)), Some((10, 20)))
    );
    assert_eq!(head.first_arrival_ns(), Some(10));
    let summary = second.summary();
    assert_eq!(
        (
            summary.start_ns,
            summary.latest_start_ns,
            summary.end_ns,
            summary.spans
        ),
        (10, 10, 30, 2)
    );
}

#[test]
fn memory_grows_with_what_is_kept() {
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 0,
    });
    let empty = head.bytes();
    head.append(
        &one_span(|span| span.attributes = vec![text("k", &"x".repeat(1 << 20))]).encode_to_vec(),
        1,
    )
    .unwrap();
    assert!(head.bytes() > empty + (1 << 20));
    head.snapshot();
    assert!(head.bytes() > empty + (1 << 20));
}
