//! Which traces are alive and how large they have become: what a tenant's `max_traces_per_user` and `max_bytes_per_trace`
//! are held against. Nothing is looked at for tenants without both. No I/O.
//!
//! A trace is alive while spans of it come, with pauses of at most `trace_idle_period`. Large ones are remembered for a
//! block's age longer: they cannot grow without end by pausing.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tempo_model::wire::WireError;
use tempo_model::{TenantId, TraceId, split};

use super::Settings;
use crate::limits::TenantLimits;
use crate::rpc::messages::{RejectReason, RejectedSpans};

/// A trace with this part of the bytes that it may have is large.
const LARGE_PART: u64 = 16;
/// How often idle traces are looked for because a tenant is at its limit.
const SWEEP: Duration = Duration::from_secs(1);
/// How many traces of a tenant are watched at most where there is no limit of theirs; others may have any size.
const MOST_WATCHED: usize = 1 << 20;

/// The live traces of all tenants.
#[derive(Debug)]
pub(super) struct LiveTraces {
    limits: TenantLimits,
    idle: Duration,
    remembered: Duration,
    tenants: Mutex<HashMap<TenantId, OfTenant>>,
}

/// What of a push may be stored.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The push without what was rejected; empty when nothing is left.
    pub(super) payload: Bytes,
    /// What was rejected.
    pub(super) rejected: Vec<RejectedSpans>,
    /// What was counted.
    traces: Vec<Pushed>,
}

/// What a push has of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pushed {
    trace: TraceId,
    spans: u32,
    bytes: u64,
}

/// A tenant's limits; 0 is none.
#[derive(Debug, Clone, Copy)]
struct Most {
    traces: u64,
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Live {
    seen_at: Duration,
    bytes: u64,
}

#[derive(Debug, Default)]
struct OfTenant {
    live: HashMap<TraceId, Live>,
    /// Large ones that are not alive any more.
    large: HashMap<TraceId, Live>,
    swept_at: Duration,
}

impl LiveTraces {
    pub(super) fn new(limits: TenantLimits, settings: &Settings) -> Self {
        Self {
            limits,
            idle: settings.trace_idle_period,
            remembered: settings.max_block_duration,
            tenants: Mutex::default(),
        }
    }

    /// Counts what a push has, at a time since boot, and takes out of it what the tenant may not store: traces that are too
    /// large, and new ones beyond those that may be alive.
    pub(super) fn admit(
        &self,
        tenant: &TenantId,
        payload: Bytes,
        now: Duration,
    ) -> Result<Admitted, WireError> {
        let most = self.most(tenant);
        if most.traces == 0 && most.bytes == 0 {
            return Ok(Admitted {
                payload,
                rejected: Vec::new(),
                traces: Vec::new(),
            });
        }
        let mut traces = pushed(&payload)?;
        let mut refused = Vec::new();
        {
            let mut tenants = self.tenants.lock();
            let known = tenants.entry(tenant.clone()).or_default();
            traces.retain(|pushed| match self.take_in(known, *pushed, most, now) {
                Ok(()) => true,
                Err(reason) => {
                    refused.push((*pushed, reason));
                    false
                }
            });
        }
        if refused.is_empty() {
            return Ok(Admitted {
                payload,
                rejected: Vec::new(),
                traces,
            });
        }
        let is_refused = |trace: TraceId| {
            refused
                .binary_search_by_key(&trace, |(pushed, _)| pushed.trace)
                .is_ok()
        };
        let [kept, _] = split::by_trace(&payload, 2, |trace| usize::from(is_refused(trace)))?
            .try_into()
            .unwrap_or_default();
        Ok(Admitted {
            payload: kept.payload,
            rejected: rejections(tenant, &refused, most),
            traces,
        })
    }

    /// Undoes what a push counted that was not stored: it may come again.
    pub(super) fn take_back(&self, tenant: &TenantId, admitted: &Admitted) {
        let mut tenants = self.tenants.lock();
        let Some(known) = tenants.get_mut(tenant) else {
            return;
        };
        for pushed in &admitted.traces {
            if let Some(live) = known.live.get_mut(&pushed.trace) {
                live.bytes = live.bytes.saturating_sub(pushed.bytes);
            }
        }
    }

    /// Forgets what is not alive any more; how many traces each tenant has that are.
    pub(super) fn sweep(&self, now: Duration) -> Vec<(TenantId, usize)> {
        let mut tenants = self.tenants.lock();
        let mut counts = Vec::with_capacity(tenants.len());
        tenants.retain(|tenant, known| {
            self.sweep_tenant(known, self.most(tenant), now);
            counts.push((tenant.clone(), known.live.len()));
            !known.live.is_empty() || !known.large.is_empty()
        });
        counts
    }

    fn most(&self, tenant: &TenantId) -> Most {
        let limits = self.limits.of(tenant);
        Most {
            traces: limits.ingestion.max_traces_per_user,
            bytes: limits.global.max_bytes_per_trace,
        }
    }

