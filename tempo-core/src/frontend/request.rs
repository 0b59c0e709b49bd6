//! What clients ask, and whether it can be asked. Pure. The texts are those that Tempo's users know.

use std::time::Duration;

use tempo_config::GoDuration;
use tempo_traceql::ast::{Attribute, Scope};
use tempo_traceql::search::{Search, SearchOptions};

use super::search::AskSearch;
use super::tags::{AskNames, AskValues, INTRINSIC};
use super::{QueryError, Settings};
use crate::rpc::messages::{SearchQuestion, TagNamesQuestion, TagValuesQuestion, TimeRange};

/// Seconds since the Unix epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondsRange {
    /// The first.
    pub start: u64,
    /// The last.
    pub end: u64,
}

impl TryFrom<SecondsRange> for TimeRange {
    type Error = QueryError;

    fn try_from(range: SecondsRange) -> Result<Self, QueryError> {
        let SecondsRange { start, end } = range;
        if start >= end {
            return Err(QueryError::bad_request(format!(
                "http parameter start must be before end. received start={start} end={end}"
            )));
        }
        Ok(Self {
            start_unix_nanos: start.saturating_mul(1_000_000_000),
            end_unix_nanos: end.saturating_mul(1_000_000_000).saturating_add(999_999_999),
        })
    }
}

fn nanos(range: Option<SecondsRange>) -> Result<Option<TimeRange>, QueryError> {
    range.map(TimeRange::try_from).transpose()
}

fn check_length(query: &str, settings: &Settings) -> Result<(), QueryError> {
    let (bytes, limit) = (query.len(), settings.max_query_bytes);
    if limit > 0 && bytes > limit {
        return Err(QueryError::bad_request(format!(
            "the TraceQL query has {bytes} bytes, more than query_frontend.max_query_expression_size_bytes={limit}"
        )));
    }
    Ok(())
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchRequest {
    /// The TraceQL text.
    pub query: String,
    /// Which times; all when absent.
    pub range: Option<SecondsRange>,
    /// How many traces; the configuration says when absent.
    pub limit: Option<usize>,
    /// How many spans of each set, 0 for all; the configuration says when absent.
    pub spans_per_span_set: Option<usize>,
}

impl SearchRequest {
    /// What is to be asked, or what is wrong with it. `longest` is the longest range, 0 for no limit.
    pub(super) fn checked(&self, settings: &Settings, longest: Duration) -> Result<AskSearch, QueryError> {
        let question = SearchQuestion {
            query: self.query.clone(),
            limit: self.checked_limit(settings)? as u32,
            spans_per_span_set: self.checked_spans(settings)? as u32,
            floor_unix_nanos: 0,
        };
        self.check_range(longest)?;
        check_length(&self.query, settings)?;
        let query = tempo_traceql::parse(&self.query)?;
        // What is parsed and cannot be evaluated is refused before anybody is asked.
        Search::new(&query, SearchOptions::default())?;
        Ok(AskSearch {
            question,
            range: nanos(self.range)?,
            max_bytes_per_trace: 0,
        })
    }

    fn checked_limit(&self, settings: &Settings) -> Result<usize, QueryError> {
        let limit = self.limit.unwrap_or(settings.default_limit);
        let max = settings.max_limit;
        if limit == 0 {
            return Err(QueryError::bad_request(
                "invalid limit: must be a positive number",
            ));
        }
        if max > 0 && limit > max {
            return Err(QueryError::bad_request(format!(
                "limit {limit} exceeds max limit {max}"
            )));
        }
        Ok(limit)
    }

    fn checked_spans(&self, settings: &Settings) -> Result<usize, QueryError> {
        let spans = self
            .spans_per_span_set
            .unwrap_or(settings.default_spans_per_span_set);
        let max = settings.max_spans_per_span_set;
        if max > 0 && spans > max {
            return Err(QueryError::bad_request(format!(
                "spans per span set exceeds {max}. received {spans}"
            )));
        }
        Ok(spans)
    }

    fn check_range(&self, longest: Duration) -> Result<(), QueryError> {
        let Some(SecondsRange { start, end }) = self.range else {
            return Ok(());
        };
        if !longest.is_zero() && end.saturating_sub(start) > longest.as_secs() {
            let longest = GoDuration(longest);
            return Err(QueryError::bad_request(format!(
                "range specified by start and end exceeds {longest}. received start={start} end={end}"
            )));
        }
        Ok(())
    }
}

/// A question for names of attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagNamesRequest {
    /// `span`, `resource`, `event`, `link`, `instrumentation`, `intrinsic`; empty or `none` for all.
    pub scope: String,
    /// Only names on spans that match this TraceQL filter; all when empty.
    pub query: String,
    /// Which times; all when absent.
    pub range: Option<SecondsRange>,
    /// How many names of each scope; 0 for all.
    pub limit: usize,
}

