//! How many requests reading takes, and what is not read.

use std::collections::BTreeSet;
use tempo_block::read::{BlockCache, CacheSettings, ReadTotals, Reader, Wanted, wanted_fields};
use tempo_block::scan::{self, Source, TimeRange};
use tempo_traceql::ast::Scope;
use tempo_traceql::columns::Field;
use tempo_traceql::parse;
use tempo_traceql::search::{Matches, Search, SearchOptions};
use tempo_traceql::tags::TagFilter;

use super::{Written, calls, head_of, run, trace_id};

async fn written(traces: u32, max_rows: usize) -> Written {
    Written::of(&head_of(&[calls(traces)]), max_rows).await
}

impl Written {
    /// What `work` costs.
    async fn cost<T>(&self, work: impl Future<Output = T>) -> (T, ReadTotals) {
        let before = self.statistics.totals();
        let result = work.await;
        let after = self.statistics.totals();
        let cost = ReadTotals {
            requests: after.requests - before.requests,
            bytes: after.bytes - before.bytes,
            cached_bytes: after.cached_bytes - before.cached_bytes,
            spans: after.spans - before.spans,
            blocks: after.blocks - before.blocks,
            blocks_pruned: after.blocks_pruned - before.blocks_pruned,
            row_groups: after.row_groups - before.row_groups,
            row_groups_pruned: after.row_groups_pruned - before.row_groups_pruned,
        };
        (result, cost)
    }

    async fn search(&self, query: &str, limit: usize) -> (Matches, ReadTotals) {
        let options = SearchOptions {
            limit,
            ..SearchOptions::default()
        };
        let search = Search::new(&parse(query).unwrap(), options).unwrap().into();
        let mut matches = Matches::new(options);
        let source = Source::Block(self.block());
        let environment = &self.reader.environment;
        let work = scan::search(environment, &source, &search, TimeRange::ALL, &mut matches);
        let (result, cost) = self.cost(work).await;
        result.unwrap();
        (matches, cost)
    }
}

#[test]
fn a_file_is_opened_with_one_request() {
    run(async {
        let written = written(100, 40).await;
        let block = written.block();
        let (groups, cost) = written.cost(block.row_groups()).await;
        assert_eq!(groups.unwrap().len(), 10);
        assert_eq!(cost.requests, 1);
        assert_eq!(cost.bytes, written.meta.spans_file.footer_bytes);
        let (_, again) = written.cost(written.block().row_groups()).await;
        assert_eq!(again.requests, 0);
    });
}

#[test]
fn a_trace_that_is_not_there_costs_nothing_once_metadata_is_cached() {
    run(async {
        let written = written(100, 40).await;
        let block = written.block();
        let missing = |number: u32| {
            let mut id = trace_id(number);
            id.0[15] = 8;
            id
        };
        let (found, cost) = written.cost(block.trace(missing(50))).await;
        assert!(found.unwrap().is_empty());
        assert_eq!(
            (cost.requests, cost.bytes),
            (1, written.meta.traces_file.footer_bytes)
        );
        let mut requests = 0;
        for number in 0..99 {
            let (found, cost) = written.cost(block.trace(missing(number))).await;
            assert!(found.unwrap().is_empty());
            requests += cost.requests;
        }
        // A filter lets few pass by mistake; each costs a trace table, once.
        assert!(requests <= 10, "{requests} requests");
    });
}

#[test]
fn a_trace_takes_its_row_group_alone() {
    run(async {
        let written = written(100, 40).await;
        let block = written.block();
        block.row_groups().await.unwrap();
        block.trace(trace_id(200)).await.unwrap();
        let (found, cost) = written.cost(block.trace(trace_id(42))).await;
        assert_eq!(found.unwrap()[0].scope_spans[0].spans.len(), 4);
        // Footer of the traces, trace table, columns.
        assert!(cost.requests <= 3, "{cost:?}");
        let (_, again) = written.cost(block.trace(trace_id(42))).await;
        assert_eq!((again.requests, again.bytes), (0, 0));
        assert!(again.cached_bytes > 0);
    });
}

#[test]
fn what_no_span_has_is_not_read() {
    run(async {
        let written = written(10, 1000).await;
        let group = written.block().row_group(0).await.unwrap();
        let nothing = [
            Field::Attribute(Scope::Span, "no such key".to_owned()),
            Field::Attribute(Scope::Event, "no such key".to_owned()),
            Field::EventName,
            Field::LinkTraceId,
        ];
        let (loaded, cost) = written.cost(group.load(&wanted_fields(nothing.clone()))).await;
        loaded.unwrap();
        assert_eq!(cost.requests, 0);
        for field in nothing {
            let column = group
                .batch()
                .column(&field, tempo_traceql::columns::Selection::All)
                .unwrap();
            assert!(column.parts.is_empty());
        }
        assert!(group.take_missing().is_empty());
        // All that is asked for at once takes one request.
        let wanted = [
            Wanted::Field(Field::Name),
            Wanted::Field(Field::Start),
            Wanted::Parents,
        ];
        let (_, cost) = written.cost(group.load(&wanted)).await;
        assert_eq!(cost.requests, 1);
    });
}

