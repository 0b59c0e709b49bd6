//! What was sent comes back, and the evaluator sees of a block what it sees of the head that the block was.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use tempo_block::head::HeadSnapshot;
use tempo_block::read::{RowGroup, Wanted, wanted_fields};
use tempo_model::TraceId;
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::{Field, ORPHAN, Selection, SpanBatch, TraceRow, Values};

use super::{Written, head_of, run};
use crate::head::model::{self, Model};
use crate::write::requests;

fn some_requests() -> impl Strategy<Value = Vec<ExportTraceServiceRequest>> {
    prop::collection::vec(requests::request(), 1..4)
}

/// The same requests with span ids that tell all spans apart; some parents are kept within reach.
fn with_own_ids(mut requests: Vec<ExportTraceServiceRequest>) -> Vec<ExportTraceServiceRequest> {
    let id = |number: u64| (number + 1).to_be_bytes().to_vec();
    let scopes = requests
        .iter_mut()
        .flat_map(|request| &mut request.resource_spans)
        .flat_map(|of_resource| &mut of_resource.scope_spans);
    for (span, number) in scopes.flat_map(|of_scope| &mut of_scope.spans).zip(0..) {
        span.span_id = id(number);
        if span.parent_span_id.len() == 8 {
            span.parent_span_id = id(u64::from(span.parent_span_id[0]));
        }
    }
    requests
}

async fn loaded(written: &Written, fields: &[Field]) -> Vec<Arc<dyn RowGroup>> {
    let block = written.block();
    let mut groups = Vec::new();
    for group in block.row_groups().await.unwrap() {
        let loaded = block.row_group(group.number).await.unwrap();
        let mut wanted = wanted_fields(fields.iter().cloned());
        wanted.extend(Scope::ALL.map(Wanted::Keys));
        wanted.extend([Wanted::Ordinals, Wanted::Parents]);
        loaded.load(&wanted).await.unwrap();
        groups.push(loaded);
    }
    groups
}

fn span_ids(batch: &dyn SpanBatch) -> Vec<[u8; 8]> {
    let column = batch.column(&Field::SpanId, Selection::All).unwrap();
    match &column.parts[0].values {
        Values::SpanId(ids) => ids.clone(),
        other => panic!("ids of spans are {other:?}"),
    }
}

/// For each row of a row group the row of the head.
fn rows_of_head(group: &dyn SpanBatch, head: &HeadSnapshot) -> Vec<u32> {
    let by_id: HashMap<[u8; 8], u32> = span_ids(head).into_iter().zip(0..).collect();
    span_ids(group).iter().map(|id| by_id[id]).collect()
}

/// What a row group's columns must hold of each field.
fn check_columns(group: &dyn SpanBatch, head: &HeadSnapshot, fields: &[Field], chosen: u64) {
    let of_head = rows_of_head(group, head);
    let some: Vec<u32> = (0..group.len() as u32)
        .filter(|row| chosen >> (row % 64) & 1 == 1)
        .collect();
    let all: Vec<u32> = (0..group.len() as u32).collect();
    // Asked for first, as of what is not decoded yet few rows are decoded alone.
    let few = [(chosen % group.len() as u64) as u32];
    for field in fields {
        let expected = model::values(
            &head.column(field, Selection::All).unwrap(),
            Selection::All,
            head.len(),
        );
        for (selection, rows) in [
            (Selection::Rows(&few), &few[..]),
            (Selection::All, &all),
            (Selection::Rows(&some), &some),
        ] {
            let column = group.column(field, selection).unwrap();
            model::check_shape(&column, selection, group.len());
            let mut found = model::values(&column, selection, group.len());
            for (row, ..) in &mut found {
                *row = of_head[*row as usize];
            }
            found.sort();
            let wanted: BTreeSet<u32> = rows.iter().map(|row| of_head[*row as usize]).collect();
            let expected: Vec<_> = expected
                .iter()
                .filter(|(row, ..)| wanted.contains(row))
                .cloned()
                .collect();
            assert_eq!(found, expected, "{field} of {selection:?}");
        }
    }
}

