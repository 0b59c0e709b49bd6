//! OTLP over gRPC.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http_body_util::{BodyExt, Full, channel::Channel as SlowBody};
use prost::Message;
use tempo_model::proto::trace::ExportTraceServiceResponse;
use tempo_receiver::raw_codec::RawCodec;
use tempo_receiver::{ConsumeError, DoorSettings, ErrorKind, Taken, grpc};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use crate::support::{Doors, doors, open_doors, request};

async fn connect(doors: &Doors) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", doors.grpc)).unwrap();
    endpoint.connect().await.unwrap()
}

async fn call(
    channel: &Channel,
    path: &'static str,
    payload: Bytes,
    packing: Option<CompressionEncoding>,
) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    if let Some(packing) = packing {
        client = client.send_compressed(packing);
    }
    client.ready().await.unwrap();
    let mut message = tonic::Request::new(payload);
    message
        .metadata_mut()
        .insert("x-scope-orgid", "acme".parse().unwrap());
    let answer = client
        .unary(message, PathAndQuery::from_static(path), RawCodec)
        .await?;
    Ok(answer.into_inner())
}

async fn export(channel: &Channel, payload: impl Into<Bytes>) -> Result<Bytes, Status> {
    call(channel, grpc::EXPORT_PATH, payload.into(), None).await
}

#[tokio::test]
async fn a_request_comes_through_unchanged() {
    let doors = open_doors().await;
    let channel = connect(&doors).await;
    for packing in [None, Some(CompressionEncoding::Gzip)] {
        let payload = Bytes::from(request("a").encode_to_vec());
        assert!(
            call(&channel, grpc::EXPORT_PATH, payload, packing)
                .await
                .unwrap()
                .is_empty()
        );
    }
    let packed = zstd::encode_all(request("a").encode_to_vec().as_slice(), 1).unwrap();
    let mut message = vec![1, 0, 0, 0, packed.len() as u8];
    message.extend(packed);
    let status = raw_call(&channel, "zstd", Body::new(Full::from(message))).await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    assert_eq!(doors.received(), vec![request("a"); 3]);
    let batches = doors.consumer.batches.lock();
    assert_eq!(batches[0].header("X-Scope-OrgID"), Some("acme"));
    assert_eq!((batches[0].transport, batches[0].contents.spans), ("grpc", 1));
}

#[tokio::test]
async fn nothing_to_store_is_no_error_and_disturbs_nobody() {
    let doors = open_doors().await;
    export(&connect(&doors).await, Bytes::new()).await.unwrap();
    assert!(doors.received().is_empty());
}

