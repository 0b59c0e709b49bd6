//! Sharing a request out among ingesters, and trying others when one fails.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::try_join_all;
use tempo_model::{TenantId, TraceId, split};
use tempo_receiver::TraceBatch;
use tempo_runtime::ring;

use super::metrics::Metrics;
use crate::rpc::messages::{PushRequest, PushResponse, RejectedSpans};
use crate::rpc::peers::{Peer, Peers};
use crate::rpc::{CallError, CallErrorKind, IngesterApi};

/// How many ingesters are tried with a part of a request.
const MAX_ATTEMPTS: usize = 3;

/// Spans for one ingester.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// What rings order the ingesters by.
    key: u64,
    payload: Bytes,
    spans: usize,
    /// The ingester that takes it, by its place among the live ones.
    owner: usize,
}

/// Pushes all of a request. An `Ok` means that all of it is stored but for what it names; after an error some of it may be.
pub(super) async fn push(
    ingesters: &Peers<dyn IngesterApi>,
    tenant: &TenantId,
    batch: &TraceBatch,
    metrics: &Metrics,
) -> Result<Vec<RejectedSpans>, CallError> {
    let live = ingesters.live();
    let parts = share_out(&live, tenant, batch)?;
    let pushes = parts
        .into_iter()
        .map(|part| push_part(&live, tenant, part, metrics));
    let answers = try_join_all(pushes).await?;
    Ok(answers.into_iter().flat_map(|answer| answer.rejected).collect())
}

/// Which ingester gets what: each trace goes to the first in its ring order.
fn share_out(
    live: &[Peer<dyn IngesterApi>],
    tenant: &TenantId,
    batch: &TraceBatch,
) -> Result<Vec<Part>, CallError> {
    let ids: Vec<&str> = live.iter().map(|peer| peer.id.as_str()).collect();
    match ids.as_slice() {
        [] => Err(CallError::unavailable(
            &"no ingester is there to store spans; try again",
        )),
        [only] => Ok(vec![Part {
            key: ring::key_of_name(only),
            payload: batch.payload.clone(),
            spans: batch.contents.spans,
            owner: 0,
        }]),
        _ => {
            let owner_of = |trace: TraceId| {
                let key = ring::key_of(&[tenant.as_str().as_bytes(), &trace.0]);
                ring::owner(key, &ids).unwrap_or_default()
            };
            let parts = split::by_trace(&batch.payload, ids.len(), owner_of);
            let parts =
                parts.map_err(|error| CallError::new(CallErrorKind::InvalidArgument, error.to_string()))?;
            let of_owner = parts.into_iter().zip(&ids).enumerate();
            Ok(of_owner
                .filter(|(_, (part, _))| part.spans > 0)
                .map(|(owner, (part, id))| Part {
                    key: ring::key_of_name(id),
                    payload: part.payload,
                    spans: part.spans,
                    owner,
                })
                .collect())
        }
    }
}

