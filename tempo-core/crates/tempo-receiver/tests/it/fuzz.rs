//! No bytes make a door panic, and every answer is one that its protocol has.

use axum::body::Body;
use http::Request;
use proptest::prelude::*;
use prost::Message;
use tempo_receiver::grpc::{EXPORT_PATH, TraceService};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::edits::edited;
use crate::support::{door, request};

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// One message as gRPC frames it.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![flag];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

fn packed() -> [(&'static str, Vec<u8>); 4] {
    let body = request("a").encode_to_vec();
    [
        ("gzip", gzip(&body)),
        ("zstd", zstd::encode_all(body.as_slice(), 1).unwrap()),
        ("deflate", gzip(&body)),
        ("identity", body),
    ]
}

proptest! {
    #[test]
    fn fuzz_http_bodies((encoding, body) in prop::sample::select(packed().to_vec())
        .prop_flat_map(|(encoding, body)| (Just(encoding), edited(vec![body]))))
    {
        let (_, door) = door();
        let post = Request::post("/v1/traces")
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", encoding)
            .body(Body::from(body))
            .unwrap();
        let answer = Runtime::new().unwrap().block_on(tempo_receiver::http::router(door).oneshot(post)).unwrap();
        prop_assert!([200, 400].contains(&answer.status().as_u16()), "{}", answer.status());
    }

    #[test]
    fn fuzz_grpc_messages((encoding, body) in prop::sample::select(packed().to_vec())
        .prop_flat_map(|(encoding, body)| (Just(encoding), edited(vec![framed(1, &body), framed(0, &body)]))))
    {
        let (_, door) = door();
        let call = Request::post(EXPORT_PATH)
            .header("grpc-encoding", encoding)
            .body(tonic::body::Body::new(http_body_util::Full::from(body)))
            .unwrap();
        let answer = Runtime::new().unwrap().block_on(TraceService::new(door).oneshot(call)).unwrap();
        let status = answer.headers().get("grpc-status").map(|status| status.as_bytes().to_vec());
        let expected: [Option<&[u8]>; 3] = [None, Some(b"3"), Some(b"8")];
        prop_assert!(expected.contains(&status.as_deref()), "{status:?}");
    }
}
