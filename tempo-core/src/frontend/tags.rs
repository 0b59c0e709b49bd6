//! Names and values of attributes, joined over all parts.

use std::collections::{BTreeMap, BTreeSet};

use tempo_block::meta::BlockMeta;
use tempo_model::proto::tempopb;
use tempo_traceql::ast::{Attribute, Intrinsic};
use tempo_traceql::tags::{TagValue, intrinsic_names};

use super::session::{Ask, Broken, Combine, Part, Session};
use crate::rpc::messages::{Partial, Query, Question, TagNamesQuestion, TagValuesQuestion, TimeRange};

/// The scope of what every span has.
pub(super) const INTRINSIC: &str = "intrinsic";

/// Asks for names of attributes.
#[derive(Debug)]
pub(super) struct AskNames {
    pub(super) question: TagNamesQuestion,
    pub(super) range: Option<TimeRange>,
}

impl Ask for AskNames {
    type Answer = Names;

    async fn ask(&self, session: &mut Session<'_>) -> Result<Names, Broken> {
        let question = Question::TagNames(self.question.clone());
        let mut names = Names::default();
        over_all(session, question, self.range, &mut names).await?;
        Ok(names)
    }
}

/// Asks for values of an attribute.
#[derive(Debug)]
pub(super) struct AskValues {
    pub(super) question: TagValuesQuestion,
    pub(super) range: Option<TimeRange>,
}

impl Ask for AskValues {
    type Answer = TagValues;

    async fn ask(&self, session: &mut Session<'_>) -> Result<TagValues, Broken> {
        let question = Question::TagValues(self.question.clone());
        let mut values = TagValues::new(self.question.max_bytes);
        over_all(session, question, self.range, &mut values).await?;
        Ok(values)
    }
}

async fn over_all(
    session: &mut Session<'_>,
    question: Question,
    range: Option<TimeRange>,
    parts: &mut impl Combine,
) -> Result<(), Broken> {
    let query = Query {
        question: Some(question),
        range,
    };
    session.recent(&query, parts).await?;
    let overlaps = |block: &BlockMeta| {
        range.is_none_or(|range| block.overlaps(range.start_unix_nanos, range.end_unix_nanos))
    };
    let blocks = session.blocks(overlaps);
    session.over_blocks(&query, blocks, parts).await
}

/// Names by scope. Pure.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names(BTreeMap<String, BTreeSet<String>>);

impl Names {
    /// The names of intrinsics, which are the same everywhere.
    pub(super) fn intrinsics() -> Self {
        let names = intrinsic_names().into_iter().map(str::to_owned).collect();
        Self(BTreeMap::from([(INTRINSIC.to_owned(), names)]))
    }

    /// Adds what others know.
    pub(super) fn absorb(&mut self, other: Self) {
        for (scope, names) in other.0 {
            self.0.entry(scope).or_default().extend(names);
        }
    }

    /// The names by scope; of each scope at most `limit` (0 is all).
    pub(super) fn finish(self, limit: usize) -> Vec<tempopb::SearchTagsV2Scope> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let scope = |(name, tags): (String, BTreeSet<String>)| tempopb::SearchTagsV2Scope {
            name,
            tags: tags.into_iter().take(limit).collect(),
        };
        self.0.into_iter().map(scope).collect()
    }
}

impl Combine for Names {
    fn add(&mut self, _part: Part, partial: Partial) {
        for scope in partial.scopes {
            self.0.entry(scope.name).or_default().extend(scope.tags);
        }
    }
}

/// Values, up to a number of bytes. Pure.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TagValues {
    values: BTreeSet<tempopb::TagValue>,
    bytes: u64,
    max_bytes: u64,
}

impl TagValues {
    /// None yet; at most `max_bytes` of them (0 is no limit).
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            ..Self::default()
        }
    }

    /// The values that an intrinsic may have, when they are the same everywhere; none when there are too many to list.
    pub(super) fn known(attribute: &Attribute) -> Option<Vec<tempopb::TagValue>> {
        let message = |value: TagValue| tempopb::TagValue {
            r#type: value.kind.to_owned(),
            value: value.value,
        };
        let Attribute::Intrinsic(intrinsic) = attribute else {
            return None;
        };
        match intrinsic {
            Intrinsic::Status => Some(TagValue::statuses().map(message).collect()),
            Intrinsic::Kind => Some(TagValue::kinds().map(message).collect()),
            Intrinsic::Name
            | Intrinsic::StatusMessage
            | Intrinsic::RootName
            | Intrinsic::RootServiceName
            | Intrinsic::EventName
            | Intrinsic::InstrumentationName
            | Intrinsic::InstrumentationVersion => None,
            _ => Some(Vec::new()),
        }
    }

    /// Adds what others know.
    pub(super) fn absorb(&mut self, other: Self) {
        for value in other.values {
            self.insert(value);
        }
    }

    /// The values, sorted; at most `limit` (0 is all).
    pub(super) fn finish(self, limit: usize) -> Vec<tempopb::TagValue> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        self.values.into_iter().take(limit).collect()
    }

    fn is_full(&self) -> bool {
        self.max_bytes > 0 && self.bytes >= self.max_bytes
    }

    fn insert(&mut self, value: tempopb::TagValue) {
        if self.values.contains(&value) {
            return;
        }
        let bytes = self.bytes + (value.r#type.len() + value.value.len()) as u64;
        if self.max_bytes > 0 && bytes > self.max_bytes {
            // What does not fit any more ends it, so that a long answer does not depend on small values.
            self.bytes = self.max_bytes;
        } else {
            self.values.insert(value);
            self.bytes = bytes;
        }
    }
}

impl Combine for TagValues {
    fn add(&mut self, _part: Part, partial: Partial) {
        for value in partial.values {
            self.insert(value);
        }
    }

    fn wants_more(&self) -> bool {
        !self.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> tempopb::TagValue {
        tempopb::TagValue {
            r#type: "string".to_owned(),
            value: text.to_owned(),
        }
    }

    #[test]
    fn values_are_told_once_and_up_to_the_limit() {
        let mut values = TagValues::new(30);
        for text in ["bb", "aa", "bb", "cc", "dd"] {
            values.insert(value(text));
        }
        assert!(values.is_full());
        assert_eq!(values.finish(0), [value("aa"), value("bb"), value("cc")]);
    }

    #[test]
    fn names_are_joined_by_scope() {
        let names = |scope: &str, tags: &[&str]| Partial {
            scopes: vec![tempopb::SearchTagsV2Scope {
                name: scope.to_owned(),
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            }],
            ..Partial::default()
        };
        let mut joined = Names::default();
        joined.add(None, names("span", &["b", "a"]));
        joined.add(None, names("resource", &["c"]));
        joined.add(None, names("span", &["c", "b"]));
        let scopes = joined.finish(2);
        assert_eq!(scopes.len(), 2);
        assert_eq!(scopes[1].tags, ["a", "b"]);
    }

    #[test]
    fn values_that_are_the_same_everywhere_are_not_asked_for() {
        let known = |text: &str| TagValues::known(&tempo_traceql::parse_attribute(text).unwrap());
        assert_eq!(known("span:status").unwrap().len(), 3);
        assert_eq!(known("kind").unwrap().len(), 6);
        assert_eq!(known("duration"), Some(Vec::new()));
        assert_eq!(known("name"), None);
        assert_eq!(known("span.kind"), None);
    }
}
