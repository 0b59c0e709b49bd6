//! The OTLP doors of the distributor, as `distributor.receivers` names them.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempo_config::{OtlpReceiver, ReceiverEndpoint, TlsFiles};
use tempo_receiver::{Door, grpc, http};
use tempo_runtime::Shutdown;
use tempo_runtime::server;
use tempo_runtime::tls::ServerTls;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::StartError;

/// Where the doors listen when their endpoint is not given, as upstream's do.
const DEFAULT_HOST: &str = "localhost";
const GRPC: DoorKind = DoorKind {
    purpose: "OTLP/gRPC",
    port: 4317,
};
const HTTP: DoorKind = DoorKind {
    purpose: "OTLP/HTTP",
    port: 4318,
};

struct DoorKind {
    purpose: &'static str,
    port: u16,
}

/// Doors that are open.
#[derive(Debug, Default)]
pub(super) struct Doors {
    shutdown: Shutdown,
    /// Where OTLP/gRPC listens.
    pub(super) grpc: Option<SocketAddr>,
    /// Where OTLP/HTTP listens.
    pub(super) http: Option<SocketAddr>,
}

impl Doors {
    /// Opens the doors whose way in is `door`.
    pub(super) async fn open(receivers: Option<&OtlpReceiver>, door: Door) -> Result<Self, StartError> {
        let mut doors = Self::default();
        let Some(receiver) = receivers else {
            tracing::warn!(
                "no receivers are configured: spans can come in nowhere; see distributor.receivers"
            );
            return Ok(doors);
        };
        let (grpc, http) = (&receiver.protocols.grpc, &receiver.protocols.http);
        // Both are bound before either is served, so that a port that is taken leaves nothing half open.
        let grpc = bind(&GRPC, grpc.as_ref()).await?;
        let http = bind(&HTTP, http.as_ref()).await?;
        if let Some(bound) = grpc {
            doors.grpc = Some(bound.address);
            serve_grpc(bound, door.clone(), &doors.shutdown);
        }
        if let Some(bound) = http {
            doors.http = Some(bound.address);
            let router = http::router(door);
            spawn(&HTTP, &doors.shutdown, |shutdown| {
                server::serve_http(HTTP.purpose, bound.listener, bound.tls, router, shutdown)
            });
        }
        Ok(doors)
    }

    /// Takes no more spans in and lets those in flight be answered.
    pub(super) async fn close(&self) {
        self.shutdown.trigger();
        self.shutdown.finished().await;
    }
}

/// A socket, and whether TLS is spoken on it.
struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

async fn bind(kind: &DoorKind, endpoint: Option<&ReceiverEndpoint>) -> Result<Option<Bound>, StartError> {
    let Some(endpoint) = endpoint else {
        return Ok(None);
    };
    let (host, port) = host_port(&endpoint.endpoint, kind)?;
    let tls = endpoint
        .tls
        .as_ref()
        .map(server_tls)
        .map(|tls| tls.acceptor())
        .transpose()?;
    let listener = server::bind(kind.purpose, host, port).await?;
    let address = listener
        .local_addr()
        .map_err(|source| server::ServerError::Serve {
            purpose: kind.purpose,
            source,
        })?;
    tracing::info!(%address, tls = tls.is_some(), "listening for {}", kind.purpose);
    Ok(Some(Bound {
        listener,
        address,
        tls,
    }))
}

/// The host (empty for every interface) and the port of an endpoint such as `0.0.0.0:4317`, `:4317` or `http://a:1`.
fn host_port<'a>(endpoint: &'a str, kind: &DoorKind) -> Result<(&'a str, u16), StartError> {
    if endpoint.is_empty() {
        return Ok((DEFAULT_HOST, kind.port));
    }
    let address = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, address)| address);
    let parsed = address.rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host, port.parse().ok()?))
    });
    parsed.ok_or_else(|| StartError::Endpoint {
        purpose: kind.purpose,
        endpoint: endpoint.to_owned(),
    })
}

fn server_tls(files: &TlsFiles) -> ServerTls {
    ServerTls {
        certificate: PathBuf::from(&files.cert_file),
        key: PathBuf::from(&files.key_file),
        client_ca: (!files.client_ca_file.is_empty()).then(|| PathBuf::from(&files.client_ca_file)),
    }
}

fn serve_grpc(bound: Bound, door: Door, shutdown: &Shutdown) {
    let Bound { listener, tls, .. } = bound;
    match tls {
        None => spawn(&GRPC, shutdown, |shutdown| grpc::serve(listener, door, shutdown)),
        Some(tls) => {
            let router = tonic::service::Routes::new(grpc::TraceService::new(door)).into_axum_router();
            spawn(&GRPC, shutdown, |shutdown| {
                server::serve_http(GRPC.purpose, listener, Some(tls), router, shutdown)
            });
        }
    }
}

fn spawn<F, E>(kind: &DoorKind, shutdown: &Shutdown, serve: impl FnOnce(Shutdown) -> F)
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display,
{
    let (serving, guard, purpose) = (serve(shutdown.clone()), shutdown.guard(), kind.purpose);
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the {purpose} door has closed");
        }
        drop(guard);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_upstream_writes_them() {
        for (endpoint, expected) in [
            ("", ("localhost", 4317)),
            ("0.0.0.0:1", ("0.0.0.0", 1)),
            (":2", ("", 2)),
            ("[::]:3", ("::", 3)),
            ("http://a:4", ("a", 4)),
        ] {
            assert_eq!(host_port(endpoint, &GRPC).unwrap(), expected, "{endpoint}");
        }
        let error = host_port("localhost", &GRPC).unwrap_err().to_string();
        assert!(
            error.contains("localhost") && error.contains("host:port"),
            "{error}"
        );
    }
}
