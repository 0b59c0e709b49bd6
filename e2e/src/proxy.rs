//! A network between a client and an HTTP server that fails on purpose.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It goes through.
    Through,
    /// It goes through with another head.
    As(String),
    /// The answer is this status, without the server hearing of it.
    Answered(u16),
    /// The connection is cut, and the server hears of nothing.
    Refused,
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// The server answers, and the connection is cut before the client hears of it.
    AnswerLost,
    /// Nothing ever comes back.
    Silence,
}

/// Decides by the head of a request (its first line and its headers).
type Decide = dyn Fn(&str) -> Way + Send + Sync;

/// A listener on loopback that passes requests on, one a connection. It ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Passes requests to `server` (host and port), each as `decide` says; speaks TLS itself when it has an `acceptor`.
    pub async fn start(
        server: &str,
        acceptor: Option<TlsAcceptor>,
        decide: impl Fn(&str) -> Way + Send + Sync + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("open a port")?;
        let address = listener.local_addr()?;
        let (server, decide): (Arc<str>, Arc<Decide>) = (server.into(), Arc::new(decide));
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, decide, acceptor) = (Arc::clone(&server), Arc::clone(&decide), acceptor.clone());
                // A side that hangs up ends its connection, no more.
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => pass(acceptor.accept(client).await?, &server, &*decide).await,
                        None => pass(client, &server, &*decide).await,
                    }
                });
            }
        });
        Ok(Self { address, listening })
    }

    /// Host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Passes one request on, and its answer back.
async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, server: &str, decide: &Decide) -> Result<()> {
    let head = read_head(&mut client).await?;
    let body = length_of_body(&head);
    let (head, arriving, is_heard) = match decide(&head) {
        Way::Through => (head, body, true),
        Way::As(other) => (other, body, true),
        Way::AnswerLost => (head, body, false),
        Way::Cut(bytes) => (head, bytes.min(body), false),
        Way::Refused => return Ok(()),
        Way::Silence => std::future::pending().await,
        Way::Answered(status) => {
            copy(&mut (&mut client).take(body as u64), &mut tokio::io::sink()).await?;
            let answer = format!("HTTP/1.1 {status} Fault\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            client.write_all(answer.as_bytes()).await?;
            return Ok(client.shutdown().await?);
        }
    };
    let mut upstream = TcpStream::connect(server)
        .await
        .context("connect to the server")?;
    // One request a connection: the answer then ends with it.
    let head = head.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    upstream.write_all(head.as_bytes()).await?;
    copy(&mut (&mut client).take(arriving as u64), &mut upstream).await?;
    if arriving < body {
        return Ok(());
    }
    if is_heard {
        copy(&mut upstream, &mut client).await?;
        client.shutdown().await?;
    } else {
        copy(&mut upstream, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

async fn read_head(client: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).context("a head that is not text")
}

fn length_of_body(head: &str) -> usize {
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    length.unwrap_or_default()
}
