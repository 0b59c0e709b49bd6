//! A receiver that decodes requests into messages and drops them: what taking spans in costs at least with the usual
//! libraries. It shares no code with the engine's receivers, which do not build messages.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, Ready, ready};
use tempo_model::proto::trace::ExportTraceServiceRequest;
use tempo_receiver::grpc::EXPORT_PATH;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// The largest request that is taken.
const MAX_REQUEST_BYTES: usize = 64 << 20;

/// Takes OTLP/gRPC until the process is killed.
pub async fn serve(listener: TcpListener) -> Result<(), tonic::transport::Error> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tonic::transport::Server::builder()
        .add_service(Sink)
        .serve_with_incoming(incoming)
        .await
}

#[derive(Debug, Clone, Copy)]
struct Sink;

impl NamedService for Sink {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl tower::Service<http::Request<Body>> for Sink {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != EXPORT_PATH {
                return Ok(Status::unimplemented("this takes OTLP traces only").into_http());
            }
            let codec = ProstCodec::<(), ExportTraceServiceRequest>::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_REQUEST_BYTES);
            Ok(grpc.unary(Drop, request).await)
        })
    }
}

/// The request is decoded when this is called, and gone when it is over.
struct Drop;

impl UnaryService<ExportTraceServiceRequest> for Drop {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, request: Request<ExportTraceServiceRequest>) -> Self::Future {
        drop(request);
        ready(Ok(Response::new(())))
    }
}
