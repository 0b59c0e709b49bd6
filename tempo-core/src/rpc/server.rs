//! The internal gRPC services, which hand calls to a role of this process.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use prost::Message;
use tempo_runtime::BoxFuture;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstCodec;

use super::{CallError, IngesterApi, QuerierApi};

/// The largest message between roles, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 128 << 20;

/// The path of an ingester's `push`.
pub const PUSH: &str = "/tempo.internal.v1.Ingester/Push";
/// The path of an ingester's `recent`.
pub const RECENT: &str = "/tempo.internal.v1.Ingester/Recent";
/// The path of a querier's `run`.
pub const RUN: &str = "/tempo.internal.v1.Querier/Run";

/// How many calls of an ingester are read at once: no more than so many messages are in memory that the ingester does not
/// count yet. Others wait at their senders.
const READ_AT_ONCE: usize = 16;

/// The ingester's service.
#[derive(Clone)]
pub struct IngesterService {
    role: Arc<dyn IngesterApi>,
    reading: Arc<Semaphore>,
}

impl IngesterService {
    /// A service that hands calls to `role`.
    pub fn new(role: Arc<dyn IngesterApi>) -> Self {
        Self {
            role,
            reading: Arc::new(Semaphore::new(READ_AT_ONCE)),
        }
    }
}

/// The querier's service.
#[derive(Clone)]
pub struct QuerierService(pub Arc<dyn QuerierApi>);

impl NamedService for IngesterService {
    const NAME: &'static str = "tempo.internal.v1.Ingester";
}

impl NamedService for QuerierService {
    const NAME: &'static str = "tempo.internal.v1.Querier";
}

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

impl tower::Service<Request<Body>> for IngesterService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let (role, reading) = (Arc::clone(&self.role), Arc::clone(&self.reading));
        match request.uri().path() {
            PUSH => Box::pin(async move {
                // Never closed.
                let place = reading.acquire_owned().await.ok();
                let handle = move |message| {
                    drop(place);
                    async move { role.push(message).await }
                };
                unary(request, handle).await
            }),
            RECENT => unary(request, move |message| async move { role.recent(message).await }),
            _ => not_offered(&request),
        }
    }
}

impl tower::Service<Request<Body>> for QuerierService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let role = Arc::clone(&self.0);
        match request.uri().path() {
            RUN => unary(request, move |message| async move { role.run(message).await }),
            _ => not_offered(&request),
        }
    }
}

fn not_offered(request: &Request<Body>) -> Answer {
    let status = Status::unimplemented(format!("{} is not offered here", request.uri().path()));
    Box::pin(async move { Ok(status.into_http()) })
}

/// Decodes a request, hands it to `handle` and encodes what comes back.
fn unary<I, O, F, W>(request: Request<Body>, handle: F) -> Answer
where
    I: Message + Default + 'static,
    O: Message + Default + 'static,
    F: FnOnce(I) -> W + Send + 'static,
    W: Future<Output = Result<O, CallError>> + Send + 'static,
{
    Box::pin(async move {
        let mut grpc = Grpc::new(ProstCodec::<O, I>::default())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(grpc
            .unary(
                Handler {
                    handle: Some(handle),
                    messages: PhantomData::<fn(I) -> O>,
                },
                request,
            )
            .await)
    })
}

struct Handler<F, M> {
    handle: Option<F>,
    messages: PhantomData<M>,
}

impl<I, O, F, W> UnaryService<I> for Handler<F, fn(I) -> O>
where
    I: Send + 'static,
    F: FnOnce(I) -> W + Send + 'static,
    W: Future<Output = Result<O, CallError>> + Send + 'static,
{
    type Response = O;
    type Future = BoxFuture<'static, Result<tonic::Response<O>, Status>>;

    fn call(&mut self, request: tonic::Request<I>) -> Self::Future {
        let handle = self.handle.take();
        Box::pin(async move {
            // A unary service is called once.
            let handle = handle.ok_or_else(|| Status::internal("called twice"))?;
            Ok(tonic::Response::new(handle(request.into_inner()).await?))
        })
    }
}
