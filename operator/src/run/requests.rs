//! Counts the requests that the operator sends to the API server.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::{Layer, Service};

use crate::metrics::{Metrics, RequestLabels};

/// A layer around the client's HTTP service that counts requests.
#[derive(Clone)]
pub struct CountRequests {
    metrics: Metrics,
}

impl CountRequests {
    /// Counts into metrics.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for CountRequests {
    type Service = CountingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CountingService {
            inner,
            metrics: self.metrics.clone(),
        }
    }
}

/// An HTTP service whose requests are counted.
#[derive(Clone)]
pub struct CountingService<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for CountingService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    ResponseBody: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (method, resource) = (
            request.method().to_string(),
            resource(request.uri().path()).to_owned(),
        );
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map_or_else(
                |_| "<error>".to_owned(),
                |response| response.status().as_u16().to_string(),
            );
            metrics.requested(&RequestLabels {
                method,
                resource,
                code,
            });
            answer
        })
    }
}

/// The plural name of the kind in the path of a request, such as
/// `/apis/apps/v1/namespaces/shop/deployments/tempo-shop-querier`.
fn resource(path: &str) -> &str {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    match parts.next() {
        Some("api") => drop(parts.next()),
        Some("apis") => drop((parts.next(), parts.next())),
        _ => return "",
    }
    let Some(first) = parts.next() else {
        return "";
    };
    if first != "namespaces" {
        return first;
    }
    parts.nth(1).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind() {
        for (path, expected) in [
            ("/api/v1/namespaces/shop/secrets/bucket", "secrets"),
            (
                "/apis/apps/v1/namespaces/shop/deployments/a/status",
                "deployments",
            ),
            ("/apis/tempo.grafana.com/v1alpha1/tempostacks", "tempostacks"),
            ("/api/v1/namespaces/shop", "namespaces"),
            ("/version", ""),
            ("/api/v1", ""),
            ("", ""),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }
}
