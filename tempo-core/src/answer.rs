//! Answering a question from the sources of one process: blocks for a querier, heads for an ingester.
//!
//! ```text
//! Query ─ prepared (parse, check) ─► scan over each source ─► Partial
//! ```
//! Not here: which sources there are, and joining what several processes gave.

mod convert;

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::sync::Arc;

use tempo_block::read::ReadError;
use tempo_block::scan::{self, ScanError, SearchFrom, Source, TimeRange};
use tempo_model::TraceId;
use tempo_model::proto::tempopb;
use tempo_runtime::Environment;
use tempo_traceql::ast::{Attribute, Scope};
use tempo_traceql::search::{Matches, Search, SearchOptions};
use tempo_traceql::tags::TagFilter;
use tempo_traceql::{EvaluateError, QueryError};

use crate::rpc::messages::{
    Partial, Place, PlacesQuestion, Query, Question, SearchQuestion, Statistics, TagNamesQuestion,
    TagValuesQuestion, TraceQuestion,
};
use crate::rpc::{CallError, CallErrorKind};

pub(crate) use convert::found;
pub use convert::statistics;

/// The scope of what every span has: `name`, `duration`, …
const INTRINSIC: &str = "intrinsic";
/// No span takes fewer bytes: tags and lengths of its message, of the two ids and of what holds them.
const SMALLEST_SPAN: u64 = 28;

/// A question that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The question cannot be understood.
    #[error("{0}")]
    Question(String),
    /// The TraceQL in it cannot be understood.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The source could not be read, or the query not be evaluated.
    #[error(transparent)]
    Scan(Box<ScanError>),
}

impl From<ScanError> for AnswerError {
    fn from(error: ScanError) -> Self {
        Self::Scan(Box::new(error))
    }
}

impl AnswerError {
    /// Whether a block was gone: the log, read again, says what took its place.
    pub fn is_gone(&self) -> bool {
        let Self::Scan(error) = self else {
            return false;
        };
        match &**error {
            ScanError::Read(error) => error.is_gone(),
            ScanError::Evaluate(EvaluateError::Fetch(error)) => error
                .source
                .downcast_ref::<ReadError>()
                .is_some_and(ReadError::is_gone),
            ScanError::Evaluate(_) => false,
        }
    }

    fn kind(&self) -> CallErrorKind {
        match self {
            Self::Question(_) | Self::Query(_) => CallErrorKind::InvalidArgument,
            Self::Scan(error) => match &**error {
                ScanError::Evaluate(error) => kind_of_evaluation(error),
                ScanError::Read(error) => kind_of_read(error),
            },
        }
    }
}

fn kind_of_evaluation(error: &EvaluateError) -> CallErrorKind {
    match error {
        EvaluateError::Unsupported(_) => CallErrorKind::Unimplemented,
        EvaluateError::SeveralSpansets(_) | EvaluateError::Regex(_) => CallErrorKind::InvalidArgument,
        EvaluateError::Fetch(_) => CallErrorKind::Internal,
    }
}

fn kind_of_read(error: &ReadError) -> CallErrorKind {
    match error {
        ReadError::Gone { .. } | ReadError::Store(_) | ReadError::Task(_) => CallErrorKind::Unavailable,
        ReadError::Shared(error) => kind_of_read(error),
        _ => CallErrorKind::Internal,
    }
}

