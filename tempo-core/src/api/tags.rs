//! Names and values of attributes: `/api/search/tags`, `/api/search/tag/{tag}/values`, and both under `/api/v2`.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::response::Response;
use tempo_model::json::tempo as json;
use tempo_model::proto::tempopb;
use tempo_traceql::ast::Attribute;

use super::answer::{Encoding, Failure};
use super::parameters::Parameters;
use super::{Api, Tenants};
use crate::frontend::{TagNamesRequest, TagValuesRequest};

/// The scope that v1 leaves out unless it is asked for.
const INTRINSIC: &str = "intrinsic";

/// A flat list.
pub(super) async fn names_v1(
    State(api): State<Api>,
    Tenants(tenants): Tenants,
    parameters: Parameters,
    encoding: Encoding,
) -> Result<Response, Failure> {
    let request = names_request(&parameters, "")?;
    let found = api.frontend.tag_names(&tenants, &request).await?;
    let is_told = |scope: &tempopb::SearchTagsV2Scope| scope.name != INTRINSIC || request.scope == INTRINSIC;
    let scopes = found.scopes.into_iter().filter(is_told);
    let names: BTreeSet<String> = scopes.flat_map(|scope| scope.tags).collect();
    let response = tempopb::SearchTagsResponse {
        tag_names: names.into_iter().collect(),
        metrics: found.metrics,
    };
    encoding.answer(&api.frontend, response, json::tags_v1).await
}

/// By scope, with a filter.
pub(super) async fn names_v2(
    State(api): State<Api>,
    Tenants(tenants): Tenants,
    parameters: Parameters,
    encoding: Encoding,
) -> Result<Response, Failure> {
    let request = names_request(&parameters, &parameters.text_or_empty("q"))?;
    let response = api.frontend.tag_names(&tenants, &request).await?;
    encoding.answer(&api.frontend, response, json::tags_v2).await
}

/// Plain strings, whatever their type.
pub(super) async fn values_v1(
    State(api): State<Api>,
    Path(tag): Path<String>,
    Tenants(tenants): Tenants,
    parameters: Parameters,
    encoding: Encoding,
) -> Result<Response, Failure> {
    // Here a name has no scope: what is not an intrinsic's is an attribute's.
    let attribute = match tempo_traceql::parse_attribute(&tag) {
        Ok(intrinsic @ Attribute::Intrinsic(_)) => intrinsic,
        _ => Attribute::Unscoped(tag),
    };
    let request = values_request(&parameters, attribute, String::new())?;
    let found = api.frontend.tag_values(&tenants, &request).await?;
    let values: BTreeSet<String> = found.tag_values.into_iter().map(|value| value.value).collect();
    let response = tempopb::SearchTagValuesResponse {
        tag_values: values.into_iter().collect(),
        metrics: found.metrics,
    };
    encoding
        .answer(&api.frontend, response, json::tag_values_v1)
        .await
}

/// With types, by a TraceQL name, with a filter.
pub(super) async fn values_v2(
    State(api): State<Api>,
    Path(tag): Path<String>,
    Tenants(tenants): Tenants,
    parameters: Parameters,
    encoding: Encoding,
) -> Result<Response, Failure> {
    let attribute = tempo_traceql::parse_attribute(&tag).map_err(|error| {
        Failure::bad_request(format!(
            "please provide a valid tagName: {error}; write it as in TraceQL: .{tag}, span.{tag}, resource.{tag}"
        ))
    })?;
    let request = values_request(&parameters, attribute, parameters.text_or_empty("q"))?;
    let response = api.frontend.tag_values(&tenants, &request).await?;
    encoding
        .answer(&api.frontend, response, json::tag_values_v2)
        .await
}

fn names_request(parameters: &Parameters, query: &str) -> Result<TagNamesRequest, Failure> {
    Ok(TagNamesRequest {
        scope: parameters.text_or_empty("scope"),
        query: query.to_owned(),
        range: parameters.range()?,
        limit: parameters.number("limit")?.unwrap_or_default(),
    })
}

fn values_request(
    parameters: &Parameters,
    attribute: Attribute,
    query: String,
) -> Result<TagValuesRequest, Failure> {
    Ok(TagValuesRequest {
        attribute,
        query,
        range: parameters.range()?,
        limit: parameters.number("limit")?.unwrap_or_default(),
    })
}
