//! Traces that are spread over several parts: their spans are gathered, and the query is evaluated over all of them.

use std::collections::BTreeSet;

use prost::Message;
use tempo_block::head::{Head, HeadSettings};
use tempo_block::meta::BlockMeta;
use tempo_model::TraceId;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans};
use tempo_traceql::search::{Search, SearchOptions};

use super::found::FoundTraces;
use super::{AskSearch, Places};
use crate::answer::{AnswerError, found};
use crate::frontend::QueryError;
use crate::frontend::session::{Broken, Part, Session};
use crate::frontend::trace::{TraceParts, keep_once};
use crate::rpc::CallError;
use crate::rpc::messages::{FoundTrace, Query, Question, SearchQuestion, TimeRange, TraceQuestion};

/// How many traces are gathered at once: few enough to hold, enough to read a row group once for all of its traces.
const AT_ONCE: usize = 256;

impl AskSearch {
    /// Evaluates traces that have spans at several places, and adds those that match.
    pub(super) async fn evaluate_whole(
        &self,
        session: &mut Session<'_>,
        spread: Places,
        matches: &mut FoundTraces,
    ) -> Result<(), Broken> {
        let spread: Vec<_> = spread.into_iter().collect();
        for some in spread.chunks(AT_ONCE) {
            let some: Vec<(TraceId, BTreeSet<Part>)> = some
                .iter()
                .map(|(id, places)| (*id, places.iter().map(|(part, _)| *part).collect()))
                .collect();
            let spans = self.gather(session, &some).await?;
            let (question, range) = (self.question.clone(), self.range);
            let evaluated = session
                .run_cpu("evaluate whole traces", move || evaluate(&question, range, spans))
                .await?;
            matches.add_whole(evaluated.map_err(Broken::Failed)?);
        }
        Ok(())
    }

    /// All spans of traces, by the parts that have some.
    async fn gather(
        &self,
        session: &mut Session<'_>,
        traces: &[(TraceId, BTreeSet<Part>)],
    ) -> Result<Vec<ResourceSpans>, Broken> {
        let query = |part: Part| {
            let of_part = traces.iter().filter(|(_, parts)| parts.contains(&part));
            let trace_ids: Vec<_> = of_part.map(|(id, _)| id.0.to_vec()).collect();
            (!trace_ids.is_empty()).then_some(Query {
                question: Some(Question::Trace(TraceQuestion {
                    trace_ids,
                    max_bytes: self.max_bytes_per_trace,
                })),
                range: None,
            })
        };
        let mut parts = TraceParts::default();
        if let Some(query) = query(None) {
            session.recent(&query, &mut parts).await?;
        }
        let mut blocks = session.blocks(|_| true).into();
        let query = |_: &TraceParts, block: &BlockMeta| query(Some(block.id));
        session.jobs(&mut blocks, query, &mut parts).await?;
        let mut spans = parts.into_spans();
        keep_once(&mut spans, self.max_bytes_per_trace);
        Ok(spans)
    }
}

/// The traces that match, given all spans of them.
fn evaluate(
    question: &SearchQuestion,
    range: Option<TimeRange>,
    resource_spans: Vec<ResourceSpans>,
) -> Result<Vec<FoundTrace>, QueryError> {
    let options = SearchOptions {
        limit: 0,
        spans_per_spanset: question.spans_per_span_set as usize,
        start_ns: range.map(|range| range.start_unix_nanos),
        end_ns: range.map(|range| range.end_unix_nanos),
    };
    let query = tempo_traceql::parse(&question.query)?;
    let search = Search::new(&query, options)?;
    let mut head = Head::new(HeadSettings {
        max_attribute_bytes: 0,
    });
    let spans = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    head.append(&spans, 0)
        .map_err(|error| CallError::internal(&error))?;
    let matches = search
        .run(&*head.snapshot())
        .map_err(|error| AnswerError::Scan(Box::new(error.into())))
        .map_err(CallError::from)?;
    Ok(matches.into_iter().map(found).collect())
}
