//! OTLP over gRPC: `TraceService/Export`.
//!
//! The one message of a request is read here rather than by the gRPC library, which reads and inflates messages before
//! anybody is asked whether there is room for them.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tempo_runtime::{BoxFuture, Shutdown};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};

use crate::consumer::{ConsumeError, ErrorKind};
use crate::door::{Door, Encoding};
use crate::http::export_response;
use crate::packing::Packing;

/// The path of the one method.
pub const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What comes before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
/// How many requests a connection may have under way, as upstream's servers allow.
const MAX_STREAMS: u32 = 100;
const ENCODING: &str = "grpc-encoding";
const ACCEPTED: (&str, &str) = ("grpc-accept-encoding", "identity,gzip,zstd,deflate");

/// A server that cannot go on.
#[derive(Debug, thiserror::Error)]
#[error("serve OTLP/gRPC: {0}")]
pub struct ServeError(#[from] tonic::transport::Error);

/// Serves OTLP/gRPC on a bound listener until shutdown, then lets requests in flight end.
pub async fn serve(listener: TcpListener, door: Door, shutdown: Shutdown) -> Result<(), ServeError> {
    let _guard = shutdown.guard();
    // Answers are small: they must not wait for more to fill a packet.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .add_service(TraceService::new(door))
        .serve_with_incoming_shutdown(incoming, shutdown.triggered())
        .await?;
    Ok(())
}

/// The gRPC service, for servers that offer others beside it.
#[derive(Debug, Clone)]
pub struct TraceService {
    door: Door,
}

impl TraceService {
    /// A service that hands requests to `door`.
    pub fn new(door: Door) -> Self {
        Self { door }
    }
}

impl NamedService for TraceService {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl tower::Service<http::Request<Body>> for TraceService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let door = self.door.clone();
        Box::pin(async move {
            let exported = match request.uri().path() {
                EXPORT_PATH => export(&door, request).await,
                path => Err(Status::unimplemented(format!("{path} is not offered here"))),
            };
            let mut response = exported.unwrap_or_else(Status::into_http);
            let (name, encodings) = ACCEPTED;
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(encodings));
            Ok(response)
        })
    }
}

async fn export(door: &Door, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
    let (head, body) = request.into_parts();
    let packing = packing(&head.headers)?;
    let limit = door.settings().max_request_bytes.saturating_add(PREFIX_BYTES);
    let arrived = door.read(body, 0, limit).await;
    let mut arrived = arrived.map_err(|error| status(&error))?;
    let is_packed = take_prefix(&mut arrived.body)?;
    let packing = if is_packed { packing } else { Packing::None };
    let taken = door
        .push(arrived, (packing, Encoding::Protobuf), head.headers, "grpc")
        .await
        .map_err(|error| status(&error))?;
    Ok(answer(&export_response(taken)))
}

/// The compression that a request names.
fn packing(headers: &HeaderMap) -> Result<Packing, Status> {
    let name = headers.get(ENCODING);
    let name = name.map_or("", |value| value.to_str().unwrap_or("not text"));
    Packing::of(name).ok_or_else(|| {
        let known = Packing::NAMES;
        Status::unimplemented(format!("unsupported {ENCODING}: {name}; supported: {known}"))
    })
}

/// Takes what is before the one message of a body off; whether the message is compressed.
fn take_prefix(body: &mut Bytes) -> Result<bool, Status> {
    let cut_off = || Status::invalid_argument("the request is not one whole gRPC message");
    let flag = body.try_get_u8().map_err(|_| cut_off())?;
    let length = body.try_get_u32().map_err(|_| cut_off())?;
    match flag {
        0 | 1 if body.len() == length as usize => Ok(flag == 1),
        0 | 1 => Err(cut_off()),
        _ => Err(Status::invalid_argument(format!(
            "{flag} does not say whether the gRPC message is compressed"
        ))),
    }
}

fn answer(message: &[u8]) -> http::Response<Body> {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert(Status::GRPC_STATUS, HeaderValue::from(Code::Ok as i32));
    let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = http::Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
    response
}

/// The gRPC status of an error, with `RetryInfo` where the client should wait.
pub fn status(error: &ConsumeError) -> Status {
    let code = match error.kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        // Clients send what is answered so again only if they are told when.
        ErrorKind::TooLarge | ErrorKind::ResourceExhausted { .. } => Code::ResourceExhausted,
        ErrorKind::Unavailable { .. } => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
    };
    match error.kind.retry_after() {
        Some(delay) => Status::with_details(
            code,
            &error.message,
            rpc_status(code as i32, &error.message, Some(delay)).into(),
        ),
        None => Status::new(code, &error.message),
    }
}

/// An encoded `google.rpc.Status`, with a `google.rpc.RetryInfo` detail when there is a delay.
///
/// Source: `google/rpc/status.proto` (code 1, message 2, details 3) and `error_details.proto` (`RetryInfo`: delay 1).
pub fn rpc_status(code: i32, message: &str, retry_after: Option<Duration>) -> Vec<u8> {
    let details = retry_after
        .map(|delay| Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: RetryInfo {
                retry_delay: Some(ProtoDuration {
                    seconds: delay.as_secs() as i64,
                    nanos: delay.subsec_nanos() as i32,
                }),
            }
            .encode_to_vec(),
        })
        .into_iter()
        .collect();
    RpcStatus {
        code,
        message: message.to_owned(),
        details,
    }
    .encode_to_vec()
}

/// The delay that the details of a gRPC error ask for, if they do.
pub fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = RpcStatus::decode(details).ok()?;
    let detail = status
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with("google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(
        u64::try_from(delay.seconds).ok()?,
        u32::try_from(delay.nanos).ok()?,
    ))
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
