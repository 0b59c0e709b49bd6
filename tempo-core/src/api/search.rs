//! `/api/search`.

use axum::extract::State;
use axum::response::Response;
use tempo_model::json::tempo as json;

use super::answer::{Encoding, Failure};
use super::parameters::Parameters;
use super::{Api, Tenants, legacy};
use crate::frontend::SearchRequest;

/// By TraceQL (`q`), or by the tags of older clients.
pub(super) async fn search(
    State(api): State<Api>,
    Tenants(tenants): Tenants,
    parameters: Parameters,
    encoding: Encoding,
) -> Result<Response, Failure> {
    let (request, legacy) = request(&parameters)?;
    let mut response = api.frontend.search(&tenants, &request).await?;
    if legacy {
        for trace in &mut response.traces {
            trace.span_set = None;
            trace.span_sets.clear();
            trace.service_stats.clear();
        }
    }
    encoding.answer(&api.frontend, response, json::search).await
}

/// What is asked, and whether by tags: then the answer has no spans.
fn request(parameters: &Parameters) -> Result<(SearchRequest, bool), Failure> {
    let (query, legacy) = match (parameters.text("q"), parameters.text("tags")) {
        (Some(_), Some(_)) => {
            return Err(Failure::bad_request(
                "invalid request: can't specify tags and q in the same query",
            ));
        }
        (Some(query), None) => (query.to_owned(), false),
        (None, _) => (legacy::query(parameters)?, true),
    };
    let request = SearchRequest {
        query,
        range: parameters.range()?,
        limit: parameters.number("limit")?,
        spans_per_span_set: parameters.number("spss")?,
    };
    Ok((request, legacy))
}

/// Metrics by TraceQL.
pub(super) async fn metrics() -> Failure {
    Failure::bad_request(
        "TraceQL metrics are not built yet: search for the spans with /api/search, or see the series of a \
         metrics-generator",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Result<(SearchRequest, bool), Failure> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        request(&pairs.collect())
    }

    #[test]
    fn a_query_or_tags_but_not_both() {
        let (request, legacy) = asked(&[("q", "{ status = error }"), ("limit", "5"), ("spss", "0")]).unwrap();
        assert_eq!((request.query.as_str(), legacy), ("{ status = error }", false));
        assert_eq!((request.limit, request.spans_per_span_set), (Some(5), Some(0)));
        let both = asked(&[("q", "{}"), ("tags", "a=b")]).unwrap_err();
        assert_eq!(
            both.message,
            "invalid request: can't specify tags and q in the same query"
        );
        assert!(asked(&[]).unwrap().1);
    }
}
