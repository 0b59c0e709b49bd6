//! Driving a receiver as hard as it goes: several connections, some requests in flight on each, every answer timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use tokio::task::JoinSet;

use super::client::{ExportError, OtlpClient};
use super::shop::Shop;

/// A request that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The encoded `ExportTraceServiceRequest`.
    pub payload: Bytes,
    /// How many spans are in it.
    pub spans: u64,
}

/// When the spans of a stream lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The end of the first trace, in nanoseconds since 1970.
    pub start_unix_nanos: u64,
    /// The end of the last one.
    pub end_unix_nanos: u64,
}

/// Makes requests of `traces` traces each until there are `spans` spans, which lie evenly in `period`.
pub fn requests(
    shop: &mut Shop,
    spans: u64,
    traces: usize,
    period: Period,
) -> impl Iterator<Item = (Prepared, Vec<[u8; 16]>)> {
    let length = period.end_unix_nanos.saturating_sub(period.start_unix_nanos);
    let mut made = 0;
    std::iter::from_fn(move || {
        if made >= spans {
            return None;
        }
        let passed = (length as f64 * (made as f64 / spans as f64)) as u64;
        let (request, ids) = shop.request(traces, period.start_unix_nanos + passed);
        let scopes = request
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans);
        let spans = scopes.map(|scope| scope.spans.len() as u64).sum();
        made += spans;
        let payload = request.encode_to_vec().into();
        Some((Prepared { payload, spans }, ids))
    })
}

/// How hard to drive.
#[derive(Debug, Clone, Copy)]
pub struct Force {
    /// Connections.
    pub connections: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
}

/// What driving showed.
#[derive(Debug, Clone, Default)]
pub struct Driven {
    /// Spans that were acknowledged.
    pub spans: u64,
    /// Bytes of their requests.
    pub bytes: u64,
    /// From the first request to the last answer.
    pub wall: Duration,
    /// How long each acknowledged request took, retries included, shortest first.
    pub latencies: Vec<Duration>,
    /// Requests that had to be sent again.
    pub retries: u64,
    /// Spans that were given up.
    pub failed_spans: u64,
    /// The last error of those.
    pub last_error: Option<String>,
}

impl Driven {
    /// The latency that `share` (0 to 1) of the requests did not exceed.
    pub fn latency(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies.get(index).copied().unwrap_or_default()
    }

    fn add(&mut self, request: &Prepared, took: Duration, outcome: Result<u32, ExportError>) {
        match outcome {
            Ok(retries) => {
                self.spans += request.spans;
                self.bytes += request.payload.len() as u64;
                self.latencies.push(took);
                self.retries += u64::from(retries);
            }
            Err(error) => {
                self.failed_spans += request.spans;
                self.last_error = Some(error.to_string());
            }
        }
    }
}

/// Sends all of `requests` to the OTLP/gRPC receiver at `address` (`host:port`). `progress` hears how many spans are
/// acknowledged.
pub async fn drive(
    address: &str,
    requests: impl Iterator<Item = Prepared> + Send + 'static,
    force: Force,
    progress: impl Fn(u64) + Send + Sync + 'static,
) -> Result<Driven, ExportError> {
    let waiting = Arc::new(Mutex::new(requests));
    let driven = Arc::new(Mutex::new(Driven::default()));
    let progress = Arc::new(progress);
    let mut workers = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..force.connections {
        clients.push(OtlpClient::grpc(address).await?);
    }
    let started = Instant::now();
    for client in clients {
        for _ in 0..force.in_flight {
            let (client, waiting, driven) = (client.clone(), Arc::clone(&waiting), Arc::clone(&driven));
            let progress = Arc::clone(&progress);
            workers.spawn(async move {
                while let Some(request) = next(&waiting) {
                    let sent = Instant::now();
                    let outcome = client.export(request.payload.clone()).await;
                    let outcome = outcome.map(|exported| exported.retries);
                    let mut driven = driven.lock();
                    driven.add(&request, sent.elapsed(), outcome);
                    progress(driven.spans);
                }
            });
        }
    }
    while workers.join_next().await.is_some() {}
    let mut driven = std::mem::take(&mut *driven.lock());
    driven.wall = started.elapsed();
    driven.latencies.sort_unstable();
    Ok(driven)
}

fn next(waiting: &Mutex<impl Iterator<Item = Prepared>>) -> Option<Prepared> {
    waiting.lock().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_spans_and_traces_that_they_say() {
        let period = Period {
            start_unix_nanos: 1_700_000_000_000_000_000,
            end_unix_nanos: 1_700_000_600_000_000_000,
        };
        let requests: Vec<_> = requests(&mut Shop::new(1), 500, 10, period).collect();
        for (request, ids) in &requests {
            let contents = tempo_model::validate::contents(&request.payload).unwrap();
            assert_eq!(contents.spans as u64, request.spans);
            assert_eq!(ids.len(), 10);
        }
        let spans: u64 = requests.iter().map(|(request, _)| request.spans).sum();
        assert!((500..1000).contains(&spans), "{spans}");
    }

    #[test]
    fn latencies_are_read_by_rank() {
        let driven = Driven {
            latencies: (1..=100).map(Duration::from_millis).collect(),
            ..Driven::default()
        };
        assert_eq!(driven.latency(0.0), Duration::from_millis(1));
        assert_eq!(driven.latency(1.0), Duration::from_millis(100));
        assert_eq!(Driven::default().latency(0.5), Duration::ZERO);
    }
}