impl TagNamesRequest {
    pub(super) fn checked(&self, settings: &Settings) -> Result<AskNames, QueryError> {
        let scope = self.scope.as_str();
        let known =
            matches!(scope, "" | "none" | INTRINSIC) || Scope::ALL.iter().any(|known| known.name() == scope);
        if !known {
            return Err(QueryError::bad_request(format!("invalid scope: {scope}")));
        }
        check_length(&self.query, settings)?;
        Ok(AskNames {
            question: TagNamesQuestion {
                scope: self.scope.clone(),
                query: self.query.clone(),
            },
            range: nanos(self.range)?,
        })
    }
}

/// A question for values of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct TagValuesRequest {
    /// Which attribute.
    pub attribute: Attribute,
    /// Only values on spans that match this TraceQL filter; all when empty.
    pub query: String,
    /// Which times; all when absent.
    pub range: Option<SecondsRange>,
    /// How many values; 0 for all.
    pub limit: usize,
}

impl TagValuesRequest {
    pub(super) fn checked(&self, settings: &Settings, max_bytes: u64) -> Result<AskValues, QueryError> {
        check_length(&self.query, settings)?;
        let (scope, name) = match &self.attribute {
            Attribute::Scoped(scope, key) => (scope.name(), key.clone()),
            Attribute::Unscoped(key) => ("", key.clone()),
            intrinsic @ Attribute::Intrinsic(_) => (INTRINSIC, intrinsic.to_string()),
            parent @ Attribute::Parent(_) => {
                return Err(QueryError::bad_request(format!(
                    "not supported: values of {parent}"
                )));
            }
        };
        Ok(AskValues {
            question: TagValuesQuestion {
                scope: scope.to_owned(),
                name,
                query: self.query.clone(),
                max_bytes,
            },
            range: nanos(self.range)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tempo_config::Config;

    use super::*;

    fn refused(request: &SearchRequest) -> String {
        let settings = Settings::from(&Config::default());
        request
            .checked(&settings, settings.max_duration)
            .unwrap_err()
            .message
    }

    fn search(query: &str) -> SearchRequest {
        SearchRequest {
            query: query.to_owned(),
            ..SearchRequest::default()
        }
    }

    #[test]
    fn what_is_out_of_limits_is_refused_in_known_words() {
        let limit = |limit| {
            refused(&SearchRequest {
                limit: Some(limit),
                ..search("{}")
            })
        };
        assert_eq!(limit(0), "invalid limit: must be a positive number");
        assert_eq!(limit(300_000), "limit 300000 exceeds max limit 262144");
        let spans = SearchRequest {
            spans_per_span_set: Some(101),
            ..search("{}")
        };
        assert_eq!(refused(&spans), "spans per span set exceeds 100. received 101");
        let range = |start, end| {
            refused(&SearchRequest {
                range: Some(SecondsRange { start, end }),
                ..search("{}")
            })
        };
        assert_eq!(
            range(5, 4),
            "http parameter start must be before end. received start=5 end=4"
        );
        assert_eq!(
            range(0, 168 * 3600 + 1),
            "range specified by start and end exceeds 168h0m0s. received start=0 end=604801"
        );
    }

    #[test]
    fn a_query_that_is_wrong_or_too_long_is_refused() {
        assert!(refused(&search("{ a")).starts_with("invalid TraceQL query: parse error at line 1, col "));
        assert!(refused(&search("{ span.a > `x` && 1 }")).starts_with("invalid TraceQL query: "));
        assert!(refused(&search(&"x".repeat(200_000))).contains("max_query_expression_size_bytes=131072"));
    }

    #[test]
    fn defaults_come_from_the_settings() {
        let settings = Settings::from(&Config::default());
        let ask = search("{}").checked(&settings, Duration::ZERO).unwrap();
        assert_eq!((ask.question.limit, ask.question.spans_per_span_set), (20, 3));
        let all = SearchRequest {
            spans_per_span_set: Some(0),
            ..search("{}")
        };
        assert_eq!(
            all.checked(&settings, Duration::ZERO)
                .unwrap()
                .question
                .spans_per_span_set,
            0
        );
    }

    #[test]
    fn seconds_are_whole() {
        let range = TimeRange::try_from(SecondsRange { start: 1, end: 2 }).unwrap();
        assert_eq!(
            (range.start_unix_nanos, range.end_unix_nanos),
            (1_000_000_000, 2_999_999_999)
        );
    }

    #[test]
    fn an_attribute_is_named_by_scope_and_key() {
        let settings = Settings::from(&Config::default());
        let asked = |text: &str| {
            let request = TagValuesRequest {
                attribute: tempo_traceql::parse_attribute(text).unwrap(),
                query: String::new(),
                range: None,
                limit: 0,
            };
            request
                .checked(&settings, 0)
                .map(|ask| (ask.question.scope, ask.question.name))
        };
        let named = |scope: &str, name: &str| Ok((scope.to_owned(), name.to_owned()));
        assert_eq!(asked("resource.service.name"), named("resource", "service.name"));
        assert_eq!(asked(".foo"), named("", "foo"));
        assert_eq!(asked("name"), named("intrinsic", "name"));
        assert!(asked("parent.span.a").is_err());
        let scope = TagNamesRequest {
            scope: "bogus".to_owned(),
            ..TagNamesRequest::default()
        };
        assert_eq!(
            scope.checked(&settings).unwrap_err().message,
            "invalid scope: bogus"
        );
    }
}
