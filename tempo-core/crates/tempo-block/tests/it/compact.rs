//! Blocks put together: nothing is lost, and queries answer as before.

mod world;

use std::sync::Arc;

use object_store::ObjectStoreExt;
use proptest::prelude::*;
use tempo_block::compact::Method;
use tempo_block::layout::BlockFile;
use tempo_block::meta::BlockMeta;
use tempo_block::scan::Source;
use tempo_block::schema::{FileMetadata, MAX_ATTRIBUTE_COLUMNS};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_model::proto::trace::{ExportTraceServiceRequest, Span};
use tempo_model::{TenantId, TraceId};
use tempo_traceql::ast::Scope;
use ulid::Ulid;

use crate::read::run;
use crate::write::requests::{self, of_spans};
use world::{NOW, OUTPUT, World, head_of};

/// Conditions on spans alone, whose answers do not depend on which spans of a trace lie together.
const FILTERS: [&str; 7] = [
    "{}",
    "{ name = \"a\" }",
    "{ .a != nil }",
    "{ span.b = 200 || resource.service.name =~ \"a.*\" }",
    "{ event.a != nil && event:name != \"b\" }",
    "{ kind = server && status = error }",
    "{ instrumentation.A = true || link.b = -1 }",
];

/// Queries whose answers do.
const OF_TREES: [&str; 3] = ["{} > {}", "{ nestedSetParent < 0 }", "{} | count() > 2"];

/// Requests of several blocks, in which no two spans have the same id.
fn sets() -> impl Strategy<Value = Vec<Vec<ExportTraceServiceRequest>>> {
    let sets = prop::collection::vec(prop::collection::vec(requests::request(), 0..3), 1..4);
    sets.prop_map(|mut sets| {
        let all = sets
            .iter_mut()
            .flatten()
            .flat_map(|request| &mut request.resource_spans);
        let all = all.flat_map(|of_resource| &mut of_resource.scope_spans);
        for (span, number) in all.flat_map(|of_scope| &mut of_scope.spans).zip(100_u64..) {
            span.span_id = number.to_be_bytes().to_vec();
        }
        sets
    })
}

fn comparable(sets: &[Vec<ExportTraceServiceRequest>]) -> Vec<Vec<u8>> {
    let mut spans: Vec<Vec<u8>> = sets.iter().flatten().flat_map(requests::comparable).collect();
    spans.sort();
    spans
}

fn span(trace: u8, id: u8, attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        start_time_unix_nano: NOW + u64::from(id),
        end_time_unix_nano: NOW + 100,
        attributes,
        ..Span::default()
    }
}

