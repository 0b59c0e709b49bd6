//! OTLP over HTTP: `POST /v1/traces` in protobuf or JSON.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use prost::Message;
use serde_json::json;
use tempo_model::proto::trace::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tempo_runtime::Shutdown;
use tokio::net::TcpListener;

use crate::consumer::{ConsumeError, ErrorKind, Taken};
use crate::door::{Door, Encoding, invalid};
use crate::grpc::rpc_status;
use crate::packing::Packing;

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

/// What a client hears, in the encoding of its request.
impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match content_type.split(';').next()?.trim() {
            PROTOBUF => Some(Self::Protobuf),
            JSON => Some(Self::Json),
            _ => None,
        }
    }

    fn success(self, taken: Taken) -> Response {
        match self {
            Self::Protobuf => answer(StatusCode::OK, PROTOBUF, export_response(taken)),
            Self::Json => answer(
                StatusCode::OK,
                JSON,
                json_response(&taken).to_string().into_bytes(),
            ),
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
        // Not 413, which some clients send again.
        ErrorKind::InvalidArgument | ErrorKind::TooLarge => (StatusCode::BAD_REQUEST, 3),
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

/// An encoded `ExportTraceServiceResponse`; empty when all was taken.
pub(crate) fn export_response(taken: Taken) -> Vec<u8> {
    let partial_success = (taken.rejected_spans > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(taken.rejected_spans).unwrap_or(i64::MAX),
        error_message: taken.reason,
    });
    ExportTraceServiceResponse { partial_success }.encode_to_vec()
}

fn json_response(taken: &Taken) -> serde_json::Value {
    if taken.rejected_spans == 0 {
        return json!({"partialSuccess": {}});
    }
    // 64-bit numbers are strings in OTLP's JSON.
    let (rejected, message) = (taken.rejected_spans.to_string(), &taken.reason);
    json!({"partialSuccess": {"rejectedSpans": rejected, "errorMessage": message}})
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
        Ok(taken) => encoding.success(taken),
        Err(error) => encoding.failure(&error),
    }
}

async fn accept(
    door: &Door,
    encoding: Encoding,
    headers: HeaderMap,
    body: Body,
) -> Result<Taken, ConsumeError> {
    let name = headers
        .get(CONTENT_ENCODING)
        .map_or("", |value| value.to_str().unwrap_or("not text"));
    let packing = Packing::of(name).ok_or_else(|| {
        let known = Packing::NAMES;
        invalid(format!(
            "unsupported Content-Encoding: {name}; supported: {known}"
        ))
    })?;
    let limit = door.settings().max_request_bytes;
    let arrived = door.read(body, announced(&headers), limit).await?;
    door.push(arrived, (packing, encoding), headers, "http").await
}

/// How long the body is going to be; 0 when that is not said.
fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}
