use tempo_block::meta::{BLOCK_FORMAT, FileMeta};
use ulid::Ulid;

use super::*;

fn block(id: u128, start_ns: u64, end_ns: u64) -> BlockMeta {
    BlockMeta {
        format: BLOCK_FORMAT,
        id: Ulid(id),
        start_ns,
        end_ns,
        first_arrival_ns: start_ns,
        last_arrival_ns: end_ns,
        spans: 1,
        traces: 1,
        row_groups: 1,
        min_trace_id: TraceId([0; 16]),
        max_trace_id: TraceId([255; 16]),
        level: 0,
        continued: false,
        maybe_duplicates: false,
        spans_file: FileMeta::default(),
        traces_file: FileMeta::default(),
        catalogue_file: FileMeta::default(),
    }
}

fn trace(id: u8, start: u64, spans: &[u8]) -> FoundTrace {
    let span = |id: &u8| tempopb::Span {
        span_id: format!("{id:016x}"),
        ..tempopb::Span::default()
    };
    let stats = tempopb::ServiceStats {
        span_count: 2,
        error_count: 1,
    };
    let set = tempopb::SpanSet {
        spans: spans.iter().map(span).collect(),
        matched: spans.len() as u32,
        ..tempopb::SpanSet::default()
    };
    FoundTrace {
        trace_id: vec![id; 16],
        start_unix_nanos: start,
        end_unix_nanos: start + 5_000_000,
        span_sets: if spans.is_empty() { Vec::new() } else { vec![set] },
        service_stats: [("shop".to_owned(), stats)].into(),
        ..FoundTrace::default()
    }
}

fn found(traces: Vec<FoundTrace>) -> Partial {
    Partial {
        found: traces,
        ..Partial::default()
    }
}

#[test]
fn the_newest_are_kept_and_older_blocks_are_settled() {
    let mut traces = FoundTraces::new(2, 3);
    traces.add(None, found(vec![trace(1, 10, &[1])]));
    assert!(!traces.is_settled(&block(1, 0, 5)));
    traces.add(Some(Ulid(2)), found(vec![trace(2, 30, &[1]), trace(3, 20, &[1])]));
    assert!(traces.is_settled(&block(1, 0, 19)));
    assert!(
        !traces.is_settled(&block(1, 0, 20)),
        "it may have a trace that is as new"
    );
    let starts: Vec<u64> = traces
        .finish()
        .iter()
        .map(|trace| trace.start_unix_nanos)
        .collect();
    assert_eq!(starts, [30, 20]);
}

#[test]
fn a_trace_is_joined_over_its_parts() {
    let mut traces = FoundTraces::new(20, 3);
    let mut root = trace(1, 5, &[]);
    root.root_service_name = "shop".to_owned();
    root.root_trace_name = "GET /".to_owned();
    traces.add(Some(Ulid(1)), found(vec![trace(1, 9, &[1, 2])]));
    traces.add(Some(Ulid(2)), found(vec![trace(1, 7, &[2, 3, 4])]));
    traces.add(Some(Ulid(3)), found(vec![root]));
    let [joined] = traces.finish().try_into().unwrap();
    assert_eq!(joined.root_trace_name, "GET /");
    assert_eq!((joined.start_unix_nanos, joined.end_unix_nanos), (5, 5_000_009));
    assert_eq!(joined.service_stats["shop"].span_count, 6);
    let [set] = joined.span_sets.as_slice() else {
        panic!("one set: {:?}", joined.span_sets)
    };
    assert_eq!((set.spans.len(), set.matched), (3, 4));
}

#[test]
fn a_summary_takes_the_place_of_what_a_match_told() {
    let mut traces = FoundTraces::new(20, 3);
    traces.add(None, found(vec![trace(1, 9, &[1])]));
    traces.add(None, found(vec![trace(1, 5, &[]), trace(1, 6, &[])]));
    let [joined] = traces.finish().try_into().unwrap();
    assert_eq!(
        joined.service_stats["shop"].span_count, 4,
        "once by each ingester"
    );
    assert_eq!((joined.start_unix_nanos, joined.span_sets.len()), (5, 1));
}

#[test]
fn other_parts_are_looked_for_where_they_may_be() {
    let hour = LONGEST_SILENCE.as_nanos() as u64;
    let mut traces = FoundTraces::new(20, 3);
    traces.add(Some(Ulid(1)), found(vec![trace(1, 10 * hour, &[1])]));
    assert_eq!(traces.unknown_in(&block(2, 8 * hour, 9 * hour)).len(), 1);
    assert!(
        traces.unknown_in(&block(1, 8 * hour, 9 * hour)).is_empty(),
        "it told of it"
    );
    assert!(
        traces.unknown_in(&block(2, 7 * hour, 9 * hour - 1)).is_empty(),
        "too long ago"
    );
    let mut others = block(2, 8 * hour, 9 * hour);
    others.max_trace_id = TraceId([0; 16]);
    assert!(traces.unknown_in(&others).is_empty(), "other ids");
}

#[test]
fn a_trace_without_a_root_says_so() {
    let told = metadata(trace(1, 0, &[1]), false);
    assert_eq!(told.root_service_name, NO_ROOT);
    assert_eq!(told.duration_ms, 5);
    let mut short = trace(0, 0, &[1]);
    short.trace_id = [vec![0; 15], vec![7]].concat();
    assert_eq!(metadata(short.clone(), false).trace_id, "7");
    assert_eq!(metadata(short, true).trace_id, "00000000000000000000000000000007");
}
