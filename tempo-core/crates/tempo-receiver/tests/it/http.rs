//! OTLP over HTTP.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use prost::Message;
use reqwest::{Client, Method, Response, StatusCode};
use tempo_model::proto::trace::ExportTraceServiceResponse;
use tempo_receiver::{ConsumeError, DoorSettings, ErrorKind, Taken};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Doors, RpcStatus, doors, open_doors, request};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

async fn post(
    doors: &Doors,
    content_type: &str,
    encoding: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> Response {
    let mut message = Client::new()
        .post(format!("http://{}/v1/traces", doors.http))
        .header("content-type", content_type)
        .header("x-scope-orgid", "acme");
    if let Some(encoding) = encoding {
        message = message.header("content-encoding", encoding);
    }
    message.body(body).send().await.unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_encoding_comes_through_unchanged() {
    let doors = open_doors().await;
    let body = request("a").encode_to_vec();
    let zstd = zstd::encode_all(body.as_slice(), 1).unwrap();
    let forms = [
        (None, body.clone()),
        (Some("identity"), body.clone()),
        (Some("gzip"), gzip(&body)),
        (Some("deflate"), zlib(&body)),
        (Some("zlib"), zlib(&body)),
        (Some("zstd"), zstd),
    ];
    let count = forms.len();
    for (encoding, body) in forms {
        let answer = post(&doors, PROTOBUF, encoding, body).await;
        assert_eq!(answer.status(), 200, "{encoding:?}");
        assert_eq!(answer.headers()["content-type"], PROTOBUF);
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    assert_eq!(doors.received(), vec![request("a"); count]);
    assert_eq!(
        doors.consumer.batches.lock()[0].header("X-Scope-OrgID"),
        Some("acme")
    );
}

#[tokio::test]
async fn json_is_its_protobuf_twin() {
    let doors = open_doors().await;
    let body = r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "01010101010101010101010101010101", "spanId": "0202020202020202", "name": "a",
        "startTimeUnixNano": "5", "someday": {"unknown": true}
    }]}]}]}"#;
    let answer = post(&doors, "application/json; charset=utf-8", None, body).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), r#"{"partialSuccess":{}}"#);
    assert_eq!(doors.received(), [request("a")]);
}

#[tokio::test]
async fn nothing_to_store_is_no_error_and_disturbs_nobody() {
    let doors = open_doors().await;
    assert_eq!(post(&doors, PROTOBUF, None, "").await.status(), 200);
    assert_eq!(
        post(&doors, JSON, None, r#"{"resourceSpans": [{"scopeSpans": []}]}"#)
            .await
            .status(),
        200
    );
    assert!(doors.received().is_empty());
}

#[tokio::test]
async fn the_method_and_the_type_must_be_right() {
    let doors = open_doors().await;
    let url = format!("http://{}/v1/traces", doors.http);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = Client::new().request(method, &url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "POST");
    }
    let answer = post(&doors, "text/plain", None, "a").await;
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
}

