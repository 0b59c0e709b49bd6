//! Every query string of the conformance data has the right label, and no text makes the parser panic.

use proptest::prelude::*;
use serde::Deserialize;
use tempo_traceql::{QueryError, parse};

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    query: String,
    expect: String,
}

fn label(query: &str) -> &'static str {
    match parse(query) {
        Ok(_) => "ok",
        Err(QueryError::Parse { .. }) => "parse_error",
        Err(QueryError::Validate(_)) => "validate_error",
        Err(QueryError::Unsupported(_)) => "unsupported",
    }
}

#[test]
fn every_query_has_the_right_label() {
    let Some(text) = crate::conformance::file("traceql-parse.yaml") else {
        return;
    };
    let cases: Cases = serde_yaml::from_str(&text).expect("read the cases");
    let wrong: Vec<String> = cases
        .cases
        .iter()
        .filter(|case| label(&case.query) != case.expect)
        .map(|case| {
            format!(
                "{}: {} instead of {}: {:?}",
                case.query,
                label(&case.query),
                case.expect,
                parse(&case.query).err()
            )
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        cases.cases.len(),
        wrong.join("\n")
    );
    assert_eq!(cases.cases.len(), 1812);
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    for opening in ["(", "{ (", "{ !", "{ -", "{ 1 + ("] {
        assert_eq!(label(&opening.repeat(100_000)), "parse_error");
    }
    assert_eq!(label(&format!("{{ {} }}", "1 ^ ".repeat(100_000))), "parse_error");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_mix_of_words_makes_the_parser_panic(words in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "(", ")", "|", "&&", "||", ">>", "!>", "&<<", "=", "!=", "=~", "<", "+", "-", "*", "^", ".a", "span.\"x y\"", "1", "1.5",
        "1h", "\"s\"", "nil", "true", "error", "name", "count()", "avg(duration)", "by(.a)", "select(.b)", "rate()", "topk(3)", "with(a=1)",
        "coalesce()", "compare({})", ",", "quantile_over_time(duration, .9)",
    ]), 0..14)) {
        let _ = parse(&words.join(" "));
    }
}
