//! Tests of texts against a constant: comparisons, and regular expressions, which must match all of a text.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};

use regex::{Regex, RegexBuilder};

use crate::ast::Operator;
use crate::fold::ordered;

/// `operator constant`, ready to be tested on texts.
#[derive(Debug, Clone)]
pub struct TextTest {
    operator: Operator,
    operand: String,
    pattern: Option<Pattern>,
}

impl TextTest {
    pub(crate) fn new(operator: Operator, operand: &str) -> Result<Self, regex::Error> {
        let pattern = operator.is_regex().then(|| Pattern::new(operand));
        Ok(Self {
            operator,
            operand: operand.to_owned(),
            pattern: pattern.transpose()?,
        })
    }

    /// Whether a text satisfies the test.
    pub fn is_satisfied_by(&self, text: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches(text) == (self.operator == Operator::Regex),
            None => ordered(
                self.operator,
                text.as_bytes().partial_cmp(self.operand.as_bytes()),
            ),
        }
    }

    /// A text that is part of every text which satisfies the test; `None` where none is known.
    pub fn needle(&self) -> Option<&str> {
        let needle = match (self.operator, &self.pattern) {
            (Operator::Equal, _) => &self.operand,
            (Operator::Regex, Some(Pattern::Literal(literal))) => &literal.text,
            _ => return None,
        };
        (!needle.is_empty()).then_some(needle)
    }
}

/// A regular expression.
#[derive(Debug, Clone)]
enum Pattern {
    Literal(Literal),
    Regex(Regex),
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, regex::Error> {
        match Literal::new(pattern) {
            Some(literal) => Ok(Self::Literal(literal)),
            None => anchored(pattern).map(Self::Regex),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal.matches(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A text with `.*` before or behind it or both: the regular expressions that are asked most, and need none.
#[derive(Debug, Clone)]
struct Literal {
    pattern: String,
    text: String,
    any_before: bool,
    any_behind: bool,
    /// For texts with line breaks, which `.` does not match.
    regex: OnceLock<Option<Regex>>,
}

impl Literal {
    fn new(pattern: &str) -> Option<Self> {
        const ANY: &str = ".*";
        let is_special = |character: char| r"\.+*?()|[]{}^$".contains(character);
        let (rest, any_before) = match pattern.strip_prefix(ANY) {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        let (text, any_behind) = match rest.strip_suffix(ANY) {
            Some(text) => (text, true),
            None => (rest, false),
        };
        (!text.contains(is_special)).then(|| Self {
            pattern: pattern.to_owned(),
            text: text.to_owned(),
            any_before,
            any_behind,
            regex: OnceLock::new(),
        })
    }

    fn matches(&self, text: &str) -> bool {
        let found = match (self.any_before, self.any_behind) {
            (true, true) => text.contains(&self.text),
            (true, false) => text.ends_with(&self.text),
            (false, true) => text.starts_with(&self.text),
            (false, false) => text == self.text,
        };
        found && (!text.contains('\n') || self.matches_lines(text))
    }

    fn matches_lines(&self, text: &str) -> bool {
        let regex = self.regex.get_or_init(|| anchored(&self.pattern).ok());
        regex.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

/// A regular expression that must match all of a text, as TraceQL's do. The last ones are remembered, as a query's are
/// asked for again for every batch.
pub(crate) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    const REMEMBERED: usize = 32;
    static COMPILED: Mutex<VecDeque<(String, Regex)>> = Mutex::new(VecDeque::new());
    let compiled = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, regex)) = compiled().iter().find(|(known, _)| known == pattern) {
        return Ok(regex.clone());
    }
    let regex = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(4 << 20)
        .build()?;
    let mut compiled = compiled();
    compiled.push_front((pattern.to_owned(), regex.clone()));
    compiled.truncate(REMEMBERED);
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_match_as_their_regular_expressions() {
        let texts = [
            "", "a", "ab", "xab", "abx", "xabx", "\nab", "ab\n", "x\nabx", "xabx\n", "b", "a.b",
        ];
        for pattern in [
            "ab", ".*ab", "ab.*", ".*ab.*", ".*", ".*.*", "", "a.b", r".*a\.*", "a|.*b", ".*a|b.*",
        ] {
            let regex = anchored(pattern).unwrap();
            let test = TextTest::new(Operator::Regex, pattern).unwrap();
            let not = TextTest::new(Operator::NotRegex, pattern).unwrap();
            for text in texts {
                assert_eq!(
                    test.is_satisfied_by(text),
                    regex.is_match(text),
                    "{pattern} {text:?}"
                );
                assert_ne!(test.is_satisfied_by(text), not.is_satisfied_by(text));
                let has_needle = test.needle().is_none_or(|needle| text.contains(needle));
                assert!(has_needle || !test.is_satisfied_by(text));
            }
        }
        assert_eq!(
            TextTest::new(Operator::Regex, ".*ab.*").unwrap().needle(),
            Some("ab")
        );
        assert_eq!(
            TextTest::new(Operator::NotRegex, ".*ab.*").unwrap().needle(),
            None
        );
        assert!(TextTest::new(Operator::Regex, "(").is_err());
    }
}
