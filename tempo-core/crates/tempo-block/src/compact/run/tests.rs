//! A merge in many pieces: what one test of the crate from outside cannot make without a million spans.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::path::Path;
use prost::Message;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use ulid::Ulid;

use super::{Options, Pace, run};
use crate::compact::{Job, Method};
use crate::head::{Head, HeadSettings};
use crate::meta::BlockMeta;
use crate::read::{ReadStatistics, Reader};
use crate::store::faulty::{Fault, Faults, Faulty};
use crate::store::metered::Operation;
use crate::store::{Settings, open};
use crate::write::{self, BlockOptions};

const NOW: u64 = 1_700_000_000_000_000_000;

/// A block with a span of each of some traces; some of them are in every block.
async fn block(reader: &Reader, number: u64) -> Arc<BlockMeta> {
    let span = |trace: u64| {
        let own = if trace.is_multiple_of(3) { 0 } else { number };
        Span {
            trace_id: [trace.to_be_bytes(), own.to_be_bytes()].concat(),
            span_id: (number + 1).to_be_bytes().to_vec(),
            start_time_unix_nano: NOW + (trace * 7919) % 100,
            end_time_unix_nano: NOW + 200,
            ..Span::default()
        }
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (0..60).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let mut head = Head::new(HeadSettings::default());
    head.append(&request.encode_to_vec(), NOW).unwrap();
    let options = BlockOptions {
        max_row_group_rows: 7,
        ..BlockOptions::of_head(Ulid::from(u128::from(number)))
    };
    let tenant = TenantId::single();
    write::block(
        &reader.environment,
        &reader.store,
        &tenant,
        &head.snapshot(),
        options,
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn a_merge_in_many_pieces_keeps_every_span_and_joins_traces() {
    let environment = Environment::simulated(1, NOW);
    let reader = Reader::new(environment, open(&Settings::Memory).unwrap());
    let mut inputs = Vec::new();
    for number in 0..4 {
        inputs.push(block(&reader, number).await);
    }
    let job = Job {
        method: Method::Merge,
        inputs,
    };
    let tenant = TenantId::single();
    let options = Options {
        piece_bytes: 1500,
        ..Options::default()
    };
    let made = run(&reader, &tenant, &job, Ulid::from(9_u128), &options).await;
    let meta = made.unwrap().unwrap();
    // A third of the traces is in all inputs and becomes one, the others are in one each.
    assert_eq!((meta.spans, meta.traces), (240, 20 + 4 * 40));
    assert!(meta.row_groups > 5, "{} row groups", meta.row_groups);

    let block = reader
        .block(&tenant, meta, Arc::new(ReadStatistics::default()))
        .unwrap();
    let trace = |trace: u64, own: u64| {
        let id = [trace.to_be_bytes(), own.to_be_bytes()].concat();
        block.trace(TraceId::try_from(id.as_slice()).unwrap())
    };
    let spans = |found: Vec<ResourceSpans>| {
        let scopes = found.into_iter().flat_map(|found| found.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum::<usize>()
    };
    assert_eq!(spans(trace(3, 0).await.unwrap()), 4);
    assert_eq!(spans(trace(4, 2).await.unwrap()), 1);
    assert_eq!(
        block
            .trace_rows(TraceId::try_from(&[0; 16][..]).unwrap())
            .await
            .unwrap()
            .len(),
        1
    );
}

/// Every request takes ten milliseconds of simulated time.
#[derive(Debug)]
struct Slow(Environment);

#[async_trait]
impl Faults for Slow {
    async fn before(&self, _: Operation, _: &Path) -> Fault {
        self.0.clock.sleep(Duration::from_millis(10)).await;
        Fault::None
    }
}

#[tokio::test(start_paused = true)]
async fn at_half_pace_a_job_rests_as_long_as_it_works() {
    let environment = Environment::simulated(1, NOW);
    let store = open(&Settings::Memory).unwrap();
    let slow = Faulty::new(store, Arc::new(Slow(environment.clone())));
    let reader = Reader::new(environment, Arc::new(slow));
    let inputs = vec![block(&reader, 1).await, block(&reader, 2).await];
    for method in [Method::Copy, Method::Merge] {
        let mut took = Vec::new();
        for (output, pace) in [(10_u128, Pace::Full), (11, Pace::Half)] {
            let options = Options {
                pace,
                ..Options::default()
            };
            let job = Job {
                method,
                inputs: inputs.clone(),
            };
            let began = tokio::time::Instant::now();
            run(&reader, &TenantId::single(), &job, Ulid::from(output), &options)
                .await
                .unwrap();
            took.push(began.elapsed());
        }
        // What it takes to send the output's end is not made up for.
        let rests = took[1].saturating_sub(took[0]);
        assert!(rests > took[0] / 2 && rests <= took[0], "{method:?}: {took:?}");
    }
}
