//! Every query string of the conformance data has the right label, and no text makes the parser panic.

use proptest::prelude::*;
use serde::Deserialize;
use tempo_traceql::metrics::{Metrics, TimeRange};
use tempo_traceql::search::{Search, SearchOptions};
use tempo_traceql::{EvaluateError, QueryError, parse};

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    query: String,
    expect: String,
    canonical: Option<String>,
}

fn cases() -> Option<Vec<Case>> {
    let text = crate::conformance::file("traceql-parse.yaml")?;
    let cases: Cases = serde_yaml::from_str(&text).expect("read the cases");
    assert_eq!(cases.cases.len(), 1812);
    Some(cases.cases)
}

/// Every query that is read is evaluated, or refused with a reason.
#[test]
fn every_query_that_is_read_can_be_run() {
    let Some(cases) = cases() else {
        return;
    };
    let range = TimeRange {
        start_ns: 0,
        end_ns: u64::MAX / 2,
        step_ns: None,
    };
    let memory = crate::departures::memory();
    let mut evaluated = 0;
    for query in cases.iter().filter_map(|case| parse(&case.query).ok()) {
        let search =
            Search::new(&query, SearchOptions::default()).and_then(|search| search.run(&memory).map(drop));
        let metrics =
            Metrics::new(&query, range, 0).and_then(|metrics| metrics.add(&memory, &mut metrics.empty()));
        evaluated += usize::from(search.is_ok() || metrics.is_ok());
        for error in [search.err(), metrics.err()].into_iter().flatten() {
            let refused = matches!(
                error,
                EvaluateError::Unsupported(_) | EvaluateError::SeveralSpansets(_)
            );
            assert!(refused, "{query}: {error}");
        }
    }
    assert_eq!(evaluated, 1285);
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
    let Some(cases) = cases() else {
        return;
    };
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| label(&case.query) != case.expect)
        .map(|case| {
            let error = parse(&case.query).err();
            format!(
                "{}: {} instead of {}: {error:?}",
                case.query,
                label(&case.query),
                case.expect
            )
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// How many canonical texts write a constant in a way that is read as another type (`1` for `1.0`, `+Inf`, `.0` for a quoted name).
const OTHER_NOTATION: usize = 12;

#[test]
fn operators_bind_as_the_canonical_texts_say() {
    let Some(cases) = cases() else {
        return;
    };
    let canonical = cases
        .iter()
        .filter_map(|case| Some((case, case.canonical.as_ref()?)));
    let different: Vec<String> = canonical
        .filter(|(case, canonical)| case.expect == "ok" && parse(&case.query).ok() != parse(canonical).ok())
        .map(|(case, canonical)| {
            format!(
                "{} is {:?}, not {canonical}",
                case.query,
                parse(&case.query).map(|query| query.to_string())
            )
        })
        .collect();
    assert_eq!(different.len(), OTHER_NOTATION, "{}", different.join("\n"));
}

#[test]
fn what_is_printed_is_read_back_the_same() {
    let Some(cases) = cases() else {
        return;
    };
    for query in cases.iter().filter_map(|case| parse(&case.query).ok()) {
        let printed = query.to_string();
        assert_eq!(parse(&printed).as_ref(), Ok(&query), "{printed}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    for opening in ["(", "{ (", "{ !", "{ -", "{ 1 + ("] {
        assert_eq!(label(&opening.repeat(100_000)), "parse_error");
    }
    assert_eq!(label(&format!("{{ {} }}", "1 ^ ".repeat(100_000))), "parse_error");
}

/// Fewer than a query may have.
const LINKS: usize = 390;

#[test]
fn long_chains_are_an_error_and_shorter_ones_evaluated() {
    for (first, link) in [
        ("{ .a", " && .a"),
        ("{ .a", " || .a"),
        ("{ .a", " = .b"),
        ("{ .a", " + .b"),
        ("{}", " >> {}"),
        ("{}", " | {}"),
        ("{} | rate()", " > 1"),
        ("{} | rate()", " | topk(1)"),
        ("{} | count() > 1", " + 1"),
        ("({} | rate())", " + 1"),
    ] {
        let close = if first.starts_with("{ ") { " }" } else { "" };
        let chain = |length: usize| format!("{first}{}{close}", link.repeat(length));
        assert_eq!(label(&chain(100_000)), "parse_error", "{link}");
        assert_eq!(label(&chain(LINKS)), "ok", "{link}");
        assert!(!parse(&chain(LINKS)).expect("parse").to_string().is_empty());
        if !first.contains("rate") {
            crate::departures::names(&chain(LINKS));
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn what_is_read_of_any_mix_of_words_is_read_back(words in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "(", ")", "|", "&&", "||", ">>", "!>", "&<<", "=", "!=", "=~", "<", "+", "-", "*", "^", ".a", "span.\"x y\"", "1", "1.5",
        "1h", "\"s\"", "nil", "true", "error", "name", "count()", "avg(duration)", "by(.a)", "select(.b)", "rate()", "topk(3)", "with(a=1)",
        "coalesce()", "compare({})", ",", "quantile_over_time(duration, .9)",
    ]), 0..14)) {
        reads_back(&words.join(" "));
    }

    #[test]
    fn expressions_are_read_back(
        operands in prop::collection::vec(prop::sample::select(vec![".a", "-.b", "!span.c", "(.d)", "1", "-2.5", "3s", "\"`\n\"", "name", "nil", "true"]), 1..8),
        operators in prop::collection::vec(prop::sample::select(vec!["&&", "||", "=", "!=", "<", ">=", "+", "-", "*", "/", "%", "^"]), 7),
    ) {
        let words: Vec<String> = operands.iter().zip(&operators).map(|(operand, operator)| format!("{operand} {operator}")).collect();
        reads_back(&format!("{{ {} .z }}", words.join(" ")));
    }
}

/// What parses is printed so that it parses to the same.
fn reads_back(text: &str) {
    if let Ok(query) = parse(text) {
        let printed = query.to_string();
        assert_eq!(
            parse(&printed).as_ref(),
            Ok(&query),
            "{text} printed as {printed}"
        );
    }
}
