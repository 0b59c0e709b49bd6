//! What both doors do: bound what is in flight from the first byte on, read bodies, decode them, walk each payload once,
//! and hand it on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use prost::Message;
use tempo_model::validate::Contents;
use tempo_runtime::Environment;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::consumer::{ConsumeError, ErrorKind, Taken, TraceBatch, TraceConsumer};
use crate::packing::{Packing, too_large};

/// Larger bodies are decoded on the CPU pool: a millisecond or more, in which other requests would wait.
const INLINE_BYTES: usize = 4 << 20;
/// The same of bodies that are compressed or JSON, which cost about sixteen times as much.
const INLINE_PACKED_BYTES: usize = INLINE_BYTES / 16;

/// The limits of a door.
#[derive(Debug, Clone, Copy)]
pub struct DoorSettings {
    /// The largest request in bytes, after decompression. Larger ones are refused.
    pub max_request_bytes: usize,
    /// How many bytes of requests may be on their way in or in the hands of the consumer at once. Beyond, clients are told
    /// to come again.
    pub max_in_flight_bytes: usize,
    /// How long a body may take to come.
    pub read_timeout: Duration,
}

impl Default for DoorSettings {
    /// 20 MiB a request, 256 MiB in flight, 30 s to come.
    fn default() -> Self {
        Self {
            max_request_bytes: 20 << 20,
            max_in_flight_bytes: 256 << 20,
            read_timeout: Duration::from_secs(30),
        }
    }
}

/// The way from a body to the consumer. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    environment: Environment,
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

/// How an `ExportTraceServiceRequest` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

/// A body that has come whole, and the room that it takes until it is answered.
#[derive(Debug)]
pub(crate) struct Arrived<'a> {
    pub(crate) body: Bytes,
    room: Room<'a>,
}

impl Door {
    /// A door to `consumer`.
    pub fn new(environment: Environment, consumer: Arc<dyn TraceConsumer>, settings: DoorSettings) -> Self {
        let kilobytes = (settings.max_in_flight_bytes / 1024).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            environment,
            consumer,
            settings,
            in_flight: Arc::new(Semaphore::new(kilobytes)),
        }
    }

    /// The limits.
    pub fn settings(&self) -> DoorSettings {
        self.settings
    }

    /// Reads a body of at most `limit` bytes, of which `announced` are sure to come. It has room for every byte before the
    /// next one is read.
    pub(crate) async fn read<B>(
        &self,
        body: B,
        announced: usize,
        limit: usize,
    ) -> Result<Arrived<'_>, ConsumeError>
    where
        B: axum::body::HttpBody<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let mut room = Room::of(self, announced.min(limit))?;
        let timeout = self.environment.clock.sleep(self.settings.read_timeout);
        let body = tokio::select! {
            biased;
            body = collect(body, limit, &mut room) => body?,
            () = timeout => return Err(too_slow(self.settings.read_timeout)),
        };
        Ok(Arrived { body, room })
    }

    /// Decodes what has come, hands it on and waits for the consumer's word.
    pub(crate) async fn push(
        &self,
        arrived: Arrived<'_>,
        (packing, encoding): (Packing, Encoding),
        headers: HeaderMap,
        transport: &'static str,
    ) -> Result<Taken, ConsumeError> {
        let Arrived { body, mut room } = arrived;
        let (payload, contents) = self.decode(body, packing, encoding).await?;
        room.grow_to(payload.len())?;
        if contents.spans == 0 {
            return Ok(Taken::default());
        }
        let batch = TraceBatch {
            payload,
            contents,
            headers,
            transport,
        };
        self.consumer.consume(batch).await
    }

    async fn decode(
        &self,
        body: Bytes,
        packing: Packing,
        encoding: Encoding,
    ) -> Result<(Bytes, Contents), ConsumeError> {
        let limit = self.settings.max_request_bytes;
        let is_plain = packing == Packing::None && encoding == Encoding::Protobuf;
        let inline = if is_plain {
            INLINE_BYTES
        } else {
            INLINE_PACKED_BYTES
        };
        if body.len() <= inline {
            return decode(body, packing, encoding, limit);
        }
        let decoding = self
            .environment
            .run_cpu("OTLP decode", move || decode(body, packing, encoding, limit));
        decoding.await.map_err(|error| {
            ConsumeError::new(ErrorKind::Unavailable { retry_after: None }, error.to_string())
        })?
    }
}

/// Room for a request; it is given back when dropped.
#[derive(Debug)]
struct Room<'a> {
    door: &'a Door,
    permit: SemaphorePermit<'a>,
}

impl<'a> Room<'a> {
    fn of(door: &'a Door, bytes: usize) -> Result<Self, ConsumeError> {
        let permit = acquire(door, kilobytes(door, bytes))?;
        Ok(Self { door, permit })
    }

    /// Gets more, if `bytes` are more than there was room for.
    fn grow_to(&mut self, bytes: usize) -> Result<(), ConsumeError> {
        let missing = kilobytes(self.door, bytes).saturating_sub(self.permit.num_permits());
        if missing > 0 {
            self.permit.merge(acquire(self.door, missing)?);
        }
        Ok(())
    }
}

fn kilobytes(door: &Door, bytes: usize) -> usize {
    (bytes / 1024 + 1)
        .min(door.settings.max_in_flight_bytes / 1024)
        .max(1)
}

fn acquire(door: &Door, kilobytes: usize) -> Result<SemaphorePermit<'_>, ConsumeError> {
    door.in_flight.try_acquire_many(kilobytes as u32).map_err(|_| {
        let message = format!(
            "too many requests in flight: {} bytes are waiting to be stored; try again",
            door.settings.max_in_flight_bytes
        );
        ConsumeError::new(ErrorKind::Unavailable { retry_after: None }, message)
    })
}

/// All of a body, in one piece.
async fn collect<B>(body: B, limit: usize, room: &mut Room<'_>) -> Result<Bytes, ConsumeError>
where
    B: axum::body::HttpBody<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = pin!(body);
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| invalid(format!("cannot read the request body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = first.len() + whole.len() + data.len();
        if length > limit {
            return Err(too_large(limit));
        }
        room.grow_to(length)?;
        if length == data.len() {
            // Most small bodies come in one piece and are not copied.
            first = data;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&data);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

fn decode(
    body: Bytes,
    packing: Packing,
    encoding: Encoding,
    limit: usize,
) -> Result<(Bytes, Contents), ConsumeError> {
    let undecodable =
        |error: &dyn std::fmt::Display| invalid(format!("cannot decode the OTLP request: {error}"));
    let body = packing.unpack(body, limit)?;
    let payload = match encoding {
        Encoding::Protobuf => body,
        Encoding::Json => tempo_model::json::otlp::request(&body)
            .map_err(|error| undecodable(&error))?
            .encode_to_vec()
            .into(),
    };
    let contents = tempo_model::validate::contents(&payload).map_err(|error| undecodable(&error))?;
    Ok((payload, contents))
}

fn too_slow(patience: Duration) -> ConsumeError {
    let message = format!("the request did not come whole within {patience:?}; try again");
    ConsumeError::new(ErrorKind::Unavailable { retry_after: None }, message)
}

/// The error of a request that nobody can read.
pub(crate) fn invalid(message: String) -> ConsumeError {
    ConsumeError::new(ErrorKind::InvalidArgument, message)
}
