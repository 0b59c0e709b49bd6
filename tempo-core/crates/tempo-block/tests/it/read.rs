//! Reading blocks: what was sent comes back, with few requests, and damage is told.

mod cost;
mod damage;
mod disk;
mod fuzz;
mod permits;
mod rows;
mod same;

use std::sync::Arc;

use prost::Message;
use tempo_block::head::{Head, HeadSettings, HeadSnapshot};
use tempo_block::meta::BlockMeta;
use tempo_block::read::{BlockReader, ReadStatistics, Reader};
use tempo_block::store::{Settings, Store, open};
use tempo_block::write::{self, BlockOptions};
use tempo_model::proto::common::any_value::Value;
use tempo_model::proto::common::{AnyValue, KeyValue};
use tempo_model::proto::resource::Resource;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span, Status};
use tempo_model::{TenantId, TraceId};
use tempo_runtime::Environment;
use ulid::Ulid;

/// When everything arrives.
pub(crate) const ARRIVAL: u64 = 1_700_000_000_000_000_000;

/// A block in a store of its own.
pub(crate) struct Written {
    pub(crate) store: Store,
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) reader: Reader,
    pub(crate) statistics: Arc<ReadStatistics>,
}

impl Written {
    /// The block of a head, in row groups of so many rows.
    pub(crate) async fn of(head: &Arc<HeadSnapshot>, max_row_group_rows: usize) -> Self {
        let store = open(&Settings::Memory).unwrap();
        let options = BlockOptions {
            max_row_group_rows,
            ..BlockOptions::of_head(Ulid::from(7_u128))
        };
        let environment = Environment::simulated(1, 0);
        let meta = write::block(&environment, &store, &TenantId::single(), head, options)
            .await
            .unwrap();
        Self {
            reader: Reader::new(environment, Arc::clone(&store)),
            statistics: Arc::default(),
            store,
            meta,
        }
    }

    pub(crate) fn block(&self) -> Arc<dyn BlockReader> {
        let statistics = Arc::clone(&self.statistics);
        self.reader
            .block(&TenantId::single(), Arc::clone(&self.meta), statistics)
            .unwrap()
    }
}

/// Runs work to its end on this thread.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

/// A head with the requests in it.
pub(crate) fn head_of(requests: &[ExportTraceServiceRequest]) -> Arc<HeadSnapshot> {
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 0,
    });
    for request in requests {
        head.append(&request.encode_to_vec(), ARRIVAL).unwrap();
    }
    head.snapshot()
}

/// A call tree of four spans in each of some traces, a millisecond after another; every fifth trace has an error.
pub(crate) fn calls(traces: u32) -> ExportTraceServiceRequest {
    let text = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value)),
        }),
    };
    let span = |trace: u32, number: u8| Span {
        trace_id: trace_id(trace).0.to_vec(),
        span_id: vec![number + 1; 8],
        parent_span_id: if number == 0 { Vec::new() } else { vec![number; 8] },
        name: format!("call {number}"),
        start_time_unix_nano: ARRIVAL + u64::from(trace) * 1_000_000 + u64::from(number),
        end_time_unix_nano: ARRIVAL + u64::from(trace) * 1_000_000 + 100,
        attributes: vec![
            text("trace", trace.to_string()),
            text("parity", (trace % 2).to_string()),
        ],
        status: Some(Status {
            message: String::new(),
            code: if trace.is_multiple_of(5) { 2 } else { 0 },
        }),
        ..Span::default()
    };
    let spans = (0..traces).flat_map(|trace| (0..4).map(move |number| span(trace, number)));
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "calls".to_owned())],
                dropped_attributes_count: 0,
            }),
            scope_spans: vec![ScopeSpans {
                spans: spans.collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The id of a trace of [`calls`].
pub(crate) fn trace_id(trace: u32) -> TraceId {
    TraceId((u128::from(trace) << 64 | 7).to_be_bytes())
}
