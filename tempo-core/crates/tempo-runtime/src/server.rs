//! Listening sockets with errors that say what to do, and serving HTTP on them, in the clear or over TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::shutdown::Shutdown;

/// How many TLS handshakes may be under way before new connections wait.
const MAX_HANDSHAKES: usize = 256;

/// A server that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is not one.
    #[error("resolve {purpose} address {address}: {source}")]
    Address {
        /// What would listen there.
        purpose: &'static str,
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("listen for {purpose} on {address}: {source}; is another process using the port?")]
    Bind {
        /// What would listen there.
        purpose: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Serving ended with an error.
    #[error("serve {purpose}: {source}")]
    Serve {
        /// What was served.
        purpose: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Listens on `host:port`; an empty host means every interface. `purpose` is named in errors.
pub async fn bind(purpose: &'static str, host: &str, port: u16) -> Result<TcpListener, ServerError> {
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    let unresolved = |source| ServerError::Address {
        purpose,
        address: format!("{host}:{port}"),
        source,
    };
    let mut addresses = lookup_host((host, port)).await.map_err(unresolved)?;
    let address = addresses
        .next()
        .ok_or_else(|| unresolved(io::ErrorKind::NotFound.into()))?;
    TcpListener::bind(address)
        .await
        .map_err(|source| ServerError::Bind {
            purpose,
            address,
            source,
        })
}

/// Serves `router` (HTTP/1.1 and HTTP/2) until shutdown, then lets requests in flight end.
pub async fn serve_http(
    purpose: &'static str,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    shutdown: Shutdown,
) -> Result<(), ServerError> {
    let _guard = shutdown.guard();
    let served = match tls {
        None => {
            axum::serve(listener, router)
                .with_graceful_shutdown(shutdown.triggered())
                .await
        }
        Some(acceptor) => {
            let listener = TlsListener::start(listener, acceptor, &shutdown)
                .map_err(|source| ServerError::Serve { purpose, source })?;
            axum::serve(listener, router)
                .with_graceful_shutdown(shutdown.triggered())
                .await
        }
    };
    served.map_err(|source| ServerError::Serve { purpose, source })
}

/// Accepts TLS connections; handshakes run beside each other, so that a slow client holds nobody up.
struct TlsListener {
    address: SocketAddr,
    connections: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl TlsListener {
    fn start(listener: TcpListener, acceptor: TlsAcceptor, shutdown: &Shutdown) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (accepted, connections) = mpsc::channel(MAX_HANDSHAKES);
        tokio::spawn(accept_tls(listener, acceptor, accepted, shutdown.clone()));
        Ok(Self { address, connections })
    }
}

async fn accept_tls(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
    shutdown: Shutdown,
) {
    let handshakes = Arc::new(tokio::sync::Semaphore::new(MAX_HANDSHAKES));
    loop {
        let connection = tokio::select! {
            () = shutdown.triggered() => return,
            connection = listener.accept() => connection,
        };
        let Ok((stream, peer)) = connection else { continue };
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let (acceptor, accepted) = (acceptor.clone(), accepted.clone());
        tokio::spawn(async move {
            match acceptor.accept(stream).await {
                // A receiver that is gone means that the server has stopped.
                Ok(stream) => drop(accepted.send((stream, peer)).await),
                Err(error) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            }
            drop(permit);
        });
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named() {
        let first = bind("test", "127.0.0.1", 0).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let error = bind("test", "127.0.0.1", port).await.unwrap_err().to_string();
        assert!(
            error.contains(&port.to_string()) && error.contains("another process"),
            "{error}"
        );
    }
}