/// What the dictionaries of a row group say is what its rows have.
fn check_texts(group: &dyn RowGroup, fields: &[Field]) {
    for field in fields {
        let Some(dictionary) = group.texts(field) else {
            continue;
        };
        let told: BTreeSet<&str> = (0..dictionary.len() as u32)
            .map(|code| dictionary.get(code).unwrap())
            .collect();
        assert_eq!(told.len(), dictionary.len(), "{field}");
        let column = group.batch().column(field, Selection::All).unwrap();
        let mut found = BTreeSet::new();
        for part in &column.parts {
            let Values::String { codes, dictionary } = &part.values else {
                panic!("{field} has other values than texts");
            };
            found.extend(codes.iter().map(|code| dictionary.get(*code).unwrap()));
        }
        assert_eq!(found, told, "{field}");
    }
}

/// Traces and parents of a row group.
fn check_tables(group: &dyn SpanBatch, head: &HeadSnapshot) {
    let of_head = rows_of_head(group, head);
    let (ordinals, traces, parents) = (
        group.trace_ordinals().unwrap(),
        group.traces().unwrap(),
        group.parents().unwrap(),
    );
    let (head_ordinals, head_traces, head_parents) = (
        head.trace_ordinals().unwrap(),
        head.traces().unwrap(),
        head.parents().unwrap(),
    );
    for row in 0..group.len() {
        let in_head = of_head[row] as usize;
        let expected = TraceRow {
            // A head's traces may all go on; a block knows better of those whose root came and whose end is long past.
            continued: traces[ordinals[row] as usize].continued,
            ..head_traces[head_ordinals[in_head] as usize].clone()
        };
        assert_eq!(traces[ordinals[row] as usize], expected);
        let parent = parents[row];
        let expected = head_parents[in_head];
        let mapped = of_head.get(parent as usize).copied().unwrap_or(parent);
        // A circle of parents is cut somewhere.
        assert!(
            mapped == expected || parent == ORPHAN && is_in_circle(&head_parents, in_head),
            "row {row}"
        );
    }
}

fn is_in_circle(parents: &[u32], row: usize) -> bool {
    let mut at = row;
    for _ in 0..parents.len() {
        match parents.get(parents[at] as usize) {
            Some(_) => at = parents[at] as usize,
            None => return false,
        }
        if at == row {
            return true;
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn spans_come_back_as_they_were_sent(sent in some_requests(), max_rows in 1..20_usize) {
        let head = head_of(&sent);
        prop_assume!(head.spans() > 0);
        run(async {
            let written = Written::of(&head, max_rows).await;
            let block = written.block();
            let mut all = ExportTraceServiceRequest::default();
            for group in block.row_groups().await.unwrap() {
                all.resource_spans.extend(block.all_spans(group.number).await.unwrap());
            }
            let mut expected: Vec<Vec<u8>> = sent.iter().flat_map(requests::comparable).collect();
            expected.sort();
            let mut found = requests::comparable(&all);
            found.sort();
            assert!(found == expected, "all spans");
            for id in 0..5 {
                let found = block.trace(TraceId([id; 16])).await.unwrap();
                assert_eq!(model::spans_of(&found), model::spans_of_trace(&sent, &[id; 16]));
            }
        });
    }

    #[test]
    fn columns_are_those_of_the_head(sent in some_requests(), max_rows in 1..20_usize, chosen in any::<u64>()) {
        let sent = with_own_ids(sent);
        let head = head_of(&sent);
        prop_assume!(head.spans() > 0);
        run(async {
            let written = Written::of(&head, max_rows).await;
            let model = Model::new(&sent);
            let fields = model.fields();
            let groups = loaded(&written, &fields).await;
            let mut keys: BTreeMap<Scope, BTreeSet<String>> = BTreeMap::new();
            for group in &groups {
                check_columns(group.batch(), &head, &fields, chosen);
                check_texts(&**group, &fields);
                check_tables(group.batch(), &head);
                for scope in Scope::ALL {
                    keys.entry(scope).or_default().extend(group.batch().attribute_keys(scope).unwrap());
                }
            }
            for scope in Scope::ALL {
                let expected: BTreeSet<String> = head.attribute_keys(scope).unwrap().into_iter().collect();
                assert_eq!(keys[&scope], expected);
            }
            assert_eq!(groups.iter().map(|group| group.batch().len()).sum::<usize>(), head.len());
            for condition in model.satisfied_conditions() {
                let may_match = groups.iter().any(|group| group.batch().may_match(&condition));
                assert!(may_match, "{condition:?}");
            }
        });
    }
}
