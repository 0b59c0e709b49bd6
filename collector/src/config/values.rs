//! Values that many components share: durations, TLS, headers, `host:port`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_yaml::Value;
use tempo_runtime::tls::ServerTls;

/// Reads a Go duration (`1m30s`, `1.5s`, `200ms`) or `0`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match &value {
        Value::String(text) => parse_duration(text).map_err(D::Error::custom),
        // Go reads bare numbers as nanoseconds; nobody means that, but 0 is common.
        Value::Number(number) if number.as_u64() == Some(0) => Ok(Duration::ZERO),
        _ => Err(D::Error::custom("expected a duration such as 200ms, 5s or 1m30s")),
    }
}

/// A Go duration.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration; write it like 200ms, 5s or 1m30s");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let unit_at = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail
            .find(|character: char| character.is_ascii_digit() || character == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        seconds += number.parse::<f64>().map_err(|_| wrong())? * unit_seconds(unit).ok_or_else(wrong)?;
        rest = tail;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// Reads a section whose mere presence counts: `grpc:` with nothing after it is `grpc: {}`.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(|value| Some(value.unwrap_or_default()))
}

/// Reads header names and values; numbers and booleans are taken as text.
pub fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    BTreeMap::<String, Value>::deserialize(deserializer)?
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(number) => Ok((name, number.to_string())),
            Value::Bool(flag) => Ok((name, flag.to_string())),
            Value::Null => Ok((name, String::new())),
            _ => Err(D::Error::custom(format!("header {name} is not text"))),
        })
        .collect()
}

/// TLS of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// Speak in the clear.
    pub insecure: bool,
    /// The CA that the server's certificate must come from; the system's CAs by default.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate.
    pub cert_file: Option<PathBuf>,
    /// The client's key.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must have, where it is not that of the endpoint.
    pub server_name_override: Option<String>,
}

impl ClientTls {
    /// The client's certificate and key, which come together or not at all.
    pub fn identity(&self) -> Result<Option<(&PathBuf, &PathBuf)>, String> {
        match (&self.cert_file, &self.key_file) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            _ => Err("tls: cert_file and key_file come together; set the other one too".to_owned()),
        }
    }
}

/// TLS of a server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsSettings {
    /// The certificate chain in PEM.
    pub cert_file: PathBuf,
    /// The private key in PEM.
    pub key_file: PathBuf,
    /// The CA that clients' certificates must come from; clients need none by default.
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
}

impl From<&ServerTlsSettings> for ServerTls {
    fn from(settings: &ServerTlsSettings) -> Self {
        Self {
            certificate: settings.cert_file.clone(),
            key: settings.key_file.clone(),
            client_ca: settings.client_ca_file.clone(),
        }
    }
}

/// Splits `host:port`; the host may be empty or an IPv6 address in brackets.
pub fn host_port(endpoint: &str) -> Result<(&str, u16), String> {
    let wrong = || format!("'{endpoint}' is not host:port");
    let (host, port) = endpoint.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host, port.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in [
            ("200ms", 200),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("0", 0),
            ("2h", 7_200_000),
        ] {
            assert_eq!(
                parse_duration(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        for text in ["", "5", "s", "5 parsecs", "-1s", "1e400s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endpoints_have_a_port() {
        assert_eq!(host_port("[::1]:4317").unwrap(), ("::1", 4317));
        assert_eq!(host_port(":4317").unwrap(), ("", 4317));
        assert!(host_port("localhost").is_err() && host_port("localhost:x").is_err());
    }
}
