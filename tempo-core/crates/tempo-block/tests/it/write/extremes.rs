//! What real clients send now and then: it neither breaks a block nor bloats it.

use prost::Message;
use tempo_block::read::RowGroupSummary;
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_model::proto::trace::{ExportTraceServiceRequest, Span};

use super::{ARRIVAL, head_of, requests};
use crate::read::{Written, run};

const YEAR: u64 = 365 * 24 * 60 * 60 * 1_000_000_000;

fn text(key: String, value: String) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue {
            value: Some(Value::StringValue(value)),
        }),
    }
}

fn span(trace: u64, id: u64, start: u64, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: u128::from(trace + 1).to_be_bytes().to_vec(),
        span_id: (id + 1).to_be_bytes().to_vec(),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 1000,
        attributes,
        ..Span::default()
    }
}

/// Writes the spans, finds that all come back, and gives the block with its row groups.
fn written(spans: Vec<Span>, max_row_group_rows: usize) -> (Written, Vec<RowGroupSummary>) {
    let sent = requests::of_spans(spans);
    let mut head = head_of(std::slice::from_ref(&sent));
    run(async {
        let written = Written::of(&head.snapshot(), max_row_group_rows).await;
        let row_groups = written.block().row_groups().await.unwrap();
        let mut resource_spans = Vec::new();
        for row_group in &row_groups {
            resource_spans.extend(written.block().all_spans(row_group.number).await.unwrap());
        }
        let found = ExportTraceServiceRequest { resource_spans };
        assert!(requests::comparable(&sent) == requests::comparable(&found));
        // What footers take whatever is in the row groups, and no more than was sent.
        let most = 12_000 * (1 + row_groups.len()) + sent.encoded_len();
        assert!(
            written.meta.bytes() < most as u64,
            "{} bytes",
            written.meta.bytes()
        );
        (written, row_groups)
    })
}

#[test]
fn tens_of_thousands_of_keys() {
    let attribute = |number: u64| text(format!("key.{number}"), format!("value {}", number % 10));
    let of_span = |id: u64| (0..10).map(|place| attribute(id * 10 + place)).collect();
    let spans = (0..2000).map(|id| span(id / 10, id, ARRIVAL, of_span(id)));
    written(spans.collect(), 500);
}

#[test]
fn values_of_a_megabyte() {
    let value = |id: u64| id.to_string().repeat(1_000_000);
    let spans = (0..10).map(|id| span(id, id, ARRIVAL, vec![text("long".to_owned(), value(id))]));
    written(spans.collect(), 50_000);
}

#[test]
fn a_trace_longer_than_a_row_group() {
    let spans = (0..5000).map(|id| span(u64::from(id < 4000), id, ARRIVAL + id, Vec::new()));
    let (written, row_groups) = written(spans.collect(), 1000);
    assert_eq!(written.meta.traces, 2);
    let mut sizes: Vec<u64> = row_groups.iter().map(|row_group| row_group.spans).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1000, 4000]);
}

#[test]
fn spans_years_apart() {
    let years = [0, 53, 53, 53, 80].map(|years| years * YEAR + ARRIVAL % YEAR);
    let ids = 0..years.len() as u64;
    let spans = ids.zip(years).map(|(id, start)| span(id, id, start, Vec::new()));
    let (_, row_groups) = written(spans.collect(), 50_000);
    let present = row_groups.iter().find(|row_group| row_group.spans == 3).unwrap();
    assert_eq!(row_groups.len(), 2);
    assert!(present.end_ns - present.start_ns < YEAR);
}
