//! `/api/traces/{id}` and `/api/v2/traces/{id}`.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use tempo_model::TraceId;
use tempo_model::json::tempo as json;
use tempo_model::proto::tempopb;

use super::answer::{Encoding, Failure};
use super::parameters::Parameters;
use super::{Api, Tenants};
use crate::frontend::FoundSpans;

/// The bare trace, whole or not at all.
pub(super) async fn v1(
    State(api): State<Api>,
    Path(id): Path<String>,
    tenants: Tenants,
    parameters: Parameters,
    encoding: Encoding,
) -> Result<Response, Failure> {
    let found = find(&api, &id, &tenants, &parameters).await?;
    if let Some(max_bytes) = found.larger_than {
        return Err(Failure {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            message: format!("trace exceeds max size (max bytes: {max_bytes})"),
        });
    }
    if !found.incomplete.is_empty() {
        return Err(Failure {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: format!("the trace may lack spans; try again: {}", found.incomplete),
        });
    }
    if found.trace.resource_spans.is_empty() {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    encoding.answer(&api.frontend, found.trace, json::trace_v1).await
}

/// The trace with what is said of it: whether it is all of it.
pub(super) async fn v2(
    State(api): State<Api>,
    Path(id): Path<String>,
    tenants: Tenants,
    parameters: Parameters,
    encoding: Encoding,
) -> Result<Response, Failure> {
    let found = find(&api, &id, &tenants, &parameters).await?;
    encoding
        .answer(&api.frontend, with_status(found), json::trace_v2)
        .await
}

async fn find(
    api: &Api,
    id: &str,
    Tenants(tenants): &Tenants,
    parameters: &Parameters,
) -> Result<FoundSpans, Failure> {
    let id: TraceId = id
        .parse()
        .map_err(|error| Failure::bad_request(format!("{error}")))?;
    Ok(api.frontend.trace(tenants, id, parameters.range()?).await?)
}

fn with_status(found: FoundSpans) -> tempopb::TraceByIdResponse {
    let mut reasons = Vec::new();
    if let Some(max_bytes) = found.larger_than {
        reasons.push(format!(
            "the trace has more than max_bytes_per_trace={max_bytes} bytes; spans beyond are left out"
        ));
    }
    if !found.incomplete.is_empty() {
        reasons.push(format!("spans may be missing: {}", found.incomplete));
    }
    let status = if reasons.is_empty() {
        tempopb::PartialStatus::Complete
    } else {
        tempopb::PartialStatus::Partial
    };
    tempopb::TraceByIdResponse {
        trace: Some(found.trace),
        metrics: Some(tempopb::TraceByIdMetrics {
            inspected_bytes: found.inspected_bytes,
        }),
        status: status.into(),
        message: reasons.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_says_so() {
        let whole = FoundSpans {
            trace: tempopb::Trace::default(),
            inspected_bytes: 1,
            incomplete: String::new(),
            larger_than: None,
        };
        let response = with_status(whole.clone());
        assert_eq!(
            (response.status(), response.message.as_str()),
            (tempopb::PartialStatus::Complete, "")
        );
        let response = with_status(FoundSpans {
            incomplete: "ingester-1: gone".to_owned(),
            larger_than: Some(5),
            ..whole
        });
        assert_eq!(response.status(), tempopb::PartialStatus::Partial);
        assert!(
            response.message.contains("max_bytes_per_trace=5") && response.message.contains("ingester-1")
        );
    }
}
