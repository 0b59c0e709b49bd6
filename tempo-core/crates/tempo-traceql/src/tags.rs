//! Names and values of attributes, as editors ask for them to complete a query. Not here: limits across batches, which
//! the caller keeps by looking at what it has.

use std::collections::{BTreeSet, HashSet};

use crate::ast::{Attribute, INTRINSICS, Intrinsic, Kind, Query, Scope, Static, Status};
use crate::columns::{Column, Field, Part, SpanBatch, Values};
use crate::evaluate::values::value_at;
use crate::evaluate::{EvaluateError, RowSet, Source};
use crate::lexer::{Token, TokenKind, tokens};
use crate::search::{Search, SearchOptions};

/// A value that an attribute has somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagValue {
    /// As Tempo's API names it: `string`, `int`, `float`, `bool`, `duration`, or `keyword` for statuses and kinds.
    pub kind: &'static str,
    /// The text.
    pub value: String,
}

impl TagValue {
    fn new(value: &Static) -> Self {
        let (kind, value) = match value {
            Static::String(text) => ("string", text.clone()),
            Static::Int(number) => ("int", number.to_string()),
            Static::Float(number) => ("float", format!("{number:?}")),
            Static::Bool(value) => ("bool", value.to_string()),
            Static::Duration(_) => ("duration", value.to_string()),
            Static::Status(_) | Static::Kind(_) | Static::Nil => ("keyword", value.to_string()),
        };
        Self { kind, value }
    }

    /// The values that statuses may have.
    pub fn statuses() -> impl Iterator<Item = Self> {
        Status::ALL
            .into_iter()
            .map(|status| Self::new(&Static::Status(status)))
    }

    /// The values that kinds may have.
    pub fn kinds() -> impl Iterator<Item = Self> {
        Kind::ALL.into_iter().map(|kind| Self::new(&Static::Kind(kind)))
    }
}

/// The names of intrinsics that editors offer, sorted: all but the child count and the nested-set numbers.
pub fn intrinsic_names() -> Vec<&'static str> {
    let is_offered = |intrinsic: &Intrinsic| {
        !matches!(
            intrinsic,
            Intrinsic::ChildCount
                | Intrinsic::NestedSetLeft
                | Intrinsic::NestedSetRight
                | Intrinsic::NestedSetParent
        )
    };
    let offered = INTRINSICS.iter().filter(|(_, intrinsic)| is_offered(intrinsic));
    let mut names: Vec<&'static str> = offered.map(|(name, _)| *name).collect();
    names.sort_unstable();
    names
}

/// Which spans are looked at for names and values.
#[derive(Debug, Clone)]
pub struct TagFilter(Option<Search>);

impl TagFilter {
    /// Every span.
    pub fn all() -> Self {
        Self(None)
    }

    /// The spans that a query finds. The query may be unfinished, as in `{ span.a = 1 && span.b = }`: the conditions
    /// that cannot be read are left out, and what cannot be read at all leaves every span.
    pub fn new(query: &str) -> Self {
        let query = crate::parse(query).ok().or_else(|| readable(query));
        Self(query.and_then(|query| Search::new(&query, SearchOptions::default()).ok()))
    }

    /// The search that finds the spans; `None` when every span is looked at.
    pub fn search(&self) -> Option<&Search> {
        self.0.as_ref()
    }

    /// Adds the values that `attribute` has in a batch to `found`, some more than once; of an array its elements.
    pub fn values(
        &self,
        batch: &dyn SpanBatch,
        attribute: &Attribute,
        found: &mut impl Extend<TagValue>,
    ) -> Result<(), EvaluateError> {
        let source = Source::new(batch);
        let rows = self.rows(&source)?;
        if !rows.is_empty() {
            add_values(&source.column(attribute, &rows)?, found);
        }
        Ok(())
    }

    /// Adds the keys that attributes of a scope have in a batch to `found`.
    pub fn keys(
        &self,
        batch: &dyn SpanBatch,
        scope: Scope,
        found: &mut BTreeSet<String>,
    ) -> Result<(), EvaluateError> {
        let source = Source::new(batch);
        if self.0.is_none() {
            found.extend(source.attribute_keys(scope)?);
            return Ok(());
        }
        let rows = self.rows(&source)?;
        if rows.is_empty() {
            return Ok(());
        }
        for key in source.attribute_keys(scope)? {
            let unknown = !found.contains(&key);
            if unknown && has_values(&source.field(&Field::Attribute(scope, key.clone()), &rows)?) {
                found.insert(key);
            }
        }
        Ok(())
    }

