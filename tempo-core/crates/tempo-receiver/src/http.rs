//! OTLP over HTTP: `POST /v1/traces` in protobuf or JSON.

use std::io::Read;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost::Message;
use serde_json::json;
use tempo_runtime::Shutdown;
use tokio::net::TcpListener;

use crate::consumer::{ConsumeError, ErrorKind};
use crate::door::Door;
use crate::grpc::rpc_status;

/// The largest window of zstd, as a power of two: 8 MiB, which every decoder has to offer (RFC 9659), and which a
/// client can make us set aside.
const ZSTD_WINDOW_LOG: u32 = 23;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Serves OTLP/HTTP on a bound listener until shutdown, then lets requests in flight end.
pub async fn serve(listener: TcpListener, door: Door, shutdown: Shutdown) -> std::io::Result<()> {
    let _guard = shutdown.guard();
    axum::serve(listener, router(door))
        .with_graceful_shutdown(shutdown.triggered())
        .await
}

/// The routes, for servers that offer others beside them.
pub fn router(door: Door) -> Router {
    Router::new().route("/v1/traces", any(export)).with_state(door)
}

/// The encoding of a request, in which it is answered too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match content_type.split(';').next()?.trim() {
            PROTOBUF => Some(Self::Protobuf),
            JSON => Some(Self::Json),
            _ => None,
        }
    }

    fn success(self) -> Response {
        match self {
            Self::Protobuf => answer(StatusCode::OK, PROTOBUF, Vec::new()),
            Self::Json => answer(StatusCode::OK, JSON, br#"{"partialSuccess":{}}"#.to_vec()),
        }
    }

    fn failure(self, error: &ConsumeError) -> Response {
        let (status, code) = codes(error.kind);
        let mut response = match self {
            Self::Protobuf => answer(
                status,
                PROTOBUF,
                rpc_status(code, &error.message, error.kind.retry_after()),
            ),
            Self::Json => answer(status, JSON, json_status(code, error).to_string().into_bytes()),
        };
        if let Some(delay) = error.kind.retry_after() {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
        }
        response
    }
}

/// The HTTP status and the gRPC code of an error.
fn codes(kind: ErrorKind) -> (StatusCode, i32) {
    match kind {
        ErrorKind::InvalidArgument => (StatusCode::BAD_REQUEST, 3),
        ErrorKind::ResourceExhausted { .. } => (StatusCode::TOO_MANY_REQUESTS, 8),
        // Tempo answers a missing tenant as if it were unavailable; clients depend on it.
        ErrorKind::Unavailable { .. } | ErrorKind::Unauthenticated => (StatusCode::SERVICE_UNAVAILABLE, 14),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 13),
    }
}

/// A `google.rpc.Status` in JSON, with a `RetryInfo` detail where the client should wait.
fn json_status(code: i32, error: &ConsumeError) -> serde_json::Value {
    let mut status = json!({"code": code, "message": error.message});
    if let Some(delay) = error.kind.retry_after() {
        let fraction = match delay.subsec_millis() {
            0 => String::new(),
            milliseconds => format!(".{milliseconds:03}"),
        };
        status["details"] = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}{fraction}s", delay.as_secs()),
        }]);
    }
    status
}

fn answer(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}

async fn export(State(door): State<Door>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        let text = format!("405 method not allowed, supported: [{}]", Method::POST);
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], text).into_response();
    }
    let Some(encoding) = Encoding::of(&head.headers) else {
        let text = format!("415 unsupported media type, supported: [{JSON}, {PROTOBUF}]");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    };
    match accept(&door, encoding, head.headers, body).await {
        Ok(()) => encoding.success(),
        Err(error) => encoding.failure(&error),
    }
}

async fn accept(door: &Door, encoding: Encoding, headers: HeaderMap, body: Body) -> Result<(), ConsumeError> {
    let limit = door.settings().max_request_bytes;
    let room = door.room(announced(&headers).min(limit))?;
    let body = read(body, limit).await?;
    let body = decompress(&headers, body, limit)?;
    let payload = match encoding {
        Encoding::Protobuf => body,
        Encoding::Json => tempo_model::json::otlp::request(&body)
            .map_err(|error| invalid(format!("cannot decode the OTLP request: {error}")))?
            .encode_to_vec()
            .into(),
    };
    door.push_in(room, payload, headers, "http").await
}

/// How long the body is going to be; 0 when that is not said.
fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

async fn read(body: Body, limit: usize) -> Result<Bytes, ConsumeError> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(invalid(format!("cannot read the request body: {error}"))),
    }
}

fn decompress(headers: &HeaderMap, body: Bytes, limit: usize) -> Result<Bytes, ConsumeError> {
    let encoding = headers
        .get(CONTENT_ENCODING)
        .map_or("", |value| value.to_str().unwrap_or("not text"));
    match encoding {
        "" | "identity" => Ok(body),
        "gzip" => inflate(flate2::read::MultiGzDecoder::new(&*body), limit),
        "deflate" | "zlib" => inflate(flate2::read::ZlibDecoder::new(&*body), limit),
        "zstd" => inflate(
            zstd_decoder(&body).map_err(|error| invalid(error.to_string()))?,
            limit,
        ),
        other => Err(invalid(format!(
            "unsupported Content-Encoding: {other}; supported: gzip, zstd, zlib, deflate"
        ))),
    }
}

fn zstd_decoder(body: &[u8]) -> std::io::Result<zstd::Decoder<'_, &[u8]>> {
    let mut decoder = zstd::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(decoder)
}

fn inflate(decoder: impl Read, limit: usize) -> Result<Bytes, ConsumeError> {
    let mut inflated = Vec::new();
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| invalid(format!("cannot decompress the request body: {error}")))?;
    if inflated.len() > limit {
        Err(too_large(limit))
    } else {
        Ok(inflated.into())
    }
}

fn too_large(limit: usize) -> ConsumeError {
    invalid(format!(
        "request body is larger than {limit} bytes; send smaller batches"
    ))
}

fn invalid(message: String) -> ConsumeError {
    ConsumeError::new(ErrorKind::InvalidArgument, message)
}
