//! OTLP over gRPC, out.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tempo_model::proto::trace::ExportTraceServiceResponse;
use tempo_receiver::raw_codec::RawCodec;
use tempo_receiver::{ErrorKind, grpc as receiver};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use super::{Compression, ExporterError, OtlpSettings, SendError, Sender, Sent, header_map, read_file};

/// How long a request may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends over one HTTP/2 connection, which is made when first used and made again when lost.
pub(super) struct GrpcSender {
    channel: Channel,
    metadata: MetadataMap,
    compression: Compression,
    timeout: Duration,
}

/// Checks what does not need files or the network.
pub(super) fn check(settings: &OtlpSettings) -> Result<(), String> {
    if settings.endpoint.is_empty() {
        return Err("is required, as host:port".to_owned());
    }
    if !settings.traces_endpoint.is_empty() {
        return Err("traces_endpoint is of otlp_http; use endpoint".to_owned());
    }
    if settings.compression == Compression::Zstd {
        return Err("compression zstd is not supported over gRPC; use gzip or none".to_owned());
    }
    let uri = uri(settings);
    Endpoint::from_shared(uri.clone()).map_err(|error| format!("'{uri}' is not an address: {error}"))?;
    let authority = uri
        .rsplit_once('/')
        .map_or(uri.as_str(), |(_, authority)| authority);
    crate::config::values::host_port(authority).map(drop)
}

/// The endpoint with the scheme that says whether TLS is spoken.
fn uri(settings: &OtlpSettings) -> String {
    let endpoint = settings
        .endpoint
        .trim_start_matches("dns:///")
        .trim_end_matches('/');
    if let Some(rest) = endpoint.strip_prefix("https://") {
        format!("https://{rest}")
    } else if let Some(rest) = endpoint.strip_prefix("http://") {
        format!("http://{rest}")
    } else if settings.tls.insecure {
        format!("http://{endpoint}")
    } else {
        format!("https://{endpoint}")
    }
}

impl GrpcSender {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, ExporterError> {
        let uri = uri(settings);
        let wrong = |error: tonic::transport::Error| ExporterError::Connection {
            endpoint: settings.endpoint.clone(),
            reason: error.to_string(),
        };
        let mut endpoint = Endpoint::from_shared(uri.clone()).map_err(wrong)?;
        if uri.starts_with("https://") {
            endpoint = endpoint.tls_config(tls(settings)?).map_err(wrong)?;
        }
        Ok(Self {
            channel: endpoint.connect_lazy(),
            metadata: MetadataMap::from_headers(header_map(&settings.headers)?),
            compression: settings.compression,
            timeout: settings.timeout.unwrap_or(DEFAULT_TIMEOUT),
        })
    }

    async fn export(&self, payload: Bytes) -> Result<Bytes, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        if self.compression == Compression::Gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        client = client.accept_compressed(CompressionEncoding::Gzip);
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(format!("connect: {error}")))?;
        let request = Request::from_parts(self.metadata.clone(), http::Extensions::new(), payload);
        let path = PathAndQuery::from_static(receiver::EXPORT_PATH);
        let response = client.unary(request, path, RawCodec).await?;
        Ok(response.into_inner())
    }
}

fn tls(settings: &OtlpSettings) -> Result<ClientTlsConfig, ExporterError> {
    let mut config = ClientTlsConfig::new();
    config = match &settings.tls.ca_file {
        Some(path) => config.ca_certificate(Certificate::from_pem(read_file("CA file", path)?)),
        None => config.trust_anchors(system_roots()),
    };
    if let Ok(Some((certificate, key))) = settings.tls.identity() {
        config = config.identity(Identity::from_pem(
            read_file("certificate", certificate)?,
            read_file("private key", key)?,
        ));
    }
    if let Some(name) = &settings.tls.server_name_override {
        config = config.domain_name(name);
    }
    Ok(config)
}

