//! What waits for sending: a bounded queue and its consumers. What is being sent counts as waiting.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::Deserialize;
use tempo_receiver::{ConsumeError, ErrorKind, Taken, TraceBatch, TraceConsumer};
use tempo_runtime::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{OtlpSettings, RetrySettings, SendError, Sender, retry};
use crate::metrics::{ExporterLabels, Metrics};

/// Settings of `sending_queue`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// Whether callers need not wait for the answer; true by default.
    pub enabled: bool,
    /// How many requests are sent at once; 10 by default.
    pub num_consumers: usize,
    /// How much may wait, in units of `sizer`; 1000 by default.
    pub queue_size: usize,
    /// What is counted; requests by default.
    pub sizer: Sizer,
    /// Whether callers wait for room instead of being refused; false by default.
    pub block_on_overflow: bool,
}

/// What a queue counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Requests.
    Requests,
    /// Spans.
    Items,
    /// Encoded bytes.
    Bytes,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            num_consumers: 10,
            queue_size: 1000,
            sizer: Sizer::Requests,
            block_on_overflow: false,
        }
    }
}

impl QueueSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.enabled && (self.num_consumers == 0 || self.queue_size == 0) {
            return Err("num_consumers and queue_size must be above 0".to_owned());
        }
        if self.queue_size > u32::MAX as usize {
            return Err(format!("queue_size must not be above {}", u32::MAX));
        }
        Ok(())
    }

    fn size_of(&self, batch: &TraceBatch) -> usize {
        match self.sizer {
            Sizer::Requests => 1,
            Sizer::Items => batch.contents.spans,
            Sizer::Bytes => batch.payload.len(),
        }
    }
}

struct Queued {
    batch: TraceBatch,
    room: OwnedSemaphorePermit,
}

/// The way into an exporter. [`Queue::run`] must run beside it when the queue is enabled.
pub struct Queue {
    settings: QueueSettings,
    delivery: Arc<Delivery>,
    room: Arc<Semaphore>,
    into: mpsc::UnboundedSender<Queued>,
    out: Mutex<Option<mpsc::UnboundedReceiver<Queued>>>,
}

/// Sends requests and counts them.
struct Delivery {
    sender: Arc<dyn Sender>,
    retry: RetrySettings,
    labels: ExporterLabels,
    metrics: Metrics,
}

impl Queue {
    /// The way into the exporter called `id`, which sends by `sender`.
    pub fn new(id: String, sender: Arc<dyn Sender>, settings: &OtlpSettings, metrics: Metrics) -> Self {
        let labels = ExporterLabels { exporter: id };
        let queue = settings.sending_queue.clone();
        metrics
            .queue_capacity
            .get_or_create(&labels)
            .set(queue.queue_size as i64);
        // The room is bounded by permits, so that the channel need not be.
        let (into, out) = mpsc::unbounded_channel();
        Self {
            room: Arc::new(Semaphore::new(queue.queue_size)),
            settings: queue,
            delivery: Arc::new(Delivery {
                sender,
                retry: settings.retry_on_failure.clone(),
                labels,
                metrics,
            }),
            into,
            out: Mutex::new(Some(out)),
        }
    }

    /// Sends what waits until shutdown, then what is left.
    pub async fn run(&self, shutdown: Shutdown) {
        let _guard = shutdown.guard();
        let Some(mut out) = self.out.lock().take() else {
            return;
        };
        let consumers = Arc::new(Semaphore::new(self.settings.num_consumers));
        loop {
            let queued = tokio::select! {
                biased;
                queued = out.recv() => queued,
                () = shutdown.triggered(), if !out.is_closed() => {
                    out.close();
                    continue;
                }
            };
            let Some(queued) = queued else { break };
            let Ok(consumer) = Arc::clone(&consumers).acquire_owned().await else {
                break;
            };
            let delivery = Arc::clone(&self.delivery);
            let guard = shutdown.guard();
            tokio::spawn(async move {
                // The caller has had its answer; what goes wrong now is counted and logged.
                let _ = delivery.deliver(&queued.batch).await;
                delivery.leave(&queued);
                drop((queued, consumer, guard));
            });
        }
    }

    async fn room_for(&self, batch: &TraceBatch) -> Result<OwnedSemaphorePermit, ConsumeError> {
        let size = self.settings.size_of(batch);
        let capacity = self.settings.queue_size;
        if size > capacity {
            let message =
                format!("request of size {size} is larger than the whole queue ({capacity}); send less");
            return Err(ConsumeError::new(
                ErrorKind::ResourceExhausted { retry_after: None },
                message,
            ));
        }
        let room = Arc::clone(&self.room);
        let permit = if self.settings.block_on_overflow {
            room.acquire_many_owned(size as u32).await.ok()
        } else {
            room.try_acquire_many_owned(size as u32).ok()
        };
        permit.ok_or_else(|| {
            ConsumeError::new(
                ErrorKind::Unavailable { retry_after: None },
                "sending queue is full; try again",
            )
        })
    }
}

#[async_trait]
impl TraceConsumer for Queue {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        let delivery = &self.delivery;
        if !self.settings.enabled {
            delivery.deliver(&batch).await.map_err(|error| error.error)?;
            return Ok(Taken::default());
        }
        let spans = batch.contents.spans as u64;
        let refused = |error| {
            let failed = &delivery.metrics.enqueue_failed;
            failed.get_or_create(&delivery.labels).inc_by(spans);
            error
        };
        let room = self.room_for(&batch).await.map_err(refused)?;
        let size = room.num_permits() as i64;
        let queued = Queued { batch, room };
        delivery
            .metrics
            .queue_size
            .get_or_create(&delivery.labels)
            .inc_by(size);
        self.into.send(queued).map_err(|lost| {
            delivery.leave(&lost.0);
            let unavailable = ErrorKind::Unavailable { retry_after: None };
            refused(ConsumeError::new(unavailable, "exporter is stopping; try again"))
        })?;
        Ok(Taken::default())
    }
}

impl Delivery {
    async fn deliver(&self, batch: &TraceBatch) -> Result<(), SendError> {
        let spans = batch.contents.spans as u64;
        match retry::send(&*self.sender, &self.retry, batch.payload.clone()).await {
            Ok(sent) => {
                self.metrics.sent.get_or_create(&self.labels).inc_by(spans);
                if sent.rejected_spans != 0 || !sent.message.is_empty() {
                    let exporter = self.labels.exporter.as_str();
                    let (rejected, message) = (sent.rejected_spans, sent.message);
                    tracing::warn!(exporter, rejected, message, "the server rejected some spans");
                }
                Ok(())
            }
            Err(error) => {
                self.metrics.send_failed.get_or_create(&self.labels).inc_by(spans);
                let exporter = self.labels.exporter.as_str();
                tracing::error!(exporter, spans, %error, "sending failed");
                Err(error)
            }
        }
    }

    fn leave(&self, queued: &Queued) {
        let size = queued.room.num_permits() as i64;
        self.metrics.queue_size.get_or_create(&self.labels).dec_by(size);
    }
}
