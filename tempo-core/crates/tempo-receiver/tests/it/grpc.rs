//! OTLP over gRPC.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tempo_receiver::raw_codec::RawCodec;
use tempo_receiver::{ConsumeError, DoorSettings, ErrorKind, grpc};
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Doors, doors, open_doors, request};

async fn connect(doors: &Doors) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", doors.grpc)).unwrap();
    endpoint.connect().await.unwrap()
}

async fn call(
    channel: &Channel,
    path: &'static str,
    payload: Bytes,
    gzip: bool,
) -> Result<Bytes, tonic::Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    if gzip {
        client = client.send_compressed(CompressionEncoding::Gzip);
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

async fn export(channel: &Channel, payload: impl Into<Bytes>) -> Result<Bytes, tonic::Status> {
    call(channel, grpc::EXPORT_PATH, payload.into(), false).await
}

#[tokio::test]
async fn a_request_comes_through_unchanged() {
    let doors = open_doors().await;
    let channel = connect(&doors).await;
    for gzip in [false, true] {
        let payload = Bytes::from(request("a").encode_to_vec());
        assert!(
            call(&channel, grpc::EXPORT_PATH, payload, gzip)
                .await
                .unwrap()
                .is_empty()
        );
    }
    assert_eq!(doors.received(), [request("a"), request("a")]);
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
    let status = call(&channel, path, Bytes::new(), false).await.unwrap_err();
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
    for gzip in [false, true] {
        let status = call(&channel, grpc::EXPORT_PATH, large.clone(), gzip)
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