#[tokio::test]
async fn a_bad_body_is_answered_in_its_own_encoding() {
    let doors = open_doors().await;
    let mut truncated = request("a").encode_to_vec();
    truncated.pop();
    for (encoding, body) in [
        (None, truncated),
        (None, vec![0xff; 1024]),
        (Some("gzip"), b"no gzip".to_vec()),
        (Some("zstd"), b"no zstd".to_vec()),
        (Some("br"), request("a").encode_to_vec()),
    ] {
        let answer = post(&doors, PROTOBUF, encoding, body).await;
        assert_eq!(answer.status(), 400);
        let status = RpcStatus::decode(answer.bytes().await.unwrap()).unwrap();
        assert_eq!(status.code, 3);
        assert!(
            encoding != Some("br") || status.message.contains("unsupported Content-Encoding: br"),
            "{status:?}"
        );
    }
    for body in ["{", "[]", r#"{"resourceSpans": 5}"#] {
        let answer = post(&doors, JSON, None, body).await;
        assert_eq!(answer.status(), 400);
        let text = answer.text().await.unwrap();
        assert!(text.starts_with(r#"{"code":3,"message":""#), "{text}");
    }
    assert!(doors.received().is_empty());
}

#[tokio::test]
async fn what_is_too_large_is_refused_also_when_it_is_compressed() {
    let settings = DoorSettings {
        max_request_bytes: 10_000,
        ..DoorSettings::default()
    };
    let doors = doors(settings, 1).await;
    let large = request(&"a".repeat(1 << 20)).encode_to_vec();
    let zstd = zstd::encode_all(large.as_slice(), 1).unwrap();
    assert!(zstd.len() < 10_000 && gzip(&large).len() < 10_000);
    for (encoding, body) in [
        (None, large.clone()),
        (Some("gzip"), gzip(&large)),
        (Some("zstd"), zstd),
    ] {
        let answer = post(&doors, PROTOBUF, encoding, body).await;
        assert_eq!(answer.status(), 400);
        let status = RpcStatus::decode(answer.bytes().await.unwrap()).unwrap();
        assert!(status.message.contains("10000 bytes"), "{status:?}");
    }
    assert_eq!(
        post(&doors, PROTOBUF, None, request("small").encode_to_vec())
            .await
            .status(),
        200
    );
    assert_eq!(doors.received(), [request("small")]);
}

#[tokio::test]
async fn a_zstd_window_is_at_most_8_mebibytes() {
    let doors = open_doors().await;
    let wide = |window_log| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(&request("a").encode_to_vec()).unwrap();
        encoder.finish().unwrap()
    };
    for (window_log, status) in [(23, 200), (24, 400)] {
        let answer = post(&doors, PROTOBUF, Some("zstd"), wide(window_log)).await;
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn a_body_that_is_announced_has_its_room_before_it_comes() {
    let settings = DoorSettings {
        max_in_flight_bytes: 64 << 10,
        ..DoorSettings::default()
    };
    let doors = doors(settings, 1000).await;
    let mut slow = TcpStream::connect(doors.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: {PROTOBUF}\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\n\r\n",
        64 << 10
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body once it has made room.
    let mut asked = [0; 12];
    slow.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    let send = || post(&doors, PROTOBUF, None, request("a").encode_to_vec());
    assert_eq!(send().await.status(), 503);
    drop(slow);
    while send().await.status() != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn errors_keep_their_meaning_and_their_delay() {
    let doors = open_doors().await;
    let delay = Some(Duration::from_secs(5));
    for (kind, status, code, retry_after) in [
        (ErrorKind::InvalidArgument, 400, 3, None),
        (ErrorKind::Unauthenticated, 503, 14, None),
        (
            ErrorKind::ResourceExhausted { retry_after: delay },
            429,
            8,
            Some("5"),
        ),
        (ErrorKind::Unavailable { retry_after: None }, 503, 14, None),
        (ErrorKind::Internal, 500, 13, None),
    ] {
        *doors.consumer.error.lock() = Some(ConsumeError::new(kind, "because"));
        let answer = post(&doors, PROTOBUF, None, request("a").encode_to_vec()).await;
        assert_eq!(answer.status(), status);
        let header = answer
            .headers()
            .get("retry-after")
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), retry_after);
        let body = RpcStatus::decode(answer.bytes().await.unwrap()).unwrap();
        assert_eq!((body.code, body.message.as_str()), (code, "because"));
    }
}

#[tokio::test]
async fn json_errors_name_the_delay_as_upstream_does() {
    let doors = open_doors().await;
    let kind = ErrorKind::ResourceExhausted {
        retry_after: Some(Duration::from_secs(5)),
    };
    *doors.consumer.error.lock() = Some(ConsumeError::new(kind, "because"));
    let json = r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a"}]}]}]}"#;
    let answer = post(&doors, JSON, None, json).await;
    assert_eq!(answer.status(), 429);
    let expected = r#"{"code":8,"message":"because","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"5s"}]}"#;
    assert_eq!(answer.text().await.unwrap(), expected);
}

#[tokio::test]
async fn what_was_dropped_is_a_partial_success() {
    let doors = open_doors().await;
    *doors.consumer.taken.lock() = Taken {
        rejected_spans: 3,
        reason: "because".to_owned(),
    };
    let answer = post(&doors, PROTOBUF, None, request("a").encode_to_vec()).await;
    assert_eq!(answer.status(), 200);
    let answer = ExportTraceServiceResponse::decode(answer.bytes().await.unwrap()).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!(
        (partial.rejected_spans, partial.error_message.as_str()),
        (3, "because")
    );
    let json = r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a"}]}]}]}"#;
    let expected = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"because"}}"#;
    let answer = post(&doors, JSON, None, json).await;
    assert_eq!(answer.text().await.unwrap(), expected);
}

#[tokio::test]
async fn a_body_of_unknown_length_takes_room_while_it_comes() {
    let settings = DoorSettings {
        max_in_flight_bytes: 64 << 10,
        ..DoorSettings::default()
    };
    let doors = doors(settings, 1000).await;
    let mut slow = TcpStream::connect(doors.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: {PROTOBUF}\r\ntransfer-encoding: chunked\r\n\r\nfc00\r\n"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&vec![0; 0xfc00]).await.unwrap();
    let send = || post(&doors, PROTOBUF, None, request("a").encode_to_vec());
    while send().await.status() != 503 {
        tokio::task::yield_now().await;
    }
    drop(slow);
    while send().await.status() != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let settings = DoorSettings {
        read_timeout: Duration::from_millis(10),
        ..DoorSettings::default()
    };
    let doors = doors(settings, 1000).await;
    let mut slow = TcpStream::connect(doors.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 9\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
}

#[tokio::test]
async fn large_requests_come_through_in_every_form() {
    let doors = open_doors().await;
    let name = "a".repeat(5 << 20);
    let large = request(&name);
    let json = format!(
        r#"{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{{"traceId": "01010101010101010101010101010101",
        "spanId": "0202020202020202", "name": "{name}", "startTimeUnixNano": 5}}]}}]}}]}}"#
    );
    assert_eq!(
        post(&doors, PROTOBUF, None, large.encode_to_vec()).await.status(),
        200
    );
    assert_eq!(post(&doors, JSON, None, json).await.status(), 200);
    // What deflate cannot make much smaller.
    let mut state = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (state >> 58) as u8)
    })
    .take(1 << 19)
    .collect();
    let packed = gzip(&request(&noise).encode_to_vec());
    assert!(packed.len() > 256 << 10, "{}", packed.len());
    assert_eq!(post(&doors, PROTOBUF, Some("gzip"), packed).await.status(), 200);
    assert!(doors.received() == [large.clone(), large, request(&noise)]);
}
