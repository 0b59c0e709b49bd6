//! Answers as HTTP responses: JSON or protobuf, errors as plain text.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use prost::Message;
use serde_json::Value;

use crate::frontend::{Frontend, QueryError, QueryErrorKind};
use crate::tenancy::TenancyError;

const PROTOBUF: &str = "application/protobuf";
const JSON: &str = "application/json";
/// Messages with more bytes are encoded on the CPU pool, so that other requests are answered meanwhile.
const LARGE_BYTES: usize = 64 * 1024;

/// The encoding that a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As upstream's JSON encoder writes messages.
    Json,
    /// The messages themselves.
    Protobuf,
}

impl Encoding {
    /// As upstream: protobuf when the header names it anywhere; quality values are ignored.
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter();
        let names_protobuf =
            |value: &http::HeaderValue| value.to_str().is_ok_and(|text| text.contains(PROTOBUF));
        if accepted.into_iter().any(names_protobuf) {
            Self::Protobuf
        } else {
            Self::Json
        }
    }

    /// A message in this encoding.
    pub(super) async fn answer<M: Message + 'static>(
        self,
        frontend: &Frontend,
        message: M,
        json: fn(&M) -> Value,
    ) -> Result<Response, Failure> {
        let is_large = message.encoded_len() > LARGE_BYTES;
        let encode = move || match self {
            Self::Json => json(&message).to_string().into_bytes(),
            Self::Protobuf => message.encode_to_vec(),
        };
        let body = if is_large {
            frontend.run_cpu("encode an answer", encode).await?
        } else {
            encode()
        };
        let content_type = match self {
            Self::Json => JSON,
            Self::Protobuf => PROTOBUF,
        };
        Ok(([(CONTENT_TYPE, content_type)], body).into_response())
    }
}

impl<S: Sync> FromRequestParts<S> for Encoding {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// A request without an answer: a status and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) message: String,
}

impl Failure {
    /// A request that is wrong.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, self.message).into_response()
    }
}

impl From<TenancyError> for Failure {
    fn from(error: TenancyError) -> Self {
        let status = if error.is_missing() {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        Self {
            status,
            message: error.to_string(),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let status = match error.kind {
            QueryErrorKind::BadRequest => StatusCode::BAD_REQUEST,
            QueryErrorKind::TooLarge => StatusCode::UNPROCESSABLE_ENTITY,
            QueryErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            QueryErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            QueryErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            QueryErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(%error, "query failed");
        }
        Self {
            status,
            message: error.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protobuf_is_given_to_who_names_it() {
        let encoding = |accept: &'static str| {
            Encoding::of(&HeaderMap::from_iter([(
                ACCEPT,
                http::HeaderValue::from_static(accept),
            )]))
        };
        assert_eq!(
            encoding("application/json;q=1, application/protobuf;q=0.1"),
            Encoding::Protobuf
        );
        for other in ["", "*/*", "application/json", "application/vnd.grafana.llm"] {
            assert_eq!(encoding(other), Encoding::Json);
        }
        assert_eq!(Encoding::of(&HeaderMap::new()), Encoding::Json);
    }
}
