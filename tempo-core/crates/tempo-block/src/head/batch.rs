//! A snapshot as columns for the evaluator.

use std::sync::Arc;

use tempo_traceql::ast;
use tempo_traceql::columns::{Column, FetchError, Field, Selection, SpanBatch, TraceRow};

use super::snapshot::HeadSnapshot;

impl SpanBatch for HeadSnapshot {
    fn len(&self) -> usize {
        self.spans()
    }

    fn column(&self, _field: &Field, _selection: Selection<'_>) -> Result<Column, FetchError> {
        unimplemented!()
    }

    fn attribute_keys(&self, _scope: ast::Scope) -> Result<Vec<String>, FetchError> {
        unimplemented!()
    }

    fn trace_ordinals(&self) -> Result<Arc<[u32]>, FetchError> {
        Ok(Arc::clone(self.ordinals()))
    }

    fn traces(&self) -> Result<Arc<[TraceRow]>, FetchError> {
        Ok(Arc::clone(self.trace_rows()))
    }

    fn parents(&self) -> Result<Arc<[u32]>, FetchError> {
        Ok(Arc::clone(self.parent_rows()))
    }
}