fn int(key: String, value: i64) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue {
            value: Some(Value::IntValue(value)),
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_copy_answers_as_its_inputs(sets in sets()) {
        run(async {
            let mut world = World::new();
            let inputs = world.blocks(&sets).await;
            prop_assume!(!inputs.is_empty());
            let meta = world.run(Method::Copy, &inputs, &[]).await.unwrap().unwrap();
            let output = [Arc::clone(&meta)];
            prop_assert_eq!(world.spans(&output).await, comparable(&sets));
            let sum = |of: fn(&BlockMeta) -> u64| inputs.iter().map(|meta| of(meta)).sum::<u64>();
            prop_assert_eq!(meta.spans, sum(|meta| meta.spans));
            prop_assert_eq!(meta.traces, sum(|meta| meta.traces));
            prop_assert_eq!(u64::from(meta.row_groups), sum(|meta| meta.row_groups.into()));
            prop_assert_eq!(meta.level, 1);
            world.verify(&meta).await;
            prop_assert_eq!(Some(meta.start_ns), inputs.iter().map(|meta| meta.start_ns).min());
            prop_assert_eq!(Some(meta.end_ns), inputs.iter().map(|meta| meta.end_ns).max());
            let (before, after) = (world.sources(&inputs), world.sources(&output));
            for queries in [&FILTERS[..], &OF_TREES[..]] {
                prop_assert_eq!(world.answers(queries, &after).await, world.answers(queries, &before).await);
            }
            prop_assert_eq!(world.rates(&after).await, world.rates(&before).await);
            for id in 1..4 {
                let mut of_inputs = Vec::new();
                for meta in &inputs {
                    of_inputs.extend(world.trace(meta, id).await);
                }
                of_inputs.sort();
                prop_assert_eq!(world.trace(&meta, id).await, of_inputs);
            }
            let mut keys = world.open(&inputs[0]).catalogue().await.unwrap().as_ref().clone();
            for input in &inputs[1..] {
                keys.merge(&world.open(input).catalogue().await.unwrap());
            }
            prop_assert_eq!(&*world.open(&meta).catalogue().await.unwrap(), &keys);
            Ok(())
        })?;
    }

    #[test]
    fn a_merge_answers_as_one_head_and_has_each_span_once(sets in sets(), twice in any::<prop::sample::Index>()) {
        run(async {
            let mut world = World::new();
            let mut repeated = sets.clone();
            repeated.push(vec![]);
            let again = sets[twice.index(sets.len())].clone();
            repeated.push(again);
            let inputs = world.blocks(&repeated).await;
            prop_assume!(!inputs.is_empty());
            let meta = world.run(Method::Merge, &inputs, &[]).await.unwrap().unwrap();
            let output = [Arc::clone(&meta)];
            prop_assert_eq!(world.spans(&output).await, comparable(&sets));
            prop_assert!(!meta.maybe_duplicates);
            world.verify(&meta).await;
            let arrivals = |of: fn(&BlockMeta) -> u64| inputs.iter().map(move |meta| of(meta));
            prop_assert_eq!(Some(meta.first_arrival_ns), arrivals(|meta| meta.first_arrival_ns).min());
            prop_assert_eq!(Some(meta.last_arrival_ns), arrivals(|meta| meta.last_arrival_ns).max());
            let head = [Source::Head(head_of(&sets.concat()).snapshot())];
            let after = world.sources(&output);
            prop_assert_eq!(world.answers(&FILTERS, &after).await, world.answers(&FILTERS, &head).await);
            prop_assert_eq!(world.rates(&after).await, world.rates(&head).await);
            Ok(())
        })?;
    }

    #[test]
    fn unwanted_traces_are_left_out(sets in sets(), method in prop::sample::select(vec![Method::Copy, Method::Merge])) {
        run(async {
            let mut world = World::new();
            let inputs = world.blocks(&sets).await;
            prop_assume!(!inputs.is_empty());
            let made = world.run(method, &inputs, &[TraceId([2; 16])]).await.unwrap();
            let mut rest = sets.clone();
            for request in rest.iter_mut().flatten() {
                let scopes = request.resource_spans.iter_mut().flat_map(|found| &mut found.scope_spans);
                scopes.for_each(|scope| scope.spans.retain(|span| span.trace_id != [2; 16]));
            }
            let expected = comparable(&rest);
            prop_assert_eq!(made.is_none(), expected.is_empty());
            prop_assert_eq!(world.spans(&made.into_iter().collect::<Vec<_>>()).await, expected);
            Ok(())
        })?;
    }
}

#[test]
fn of_a_block_with_unwanted_traces_alone_nothing_is_left() {
    run(async {
        let mut world = World::new();
        let inputs = world.blocks(&[vec![of_spans(vec![span(7, 1, vec![])])]]).await;
        let made = world
            .run(Method::Merge, &inputs, &[TraceId([7; 16])])
            .await
            .unwrap();
        assert_eq!(made, None);
        for file in BlockFile::ALL {
            let path = file.path(&TenantId::single(), Ulid::from(OUTPUT));
            assert!(world.reader.store.head(&path).await.is_err());
        }
    });
}

#[test]
fn what_was_too_rare_for_a_column_is_found_where_there_is_one_now() {
    run(async {
        let mut world = World::new();
        let rare = || vec![int("rare".to_owned(), 5)];
        let mut many: Vec<Span> = (0..200).map(|id| span(1, id, vec![])).collect();
        many[50].attributes = rare();
        let sets = [vec![of_spans(many)], vec![of_spans(vec![span(2, 7, rare())])]];
        let inputs = world.blocks(&sets).await;
        let meta = world.run(Method::Copy, &inputs, &[]).await.unwrap().unwrap();
        let footer = world.footer(&meta).await;
        let contents = FileMetadata::from_key_values(footer.file_metadata().key_value_metadata()).unwrap();
        let overflowed = contents.row_groups.iter().map(|group| group.overflowed.clone());
        assert_eq!(overflowed.collect::<Vec<_>>(), [vec![0], vec![]]);
        let found = world
            .answer("{ span.rare = 5 }", &world.sources(&[Arc::clone(&meta)]))
            .await;
        let spans: Vec<[u8; 8]> = found.into_values().flat_map(|(.., spans)| spans).collect();
        assert_eq!(spans, [[50; 8], [7; 8]]);
        assert_eq!(world.spans(&[meta]).await, comparable(&sets));
    });
}

