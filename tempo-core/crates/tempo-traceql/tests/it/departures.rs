//! Where the answer is deliberately another than upstream's (docs/traceql.md), and what the answer is.

use tempo_traceql::parse;
use tempo_traceql::search::{Search, SearchOptions};

use crate::dataset::Dataset;
use crate::memory::Memory;

/// A root with two children and a grandchild, and a trace whose root is missing.
const TRACES: &str = "
base_unix_seconds: 1700000000
traces:
- trace_id: 00000000000000000000000000000001
  batches:
  - resource: {service.name: shop}
    spans:
    - {span_id: '0000000000000001', name: root, kind: server, start_ms: 0, duration_ms: 100, attributes: {n: 2, flag: true}}
    - {span_id: '0000000000000002', parent_span_id: '0000000000000001', name: left, kind: client, start_ms: 1, duration_ms: 10, attributes: {n: 3.5, tags: [a, b]}}
    - {span_id: '0000000000000003', parent_span_id: '0000000000000001', name: right, kind: producer, start_ms: 2, duration_ms: 20, attributes: {n: word}}
    - {span_id: '0000000000000004', parent_span_id: '0000000000000002', name: leaf, kind: client, start_ms: 3, duration_ms: 5}
- trace_id: 00000000000000000000000000000002
  batches:
  - resource: {service.name: shop}
    spans:
    - {span_id: '0000000000000011', parent_span_id: '0000000000000010', name: orphan, kind: client, start_ms: 5, duration_ms: 5}
";

pub(crate) fn memory() -> Memory {
    let dataset: Dataset = serde_yaml::from_str(TRACES).expect("read the traces");
    Memory::new(dataset)
}

/// The names of the matching spans, sorted.
pub(crate) fn names(query: &str) -> String {
    let options = SearchOptions {
        limit: 0,
        spans_per_spanset: 0,
        ..SearchOptions::default()
    };
    let search = Search::new(&parse(query).expect("parse"), options).expect("prepare");
    let found = search.run(&memory()).expect("run");
    let sets = found.iter().flat_map(|trace| &trace.spansets);
    let mut names: Vec<&str> = sets
        .flat_map(|set| &set.spans)
        .map(|span| span.name.as_str())
        .collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn powers_are_of_the_left_by_the_right() {
    assert_eq!(names("{ span.n ^ 3 = 8 }"), "root");
    assert_eq!(names("{ 2 ^ 3 = 9 }"), "");
}

#[test]
fn constants_may_stand_on_the_left() {
    assert_eq!(names("{ 20ms < duration }"), "root");
}

#[test]
fn numbers_compare_across_types() {
    assert_eq!(names("{ span.n > 3 }"), "left");
    assert_eq!(names("{ span.n = 2.0 }"), "root");
    assert_eq!(names("{ span.n != 2 }"), "left");
}

#[test]
fn negation_is_of_the_result() {
    assert_eq!(names("{ !(kind = client) }"), "right root");
    assert_eq!(names("{ !(span.missing = 1) && name = \"leaf\" }"), "leaf");
}

#[test]
fn a_missing_side_of_or_is_false() {
    assert_eq!(names("{ span.flag || kind = producer }"), "right root");
}

#[test]
fn what_cannot_be_computed_does_not_match() {
    assert_eq!(names("{ -span.n = -2 }"), "root");
    assert_eq!(names("{ span.n / 0 = 1 }"), "");
    assert_eq!(names("{ !span.n }"), "");
}

#[test]
fn ids_may_begin_with_zeros() {
    assert_eq!(names("{ span:id = \"0000000000000004\" }"), "leaf");
    assert_eq!(names("{ span:parentID = \"0000000000000002\" }"), "leaf");
}

#[test]
fn aggregates_are_of_numbers() {
    assert_eq!(names("{} | sum(span.n) = 5.5"), "leaf left right root");
    assert_eq!(names("{} | max(span.n) = 3.5 | { kind = producer }"), "right");
    assert_eq!(names("{} | sum(span.n + 1) = 7.5"), "leaf left right root");
}

#[test]
fn select_hides_nothing_from_later_filters() {
    assert_eq!(names("select(span.n) | { span.n = 2 }"), "root");
    assert_eq!(names("{} | select(span.n) | { span.n = nil }"), "leaf orphan");
}

#[test]
fn both_sides_of_every_pair() {
    assert_eq!(
        names("{} &>> { name = \"left\" || name = \"leaf\" }"),
        "leaf left root"
    );
}

#[test]
fn a_pipeline_may_be_the_right_side_only() {
    assert_eq!(
        names("({ name = \"root\" }) >> ({ kind = client } | count() = 2)"),
        "leaf left"
    );
}

#[test]
fn spans_without_a_root_have_no_relations() {
    assert_eq!(names("{} !> { name = \"orphan\" }"), "");
    assert_eq!(names("{ name = \"root\" } !> { name = \"orphan\" }"), "orphan");
}
