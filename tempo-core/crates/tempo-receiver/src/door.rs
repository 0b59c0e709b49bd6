//! What both doors do with a decoded body: bound what is in flight, walk the payload once, hand it on.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::consumer::{ConsumeError, ErrorKind, TraceBatch, TraceConsumer};

/// The limits of a door.
#[derive(Debug, Clone, Copy)]
pub struct DoorSettings {
    /// The largest request in bytes, after decompression. Larger ones are refused.
    pub max_request_bytes: usize,
    /// How many bytes of requests may be in the hands of the consumer at once. Beyond, clients are told to come again.
    pub max_in_flight_bytes: usize,
}

impl Default for DoorSettings {
    /// 20 MiB a request, 256 MiB in flight.
    fn default() -> Self {
        Self {
            max_request_bytes: 20 << 20,
            max_in_flight_bytes: 256 << 20,
        }
    }
}

/// The way from a decoded body to the consumer. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    consumer: Arc<dyn TraceConsumer>,
    settings: DoorSettings,
    /// Kilobytes in flight; a kilobyte at least for each request.
    in_flight: Arc<Semaphore>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Door")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// A door to `consumer`.
    pub fn new(consumer: Arc<dyn TraceConsumer>, settings: DoorSettings) -> Self {
        let kilobytes = (settings.max_in_flight_bytes / 1024).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            consumer,
            settings,
            in_flight: Arc::new(Semaphore::new(kilobytes)),
        }
    }

    /// The limits.
    pub fn settings(&self) -> DoorSettings {
        self.settings
    }

    /// Room for a request of `bytes`, or that there is none now.
    pub(crate) fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, ConsumeError> {
        self.acquire(self.kilobytes(bytes))
    }

    fn kilobytes(&self, bytes: usize) -> usize {
        (bytes / 1024 + 1)
            .min(self.settings.max_in_flight_bytes / 1024)
            .max(1)
    }

    fn acquire(&self, kilobytes: usize) -> Result<SemaphorePermit<'_>, ConsumeError> {
        self.in_flight.try_acquire_many(kilobytes as u32).map_err(|_| {
            let message = format!(
                "too many requests in flight: over {} bytes are waiting to be stored; try again",
                self.settings.max_in_flight_bytes
            );
            ConsumeError::new(ErrorKind::Unavailable { retry_after: None }, message)
        })
    }

    /// Hands an encoded request on and waits for the consumer's word.
    pub async fn push(
        &self,
        payload: Bytes,
        headers: HeaderMap,
        transport: &'static str,
    ) -> Result<(), ConsumeError> {
        let room = self.room(payload.len())?;
        self.push_in(room, payload, headers, transport).await
    }

    /// Like [`Door::push`], for a request that has room already; it gets more if it has grown.
    pub(crate) async fn push_in(
        &self,
        mut room: SemaphorePermit<'_>,
        payload: Bytes,
        headers: HeaderMap,
        transport: &'static str,
    ) -> Result<(), ConsumeError> {
        let grown = self.kilobytes(payload.len());
        room.merge(self.acquire(grown.saturating_sub(room.num_permits()))?);
        let contents = tempo_model::validate::contents(&payload).map_err(|error| {
            ConsumeError::new(
                ErrorKind::InvalidArgument,
                format!("cannot decode the OTLP request: {error}"),
            )
        })?;
        if contents.spans == 0 {
            return Ok(());
        }
        self.consumer
            .consume(TraceBatch {
                payload,
                contents,
                headers,
                transport,
            })
            .await
    }
}
