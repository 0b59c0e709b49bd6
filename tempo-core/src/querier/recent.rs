//! Asking all ingesters for what is not in blocks.

use futures::future::join_all;

use crate::rpc::messages::{JobResponse, Partial, RecentRequest, RecentResponse, Statistics};
use crate::rpc::peers::Peer;
use crate::rpc::{CallError, IngesterApi};

/// Asks all of `ingesters` at once. Those that cannot be reached are named in the answer: whether it lacks something
/// without them, the streams decide that it was given for. One that has moved on makes it start again from there.
pub(super) async fn ask(
    ingesters: &[Peer<dyn IngesterApi>],
    request: RecentRequest,
) -> Result<JobResponse, CallError> {
    let answers = join_all(ingesters.iter().map(|peer| peer.api.recent(request.clone()))).await;
    let named = ingesters.iter().map(|peer| peer.id.as_str()).zip(answers);
    join(named)
}

/// One answer of those of all ingesters. Pure.
fn join<'a>(
    answers: impl Iterator<Item = (&'a str, Result<RecentResponse, CallError>)>,
) -> Result<JobResponse, CallError> {
    let mut joined = Partial::default();
    let mut moved_to = 0;
    let mut streams = Vec::new();
    let mut missing = Vec::new();
    for (number, (ingester, answer)) in (0..).zip(answers) {
        match answer {
            Ok(RecentResponse {
                partial: Some(partial),
                streams: answered,
                ..
            }) => {
                add(&mut joined, numbered(partial, number));
                streams.extend(answered);
            }
            Ok(moved) => moved_to = moved_to.max(moved.moved_to),
            Err(error) if error.is_retryable() => missing.push(format!("{ingester}: {error}")),
            Err(error) => return Err(error),
        }
    }
    if moved_to > 0 {
        return Ok(JobResponse {
            moved_to,
            ..JobResponse::default()
        });
    }
    Ok(JobResponse {
        partial: Some(joined),
        incomplete: missing.join("; "),
        streams,
        ..JobResponse::default()
    })
}

/// With numbers of heads that no other ingester's have.
fn numbered(mut partial: Partial, ingester: u32) -> Partial {
    /// More than an ingester has of one tenant.
    const HEADS: u32 = 1 << 16;
    let found = partial.found.iter_mut().flat_map(|trace| &mut trace.row_groups);
    let candidates = partial.candidates.iter_mut().map(|of| &mut of.row_group);
    let places = partial.places.iter_mut().map(|place| &mut place.row_group);
    for number in found.chain(candidates).chain(places) {
        *number = number.saturating_add(ingester.saturating_mul(HEADS));
    }
    partial
}

/// Puts what one more source has beside what others have; whoever combines parts joins what belongs together.
fn add(joined: &mut Partial, other: Partial) {
    if let Some(trace) = other.trace {
        let known = joined.trace.get_or_insert_default();
        known.resource_spans.extend(trace.resource_spans);
    }
    joined.found.extend(other.found);
    joined.candidates.extend(other.candidates);
    joined.left_out_unix_nanos = joined.left_out_unix_nanos.max(other.left_out_unix_nanos);
    joined.places.extend(other.places);
    joined.scopes.extend(other.scopes);
    joined.values.extend(other.values);
    let known = joined.statistics.get_or_insert_default();
    let Statistics {
        inspected_bytes,
        inspected_spans,
        inspected_traces,
    } = other.statistics.unwrap_or_default();
    known.inspected_bytes += inspected_bytes;
    known.inspected_spans += inspected_spans;
    known.inspected_traces += inspected_traces;
}

#[cfg(test)]
mod tests {
    use tempo_model::proto::tempopb;

    use super::*;
    use crate::rpc::CallErrorKind;

    fn with_value(value: &str) -> RecentResponse {
        let value = tempopb::TagValue {
            value: value.to_owned(),
            ..tempopb::TagValue::default()
        };
        RecentResponse {
            partial: Some(Partial {
                values: vec![value],
                ..Partial::default()
            }),
            ..RecentResponse::default()
        }
    }

    #[test]
    fn what_all_ingesters_have_is_put_together() {
        let job = join([("a", Ok(with_value("x"))), ("b", Ok(with_value("y")))].into_iter()).unwrap();
        assert_eq!(job.partial.unwrap().values.len(), 2);
        assert_eq!(job.incomplete, "");
    }

    #[test]
    fn one_that_is_silent_is_named() {
        let silent = Err(CallError::unavailable(&"connection refused"));
        let job = join([("a", Ok(with_value("x"))), ("b", silent)].into_iter()).unwrap();
        assert_eq!(job.incomplete, "b: connection refused");
        assert!(job.partial.is_some());
    }

    #[test]
    fn the_newest_position_is_that_to_go_on_from() {
        let moved = |moved_to| {
            Ok(RecentResponse {
                moved_to,
                ..RecentResponse::default()
            })
        };
        let job = join([("a", moved(7)), ("b", Ok(with_value("x"))), ("c", moved(9))].into_iter()).unwrap();
        assert_eq!((job.moved_to, job.partial), (9, None));
    }

    #[test]
    fn a_question_that_is_wrong_fails() {
        let wrong = Err(CallError::new(CallErrorKind::InvalidArgument, "no"));
        assert!(join([("a", Ok(with_value("x"))), ("b", wrong)].into_iter()).is_err());
    }
}
