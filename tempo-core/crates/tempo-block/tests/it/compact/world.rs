//! Blocks of requests, put together, and asked before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectStoreExt;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use prost::Message;
use tempo_block::compact::{self, CompactError, Job, Method, Options};
use tempo_block::head::{Head, HeadSettings};
use tempo_block::layout::BlockFile;
use tempo_block::meta::BlockMeta;
use tempo_block::read::{BlockReader, ReadStatistics, Reader};
use tempo_block::scan::{self, Source};
use tempo_block::store::{Settings, open};
use tempo_block::verify::Verifier;
use tempo_block::write::{self, BlockOptions};
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use tempo_traceql::metrics::{Metrics, Series, TimeRange};
use tempo_traceql::search::{Matches, Search, SearchOptions};
use ulid::Ulid;

use crate::write::requests;

pub(super) const NOW: u64 = 1_700_000_000_000_000_000;
pub(super) const OUTPUT: u128 = 99;

pub(super) struct World {
    pub(super) reader: Reader,
    next: u128,
}

impl World {
    pub(super) fn new() -> Self {
        let environment = Environment::simulated(1, NOW);
        Self {
            reader: Reader::new(environment, open(&Settings::Memory).unwrap()),
            next: 1,
        }
    }

    /// A block of a head with the requests; `None` without spans.
    pub(super) async fn block(&mut self, requests: &[ExportTraceServiceRequest]) -> Option<Arc<BlockMeta>> {
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

    pub(super) async fn blocks(&mut self, sets: &[Vec<ExportTraceServiceRequest>]) -> Vec<Arc<BlockMeta>> {
        let mut metas = Vec::new();
        for requests in sets {
            metas.extend(self.block(requests).await);
        }
        metas
    }

    pub(super) async fn run(
        &self,
        method: Method,
        inputs: &[Arc<BlockMeta>],
        without: &[TraceId],
    ) -> Result<Option<Arc<BlockMeta>>, CompactError> {
        let job = Job {
            method,
            inputs: inputs.to_vec(),
        };
        let options = Options {
            without: without.iter().copied().collect(),
            ..Options::default()
        };
        compact::run(
            &self.reader,
            &TenantId::single(),
            &job,
            Ulid::from(OUTPUT),
            &options,
        )
        .await
    }

    /// Checks a block against itself.
    pub(super) async fn verify(&self, meta: &Arc<BlockMeta>) {
        let verifier = Verifier::open(&self.reader, &TenantId::single(), meta)
            .await
            .unwrap();
        for number in 0..verifier.row_groups() {
            verifier.row_group(number).await.unwrap();
        }
    }

    pub(super) fn open(&self, meta: &Arc<BlockMeta>) -> Arc<dyn BlockReader> {
        let statistics = Arc::new(ReadStatistics::default());
        self.reader
            .block(&TenantId::single(), Arc::clone(meta), statistics)
            .unwrap()
    }

    pub(super) fn sources(&self, metas: &[Arc<BlockMeta>]) -> Vec<Source> {
        metas.iter().map(|meta| Source::Block(self.open(meta))).collect()
    }

    /// Every span of some blocks.
    pub(super) async fn spans(&self, metas: &[Arc<BlockMeta>]) -> Vec<Vec<u8>> {
        let mut resource_spans = Vec::new();
        for meta in metas {
            for number in 0..meta.row_groups as usize {
                resource_spans.extend(self.open(meta).all_spans(number).await.unwrap());
            }
        }
        requests::comparable(&ExportTraceServiceRequest { resource_spans })
    }

    pub(super) async fn trace(&self, meta: &Arc<BlockMeta>, id: u8) -> Vec<Vec<u8>> {
        let resource_spans = self.open(meta).trace(TraceId([id; 16])).await.unwrap();
        requests::comparable(&ExportTraceServiceRequest { resource_spans })
    }

    pub(super) async fn answers(&self, queries: &[&str], sources: &[Source]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for query in queries {
            answers.push(self.answer(query, sources).await);
        }
        answers
    }

    pub(super) async fn answer(&self, query: &str, sources: &[Source]) -> Answer {
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

    pub(super) async fn rates(&self, sources: &[Source]) -> BTreeMap<String, Vec<(u64, u64)>> {
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

    pub(super) async fn footer(&self, meta: &Arc<BlockMeta>) -> ParquetMetaData {
        let path = BlockFile::Spans.path(&TenantId::single(), meta.id);
        let bytes = self.reader.store.get(&path).await.unwrap().bytes().await.unwrap();
        ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap()
    }
}

/// By trace: start, end, and the spans that matched.
pub(super) type Answer = BTreeMap<[u8; 16], (u64, u64, BTreeSet<[u8; 8]>)>;

pub(super) fn head_of(requests: &[ExportTraceServiceRequest]) -> Head {
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 0,
    });
    for (number, request) in requests.iter().enumerate() {
        head.append(&request.encode_to_vec(), NOW + number as u64)
            .unwrap();
    }
    head
}
