use tempo_block::meta::{BLOCK_FORMAT, FileMeta};

use super::*;
use crate::rpc::messages::Candidates;

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

const A: Part = Some(Ulid(1));
const B: Part = Some(Ulid(2));

fn trace(id: u8, start: u64) -> FoundTrace {
    FoundTrace {
        trace_id: vec![id; 16],
        start_unix_nanos: start,
        end_unix_nanos: start + 5,
        row_groups: vec![0],
        ..FoundTrace::default()
    }
}

fn matching(traces: Vec<FoundTrace>) -> Partial {
    Partial {
        found: traces,
        ..Partial::default()
    }
}

fn id(id: u8) -> TraceId {
    TraceId([id; 16])
}

fn ids(places: &Places) -> Vec<u8> {
    places.keys().map(|id| id.0[0]).collect()
}

fn starts(found: FoundTraces) -> Vec<u64> {
    let traces = found.finish().into_iter();
    traces.map(|trace| trace.start_unix_nanos).collect()
}

#[test]
fn traces_at_one_place_are_whole_and_the_newest_are_kept() {
    let mut found = FoundTraces::new(2);
    found.add(None, matching(vec![trace(1, 10)]));
    assert!(found.wants_more());
    found.add(A, matching(vec![trace(2, 30), trace(3, 20)]));
    assert!(!found.wants_more(), "there seem to be enough");
    let open = found.newest_open();
    assert_eq!(ids(&open), [1, 2, 3]);
    assert!(found.close(open).is_empty());
    assert_eq!(found.floor_ns(), Some(20));
    found.add(B, matching(vec![trace(4, 15)]));
    assert!(found.newest_open().is_empty(), "it is too old");
    assert_eq!(starts(found), [30, 20]);
}

#[test]
fn a_trace_at_several_places_counts_when_it_is_known_as_a_whole() {
    let mut found = FoundTraces::new(1);
    found.add(A, matching(vec![trace(1, 30), trace(2, 20)]));
    let mut open = found.newest_open();
    open.get_mut(&id(1)).unwrap().insert((B, 4));
    let spread = found.close(open);
    assert_eq!(spread, Places::from([(id(1), [(A, 0), (B, 4)].into())]));
    assert_eq!(found.floor_ns(), Some(20));
    found.add_whole(vec![trace(1, 5)]);
    found.add(B, matching(vec![trace(1, 25)]));
    assert!(found.newest_open().is_empty(), "it has been looked at");
    assert_eq!(starts(found), [20]);
}

#[test]
fn who_left_out_what_may_be_newer_is_asked_again() {
    let mut found = FoundTraces::new(1);
    let left_out = |trace: FoundTrace, left_out_unix_nanos| Partial {
        found: vec![trace],
        left_out_unix_nanos,
        ..Partial::default()
    };
    found.add(A, left_out(trace(1, 30), 28));
    found.add(B, left_out(trace(2, 20), 19));
    let mut open = found.newest_open();
    open.get_mut(&id(1)).unwrap().insert((B, 4));
    let _spread = found.close(open);
    let limit = found.limit_of_part();
    assert_eq!(found.ask_again(), [A].into(), "B left out nothing newer than 20");
    assert!(found.limit_of_part() > limit);
    assert!(found.ask_again().is_empty());
}

#[test]
fn candidates_are_looked_at_and_let_go_of_when_they_are_whole() {
    let mut found = FoundTraces::new(5);
    let candidates = Candidates {
        row_group: 3,
        trace_ids: [[1; 16], [2; 16]].concat().into(),
        starts: vec![10, 20],
        ends: vec![15, 25],
    };
    let partial = Partial {
        candidates: vec![candidates],
        ..Partial::default()
    };
    found.add(A, partial);
    let mut open = found.newest_open();
    assert_eq!(open[&id(1)], [(A, 3)].into());
    open.get_mut(&id(2)).unwrap().insert((None, 0));
    assert_eq!(ids(&found.close(open)), [2]);
    assert!(found.newest_open().is_empty());
    assert!(found.finish().is_empty());
}

#[test]
fn a_trace_that_is_told_by_another_part_later_is_looked_at_again() {
    let mut found = FoundTraces::new(5);
    found.add(A, matching(vec![trace(1, 30)]));
    let open = found.newest_open();
    found.close(open);
    found.add(A, matching(vec![trace(1, 30)]));
    assert!(found.newest_open().is_empty(), "that is known");
    found.add(B, matching(vec![trace(1, 10)]));
    assert_eq!(found.newest_open()[&id(1)], [(A, 0), (B, 0)].into());
}

#[test]
fn other_parts_are_looked_for_where_they_may_be() {
    let hour = 3_600_000_000_000;
    let mut found = FoundTraces::new(20);
    found.add(A, matching(vec![trace(1, 10 * hour)]));
    assert!(found.may_be_in(id(1), &block(2, 8 * hour, 9 * hour)));
    assert!(
        !found.may_be_in(id(1), &block(2, 7 * hour, 9 * hour - 1)),
        "too long ago"
    );
    let mut others = block(2, 8 * hour, 9 * hour);
    others.max_trace_id = TraceId([0; 16]);
    assert!(!found.may_be_in(id(1), &others), "other ids");
}

#[test]
fn known_places_name_each_trace_once() {
    let open = Places::from([
        (id(1), [(None, 0), (A, 1)].into()),
        (id(2), [(A, 1)].into()),
        (id(3), [(A, 1)].into()),
    ]);
    let places = known_places(&open, &|wanted| wanted != id(3));
    let told: Vec<(usize, u32, u8)> = places
        .iter()
        .map(|place| (place.block.len(), place.row_group, place.trace_ids[0]))
        .collect();
    assert_eq!(told, [(0, 0, 1), (16, 1, 2)]);
}

#[test]
fn a_trace_without_a_root_says_so() {
    let told = metadata(trace(1, 0), false);
    assert_eq!(told.root_service_name, "<root span not yet received>");
    let short = FoundTrace {
        trace_id: [vec![0; 15], vec![7]].concat(),
        ..trace(0, 0)
    };
    assert_eq!(metadata(short.clone(), false).trace_id, "7");
    assert_eq!(metadata(short, true).trace_id, "00000000000000000000000000000007");
}