fn system_roots() -> Vec<rustls::pki_types::TrustAnchor<'static>> {
    let mut store = rustls::RootCertStore::empty();
    let (_, unusable) = store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if unusable > 0 {
        tracing::debug!(unusable, "some of the system's CA certificates cannot be used");
    }
    store.roots
}

#[async_trait]
impl Sender for GrpcSender {
    async fn send(&self, payload: Bytes) -> Result<Sent, SendError> {
        let answer = tokio::time::timeout(self.timeout, self.export(payload)).await;
        let answer = answer.unwrap_or_else(|_| {
            let message = format!("no answer within {:?}", self.timeout);
            Err(Status::deadline_exceeded(message))
        });
        let response = answer.map_err(|status| failure(&status))?;
        // An answer that cannot be read is still an answer: the spans are there.
        let partial = ExportTraceServiceResponse::decode(response)
            .unwrap_or_default()
            .partial_success
            .unwrap_or_default();
        Ok(Sent {
            rejected_spans: partial.rejected_spans,
            message: partial.error_message,
        })
    }
}

/// What a status means for the request. Source: the OTLP specification, "Failures" of OTLP/gRPC.
fn failure(status: &Status) -> SendError {
    let retry_after = receiver::retry_delay(status.details());
    // A status with a source was made on this side, from a broken connection.
    let is_local = std::error::Error::source(status).is_some();
    let message = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => SendError::retryable(message, retry_after),
        _ if is_local => SendError::retryable(message, None),
        Code::ResourceExhausted if retry_after.is_some() => SendError {
            error: tempo_receiver::ConsumeError::new(ErrorKind::ResourceExhausted { retry_after }, message),
            is_retryable: true,
        },
        Code::ResourceExhausted => {
            SendError::permanent(ErrorKind::ResourceExhausted { retry_after }, message)
        }
        Code::InvalidArgument => SendError::permanent(ErrorKind::InvalidArgument, message),
        Code::Unauthenticated => SendError::permanent(ErrorKind::Unauthenticated, message),
        _ => SendError::permanent(ErrorKind::Internal, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str, insecure: bool) -> OtlpSettings {
        let mut settings = OtlpSettings {
            endpoint: endpoint.to_owned(),
            ..OtlpSettings::default()
        };
        settings.tls.insecure = insecure;
        settings
    }

    #[test]
    fn tls_is_on_unless_told_otherwise() {
        for (endpoint, insecure, expected) in [
            ("tempo:4317", false, "https://tempo:4317"),
            ("tempo:4317", true, "http://tempo:4317"),
            ("http://tempo:4317", false, "http://tempo:4317"),
            ("https://tempo:4317", true, "https://tempo:4317"),
            ("dns:///tempo:4317", true, "http://tempo:4317"),
        ] {
            let settings = settings(endpoint, insecure);
            assert_eq!(uri(&settings), expected);
            assert_eq!(check(&settings), Ok(()));
        }
        assert!(check(&settings("tempo", true)).is_err());
        assert!(check(&settings("", true)).is_err());
    }

    #[test]
    fn what_may_pass_is_sent_again() {
        for code in 1..=16 {
            let code = Code::from(code);
            let may_pass = matches!(
                code,
                Code::Cancelled
                    | Code::DeadlineExceeded
                    | Code::Aborted
                    | Code::OutOfRange
                    | Code::Unavailable
                    | Code::DataLoss
            );
            let error = failure(&Status::new(code, "no"));
            assert_eq!(error.is_retryable, may_pass, "{code:?}");
        }
    }

    #[test]
    fn exhausted_resources_are_retried_only_when_the_server_says_when() {
        let plain = failure(&Status::resource_exhausted("slow down"));
        assert!(!plain.is_retryable);
        let error = tempo_receiver::ConsumeError::new(
            ErrorKind::ResourceExhausted {
                retry_after: Some(Duration::from_secs(2)),
            },
            "slow down",
        );
        let with_delay = failure(&receiver::status(&error));
        assert!(with_delay.is_retryable);
        assert_eq!(with_delay.error.kind.retry_after(), Some(Duration::from_secs(2)));
    }
}