#[test]
fn what_is_missing_is_said() {
    run(async {
        let written = written(10, 1000).await;
        let group = written.block().row_group(0).await.unwrap();
        assert!(group.batch().parents().is_err());
        assert!(
            group
                .batch()
                .column(&Field::Name, tempo_traceql::columns::Selection::All)
                .is_err()
        );
        assert_eq!(
            group.take_missing(),
            [Wanted::Parents, Wanted::Field(Field::Name)]
        );
    });
}

#[test]
fn searches_stop_at_the_newest_and_pass_over_what_cannot_match() {
    run(async {
        let written = written(100, 40).await;
        let (found, cost) = written.search("{}", 3).await;
        assert_eq!(found.traces().len(), 3);
        assert_eq!(found.traces()[0].trace_id, trace_id(99).0);
        assert_eq!((cost.row_groups, cost.spans), (1, 40), "{cost:?}");
        // Smallest and largest value say that it is nowhere: footers alone were read.
        let (found, cost) = written.search("{ span.parity = `2` }", 3).await;
        assert!(found.traces().is_empty());
        assert_eq!(
            (cost.requests, cost.row_groups, cost.row_groups_pruned),
            (0, 0, 10),
            "{cost:?}"
        );
        let (found, cost) = written.search("{ span.http.status_code > 500 }", 3).await;
        assert!(found.traces().is_empty());
        assert_eq!((cost.requests, cost.row_groups), (0, 0), "{cost:?}");
        // One of two errors in each row group of ten traces: all are looked into until there are enough.
        let (found, cost) = written.search("{ status = error }", 0).await;
        assert_eq!((found.traces().len(), cost.row_groups), (20, 10));
    });
}

#[test]
fn a_time_range_passes_over_other_row_groups() {
    run(async {
        let written = written(100, 40).await;
        let options = SearchOptions::default();
        let search = Search::new(&parse("{}").unwrap(), options).unwrap().into();
        let mut matches = Matches::new(options);
        let range = TimeRange {
            start_ns: super::ARRIVAL,
            end_ns: super::ARRIVAL + 15_000_000,
        };
        let source = Source::Block(written.block());
        let work = scan::search(&written.reader.environment, &source, &search, range, &mut matches);
        let (_, cost) = written.cost(work).await;
        assert_eq!((cost.row_groups, cost.row_groups_pruned), (2, 8));
    });
}

#[test]
fn tags_of_a_whole_block_come_from_its_catalogue() {
    run(async {
        let written = written(100, 40).await;
        let source = Source::Block(written.block());
        let environment = &written.reader.environment;
        let all = TagFilter::all();
        let work = scan::tag_names(environment, &source, &[Scope::Span], &all, TimeRange::ALL);
        let (names, cost) = written.cost(work).await;
        assert_eq!(names.unwrap()[&Scope::Span].len(), 2);
        assert_eq!(
            (cost.requests, cost.bytes),
            (1, written.meta.catalogue_file.bytes)
        );
        let filtered = TagFilter::new("{ span.parity = `1` }");
        let mut found = BTreeSet::default();
        let attribute = tempo_traceql::parse_attribute("span.trace").unwrap();
        let work = scan::tag_values(
            environment,
            &source,
            &attribute,
            &filtered,
            TimeRange::ALL,
            0,
            &mut found,
        );
        let (_, cost) = written.cost(work).await;
        assert_eq!((found.len(), cost.row_groups), (50, 10));
        let mut some = BTreeSet::default();
        scan::tag_values(
            environment,
            &source,
            &attribute,
            &all,
            TimeRange::ALL,
            10,
            &mut some,
        )
        .await
        .unwrap();
        assert!(some.len() < 12);
    });
}

#[test]
fn without_a_chunk_cache_everything_is_read_again() {
    run(async {
        let mut written = written(10, 1000).await;
        written.reader = Reader {
            cache: BlockCache::new(CacheSettings {
                chunk_bytes: 0,
                ..CacheSettings::default()
            }),
            ..written.reader
        };
        for _ in 0..2 {
            let (found, cost) = written.search("{ status = error }", 0).await;
            assert_eq!(found.traces().len(), 2);
            assert!(cost.requests > 0 && cost.cached_bytes == 0);
        }
    });
}
