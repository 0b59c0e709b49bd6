//! The conformance data's traces in a head, under the name and the methods that the cases know.

use std::sync::Arc;

use prost::Message;
use tempo_block::head::{Head, HeadSettings, HeadSnapshot};
use tempo_traceql::ast;
use tempo_traceql::columns::{Column, Condition, FetchError, Field, Selection, SpanBatch, TraceRow};

use crate::dataset::Dataset;
use crate::otlp;

/// All traces of a dataset.
pub(crate) struct Memory(Arc<HeadSnapshot>);

impl Memory {
    /// Each resource's spans of a trace are a record, and a snapshot is taken here and there, so that there are
    /// several segments.
    #[allow(clippy::needless_pass_by_value, reason = "as the batch in memory takes it")]
    pub(crate) fn new(dataset: Dataset) -> Self {
        let mut head = Head::new(HeadSettings::default());
        for (number, request) in otlp::requests(&dataset).into_iter().enumerate() {
            head.append(&request.encode_to_vec(), number as u64).unwrap();
            if number % 3 == 0 {
                head.snapshot();
            }
        }
        Self(head.snapshot())
    }

    /// The head.
    pub(crate) fn snapshot(&self) -> &Arc<HeadSnapshot> {
        &self.0
    }
}

/// The same: a head always knows which conditions it may satisfy.
pub(crate) struct Pruned(pub(crate) Memory);

impl SpanBatch for Pruned {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn column(&self, field: &Field, selection: Selection<'_>) -> Result<Column, FetchError> {
        self.0.column(field, selection)
    }

    fn attribute_keys(&self, scope: ast::Scope) -> Result<Vec<String>, FetchError> {
        self.0.attribute_keys(scope)
    }

    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError> {
        self.0.trace_ordinals()
    }

    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError> {
        self.0.traces()
    }

    fn parents(&self) -> Result<Arc<[u32]>, FetchError> {
        self.0.parents()
    }

    fn may_match(&self, condition: &Condition) -> bool {
        self.0.0.may_match(condition)
    }
}

impl SpanBatch for Memory {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn column(&self, field: &Field, selection: Selection<'_>) -> Result<Column, FetchError> {
        self.0.column(field, selection)
    }

    fn attribute_keys(&self, scope: ast::Scope) -> Result<Vec<String>, FetchError> {
        self.0.attribute_keys(scope)
    }

    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError> {
        self.0.trace_ordinals()
    }

    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError> {
        self.0.traces()
    }

    fn parents(&self) -> Result<Arc<[u32]>, FetchError> {
        self.0.parents()
    }
}