#[test]
fn both_sides_of_a_call_with_one_id_stay() {
    run(async {
        let mut world = World::new();
        let side = |kind| {
            vec![of_spans(vec![Span {
                kind,
                ..span(7, 1, vec![])
            }])]
        };
        let inputs = world.blocks(&[side(2), side(3), side(2)]).await;
        let meta = world.run(Method::Merge, &inputs, &[]).await.unwrap().unwrap();
        assert_eq!((meta.spans, meta.traces), (2, 1));
    });
}

#[test]
fn inputs_with_too_many_columns_together_are_merged() {
    run(async {
        let mut world = World::new();
        let with_keys = |trace: u8, keys: std::ops::Range<i64>| {
            let attributes = keys.map(|key| int(format!("k{key}"), key)).collect();
            vec![of_spans(vec![span(trace, 1, attributes)])]
        };
        let sets = [with_keys(1, 0..200), with_keys(2, 150..350)];
        let inputs = world.blocks(&sets).await;
        let meta = world.run(Method::Copy, &inputs, &[]).await.unwrap().unwrap();
        let footer = world.footer(&meta).await;
        let contents = FileMetadata::from_key_values(footer.file_metadata().key_value_metadata()).unwrap();
        assert_eq!(contents.columns.len(), MAX_ATTRIBUTE_COLUMNS);
        assert_eq!(world.spans(&[Arc::clone(&meta)]).await, comparable(&sets));
        let catalogue = world.open(&meta).catalogue().await.unwrap();
        assert_eq!(catalogue.keys(Scope::Span).count(), 350);
    });
}

#[test]
fn a_copy_says_of_its_chunks_what_the_inputs_say() {
    run(async {
        let mut world = World::new();
        let name = |text: &str| KeyValue {
            key: "name".to_owned(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(text.to_owned())),
            }),
        };
        let sets = [
            vec![of_spans(vec![
                span(1, 1, vec![name("a")]),
                span(2, 2, vec![name("b")]),
            ])],
            vec![of_spans(vec![span(3, 3, vec![int("number".to_owned(), 5)])])],
        ];
        let inputs = world.blocks(&sets).await;
        let meta = world.run(Method::Copy, &inputs, &[]).await.unwrap().unwrap();
        let output = world.footer(&meta).await;
        let mut row_groups = output.row_groups().iter();
        for input in &inputs {
            for old in world.footer(input).await.row_groups() {
                let new = row_groups.next().unwrap();
                assert_eq!(new.num_rows(), old.num_rows());
                for chunk in old.columns() {
                    let copied = new
                        .columns()
                        .iter()
                        .find(|copied| copied.column_path() == chunk.column_path());
                    let copied = copied.unwrap();
                    assert_eq!(copied.statistics(), chunk.statistics());
                    assert_eq!(
                        copied.page_encoding_stats_mask(),
                        chunk.page_encoding_stats_mask()
                    );
                    assert!(chunk.page_encoding_stats_mask().is_some());
                    assert_eq!(copied.compressed_size(), chunk.compressed_size());
                }
            }
        }
    });
}

#[test]
fn a_damaged_input_is_an_error_and_leaves_no_block() {
    run(async {
        let mut world = World::new();
        let sets = [
            vec![of_spans(vec![span(1, 1, vec![])])],
            vec![of_spans(vec![span(2, 2, vec![])])],
        ];
        let inputs = world.blocks(&sets).await;
        let path = BlockFile::Spans.path(&TenantId::single(), inputs[1].id);
        let mut bytes = world
            .reader
            .store
            .get(&path)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .to_vec();
        bytes[10] ^= 0x40;
        world.reader.store.put(&path, bytes.into()).await.unwrap();
        for method in [Method::Copy, Method::Merge] {
            let error = world.run(method, &inputs, &[]).await.unwrap_err();
            assert!(error.to_string().contains("damaged"), "{error}");
            let path = BlockFile::Spans.path(&TenantId::single(), Ulid::from(OUTPUT));
            assert!(world.reader.store.head(&path).await.is_err());
        }
    });
}
