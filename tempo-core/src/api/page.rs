//! The page: a search box, the traces that were found, and the waterfall of one. Plain HTML made here, without scripts;
//! templates escape everything that they are given.
//!
//! Not here: what a waterfall is (`waterfall`).

mod waterfall;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use tempo_model::TraceId;
use tempo_model::proto::tempopb::TraceSearchMetadata;

use self::waterfall::{Waterfall, short};
use super::answer::Failure;
use super::parameters::Parameters;
use super::{Api, Tenants};
use crate::frontend::{SearchRequest, SecondsRange};

/// Nothing but what the page itself holds: whatever a span says, it can load and run nothing.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'");

/// The times that are offered: seconds back from now, and what they are called.
const RANGES: [(u64, &str); 6] = [
    (0, "all time"),
    (900, "last 15 minutes"),
    (3600, "last hour"),
    (6 * 3600, "last 6 hours"),
    (24 * 3600, "last day"),
    (7 * 24 * 3600, "last week"),
];

/// Queries that show what can be asked.
const EXAMPLES: [&str; 4] = [
    "{ status = error }",
    "{ duration > 500ms }",
    "{ resource.service.name = \"checkout\" && kind = server }",
    "{ } | count() > 20",
];

/// The page's routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/", get(search))
        .route("/trace/{traceID}", get(trace))
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    query: String,
    since: u64,
    limit: String,
    ranges: [(u64, &'static str); 6],
    examples: [&'static str; 4],
    error: Option<String>,
    traces: Vec<FoundRow>,
}

/// A trace in the list.
struct FoundRow {
    id: String,
    service: String,
    name: String,
    start: String,
    duration: String,
    /// How long it took beside the longest of the list, in percent.
    width: f64,
    spans: u32,
    errors: u32,
    matched: u32,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct TracePage {
    id: String,
    error: Option<String>,
    /// Why spans may be missing; empty when none are.
    notes: Vec<String>,
    waterfall: Waterfall,
}

async fn search(
    State(api): State<Api>,
    tenants: Result<Tenants, Failure>,
    parameters: Parameters,
) -> Response {
    let asked = async {
        let request = request(&parameters, api.frontend.now_seconds())?;
        Ok::<_, Failure>(api.frontend.search(&tenants?.0, &request).await?.traces)
    };
    let (traces, failure) = match asked.await {
        Ok(traces) => (rows(traces), None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let status = failure.as_ref().map_or(StatusCode::OK, |failure| failure.status);
    let page = SearchPage {
        query: parameters.text_or_empty("q"),
        since: parameters.number("since").ok().flatten().unwrap_or_default(),
        limit: parameters.text("limit").unwrap_or("20").to_owned(),
        ranges: RANGES,
        examples: EXAMPLES,
        error: failure.map(|failure| failure.message),
        traces,
    };
    render(status, &page)
}

fn request(parameters: &Parameters, now: u64) -> Result<SearchRequest, Failure> {
    let since: u64 = parameters.number("since")?.unwrap_or_default();
    // Clocks of those who send spans may be a little ahead.
    let range = (since > 0).then(|| SecondsRange {
        start: now.saturating_sub(since),
        end: now + 60,
    });
    Ok(SearchRequest {
        query: parameters.text("q").unwrap_or("{}").to_owned(),
        range,
        limit: parameters.number("limit")?,
        spans_per_span_set: Some(1),
    })
}

fn rows(traces: Vec<TraceSearchMetadata>) -> Vec<FoundRow> {
    let longest = traces
        .iter()
        .map(|trace| trace.duration_ms)
        .max()
        .unwrap_or_default()
        .max(1);
    let row = |trace: TraceSearchMetadata| FoundRow {
        start: time(trace.start_time_unix_nano),
        duration: short(u64::from(trace.duration_ms) * 1_000_000),
        width: f64::from(trace.duration_ms) / f64::from(longest) * 100.0,
        spans: trace.service_stats.values().map(|stats| stats.span_count).sum(),
        errors: trace.service_stats.values().map(|stats| stats.error_count).sum(),
        matched: trace.span_sets.iter().map(|set| set.matched).sum(),
        id: trace.trace_id,
        service: trace.root_service_name,
        name: trace.root_trace_name,
    };
    traces.into_iter().map(row).collect()
}

async fn trace(
    State(api): State<Api>,
    Path(id): Path<String>,
    tenants: Result<Tenants, Failure>,
) -> Response {
    let asked = async {
        let trace_id: TraceId = id
            .parse()
            .map_err(|error| Failure::bad_request(format!("{error}")))?;
        Ok::<_, Failure>(api.frontend.trace(&tenants?.0, trace_id, None).await?)
    };
    let mut page = TracePage {
        id: id.clone(),
        error: None,
        notes: Vec::new(),
        waterfall: Waterfall::default(),
    };
    let status = match asked.await {
        Ok(found) if found.trace.resource_spans.is_empty() && found.incomplete.is_empty() => {
            page.error = Some("nobody knows a trace with this id".to_owned());
            StatusCode::NOT_FOUND
        }
        Ok(found) => {
            page.waterfall = Waterfall::of(&found.trace);
            if !found.incomplete.is_empty() {
                page.notes
                    .push(format!("spans may be missing: {}", found.incomplete));
            }
            if let Some(max_bytes) = found.larger_than {
                page.notes.push(format!(
                    "the trace has more than {max_bytes} bytes: the rest is left out"
                ));
            }
            StatusCode::OK
        }
        Err(failure) => {
            page.error = Some(failure.message);
            failure.status
        }
    };
    render(status, &page)
}

fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, [(CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response(),
        Err(error) => Failure {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: format!("render the page: {error}"),
        }
        .into_response(),
    }
}

/// A time in UTC, to the millisecond.
fn time(unix_nanos: u64) -> String {
    Timestamp::from_nanosecond(unix_nanos.into()).map_or_else(
        |_| format!("{unix_nanos} ns"),
        |time| time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spans_say_is_escaped() {
        let evil = "<script>alert(1)</script>\"'";
        let html = |error: Option<String>| {
            let page = SearchPage {
                query: evil.to_owned(),
                since: 0,
                limit: evil.to_owned(),
                ranges: RANGES,
                examples: EXAMPLES,
                error,
                traces: rows(vec![TraceSearchMetadata {
                    trace_id: "1".to_owned(),
                    root_service_name: evil.to_owned(),
                    root_trace_name: evil.to_owned(),
                    ..TraceSearchMetadata::default()
                }]),
            };
            page.render().unwrap()
        };
        for (html, times) in [(html(None), 4), (html(Some(evil.to_owned())), 3)] {
            assert!(!html.contains("<script") && !html.contains("\"'"), "{html}");
            assert_eq!(html.matches("&#60;script&#62;").count(), times, "{html}");
        }
    }

    #[test]
    fn times_are_readable_and_no_number_is_too_large() {
        assert_eq!(time(1_700_009_243_005_000_000), "2023-11-15 00:47:23.005");
        assert!(time(u64::MAX).starts_with("2554-"));
    }

    #[test]
    fn a_range_is_counted_back_from_now() {
        let parameters = |since: &str| Parameters::from_iter([("since".to_owned(), since.to_owned())]);
        let range = request(&parameters("900"), 10_000).unwrap().range;
        assert_eq!(
            range,
            Some(SecondsRange {
                start: 9_100,
                end: 10_060
            })
        );
        assert_eq!(request(&parameters(""), 10_000).unwrap().range, None);
        assert!(request(&parameters("x"), 10_000).is_err());
    }
}
