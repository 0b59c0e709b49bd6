//! OTLP over gRPC: `TraceService/Export`.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use prost::Message;
use tempo_runtime::{BoxFuture, Shutdown};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use crate::consumer::{ConsumeError, ErrorKind};
use crate::door::Door;
use crate::raw_codec::RawCodec;

/// The path of the one method.
pub const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

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
            if request.uri().path() != EXPORT_PATH {
                return Ok(
                    Status::unimplemented(format!("{} is not offered here", request.uri().path()))
                        .into_http(),
                );
            }
            let limit = door.settings().max_request_bytes;
            let mut grpc = Grpc::new(RawCodec)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(limit);
            let mut response = grpc.unary(Export { door }, request).await;
            refuse_size_for_good(response.headers_mut());
            Ok(response)
        })
    }
}

/// The server library calls a message that is too large `OUT_OF_RANGE`, which OTLP clients send again for ever; nothing
/// else here answers so.
fn refuse_size_for_good(headers: &mut HeaderMap) {
    let is_status =
        |code: Code| move |value: &HeaderValue| value.as_bytes() == (code as i32).to_string().as_bytes();
    if headers
        .get(Status::GRPC_STATUS)
        .is_some_and(is_status(Code::OutOfRange))
    {
        headers.insert(
            Status::GRPC_STATUS,
            HeaderValue::from(Code::ResourceExhausted as i32),
        );
    }
}

struct Export {
    door: Door,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let door = self.door.clone();
        Box::pin(async move {
            let (metadata, _, payload) = request.into_parts();
            let headers: HeaderMap = metadata.into_headers();
            door.push(payload, headers, "grpc")
                .await
                .map_err(|error| status(&error))?;
            // An empty ExportTraceServiceResponse is an empty message.
            Ok(Response::new(Bytes::new()))
        })
    }
}

/// The gRPC status of an error, with `RetryInfo` where the client should wait.
pub fn status(error: &ConsumeError) -> Status {
    let code = match error.kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::ResourceExhausted { .. } => Code::ResourceExhausted,
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
