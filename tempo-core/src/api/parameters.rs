//! The parameters of a request's URL. The last of several with one name wins; an empty one is as good as none.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use tempo_config::GoDuration;

use super::answer::Failure;
use crate::frontend::SecondsRange;

/// The parameters of a request's URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let pairs = pairs.map_err(|error| Failure::bad_request(format!("cannot read the URL: {error}")))?;
        Ok(pairs.0.into_iter().collect())
    }
}

impl FromIterator<(String, String)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }
}

impl Parameters {
    /// A parameter's text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter's text; empty when absent.
    pub(super) fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or_default().to_owned()
    }

    /// A whole number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let parse = |text: &str| {
            let expected = "expected a whole number that is not negative";
            text.parse()
                .map_err(|_| Failure::bad_request(format!("invalid {name}: {expected}, received {text:?}")))
        };
        self.text(name).map(parse).transpose()
    }

    /// A duration like `1.5s`.
    pub(super) fn duration(&self, name: &str) -> Result<Option<GoDuration>, Failure> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|error| Failure::bad_request(format!("invalid {name}: {error}")))
        };
        self.text(name).map(parse).transpose()
    }

    /// `start` and `end`: both or neither; zero is as good as none.
    pub(super) fn range(&self) -> Result<Option<SecondsRange>, Failure> {
        let seconds = |name| Ok::<u64, Failure>(self.number(name)?.unwrap_or_default());
        match (seconds("start")?, seconds("end")?) {
            (0, 0) => Ok(None),
            (_, 0) | (0, _) => Err(Failure::bad_request(
                "invalid request: start and end must be given together, in seconds since 1970",
            )),
            (start, end) => Ok(Some(SecondsRange { start, end })),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn numbers_and_durations_are_checked() {
        let given = parameters(&[
            ("limit", "20"),
            ("spss", "-1"),
            ("minDuration", "1.5s"),
            ("maxDuration", "long"),
        ]);
        assert_eq!(given.number::<usize>("limit"), Ok(Some(20)));
        assert_eq!(given.number::<usize>("other"), Ok(None));
        let message = given.number::<usize>("spss").unwrap_err().message;
        assert_eq!(
            message,
            "invalid spss: expected a whole number that is not negative, received \"-1\""
        );
        assert_eq!(
            given.duration("minDuration").unwrap().unwrap().to_string(),
            "1.5s"
        );
        assert!(
            given
                .duration("maxDuration")
                .unwrap_err()
                .message
                .starts_with("invalid maxDuration: 'long'")
        );
    }

    #[test]
    fn a_range_is_given_whole_or_not_at_all() {
        assert_eq!(parameters(&[]).range(), Ok(None));
        assert_eq!(parameters(&[("start", "0"), ("end", "")]).range(), Ok(None));
        let range = SecondsRange { start: 1, end: 2 };
        assert_eq!(
            parameters(&[("start", "1"), ("end", "2")]).range(),
            Ok(Some(range))
        );
        assert!(parameters(&[("start", "1")]).range().is_err());
        assert!(
            parameters(&[("start", "yesterday"), ("end", "2")])
                .range()
                .is_err()
        );
        assert!(
            parameters(&[("start", "99999999999999999999"), ("end", "2")])
                .range()
                .is_err()
        );
    }
}