    fn rows(&self, source: &Source<'_>) -> Result<RowSet, EvaluateError> {
        let Some(search) = &self.0 else {
            return Ok(source.all_rows());
        };
        let mut rows: Vec<u32> = search
            .spansets(source)?
            .into_iter()
            .flat_map(|set| set.rows)
            .collect();
        rows.sort_unstable();
        rows.dedup();
        Ok(RowSet::Some(rows))
    }
}

fn has_values(column: &Column) -> bool {
    column.parts.iter().any(|part| !part.values.is_empty())
}

fn add_values(column: &Column, found: &mut impl Extend<TagValue>) {
    for part in &column.parts {
        let values = distinct(part).into_iter();
        found.extend(values.filter_map(|index| Some(TagValue::new(&value_at(&part.values, index)?))));
    }
}

/// The index of the first of equal values; of ids all.
fn distinct(part: &Part) -> Vec<usize> {
    let all = 0..part.values.len();
    let numbers = |bits: &dyn Fn(usize) -> u64| {
        let mut seen = HashSet::new();
        all.clone().filter(|index| seen.insert(bits(*index))).collect()
    };
    match &part.values {
        Values::String { codes, dictionary } => {
            let mut seen = vec![false; dictionary.len()];
            let mut is_new = |code: &u32| {
                seen.get_mut(*code as usize)
                    .is_some_and(|seen| !std::mem::replace(seen, true))
            };
            all.zip(codes)
                .filter(|(_, code)| is_new(code))
                .map(|(index, _)| index)
                .collect()
        }
        Values::Int(values) | Values::Duration(values) => {
            numbers(&|index| values.get(index).map_or(0, |value| *value as u64))
        }
        Values::Float(values) => numbers(&|index| values.get(index).map_or(0, |value| value.to_bits())),
        Values::Bool(values) => numbers(&|index| values.get(index).map_or(0, |value| u64::from(*value))),
        Values::Status(values) | Values::Kind(values) => {
            numbers(&|index| values.get(index).map_or(0, |value| u64::from(*value)))
        }
        Values::SpanId(_) | Values::TraceId(_) => all.collect(),
    }
}

/// The query that is left of an unfinished filter.
fn readable(text: &str) -> Option<Query> {
    let is_readable = |condition: &&str| {
        !condition.trim().is_empty() && crate::parse(&format!("{{ {condition} }}")).is_ok()
    };
    let conditions: Vec<&str> = conditions(text)?.into_iter().filter(is_readable).collect();
    crate::parse(&format!("{{ ({}) }}", conditions.join(") && ("))).ok()
}

/// The texts between the `&&`s of the first filter, outside parentheses.
fn conditions(text: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    let mut depth = 0;
    let mut start = None;
    for Token { kind, offset } in tokens(text).ok()? {
        match (kind, start) {
            (TokenKind::Symbol("{"), None) => start = Some(offset + 1),
            (TokenKind::Symbol("("), _) => depth += 1,
            (TokenKind::Symbol(")"), _) => depth -= 1,
            (TokenKind::Symbol("&&"), Some(from)) if depth == 0 => {
                found.push(text.get(from..offset)?);
                start = Some(offset + 2);
            }
            (TokenKind::Symbol("}") | TokenKind::End, Some(from)) => {
                found.push(text.get(from..offset)?);
                return Some(found);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intrinsics_are_offered_by_both_names() {
        let names = intrinsic_names();
        assert_eq!(names.len(), 25);
        assert!(names.is_sorted() && names.contains(&"name") && names.contains(&"span:name"));
    }

    fn left(text: &str) -> Option<String> {
        readable(text).map(|query| query.to_string())
    }

    #[test]
    fn what_is_unfinished_is_left_out() {
        assert_eq!(
            left("{ span.a = 1 && span.b = }").as_deref(),
            Some("{ span.a = 1 }")
        );
        assert_eq!(
            left("{ (.a = `&&` && .b) && .c && span.d =").as_deref(),
            Some("{ ((.a = `&&`) && .b) && .c }")
        );
        assert_eq!(left("{ span.a = }"), None);
        assert_eq!(left("{ span.a = \"x"), None);
        assert_eq!(left("nothing"), None);
    }
}