    fn take_in(
        &self,
        known: &mut OfTenant,
        pushed: Pushed,
        most: Most,
        now: Duration,
    ) -> Result<(), RejectReason> {
        let before = known
            .live
            .get(&pushed.trace)
            .or_else(|| known.large.get(&pushed.trace));
        let bytes = before
            .map_or(0, |before| before.bytes)
            .saturating_add(pushed.bytes);
        if most.bytes > 0 && bytes > most.bytes {
            return Err(RejectReason::TraceTooLarge);
        }
        let is_new = !known.live.contains_key(&pushed.trace);
        if is_new && !self.has_place(known, most, now) {
            return if most.traces > 0 {
                Err(RejectReason::LiveTracesExceeded)
            } else {
                Ok(())
            };
        }
        if is_new {
            known.large.remove(&pushed.trace);
        }
        known.live.insert(pushed.trace, Live { seen_at: now, bytes });
        Ok(())
    }

    /// Whether one more trace may be alive.
    fn has_place(&self, known: &mut OfTenant, most: Most, now: Duration) -> bool {
        let places = match most.traces {
            0 => MOST_WATCHED,
            traces => usize::try_from(traces).unwrap_or(usize::MAX),
        };
        if known.live.len() >= places && now.saturating_sub(known.swept_at) >= SWEEP {
            self.sweep_tenant(known, most, now);
        }
        known.live.len() < places
    }

    fn sweep_tenant(&self, known: &mut OfTenant, most: Most, now: Duration) {
        let OfTenant {
            live,
            large,
            swept_at,
        } = known;
        let is_large = |trace: &Live| most.bytes > 0 && trace.bytes >= most.bytes / LARGE_PART;
        large.retain(|_, trace| now.saturating_sub(trace.seen_at) <= self.remembered);
        live.retain(|id, trace| {
            let stays = now.saturating_sub(trace.seen_at) <= self.idle;
            if !stays && is_large(trace) {
                large.insert(*id, *trace);
            }
            stays
        });
        *swept_at = now;
    }
}

/// What a push has of each trace, in the order of their ids.
fn pushed(payload: &[u8]) -> Result<Vec<Pushed>, WireError> {
    let mut runs: Vec<Pushed> = Vec::new();
    split::for_each_span(payload, |trace, bytes| match runs.last_mut() {
        Some(last) if last.trace == trace => last.add(1, bytes as u64),
        _ => runs.push(Pushed {
            trace,
            spans: 1,
            bytes: bytes as u64,
        }),
    })?;
    runs.sort_unstable_by_key(|run| run.trace);
    runs.dedup_by(|next, first| {
        let is_same = next.trace == first.trace;
        if is_same {
            first.add(next.spans, next.bytes);
        }
        is_same
    });
    Ok(runs)
}

impl Pushed {
    fn add(&mut self, spans: u32, bytes: u64) {
        self.spans += spans;
        self.bytes += bytes;
    }
}

/// What was rejected, by limit, with texts whose first words are those that users know.
fn rejections(tenant: &TenantId, refused: &[(Pushed, RejectReason)], most: Most) -> Vec<RejectedSpans> {
    let rejected = |reason: RejectReason| {
        let of_reason = refused.iter().filter(|(_, other)| *other == reason);
        let spans: u32 = of_reason.clone().map(|(pushed, _)| pushed.spans).sum();
        let (example, _) = of_reason.clone().next()?;
        let message = match reason {
            RejectReason::TraceTooLarge => format!(
                "TRACE_TOO_LARGE: dropped {spans} spans of {} traces of tenant {tenant} that would have more than {} bytes \
                 (overrides.defaults.global.max_bytes_per_trace), such as {}",
                of_reason.count(),
                most.bytes,
                example.trace,
            ),
            RejectReason::LiveTracesExceeded | RejectReason::Unknown => format!(
                "LIVE_TRACES_EXCEEDED: dropped {spans} spans of {} traces of tenant {tenant}, since {} others are alive in \
                 the ingester (overrides.defaults.ingestion.max_traces_per_user)",
                of_reason.count(),
                most.traces,
            ),
        };
        Some(RejectedSpans {
            reason: reason as i32,
            spans,
            message,
        })
    };
    [RejectReason::LiveTracesExceeded, RejectReason::TraceTooLarge]
        .into_iter()
        .filter_map(rejected)
        .collect()
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tempo_config::{Config, Limits};
    use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};

    use super::*;

    fn live_traces(traces: u64, bytes: u64) -> LiveTraces {
        let mut limits = Limits::default();
        limits.ingestion.max_traces_per_user = traces;
        limits.global.max_bytes_per_trace = bytes;
        LiveTraces::new(TenantLimits::new(limits), &Settings::from(&Config::default()))
    }