#[tokio::test]
async fn broken_bytes_and_unknown_methods_are_refused() {
    let doors = open_doors().await;
    let channel = connect(&doors).await;
    let mut truncated = request("a").encode_to_vec();
    truncated.pop();
    for payload in [truncated, vec![0xff; 64]] {
        let status = export(&channel, payload).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Import";
    let status = call(&channel, path, Bytes::new(), None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    export(&channel, request("a").encode_to_vec()).await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_refused_for_good_also_when_it_is_compressed() {
    let settings = DoorSettings {
        max_request_bytes: 10_000,
        ..DoorSettings::default()
    };
    let doors = doors(settings, 1).await;
    let channel = connect(&doors).await;
    let large = Bytes::from(request(&"a".repeat(1 << 20)).encode_to_vec());
    for packing in [None, Some(CompressionEncoding::Gzip)] {
        let status = call(&channel, grpc::EXPORT_PATH, large.clone(), packing)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(
            status.details().is_empty(),
            "a delay would make clients try again"
        );
    }
    export(&channel, request("small").encode_to_vec()).await.unwrap();
    assert_eq!(doors.received(), [request("small")]);
}

#[tokio::test]
async fn errors_keep_their_meaning_and_their_delay() {
    let doors = open_doors().await;
    let channel = connect(&doors).await;
    let delay = Some(Duration::from_millis(1500));
    for (kind, code, expected) in [
        (ErrorKind::InvalidArgument, Code::InvalidArgument, None),
        (
            ErrorKind::ResourceExhausted { retry_after: delay },
            Code::ResourceExhausted,
            delay,
        ),
        (
            ErrorKind::Unavailable { retry_after: None },
            Code::Unavailable,
            None,
        ),
        (ErrorKind::Internal, Code::Internal, None),
    ] {
        *doors.consumer.error.lock() = Some(ConsumeError::new(kind, "because"));
        let status = export(&channel, request("a").encode_to_vec()).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, "because"));
        assert_eq!(grpc::retry_delay(status.details()), expected);
    }
}

#[tokio::test]
async fn more_than_can_be_held_is_refused_and_may_come_again() {
    let settings = DoorSettings {
        max_in_flight_bytes: 1024,
        ..DoorSettings::default()
    };
    let doors = doors(settings, 0).await;
    let channel = connect(&doors).await;
    let first = tokio::spawn({
        let channel = channel.clone();
        async move { export(&channel, request("a").encode_to_vec()).await }
    });
    doors.consumer.arrivals.acquire().await.unwrap().forget();
    let status = export(&channel, request("b").encode_to_vec()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    doors.consumer.turns.add_permits(2);
    first.await.unwrap().unwrap();
    export(&channel, request("b").encode_to_vec()).await.unwrap();
    assert_eq!(doors.received(), [request("a"), request("b")]);
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_door_closes() {
    let doors = doors(DoorSettings::default(), 0).await;
    let channel = connect(&doors).await;
    let in_flight = tokio::spawn(async move { export(&channel, request("a").encode_to_vec()).await });
    doors.consumer.arrivals.acquire().await.unwrap().forget();
    doors.shutdown.trigger();
    doors.consumer.turns.add_permits(1);
    in_flight.await.unwrap().unwrap();
    doors.shutdown.finished().await;
    assert_eq!(doors.received(), [request("a")]);
    assert!(tokio::net::TcpStream::connect(doors.grpc).await.is_err());
}

#[tokio::test]
async fn large_requests_come_through_too() {
    let doors = open_doors().await;
    let channel = connect(&doors).await;
    let large = request(&"a".repeat(5 << 20));
    for packing in [None, Some(CompressionEncoding::Gzip)] {
        let payload = Bytes::from(large.encode_to_vec());
        call(&channel, grpc::EXPORT_PATH, payload, packing).await.unwrap();
    }
    assert!(doors.received() == [large.clone(), large]);
}

#[tokio::test]
async fn what_was_dropped_is_a_partial_success() {
    let doors = open_doors().await;
    *doors.consumer.taken.lock() = Taken {
        rejected_spans: 3,
        reason: "because".to_owned(),
    };
    let answer = export(&connect(&doors).await, request("a").encode_to_vec())
        .await
        .unwrap();
    let partial = ExportTraceServiceResponse::decode(answer)
        .unwrap()
        .partial_success
        .unwrap();
    assert_eq!(
        (partial.rejected_spans, partial.error_message.as_str()),
        (3, "because")
    );
}

/// A call with a body as it is; the status that it ends with.
async fn raw_call(channel: &Channel, encoding: &'static str, body: Body) -> Status {
    let call = http::Request::post(grpc::EXPORT_PATH)
        .header("content-type", "application/grpc")
        .header("grpc-encoding", encoding)
        .body(body)
        .unwrap();
    let response = channel.clone().ready().await.unwrap().call(call).await.unwrap();
    let (head, body) = response.into_parts();
    let trailers = body.collect().await.unwrap().trailers().cloned();
    Status::from_header_map(&trailers.unwrap_or(head.headers)).unwrap()
}

#[tokio::test]
async fn what_is_no_grpc_message_is_refused() {
    let doors = open_doors().await;
    let channel = connect(&doors).await;
    for (encoding, body, code) in [
        ("identity", &b""[..], Code::InvalidArgument),
        ("identity", b"\0\0\0", Code::InvalidArgument),
        ("identity", b"\0\0\0\0\x09short", Code::InvalidArgument),
        ("identity", b"\0\0\0\0\0\0\0\0\0\0", Code::InvalidArgument),
        ("identity", b"\x07\0\0\0\0", Code::InvalidArgument),
        ("gzip", b"\x01\0\0\0\x07no gzip", Code::InvalidArgument),
        ("snappy", b"\0\0\0\0\0", Code::Unimplemented),
        ("identity", b"\0\0\0\0\0", Code::Ok),
    ] {
        let status = raw_call(&channel, encoding, Body::new(Full::from(body))).await;
        assert_eq!(status.code(), code, "{encoding} {body:?}: {status}");
    }
    assert!(doors.received().is_empty());
}

#[tokio::test]
async fn a_message_takes_room_while_it_comes() {
    let settings = DoorSettings {
        max_in_flight_bytes: 64 << 10,
        ..DoorSettings::default()
    };
    let doors = doors(settings, 1000).await;
    let channel = connect(&doors).await;
    let (mut slow, body) = SlowBody::<Bytes, Status>::new(1);
    let held = raw_call(&channel, "identity", Body::new(body));
    let other = connect(&doors).await;
    let send = || export(&other, request("a").encode_to_vec());
    let refused = async {
        slow.send_data(Bytes::from(vec![0; 63 << 10])).await.unwrap();
        loop {
            if let Err(status) = send().await {
                break status;
            }
        }
    };
    tokio::select! {
        status = held => panic!("half a message was answered: {status}"),
        status = refused => assert_eq!(status.code(), Code::Unavailable, "{status}"),
    }
    // The call is gone, and with it its room.
    while send().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_that_does_not_come_is_given_up() {
    let settings = DoorSettings {
        read_timeout: Duration::from_millis(10),
        ..DoorSettings::default()
    };
    let doors = doors(settings, 1000).await;
    let (_slow, body) = SlowBody::<Bytes, Status>::new(1);
    let status = raw_call(&connect(&doors).await, "identity", Body::new(body)).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("did not come"), "{status}");
}
