//! Found traces of all tenants as the API gives them. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tempo_model::TraceId;
use tempo_model::proto::tempopb;

use super::found::newest_first;
use crate::rpc::messages::FoundTrace;

/// The traces of several tenants, newest first, at most `limit` (0 is all). One that several have is told as one, with the
/// sets of each.
pub(in crate::frontend) fn of_tenants(answers: Vec<Vec<FoundTrace>>, limit: usize) -> Vec<FoundTrace> {
    let mut joined: HashMap<Vec<u8>, FoundTrace> = HashMap::new();
    for trace in answers.into_iter().flatten() {
        match joined.entry(trace.trace_id.clone()) {
            Entry::Vacant(place) => {
                place.insert(trace);
            }
            Entry::Occupied(mut known) => join(known.get_mut(), trace),
        }
    }
    let mut traces: Vec<FoundTrace> = joined.into_values().collect();
    newest_first(&mut traces);
    if limit > 0 {
        traces.truncate(limit);
    }
    traces
}

fn join(known: &mut FoundTrace, other: FoundTrace) {
    if known.root_service_name.is_empty() && known.root_trace_name.is_empty() {
        known.root_service_name = other.root_service_name;
        known.root_trace_name = other.root_trace_name;
    }
    known.start_unix_nanos = known.start_unix_nanos.min(other.start_unix_nanos);
    known.end_unix_nanos = known.end_unix_nanos.max(other.end_unix_nanos);
    for (service, stats) in other.service_stats {
        let known = known.service_stats.entry(service).or_default();
        known.span_count += stats.span_count;
        known.error_count += stats.error_count;
    }
    known.span_sets.extend(other.span_sets);
}

/// A trace as the API gives it. `left_pad` keeps the leading zeros of ids.
pub(in crate::frontend) fn metadata(trace: FoundTrace, left_pad: bool) -> tempopb::TraceSearchMetadata {
    let id = TraceId::try_from(trace.trace_id.as_slice()).unwrap_or_default();
    let has_root = !(trace.root_service_name.is_empty() && trace.root_trace_name.is_empty());
    let duration_ns = trace.end_unix_nanos.saturating_sub(trace.start_unix_nanos);
    tempopb::TraceSearchMetadata {
        trace_id: if left_pad {
            id.to_string()
        } else {
            id.to_short_hex()
        },
        root_service_name: if has_root {
            trace.root_service_name
        } else {
            NO_ROOT.to_owned()
        },
        root_trace_name: trace.root_trace_name,
        start_time_unix_nano: trace.start_unix_nanos,
        duration_ms: u32::try_from(duration_ns / 1_000_000).unwrap_or(u32::MAX),
        span_set: trace.span_sets.first().cloned(),
        span_sets: trace.span_sets,
        service_stats: trace.service_stats,
    }
}

/// What is told of a trace whose root has not arrived, in the words that Tempo's users know.
const NO_ROOT: &str = "<root span not yet received>";
