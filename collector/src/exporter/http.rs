//! OTLP over HTTP, out: protobuf bodies.

use std::io::Write;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity, StatusCode, Url};
use tempo_model::proto::trace::ExportTraceServiceResponse;
use tempo_receiver::ErrorKind;

use super::{Compression, ExporterError, OtlpSettings, SendError, Sender, Sent, header_map, read_file};

/// How long a request may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an error's body is kept.
const MAX_MESSAGE: usize = 512;

/// Sends over a pool of connections.
pub(super) struct HttpSender {
    client: Client,
    url: Url,
    headers: HeaderMap,
    compression: Compression,
}

/// Checks what does not need files or the network.
pub(super) fn check(settings: &OtlpSettings) -> Result<(), String> {
    if settings.tls.server_name_override.is_some() {
        return Err(
            "tls.server_name_override is of otlp_grpc; use the name in the certificate here".to_owned(),
        );
    }
    url(settings).map(drop)
}

fn url(settings: &OtlpSettings) -> Result<Url, String> {
    let text = match (settings.endpoint.as_str(), settings.traces_endpoint.as_str()) {
        ("", "") => return Err("is required, as a URL such as http://tempo:4318".to_owned()),
        (endpoint, "") => format!("{}/v1/traces", endpoint.trim_end_matches('/')),
        (_, whole) => whole.to_owned(),
    };
    let url = Url::parse(&text).map_err(|error| format!("'{text}' is not a URL: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(format!("'{text}' must begin with http:// or https://"));
    }
    Ok(url)
}

impl HttpSender {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Self, ExporterError> {
        let wrong = |reason: String| ExporterError::Connection {
            endpoint: settings.endpoint.clone(),
            reason,
        };
        // What is sent elsewhere may be answered with 200 by whoever took it for a question.
        let mut builder = Client::builder()
            .timeout(settings.timeout.unwrap_or(DEFAULT_TIMEOUT))
            .redirect(Policy::none());
        if let Some(path) = &settings.tls.ca_file {
            let pem = read_file("CA file", path)?;
            let roots = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
            builder = builder.tls_certs_only(roots);
        }
        if let Ok(Some((certificate, key))) = settings.tls.identity() {
            let mut pem = read_file("certificate", certificate)?;
            pem.extend(read_file("private key", key)?);
            builder = builder.identity(Identity::from_pem(&pem).map_err(|error| wrong(error.to_string()))?);
        }
        Ok(Self {
            client: builder.build().map_err(|error| wrong(error.to_string()))?,
            url: url(settings).map_err(wrong)?,
            headers: header_map(&settings.headers)?,
            compression: settings.compression,
        })
    }
}

fn compress(compression: Compression, payload: Bytes) -> std::io::Result<(Option<&'static str>, Bytes)> {
    match compression {
        Compression::None => Ok((None, payload)),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&payload)?;
            Ok((Some("gzip"), encoder.finish()?.into()))
        }
        Compression::Zstd => Ok((Some("zstd"), zstd::encode_all(&*payload, 1)?.into())),
    }
}

#[async_trait]
impl Sender for HttpSender {
    async fn send(&self, payload: Bytes) -> Result<Sent, SendError> {
        let (encoding, body) = compress(self.compression, payload)
            .map_err(|error| SendError::permanent(ErrorKind::Internal, format!("compress: {error}")))?;
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .headers(self.headers.clone());
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        let unreachable = |error: reqwest::Error| SendError::retryable(chain(&error), None);
        let response = request.body(body).send().await.map_err(unreachable)?;
        let (status, retry_after) = (response.status(), delay(response.headers()));
        let body = response.bytes().await.map_err(unreachable)?;
        if !status.is_success() {
            return Err(failure(status, retry_after, &body));
        }
        let partial = ExportTraceServiceResponse::decode(body)
            .unwrap_or_default()
            .partial_success
            .unwrap_or_default();
        Ok(Sent {
            rejected_spans: partial.rejected_spans,
            message: partial.error_message,
        })
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// `Retry-After`, in seconds or as a date.
fn delay(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(jiff::Timestamp::now())).ok()
}

/// What a status means for the request. Source: the OTLP specification, "Failures" of OTLP/HTTP.
fn failure(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> SendError {
    let text = String::from_utf8_lossy(body);
    let text: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_MESSAGE)
        .collect();
    let message = format!("HTTP {status}: {text}");
    match status.as_u16() {
        429 => SendError {
            error: tempo_receiver::ConsumeError::new(ErrorKind::ResourceExhausted { retry_after }, message),
            is_retryable: true,
        },
        502..=504 => SendError::retryable(message, retry_after),
        400 => SendError::permanent(ErrorKind::InvalidArgument, message),
        401 => SendError::permanent(ErrorKind::Unauthenticated, message),
        _ => SendError::permanent(ErrorKind::Internal, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_four_statuses_are_retried() {
        for (status, is_retryable) in [
            (429, true),
            (502, true),
            (503, true),
            (504, true),
            (500, false),
            (400, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(failure(status, None, b"").is_retryable, is_retryable, "{status}");
        }
    }

    #[test]
    fn servers_name_a_delay_in_seconds_or_as_a_date() {
        let header = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(delay(&header("7")), Some(Duration::from_secs(7)));
        assert!(delay(&header("Fri, 31 Dec 2399 23:59:59 GMT")) > Some(Duration::from_secs(1_000_000)));
        assert_eq!(delay(&header("Wed, 21 Oct 2015 07:28:00 GMT")), None);
        assert_eq!(delay(&header("soon")), None);
    }

    #[test]
    fn the_path_is_added_to_an_endpoint_only() {
        let mut settings = OtlpSettings {
            endpoint: "http://tempo:4318/".to_owned(),
            ..OtlpSettings::default()
        };
        assert_eq!(url(&settings).unwrap().as_str(), "http://tempo:4318/v1/traces");
        settings.traces_endpoint = "http://tempo:4318/otlp".to_owned();
        assert_eq!(url(&settings).unwrap().as_str(), "http://tempo:4318/otlp");
        settings.traces_endpoint = "tempo:4318".to_owned();
        assert!(url(&settings).is_err());
        settings.traces_endpoint.clear();
        assert_eq!(check(&settings), Ok(()));
        settings.tls.server_name_override = Some("tempo".to_owned());
        assert!(check(&settings).is_err());
    }
}
