//! How long requests take: `tempo_request_duration_seconds`, under the route names that dashboards know.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tempo_runtime::metrics::MetricsRegistry;

/// Upper ends of the buckets, in seconds.
const BUCKETS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status_code: u16,
    ws: &'static str,
}

/// Durations of HTTP requests. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RequestMetrics(Family<Labels, Histogram>);

impl RequestMetrics {
    /// Registers the histogram.
    pub(crate) fn new(metrics: &MetricsRegistry) -> Self {
        let durations = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self(metrics.register(
            "tempo_request_duration_seconds",
            "Time in seconds spent serving HTTP requests",
            durations,
        ))
    }

    /// The same routes, measured.
    pub(crate) fn measure(&self, router: Router) -> Router {
        // The framework takes a layer over nothing for a mistake.
        if !router.has_routes() {
            return router;
        }
        router.route_layer(from_fn_with_state(self.clone(), measured))
    }
}

async fn measured(State(metrics): State<RequestMetrics>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = method_name(request.method());
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let route = route_name(path);
    let response = next.run(request).await;
    let labels = Labels {
        method,
        route,
        status_code: response.status().as_u16(),
        ws: "false",
    };
    metrics
        .0
        .get_or_create(&labels)
        .observe(start.elapsed().as_secs_f64());
    response
}

/// Clients can make methods up: those share a name, so that they cannot make series without end.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// `/api/search/tag/{tagName}/values` is called `api_search_tag_tagname_values`.
fn route_name(path: &str) -> String {
    let words = path.split(|character: char| !character.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_knows_share_a_name() {
        for (method, name) in [
            ("GET", "GET"),
            ("OPTIONS", "OPTIONS"),
            ("X1", "other"),
            ("get", "other"),
        ] {
            assert_eq!(method_name(&Method::from_bytes(method.as_bytes()).unwrap()), name);
        }
    }

    #[test]
    fn routes_have_the_names_of_dashboards() {
        for (path, name) in [
            ("/api/search", "api_search"),
            ("/api/v2/traces/{traceID}", "api_v2_traces_traceid"),
            ("/ready", "ready"),
            ("/", ""),
        ] {
            assert_eq!(route_name(path), name);
        }
    }
}