impl From<AnswerError> for CallError {
    fn from(error: AnswerError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

/// Answers a question from one source.
///
/// Of statistics, only those of heads are set: what was read of a block is counted by the `ReadStatistics` that its
/// reader was given; see [`statistics`].
pub async fn answer(
    environment: &Environment,
    source: &Source,
    query: &Query,
) -> Result<Partial, AnswerError> {
    answer_all(environment, slice::from_ref(source), query).await
}

/// Answers a question from several sources as if they were one. No span may be in two of them.
pub async fn answer_all(
    environment: &Environment,
    sources: &[Source],
    query: &Query,
) -> Result<Partial, AnswerError> {
    let range = query.range.map_or(TimeRange::ALL, |range| TimeRange {
        start_ns: range.start_unix_nanos,
        end_ns: range.end_unix_nanos,
    });
    let scanner = Scanner {
        environment,
        sources,
        range,
    };
    let mut partial = match &query.question {
        None => return Err(AnswerError::Question("the request has no question".to_owned())),
        Some(Question::Trace(question)) => scanner.trace(question).await?,
        Some(Question::Search(question)) => scanner.search(question).await?,
        Some(Question::TagNames(question)) => scanner.tag_names(question).await?,
        Some(Question::TagValues(question)) => scanner.tag_values(question).await?,
        Some(Question::Places(question)) => scanner.places(question).await?,
    };
    partial.statistics = Some(Statistics {
        inspected_spans: sources.iter().map(spans_of_head).sum(),
        ..Statistics::default()
    });
    Ok(partial)
}

fn spans_of_head(source: &Source) -> u64 {
    match source {
        Source::Head(head) => head.spans() as u64,
        Source::Block(_) => 0,
    }
}

struct Scanner<'a> {
    environment: &'a Environment,
    sources: &'a [Source],
    range: TimeRange,
}

impl Scanner<'_> {
    async fn trace(&self, question: &TraceQuestion) -> Result<Partial, AnswerError> {
        let ids = question.trace_ids.iter().map(|id| trace_id(id));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let max_spans = match question.max_bytes {
            0 => usize::MAX,
            bytes => usize::try_from(bytes / SMALLEST_SPAN + 1).unwrap_or(usize::MAX),
        };
        let mut resource_spans = Vec::new();
        for source in self.sources {
            resource_spans.extend(scan::traces(self.environment, source, ids.clone(), max_spans).await?);
        }
        let trace = (!resource_spans.is_empty()).then_some(tempopb::Trace { resource_spans });
        Ok(Partial {
            trace,
            ..Partial::default()
        })
    }

    async fn places(&self, question: &PlacesQuestion) -> Result<Partial, AnswerError> {
        let mut found: BTreeMap<(Vec<u8>, u32), Vec<u8>> = BTreeMap::new();
        for known in &question.known {
            let ids = trace_ids(&known.trace_ids);
            for (number, source) in (0..).zip(self.sources) {
                let (block, except) = match source {
                    Source::Head(_) => (Vec::new(), None),
                    Source::Block(block) => {
                        let id = block.meta().id.to_bytes().to_vec();
                        let is_known = known.block == id;
                        (id, is_known.then_some(known.row_group as usize))
                    }
                };
                for (row_group, id) in scan::places(self.environment, source, ids.clone(), except).await? {
                    // Heads have one row group each and go by their own numbers.
                    let place = (block.clone(), number + row_group as u32);
                    found.entry(place).or_default().extend(id.0);
                }
            }
        }
        let place = |((block, row_group), ids): ((Vec<u8>, u32), Vec<u8>)| Place {
            block,
            row_group,
            trace_ids: ids.into(),
        };
        Ok(Partial {
            places: found.into_iter().map(place).collect(),
            ..Partial::default()
        })
    }

    async fn search(&self, question: &SearchQuestion) -> Result<Partial, AnswerError> {
        let options = SearchOptions {
            limit: question.limit as usize,
            spans_per_spanset: question.spans_per_span_set as usize,
            start_ns: (self.range.start_ns > 0).then_some(self.range.start_ns),
            end_ns: (self.range.end_ns < u64::MAX).then_some(self.range.end_ns),
        };
        let query = tempo_traceql::parse(&question.query)?;
        let search = Arc::new(Search::new(&query, options).map_err(ScanError::from)?);
        let mut matches = Matches::new(options);
        for (first_batch, source) in (0..).zip(self.sources) {
            let from = SearchFrom {
                floor_ns: question.floor_unix_nanos,
                first_batch,
            };
            scan::search_above(self.environment, source, &search, self.range, from, &mut matches).await?;
        }
        let left_out_unix_nanos = matches.floor_ns().unwrap_or_default();
        let (found, candidates) = matches.into_parts();
        Ok(Partial {
            found: found.into_iter().map(convert::matched).collect(),
            candidates: convert::candidates(candidates),
            left_out_unix_nanos,
            ..Partial::default()
        })
    }

    async fn tag_names(&self, question: &TagNamesQuestion) -> Result<Partial, AnswerError> {
        let scopes = match question.scope.as_str() {
            "" | "none" => Scope::ALL.to_vec(),
            // Intrinsics are the same everywhere: whoever asked knows them.
            INTRINSIC => Vec::new(),
            scope => vec![scope_of(scope)?],
        };
        let filter = filter_of(&question.query);
        let mut names: BTreeMap<Scope, BTreeSet<String>> = BTreeMap::new();
        for source in self.sources {
            let found = scan::tag_names(self.environment, source, &scopes, &filter, self.range).await?;
            for (scope, found) in found {
                names.entry(scope).or_default().extend(found);
            }
        }
        Ok(Partial {
            scopes: names.into_iter().filter_map(convert::scope).collect(),
            ..Partial::default()
        })
    }

