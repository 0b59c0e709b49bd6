//! The `otlp` receiver: OTLP over gRPC and HTTP.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use serde::Deserialize;
use serde_yaml::Value;
use tempo_receiver::{ConsumeError, Door, DoorSettings, Taken, TraceBatch, TraceConsumer, grpc, http};
use tempo_runtime::Environment;
use tempo_runtime::server::{self, ServerError};
use tempo_runtime::tls::{ServerTls, TlsError};
use tokio::net::TcpListener;

use crate::config::values::{self, ServerTlsSettings, host_port};
use crate::config::{Problem, Settings, read};
use crate::metrics::{Metrics, ReceiverLabels};

/// Settings of `otlp`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverSettings {
    /// The protocols that are spoken.
    pub protocols: Protocols,
}

/// The protocols that are spoken; one at least.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protocols {
    /// OTLP over gRPC.
    #[serde(deserialize_with = "values::present")]
    pub grpc: Option<GrpcProtocol>,
    /// OTLP over HTTP.
    #[serde(deserialize_with = "values::present")]
    pub http: Option<HttpProtocol>,
}

/// OTLP over gRPC.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcProtocol {
    /// Where it listens; `localhost:4317` by default.
    pub endpoint: String,
    /// The largest request in MiB; 4 by default.
    pub max_recv_msg_size_mib: usize,
    /// TLS; none by default.
    pub tls: Option<ServerTlsSettings>,
}

impl Default for GrpcProtocol {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4317".to_owned(),
            max_recv_msg_size_mib: 4,
            tls: None,
        }
    }
}

/// OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpProtocol {
    /// Where it listens; `localhost:4318` by default.
    pub endpoint: String,
    /// The largest request in bytes, before and after decompression; 20 MiB by default.
    pub max_request_body_size: usize,
    /// TLS; none by default.
    pub tls: Option<ServerTlsSettings>,
}

impl Default for HttpProtocol {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4318".to_owned(),
            max_request_body_size: 20 << 20,
            tls: None,
        }
    }
}

impl Settings for ReceiverSettings {
    fn read(_: &str, path: &str, value: Value) -> Result<Self, Problem> {
        let settings: Self = read(path, value)?;
        let protocols = &settings.protocols;
        if protocols.grpc.is_none() && protocols.http.is_none() {
            return Err(Problem::new(
                format!("{path}::protocols"),
                "names no protocol; add grpc, http or both",
            ));
        }
        let takes_nothing = protocols
            .grpc
            .as_ref()
            .is_some_and(|grpc| grpc.max_recv_msg_size_mib == 0)
            || protocols
                .http
                .as_ref()
                .is_some_and(|http| http.max_request_body_size == 0);
        if takes_nothing {
            return Err(Problem::new(
                format!("{path}::protocols"),
                "the largest request must be above 0; leave the key out for the default",
            ));
        }
        let grpc = protocols.grpc.iter().map(|grpc| ("grpc", &grpc.endpoint));
        let http = protocols.http.iter().map(|http| ("http", &http.endpoint));
        for (protocol, endpoint) in grpc.chain(http) {
            host_port(endpoint)
                .map_err(|reason| Problem::new(format!("{path}::protocols::{protocol}::endpoint"), reason))?;
        }
        Ok(settings)
    }
}

/// A receiver that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// The address cannot be listened on.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The endpoint is not one.
    #[error("{0}")]
    Endpoint(String),
}

/// A bound socket and what is to be served on it.
#[derive(Debug)]
pub struct Served {
    /// What it is for, in errors.
    pub purpose: &'static str,
    /// The socket.
    pub listener: TcpListener,
    /// Whether TLS is spoken.
    pub tls: Option<ServerTls>,
    /// What is served.
    pub router: Router,
}

/// Binds the sockets of a receiver; nothing is taken from them yet.
pub async fn bind(
    settings: &ReceiverSettings,
    consumer: &Arc<dyn TraceConsumer>,
) -> Result<Vec<Served>, ReceiverError> {
    let mut served = Vec::new();
    if let Some(grpc) = &settings.protocols.grpc {
        let door = door(consumer, grpc.max_recv_msg_size_mib << 20);
        let service = grpc::TraceService::new(door);
        served.push(Served {
            purpose: "OTLP/gRPC",
            listener: listen("OTLP/gRPC", &grpc.endpoint).await?,
            tls: grpc.tls.as_ref().map(ServerTls::from),
            router: tonic::service::Routes::new(service).into_axum_router(),
        });
    }
    if let Some(http) = &settings.protocols.http {
        served.push(Served {
            purpose: "OTLP/HTTP",
            listener: listen("OTLP/HTTP", &http.endpoint).await?,
            tls: http.tls.as_ref().map(ServerTls::from),
            router: http::router(door(consumer, http.max_request_body_size)),
        });
    }
    Ok(served)
}

/// Listens on an endpoint of the configuration.
pub async fn listen(purpose: &'static str, endpoint: &str) -> Result<TcpListener, ReceiverError> {
    let (host, port) = host_port(endpoint).map_err(ReceiverError::Endpoint)?;
    Ok(server::bind(purpose, host, port).await?)
}

fn door(consumer: &Arc<dyn TraceConsumer>, max_request_bytes: usize) -> Door {
    let settings = DoorSettings {
        max_request_bytes,
        ..DoorSettings::default()
    };
    Door::new(Environment::system(), Arc::clone(consumer), settings)
}

/// Counts what a receiver takes and sends back.
pub struct Counted {
    /// The receiver's id.
    pub receiver: String,
    /// Where spans go.
    pub next: Arc<dyn TraceConsumer>,
    /// Where they are counted.
    pub metrics: Metrics,
}

#[async_trait]
impl TraceConsumer for Counted {
    async fn consume(&self, batch: TraceBatch) -> Result<Taken, ConsumeError> {
        let labels = ReceiverLabels {
            receiver: self.receiver.clone(),
            transport: batch.transport.to_owned(),
        };
        let spans = batch.contents.spans as u64;
        let answer = self.next.consume(batch).await;
        let counter = if answer.is_ok() {
            &self.metrics.accepted
        } else {
            &self.metrics.refused
        };
        counter.get_or_create(&labels).inc_by(spans);
        answer
    }
}
