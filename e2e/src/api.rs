//! The Tempo HTTP API as a user calls it, and waiting for something to become true.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A client of the query API at one address.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    /// A client of the API at `base`, such as `http://127.0.0.1:3200`.
    pub fn new(base: impl Into<String>) -> Self {
        // The second call finds the provider installed by the first, which is all we want.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            base: base.into(),
            client: reqwest::Client::new(),
        }
    }

    /// The status code and the body of `GET path`.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<(u16, String)> {
        let url = reqwest::Url::parse_with_params(&format!("{}{path}", self.base), parameters)?;
        let answer = self
            .client
            .get(url.clone())
            .send()
            .await
            .with_context(|| format!("GET {url}"))?;
        let status = answer.status().as_u16();
        Ok((
            status,
            answer
                .text()
                .await
                .with_context(|| format!("read the answer to GET {url}"))?,
        ))
    }

    /// The JSON answer to `GET path`; anything but 200 is an error with the body.
    pub async fn json(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let (status, body) = self.get(path, parameters).await?;
        if status != 200 {
            bail!("GET {path} {parameters:?} answered {status}: {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("parse the answer to GET {path}: {body}"))
    }

    /// The trace ids, padded to 32 digits, that a TraceQL search finds.
    pub async fn search(&self, query: &str, limit: usize) -> Result<Vec<String>> {
        let found = self
            .json("/api/search", &[("q", query), ("limit", &limit.to_string())])
            .await?;
        let traces = found
            .get("traces")
            .and_then(Value::as_array)
            .context("an answer without traces")?;
        Ok(traces
            .iter()
            .filter_map(|trace| trace.get("traceID").and_then(Value::as_str))
            .map(|id| format!("{id:0>32}"))
            .collect())
    }
}

/// Asks again until `question` gives an answer; after `patience` the last error is the test's.
pub async fn eventually<T, F>(what: &str, patience: Duration, mut question: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let start = Instant::now();
    loop {
        match question().await {
            Ok(answer) => return Ok(answer),
            Err(error) if start.elapsed() > patience => {
                return Err(error.context(format!("waited {patience:?} for {what}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
