//! The gRPC clients of the internal contracts.

use std::time::Duration;

use async_trait::async_trait;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::messages::{JobRequest, JobResponse, PushRequest, PushResponse, RecentRequest, RecentResponse};
use super::server::{MAX_MESSAGE_BYTES, PUSH, RECENT, RUN};
use super::{CallError, IngesterApi, QuerierApi};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that does not answer pings for so long is taken for gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A process reached by gRPC; it connects at the first call and again when the connection breaks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RemotePeer {
    channel: Channel,
    address: String,
}

impl RemotePeer {
    /// The process at `address` (`host:port`). `timeout` bounds each call.
    pub fn new(address: &str, timeout: Duration) -> Result<Self, CallError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| CallError::internal(&format!("peer address {address}: {error}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        Ok(Self {
            channel: endpoint.connect_lazy(),
            address: address.to_owned(),
        })
    }

    async fn call<I, O>(&self, path: &'static str, message: I) -> Result<O, CallError>
    where
        I: Message + 'static,
        O: Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        grpc.ready().await.map_err(|error| self.failed(&error))?;
        let codec = ProstCodec::<I, O>::default();
        let answer = grpc
            .unary(
                tonic::Request::new(message),
                PathAndQuery::from_static(path),
                codec,
            )
            .await;
        Ok(answer?.into_inner())
    }

    fn failed(&self, error: &tonic::transport::Error) -> CallError {
        CallError::unavailable(&format!("connect to {}: {error}", self.address))
    }
}

#[async_trait]
impl IngesterApi for RemotePeer {
    async fn push(&self, request: PushRequest) -> Result<PushResponse, CallError> {
        self.call(PUSH, request).await
    }

    async fn recent(&self, request: RecentRequest) -> Result<RecentResponse, CallError> {
        self.call(RECENT, request).await
    }
}

#[async_trait]
impl QuerierApi for RemotePeer {
    async fn run(&self, request: JobRequest) -> Result<JobResponse, CallError> {
        self.call(RUN, request).await
    }
}