    /// A request with a span of `bytes` bytes for each of `traces`.
    fn request(traces: &[u8], bytes: usize) -> Bytes {
        let span = |trace: &u8| {
            let mut span = Span {
                trace_id: vec![*trace; 16],
                ..Span::default()
            };
            while span.encoded_len() < bytes {
                span.trace_state.push('x');
            }
            span
        };
        let scope_spans = ScopeSpans {
            spans: traces.iter().map(span).collect(),
            ..ScopeSpans::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![scope_spans],
                ..ResourceSpans::default()
            }],
        };
        request.encode_to_vec().into()
    }

    /// The traces of what may be stored, and how many spans each limit rejects.
    fn admit(live: &LiveTraces, payload: Bytes, second: u64) -> (Vec<u8>, Vec<(RejectReason, u32)>) {
        let admitted = live
            .admit(&TenantId::single(), payload, Duration::from_secs(second))
            .unwrap();
        let mut kept = Vec::new();
        split::for_each_span(&admitted.payload, |trace, _| kept.push(trace.0[0])).unwrap();
        let rejected = admitted
            .rejected
            .iter()
            .map(|rejected| (rejected.reason(), rejected.spans));
        (kept, rejected.collect())
    }

    #[test]
    fn without_limits_nothing_is_looked_at() {
        let live = live_traces(0, 0);
        let payload = Bytes::from_static(b"no request at all");
        let admitted = live
            .admit(&TenantId::single(), payload.clone(), Duration::ZERO)
            .unwrap();
        assert_eq!(admitted.payload.as_ptr(), payload.as_ptr());
        assert!(live.sweep(Duration::ZERO).is_empty());
    }

    #[test]
    fn new_traces_beyond_the_limit_are_rejected_until_others_are_idle() {
        use RejectReason::LiveTracesExceeded;
        let live = live_traces(2, 0);
        assert_eq!(admit(&live, request(&[1, 2], 20), 0), (vec![1, 2], vec![]));
        let (kept, rejected) = admit(&live, request(&[1, 3, 2, 3, 4, 1], 20), 4);
        assert_eq!((kept, rejected), (vec![1, 2, 1], vec![(LiveTracesExceeded, 3)]));
        assert_eq!(admit(&live, request(&[1], 20), 8), (vec![1], vec![]));
        // The second one had its last span more than five seconds ago.
        assert_eq!(
            admit(&live, request(&[3, 4], 20), 10),
            (vec![3], vec![(LiveTracesExceeded, 1)])
        );
        assert_eq!(live.sweep(Duration::from_secs(10)), [(TenantId::single(), 2)]);
        assert_eq!(live.sweep(Duration::from_mins(1)), [(TenantId::single(), 0)]);
        assert!(
            live.sweep(Duration::from_mins(1)).is_empty(),
            "nothing is kept of a tenant that is gone"
        );
    }

    #[test]
    fn spans_that_make_a_trace_too_large_are_rejected() {
        use RejectReason::TraceTooLarge;
        let live = live_traces(0, 1000);
        assert_eq!(admit(&live, request(&[1, 1, 2], 400), 0), (vec![1, 1, 2], vec![]));
        assert_eq!(
            admit(&live, request(&[1, 2], 400), 1),
            (vec![2], vec![(TraceTooLarge, 1)])
        );
        assert_eq!(
            admit(&live, request(&[1], 100), 2),
            (vec![1], vec![]),
            "smaller ones fit"
        );
        assert_eq!(
            admit(&live, request(&[3], 1001), 2),
            (vec![], vec![(TraceTooLarge, 1)])
        );
        // What is large is remembered although it pauses.
        live.sweep(Duration::from_mins(1));
        assert_eq!(
            admit(&live, request(&[1], 400), 60),
            (vec![], vec![(TraceTooLarge, 1)])
        );
        live.sweep(Duration::from_hours(1));
        assert_eq!(admit(&live, request(&[1], 400), 3600), (vec![1], vec![]));
    }

    #[test]
    fn what_was_not_stored_does_not_count() {
        let (live, tenant) = (live_traces(0, 1000), TenantId::single());
        let admitted = live.admit(&tenant, request(&[1], 800), Duration::ZERO).unwrap();
        live.take_back(&tenant, &admitted);
        assert_eq!(admit(&live, request(&[1], 800), 1), (vec![1], vec![]));
    }

    #[test]
    fn the_texts_begin_as_those_that_users_know() {
        let live = live_traces(1, 100);
        let payload = request(&[1, 2, 3], 60);
        let rejected = live
            .admit(&TenantId::single(), payload, Duration::ZERO)
            .unwrap()
            .rejected;
        assert!(
            rejected[0]
                .message
                .starts_with("LIVE_TRACES_EXCEEDED: dropped 2 spans of 2 traces of tenant single-tenant")
        );
        let rejected = live
            .admit(&TenantId::single(), request(&[1, 1], 60), Duration::ZERO)
            .unwrap()
            .rejected;
        let text = &rejected[0].message;
        assert!(
            text.starts_with("TRACE_TOO_LARGE: dropped 2 spans of 1 traces"),
            "{text}"
        );
        assert!(text.ends_with(&"01".repeat(16)), "{text}");
    }
}