    async fn tag_values(&self, question: &TagValuesQuestion) -> Result<Partial, AnswerError> {
        let filter = filter_of(&question.query);
        let mut found = BTreeSet::new();
        for attribute in attributes_of(question)? {
            for source in self.sources {
                let max_bytes = question.max_bytes as usize;
                scan::tag_values(
                    self.environment,
                    source,
                    &attribute,
                    &filter,
                    self.range,
                    max_bytes,
                    &mut found,
                )
                .await?;
            }
        }
        Ok(Partial {
            values: found.into_iter().map(convert::tag_value).collect(),
            ..Partial::default()
        })
    }
}

fn trace_id(bytes: &[u8]) -> Result<TraceId, AnswerError> {
    TraceId::try_from(bytes).map_err(|_| AnswerError::Question("a trace id has 16 bytes".to_owned()))
}

/// Ids that lie one after the other.
pub(crate) fn trace_ids(bytes: &[u8]) -> Vec<TraceId> {
    let ids = bytes.chunks_exact(size_of::<TraceId>());
    ids.filter_map(|id| TraceId::try_from(id).ok()).collect()
}

fn filter_of(query: &str) -> TagFilter {
    if query.is_empty() {
        TagFilter::all()
    } else {
        TagFilter::new(query)
    }
}

fn scope_of(name: &str) -> Result<Scope, AnswerError> {
    Scope::ALL
        .into_iter()
        .find(|scope| scope.name() == name)
        .ok_or_else(|| {
            AnswerError::Question(format!(
                "unknown scope '{name}': use span, resource, event, link, instrumentation or intrinsic"
            ))
        })
}

/// What a question about values asks for: without a scope, the key on spans and on resources.
fn attributes_of(question: &TagValuesQuestion) -> Result<Vec<Attribute>, AnswerError> {
    let name = &question.name;
    match question.scope.as_str() {
        "" | "none" => Ok([Scope::Span, Scope::Resource]
            .map(|scope| Attribute::Scoped(scope, name.clone()))
            .to_vec()),
        INTRINSIC => match tempo_traceql::parse_attribute(name)? {
            intrinsic @ Attribute::Intrinsic(_) => Ok(vec![intrinsic]),
            _ => Err(AnswerError::Question(format!("'{name}' is not an intrinsic"))),
        },
        scope => Ok(vec![Attribute::Scoped(scope_of(scope)?, name.clone())]),
    }
}

#[cfg(test)]
mod tests {
    use tempo_traceql::ast::Intrinsic;

    use super::*;

    fn values(scope: &str, name: &str) -> Result<Vec<Attribute>, AnswerError> {
        attributes_of(&TagValuesQuestion {
            scope: scope.to_owned(),
            name: name.to_owned(),
            ..TagValuesQuestion::default()
        })
    }

    #[test]
    fn a_question_about_values_names_attributes() {
        assert_eq!(values("", "a").unwrap().len(), 2);
        assert_eq!(
            values("event", "a b").unwrap(),
            [Attribute::Scoped(Scope::Event, "a b".to_owned())]
        );
        assert_eq!(
            values(INTRINSIC, "span:status").unwrap(),
            [Attribute::Intrinsic(Intrinsic::Status)]
        );
        for (scope, name) in [("nowhere", "a"), (INTRINSIC, ".a"), (INTRINSIC, "")] {
            let error = CallError::from(values(scope, name).unwrap_err());
            assert_eq!(error.kind, CallErrorKind::InvalidArgument, "{error}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_understood_is_the_askers_fault() {
        let search = |query: &str| {
            Question::Search(SearchQuestion {
                query: query.to_owned(),
                ..SearchQuestion::default()
            })
        };
        let short_id = Question::Trace(TraceQuestion {
            trace_ids: vec![vec![1]],
            max_bytes: 0,
        });
        for (question, kind) in [
            (None, CallErrorKind::InvalidArgument),
            (Some(short_id), CallErrorKind::InvalidArgument),
            (Some(search("{ a")), CallErrorKind::InvalidArgument),
        ] {
            let query = Query {
                question,
                range: None,
            };
            let error = answer_all(&Environment::system(), &[], &query).await.unwrap_err();
            assert_eq!(CallError::from(error).kind, kind);
        }
    }
}
