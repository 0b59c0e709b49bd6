//! Blocks put together: nothing is lost, and queries answer as before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use proptest::prelude::*;
use prost::Message;
use tempo_block::compact::{self, CompactError, Job, Method};
use tempo_block::head::{Head, HeadSettings};
use tempo_block::layout::BlockFile;
use tempo_block::meta::BlockMeta;
use tempo_block::read::{BlockReader, ReadStatistics, Reader};
use tempo_block::scan::{self, Source};
use tempo_block::schema::{FileMetadata, MAX_ATTRIBUTE_COLUMNS};
use tempo_block::store::{Settings, open};
use tempo_block::write::{self, BlockOptions};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_model::proto::trace::{ExportTraceServiceRequest, Span};
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use tempo_traceql::ast::Scope;
use tempo_traceql::metrics::{Metrics, Series, TimeRange};
use tempo_traceql::search::{Matches, Search, SearchOptions};
use ulid::Ulid;

use crate::read::run;
use crate::write::requests::{self, of_spans};

const NOW: u64 = 1_700_000_000_000_000_000;
const OUTPUT: u128 = 99;

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

struct World {
    reader: Reader,
    next: u128,
}

impl World {
    fn new() -> Self {
        let environment = Environment::simulated(1, NOW);
        Self {
            reader: Reader::new(environment, open(&Settings::Memory).unwrap()),
            next: 1,
        }
    }

    /// A block of a head with the requests; `None` without spans.
    async fn block(&mut self, requests: &[ExportTraceServiceRequest]) -> Option<Arc<BlockMeta>> {
        let mut head = head_of(requests);
        let options = BlockOptions {
            max_row_group_rows: 4,
            ..BlockOptions::of_head(Ulid::from(self.next))
        };
        self.next += 1;
        let snapshot = (head.spans() > 0).then(|| head.snapshot())?;
        let Reader {
            environment, store, ..
        } = &self.reader;
        let written = write::block(environment, store, &TenantId::single(), &snapshot, options).await;
        Some(written.unwrap())
    }

    async fn blocks(&mut self, sets: &[Vec<ExportTraceServiceRequest>]) -> Vec<Arc<BlockMeta>> {
        let mut metas = Vec::new();
        for requests in sets {
            metas.extend(self.block(requests).await);
        }
        metas
    }

    async fn run(
        &self,
        method: Method,
        inputs: &[Arc<BlockMeta>],
        without: &[TraceId],
    ) -> Result<Option<Arc<BlockMeta>>, CompactError> {
        let job = Job {
            method,
            inputs: inputs.to_vec(),
        };
        let without: BTreeSet<TraceId> = without.iter().copied().collect();
        compact::run(
            &self.reader,
            &TenantId::single(),
            &job,
            Ulid::from(OUTPUT),
            &without,
        )
        .await
    }

    fn open(&self, meta: &Arc<BlockMeta>) -> Arc<dyn BlockReader> {
        let statistics = Arc::new(ReadStatistics::default());
        self.reader
            .block(&TenantId::single(), Arc::clone(meta), statistics)
            .unwrap()
    }

    fn sources(&self, metas: &[Arc<BlockMeta>]) -> Vec<Source> {
        metas.iter().map(|meta| Source::Block(self.open(meta))).collect()
    }

    /// Every span of some blocks.
    async fn spans(&self, metas: &[Arc<BlockMeta>]) -> Vec<Vec<u8>> {
        let mut resource_spans = Vec::new();
        for meta in metas {
            for number in 0..meta.row_groups as usize {
                resource_spans.extend(self.open(meta).all_spans(number).await.unwrap());
            }
        }
        requests::comparable(&ExportTraceServiceRequest { resource_spans })
    }

    async fn trace(&self, meta: &Arc<BlockMeta>, id: u8) -> Vec<Vec<u8>> {
        let resource_spans = self.open(meta).trace(TraceId([id; 16])).await.unwrap();
        requests::comparable(&ExportTraceServiceRequest { resource_spans })
    }

    async fn answers(&self, queries: &[&str], sources: &[Source]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for query in queries {
            answers.push(self.answer(query, sources).await);
        }
        answers
    }

    async fn answer(&self, query: &str, sources: &[Source]) -> Answer {
        let options = SearchOptions {
            limit: 0,
            spans_per_spanset: 0,
            ..SearchOptions::default()
        };
        let search = Arc::new(Search::new(&tempo_traceql::parse(query).unwrap(), options).unwrap());
        let mut matches = Matches::new(options);
        for source in sources {
            scan::search(
                &self.reader.environment,
                source,
                &search,
                scan::TimeRange::ALL,
                &mut matches,
            )
            .await
            .unwrap();
        }
        let mut answer = Answer::new();
        for found in matches.into_traces() {
            let sets = found.spansets.iter();
            let ids = sets
                .flat_map(|set| set.spans.iter().map(|span| span.span_id))
                .collect();
            answer.insert(found.trace_id, (found.start_ns, found.end_ns, ids));
        }
        answer
    }

    async fn rates(&self, sources: &[Source]) -> BTreeMap<String, Vec<(u64, u64)>> {
        let query = tempo_traceql::parse("{} | count_over_time() by (name, resource.service.name)").unwrap();
        let range = TimeRange {
            start_ns: NOW - 10,
            end_ns: NOW + 20,
            step_ns: Some(5),
        };
        let metrics = Arc::new(Metrics::new(&query, range, 0).unwrap());
        let mut partial = metrics.empty();
        for source in sources {
            let times = scan::TimeRange {
                start_ns: range.start_ns,
                end_ns: range.end_ns,
            };
            scan::metrics(&self.reader.environment, source, &metrics, times, &mut partial)
                .await
                .unwrap();
        }
        let samples = |series: &Series| {
            series
                .samples
                .iter()
                .map(|(time, value)| (*time, value.to_bits()))
                .collect()
        };
        let series = metrics.finish(&partial);
        series
            .iter()
            .map(|series| (format!("{:?}", series.labels), samples(series)))
            .collect()
    }

    async fn footer(&self, meta: &Arc<BlockMeta>) -> ParquetMetaData {
        let path = BlockFile::Spans.path(&TenantId::single(), meta.id);
        let bytes = self.reader.store.get(&path).await.unwrap().bytes().await.unwrap();
        ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap()
    }
}

/// By trace: start, end, and the spans that matched.
type Answer = BTreeMap<[u8; 16], (u64, u64, BTreeSet<[u8; 8]>)>;

fn head_of(requests: &[ExportTraceServiceRequest]) -> Head {
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 0,
    });
    for (number, request) in requests.iter().enumerate() {
        head.append(&request.encode_to_vec(), NOW + number as u64)
            .unwrap();
    }
    head
}

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