/// Pushes to the owner, and to others in ring order while that may help.
async fn push_part(
    live: &[Peer<dyn IngesterApi>],
    tenant: &TenantId,
    part: Part,
    metrics: &Metrics,
) -> Result<PushResponse, CallError> {
    let ids: Vec<&str> = live.iter().map(|peer| peer.id.as_str()).collect();
    let mut order = vec![part.owner];
    order.extend(
        ring::order(part.key, &ids)
            .into_iter()
            .filter(|index| *index != part.owner),
    );
    let mut request = PushRequest {
        tenant: tenant.to_string(),
        payload: part.payload,
        spans: part.spans as u32,
        maybe_duplicate: false,
    };
    let mut failures = BTreeSet::new();
    let mut last = CallError::unavailable(&"no ingester is there to store spans; try again");
    for peer in order
        .into_iter()
        .take(MAX_ATTEMPTS)
        .filter_map(|index| live.get(index))
    {
        let pushed = peer.api.push(request.clone()).await;
        metrics.pushed(&peer.id, pushed.is_ok());
        let error = match pushed {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if !error.is_retryable() {
            return Err(error);
        }
        // One that is too busy or on its way out has stored nothing; one that went silent may have.
        request.maybe_duplicate |= error.kind == CallErrorKind::Unavailable;
        failures.insert(format!("{}: {}", peer.id, error.message));
        last = error;
    }
    let failures = failures.into_iter().collect::<Vec<_>>().join("; ");
    Err(CallError::new(
        last.kind,
        format!("push to ingesters: {failures}"),
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use parking_lot::Mutex;
    use prost::Message;
    use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
    use tempo_runtime::metrics::MetricsRegistry;

    use super::*;
    use crate::rpc::messages::{RecentRequest, RecentResponse};

    /// Keeps what it is sent, or answers with an error.
    #[derive(Default)]
    struct Recording {
        pushed: Mutex<Vec<PushRequest>>,
        error: Option<CallErrorKind>,
    }

    #[async_trait]
    impl IngesterApi for Recording {
        async fn push(&self, request: PushRequest) -> Result<PushResponse, CallError> {
            if let Some(kind) = self.error {
                return Err(CallError::new(kind, "as the test wants"));
            }
            self.pushed.lock().push(request);
            Ok(PushResponse::default())
        }

        async fn recent(&self, _: RecentRequest) -> Result<RecentResponse, CallError> {
            Ok(RecentResponse::default())
        }
    }

    fn batch(traces: u8) -> TraceBatch {
        let span = |id| Span {
            trace_id: vec![id; 16],
            span_id: vec![1; 8],
            ..Span::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: (1..=traces).map(span).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let payload = Bytes::from(request.encode_to_vec());
        TraceBatch {
            contents: tempo_model::validate::contents(&payload).unwrap(),
            payload,
            headers: http::HeaderMap::new(),
            transport: "grpc",
        }
    }

    async fn pushed(
        errors: &[Option<CallErrorKind>],
        batch: &TraceBatch,
    ) -> (Result<Vec<RejectedSpans>, CallError>, Vec<Vec<PushRequest>>) {
        let ingesters: Vec<Arc<Recording>> = errors
            .iter()
            .map(|error| {
                Arc::new(Recording {
                    error: *error,
                    ..Recording::default()
                })
            })
            .collect();
        let peer = |(number, api): (usize, &Arc<Recording>)| Peer {
            id: format!("ingester-{number}"),
            api: Arc::clone(api) as Arc<dyn IngesterApi>,
        };
        let peers = Peers::fixed(ingesters.iter().enumerate().map(peer).collect());
        let metrics = Metrics::new(&MetricsRegistry::default());
        let result = push(&peers, &TenantId::single(), batch, &metrics).await;
        (
            result,
            ingesters
                .iter()
                .map(|ingester| ingester.pushed.lock().clone())
                .collect(),
        )
    }

    #[tokio::test]
    async fn one_ingester_gets_the_very_bytes() {
        let batch = batch(5);
        let (result, pushed) = pushed(&[None], &batch).await;
        result.unwrap();
        assert_eq!(pushed[0][0].payload.as_ptr(), batch.payload.as_ptr());
        assert_eq!((pushed[0][0].spans, pushed[0][0].maybe_duplicate), (5, false));
    }

    #[tokio::test]
    async fn every_span_goes_to_the_owner_of_its_trace() {
        let (result, pushed) = pushed(&[None, None, None], &batch(200)).await;
        result.unwrap();
        let counts: Vec<u32> = pushed.iter().map(|requests| requests[0].spans).collect();
        assert_eq!(counts.iter().sum::<u32>(), 200);
        assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    }

    #[tokio::test]
    async fn another_takes_the_place_of_one_that_is_silent_or_busy() {
        for (kind, maybe_duplicate) in [
            (CallErrorKind::Unavailable, true),
            (CallErrorKind::ResourceExhausted, false),
            (CallErrorKind::Refused, false),
        ] {
            let (result, pushed) = pushed(&[Some(kind), None], &batch(50)).await;
            result.unwrap();
            let spans: u32 = pushed[1].iter().map(|request| request.spans).sum();
            assert_eq!(spans, 50);
            assert!(pushed[1].iter().any(|request| request.maybe_duplicate) == maybe_duplicate);
        }
    }

    #[tokio::test]
    async fn a_request_that_is_wrong_is_not_sent_again() {
        let (result, pushed) = pushed(&[Some(CallErrorKind::InvalidArgument), None], &batch(50)).await;
        assert_eq!(result.unwrap_err().kind, CallErrorKind::InvalidArgument);
        assert!(pushed[1].len() <= 1, "only its own part");
    }

    #[tokio::test]
    async fn nobody_to_push_to_is_worth_another_try() {
        let (result, _) = pushed(&[], &batch(1)).await;
        assert!(result.unwrap_err().is_retryable());
        let dead = Some(CallErrorKind::Unavailable);
        let (result, _) = pushed(&[dead, dead, dead, dead], &batch(1)).await;
        let error = result.unwrap_err();
        assert!(error.is_retryable());
        assert_eq!(error.message.matches("as the test wants").count(), MAX_ATTEMPTS);
    }
}
