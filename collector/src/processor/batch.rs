//! The `batch` processor: many small requests become few large ones.
//!
//! Payloads are put one after the other: concatenated requests are one request (protobuf merges repeated fields).
//! Upstream's processor forgets what the exporter refuses; this one keeps it, tries again, and refuses its own callers
//! when it holds too much.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use parking_lot::Mutex;
use serde::Deserialize;
use tempo_model::split;
use tempo_model::validate::Contents;
use tempo_receiver::{ConsumeError, ErrorKind, Taken, TraceBatch, TraceConsumer};
use tempo_runtime::Shutdown;
use tokio::sync::Notify;

use crate::config::{Problem, values};
use crate::metrics::{Metrics, ProcessorLabels};

/// How many full batches may wait while the next component refuses.
const WAITING_BATCHES: usize = 4;
/// How many bytes may wait at most.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// The pause before a refused batch is tried again, where the next component names none.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// A longer pause is not kept, whoever asks for it.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Settings of `batch`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchSettings {
    /// How many spans make a batch full; 8192 by default. With 0 any number does.
    pub send_batch_size: usize,
    /// How long a span may wait for company; 200ms by default. With 0 nothing waits.
    #[serde(deserialize_with = "values::duration")]
    pub timeout: Duration,
    /// How many spans a batch may have; larger ones are split. 0, the default, is no limit.
    pub send_batch_max_size: usize,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            send_batch_size: 8192,
            timeout: Duration::from_millis(200),
            send_batch_max_size: 0,
        }
    }
}

impl BatchSettings {
    pub(super) fn check(&self, path: &str) -> Result<(), Problem> {
        let max = self.send_batch_max_size;
        if max > 0 && max < self.send_batch_size {
            return Err(Problem::new(
                format!("{path}::send_batch_max_size"),
                format!("{max} is less than send_batch_size ({})", self.send_batch_size),
            ));
        }
        Ok(())
    }
}

#[derive(Default)]
struct Waiting {
    payloads: Vec<Bytes>,
    bytes: usize,
    spans: usize,
}

/// A batch processor. [`Batch::run`] must run beside it.
pub struct Batch {
    settings: BatchSettings,
    next: Arc<dyn TraceConsumer>,
    waiting: Mutex<Waiting>,
    changed: Notify,
    labels: ProcessorLabels,
    metrics: Metrics,
}

impl Batch {
    /// A processor called `id` before `next`.
    pub fn new(id: String, settings: BatchSettings, next: Arc<dyn TraceConsumer>, metrics: Metrics) -> Self {
        Self {
            settings,
            next,
            waiting: Mutex::default(),
            changed: Notify::new(),
            labels: ProcessorLabels { processor: id },
            metrics,
        }
    }

    /// Sends batches on until shutdown, then what is left.
    pub async fn run(&self, shutdown: Shutdown) {
        let _guard = shutdown.guard();
        while !shutdown.is_triggered() {
            tokio::select! {
                () = shutdown.triggered() => {}
                () = self.wait_for(1) => {
                    let is_full = tokio::select! {
                        () = shutdown.triggered() => false,
                        () = tokio::time::sleep(self.settings.timeout) => false,
                        () = self.wait_for(self.settings.send_batch_size) => true,
                    };
                    let counter = if is_full { &self.metrics.full_batches } else { &self.metrics.timed_batches };
                    counter.get_or_create(&self.labels).inc();
                    self.flush().await;
                }
            }
        }
        self.flush().await;
    }

    /// Completes when at least `spans` wait.
    async fn wait_for(&self, spans: usize) {
        loop {
            let changed = self.changed.notified();
            if self.waiting.lock().spans >= spans.max(1) {
                return;
            }
            changed.await;
        }
    }

    async fn flush(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        if waiting.spans == 0 {
            return;
        }
        for batch in self.cut(&waiting) {
            self.send(batch).await;
        }
    }

    /// One request from all that waits, or several where there is a limit.
    fn cut(&self, waiting: &Waiting) -> Vec<TraceBatch> {
        let mut joined = BytesMut::with_capacity(waiting.bytes);
        waiting
            .payloads
            .iter()
            .for_each(|payload| joined.extend_from_slice(payload));
        let whole = split::Part {
            payload: joined.freeze(),
            spans: waiting.spans,
        };
        in_parts(whole, self.settings.send_batch_max_size)
            .into_iter()
            .map(|part| TraceBatch {
                payload: part.payload,
                contents: Contents {
                    spans: part.spans,
                    ..Contents::default()
                },
                headers: HeaderMap::new(),
                transport: "batch",
            })
            .collect()
    }

    /// Offers a batch until it is taken or refused for good.
    async fn send(&self, batch: TraceBatch) {
        loop {
            match self.next.consume(batch.clone()).await {
                Ok(_) => return,
                Err(error) if error.kind.is_retryable() => {
                    let asked = error.kind.retry_after().unwrap_or(RETRY_PAUSE);
                    tokio::time::sleep(asked.min(LONGEST_PAUSE)).await;
                }
                Err(error) => {
                    let spans = batch.contents.spans;
                    tracing::error!(spans, %error, "spans dropped: the next component refuses them for good");
                    return;
                }
            }
        }
    }

    fn has_room(&self, waiting: &Waiting, batch: &TraceBatch) -> bool {
        let full = match self.settings.send_batch_size {
            0 => BatchSettings::default().send_batch_size,
            size => size,
        };
        let max_spans = full.saturating_mul(WAITING_BATCHES);
        waiting.spans == 0
            || (waiting.spans + batch.contents.spans <= max_spans
                && waiting.bytes + batch.payload.len() <= MAX_WAITING_BYTES)
    }
}

#[async_trait]
impl TraceConsumer for Batch {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        if self.settings.timeout.is_zero() {
            let part = split::Part {
                payload: batch.payload.clone(),
                spans: batch.contents.spans,
            };
            for part in in_parts(part, self.settings.send_batch_max_size) {
                let mut piece = batch.clone();
                piece.payload = part.payload;
                piece.contents.spans = part.spans;
                self.next.consume(piece).await?;
            }
            return Ok(Taken::default());
        }
        let mut waiting = self.waiting.lock();
        if !self.has_room(&waiting, &batch) {
            return Err(ConsumeError::new(
                ErrorKind::Unavailable { retry_after: None },
                "the batch processor is full: what follows it does not keep up; try again",
            ));
        }
        waiting.spans += batch.contents.spans;
        waiting.bytes += batch.payload.len();
        waiting.payloads.push(batch.payload);
        drop(waiting);
        self.changed.notify_waiters();
        Ok(Taken::default())
    }
}

/// Parts of at most `max` spans; 0 is no limit.
fn in_parts(whole: split::Part, max: usize) -> Vec<split::Part> {
    if max == 0 || whole.spans <= max {
        return vec![whole];
    }
    // Spans are dealt out in order, whatever their trace.
    let dealt = Cell::new(0);
    let parts = split::by_trace(&whole.payload, whole.spans.div_ceil(max), |_| {
        dealt.set(dealt.get() + 1);
        (dealt.get() - 1) / max
    });
    // The receiver has walked the payload, so that it cannot fail here.
    parts.unwrap_or_else(|_| vec![whole])
}
