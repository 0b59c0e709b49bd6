//! No text makes the parser panic, and what is read is read the same from its canonical form.

use proptest::prelude::*;
use tempo_traceql::{parse, parse_attribute};

use crate::edits::edited_text;

const QUERIES: &[&str] = &[
    "{ resource.service.name = \"a\" && span.http.status_code >= 500 || duration > 1.5s }",
    "({ name =~ `a.*` } >> { kind = server } &!~ { .x != nil }) | by(span.a) | count() > 2 | select(event.b, link:traceID)",
    "{ -(2 + 3 * span.a ^ 2) % 4 < 1 } | avg(duration) >= 10ms | coalesce()",
    "{ status = error } | quantile_over_time(duration, .5, .99) by (resource.service.name) with(exemplars=true)",
    "({ } | rate() by (name) | topk(5)) / ({ } | count_over_time())",
    "{ span.\"a b\" = 'c' && trace:rootService = \"é\" && nestedSetParent < 0 }",
];

proptest! {
    #[test]
    fn fuzz_queries(text in edited_text(QUERIES)) {
        if let Ok(query) = parse(&text) {
            let canonical = query.to_string();
            let again = parse(&canonical).map(|query| query.to_string());
            prop_assert_eq!(again, Ok(canonical), "{}", text);
        }
    }

    #[test]
    fn fuzz_attributes(text in edited_text(&["span.http.method", ".foo", "event:name", "parent.span.\"x y\"", "name"])) {
        let _ = parse_attribute(&text);
    }
}
