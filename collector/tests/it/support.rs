//! A backend that can be scripted, a client for each protocol, and a Collector between them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use tempo_collector::Service;
use tempo_collector::config::{self, Config, ConfigError, expand};
use tempo_model::proto::trace::{ExportTraceServiceRequest, ResourceSpans, ScopeSpans, Span};
use tempo_receiver::raw_codec::RawCodec;
use tempo_receiver::{
    ConsumeError, Door, DoorSettings, Taken, TraceBatch, TraceConsumer, grpc, http as door_http,
};
use tempo_runtime::{Environment, Shutdown};
use tokio::net::TcpListener;

/// How long a test waits for something that should happen soon.
const DEADLINE: Duration = Duration::from_mins(1);

pub(crate) fn install_crypto() {
    // Several tests of one process install it; the first one counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, waiting).await.is_ok(),
        "never happened: {what}"
    );
}

/// A request of `count` spans whose ids begin at `first`.
pub(crate) fn request(first: u64, count: u64) -> ExportTraceServiceRequest {
    let span = |id: u64| Span {
        trace_id: u128::from(id + 1).to_be_bytes().to_vec(),
        span_id: (id + 1).to_be_bytes().to_vec(),
        name: format!("span {id}"),
        start_time_unix_nano: 1_700_000_000_000_000_000 + id,
        end_time_unix_nano: 1_700_000_000_000_000_100 + id,
        ..Span::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: (first..first + count).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The backend's memory, and what it answers.
#[derive(Default)]
pub(crate) struct Backend {
    pub(crate) batches: Mutex<Vec<TraceBatch>>,
    /// While set, everything is answered so.
    pub(crate) refuses: Mutex<Option<ConsumeError>>,
    /// How often it did.
    pub(crate) refused: AtomicUsize,
    /// While held by a test, answers wait.
    pub(crate) gate: tokio::sync::Mutex<()>,
}

impl Backend {
    pub(crate) fn spans(&self) -> Vec<Span> {
        let batches = self.batches.lock();
        let decoded = batches.iter().map(|batch| {
            ExportTraceServiceRequest::decode(batch.payload.clone()).expect("a well-formed request")
        });
        decoded
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    /// The numbers that [`request`] gave to the spans that are here.
    pub(crate) fn ids(&self) -> BTreeSet<u64> {
        let spans = self.spans();
        spans
            .iter()
            .map(|span| u64::from_be_bytes(span.span_id.as_slice().try_into().expect("8 bytes")) - 1)
            .collect()
    }
}

#[async_trait]
impl TraceConsumer for Backend {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        let _gate = self.gate.lock().await;
        if let Some(error) = self.refuses.lock().clone() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        self.batches.lock().push(batch);
        Ok(Taken::default())
    }
}

/// A backend that listens; dropping it does not stop it, [`Running::stop`] does.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
}

impl Running {
    /// Serves gRPC at `address`; port 0 takes any.
    pub(crate) async fn grpc(backend: &Arc<Backend>, address: &str) -> Self {
        let (running, listener) = Self::listen(address).await;
        let door = Door::new(
            Environment::system(),
            Arc::clone(backend) as Arc<dyn TraceConsumer>,
            DoorSettings::default(),
        );
        tokio::spawn(grpc::serve(listener, door, running.shutdown.clone()));
        running
    }

    /// Serves HTTP on any port.
    pub(crate) async fn http(backend: &Arc<Backend>) -> Self {
        let (running, listener) = Self::listen("127.0.0.1:0").await;
        let door = Door::new(
            Environment::system(),
            Arc::clone(backend) as Arc<dyn TraceConsumer>,
            DoorSettings::default(),
        );
        tokio::spawn(door_http::serve(listener, door, running.shutdown.clone()));
        running
    }

    async fn listen(address: &str) -> (Self, TcpListener) {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let running = Self {
            address: listener.local_addr().expect("a bound socket"),
            shutdown: Shutdown::new(),
        };
        (running, listener)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.shutdown.finished().await;
    }
}

/// Whether a text is YAML at all.
pub(crate) fn is_yaml(text: &str) -> bool {
    text.parse::<Yaml>().is_ok()
}

/// Checks a configuration; `$` is not expanded from the process's environment.
pub(crate) fn configuration(yaml: &str) -> Result<Config, ConfigError> {
    struct Nothing;
    impl expand::Sources for Nothing {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, path: &str) -> Result<String, String> {
            Err(format!("read {path}: no files in this test"))
        }
    }
    let document = yaml.parse::<Yaml>().expect("YAML").0;
    config::from_tree(document, &Nothing)
}

struct Yaml(serde_yaml::Value);

impl std::str::FromStr for Yaml {
    type Err = serde_yaml::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        serde_yaml::from_str(text).map(Self)
    }
}

/// A Collector with one pipeline: an otlp receiver on free ports, `processors`, and `exporters`.
pub(crate) async fn collector(processors: &str, exporters: &str) -> Service {
    install_crypto();
    let processors: serde_yaml::Value = serde_yaml::from_str(processors).expect("YAML");
    let exporters: serde_yaml::Value = serde_yaml::from_str(exporters).expect("YAML");
    let names = |section: &serde_yaml::Value| -> Vec<serde_yaml::Value> {
        section
            .as_mapping()
            .into_iter()
            .flat_map(|map| map.keys().cloned())
            .collect()
    };
    let mut tree: serde_yaml::Value = serde_yaml::from_str(
        "
receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}}
extensions: {health_check: {endpoint: '127.0.0.1:0'}}
service:
  extensions: [health_check]
  telemetry: {metrics: {address: '127.0.0.1:0'}}
  pipelines: {traces: {receivers: [otlp]}}
",
    )
    .expect("YAML");
    tree["service"]["pipelines"]["traces"]["processors"] = names(&processors).into();
    tree["service"]["pipelines"]["traces"]["exporters"] = names(&exporters).into();
    tree["processors"] = processors;
    tree["exporters"] = exporters;
    let config = configuration(&serde_yaml::to_string(&tree).expect("YAML")).expect("a good configuration");
    Service::start(&config).await.expect("a Collector that starts")
}

/// Sends over gRPC; the answer is the client's.
pub(crate) async fn push_grpc(
    service: &Service,
    request: &ExportTraceServiceRequest,
) -> Result<(), tonic::Status> {
    push_to(service.addresses()["receivers::otlp::OTLP/gRPC"], request).await
}

/// Sends over gRPC to whoever listens at `address`.
pub(crate) async fn push_to(
    address: SocketAddr,
    request: &ExportTraceServiceRequest,
) -> Result<(), tonic::Status> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("a connection");
    let path = http::uri::PathAndQuery::from_static(grpc::EXPORT_PATH);
    let payload = Bytes::from(request.encode_to_vec());
    client
        .unary(tonic::Request::new(payload), path, RawCodec)
        .await
        .map(drop)
}

/// Sends over HTTP; the answer is the status.
pub(crate) async fn push_http(service: &Service, request: &ExportTraceServiceRequest) -> reqwest::StatusCode {
    install_crypto();
    let address = service.addresses()["receivers::otlp::OTLP/HTTP"];
    reqwest::Client::new()
        .post(format!("http://{address}/v1/traces"))
        .header("content-type", "application/x-protobuf")
        .body(request.encode_to_vec())
        .send()
        .await
        .expect("an answer")
        .status()
}
