//! A consumer that remembers and can be told what to answer, behind doors that listen.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use prost::Message;
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_receiver::{ConsumeError, Door, DoorSettings, Taken, TraceBatch, TraceConsumer, grpc, http};
use tempo_runtime::{Environment, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub(crate) struct Consumer {
    pub(crate) batches: Mutex<Vec<TraceBatch>>,
    pub(crate) error: Mutex<Option<ConsumeError>>,
    /// What is said when there is no error.
    pub(crate) taken: Mutex<Taken>,
    /// Every batch takes one before it is answered.
    pub(crate) turns: Semaphore,
    /// Gets one for every batch that has come.
    pub(crate) arrivals: Semaphore,
}

#[async_trait]
impl TraceConsumer for Consumer {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        self.arrivals.add_permits(1);
        self.turns.acquire().await.expect("never closed").forget();
        if let Some(error) = self.error.lock().clone() {
            return Err(error);
        }
        self.batches.lock().push(batch);
        Ok(self.taken.lock().clone())
    }
}

pub(crate) struct Doors {
    pub(crate) consumer: Arc<Consumer>,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) shutdown: Shutdown,
}

/// A way in that nobody limits, and who is behind it.
pub(crate) fn door() -> (Arc<Consumer>, Door) {
    let consumer = Arc::new(Consumer::answering(1000));
    let behind = Arc::clone(&consumer) as Arc<dyn TraceConsumer>;
    (
        consumer,
        Door::new(Environment::system(), behind, DoorSettings::default()),
    )
}

impl Consumer {
    fn answering(turns: usize) -> Self {
        Self {
            batches: Mutex::default(),
            error: Mutex::default(),
            taken: Mutex::default(),
            turns: Semaphore::new(turns),
            arrivals: Semaphore::new(0),
        }
    }
}

/// Doors with limits, to a consumer that answers at once as long as `turns` last.
pub(crate) async fn doors(settings: DoorSettings, turns: usize) -> Doors {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let consumer = Arc::new(Consumer::answering(turns));
    let behind = Arc::clone(&consumer) as Arc<dyn TraceConsumer>;
    let door = Door::new(Environment::system(), behind, settings);
    let shutdown = Shutdown::new();
    let for_grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let for_http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let doors = Doors {
        consumer,
        grpc: for_grpc.local_addr().unwrap(),
        http: for_http.local_addr().unwrap(),
        shutdown: shutdown.clone(),
    };
    tokio::spawn(grpc::serve(for_grpc, door.clone(), shutdown.clone()));
    tokio::spawn(http::serve(for_http, door, shutdown));
    doors
}

pub(crate) async fn open_doors() -> Doors {
    doors(DoorSettings::default(), 1000).await
}

/// A request with one span called `name`.
pub(crate) fn request(name: &str) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![Span {
                    trace_id: vec![1; 16],
                    span_id: vec![2; 8],
                    name: name.to_owned(),
                    start_time_unix_nano: 5,
                    ..Span::default()
                }],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

impl Doors {
    pub(crate) fn received(&self) -> Vec<ExportTraceServiceRequest> {
        let batches = self.consumer.batches.lock();
        let decoded = batches
            .iter()
            .map(|batch| ExportTraceServiceRequest::decode(batch.payload.clone()));
        decoded.collect::<Result<_, _>>().unwrap()
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}
