//! Search by tags, as clients from before TraceQL ask: `tags=` in logfmt, or parameters of other names, and
//! `minDuration` and `maxDuration`. It becomes a TraceQL query. Pure.
//!
//! Text is looked for as a part of a value, numbers and booleans as a whole. Tags need not be on the same span.

use tempo_config::GoDuration;

use super::answer::Failure;
use super::parameters::Parameters;

/// Parameters that are no tags.
const KNOWN: [&str; 9] = [
    "q",
    "tags",
    "limit",
    "spss",
    "start",
    "end",
    "minDuration",
    "maxDuration",
    "mode",
];

/// The TraceQL query of a request without `q`.
pub(super) fn query(parameters: &Parameters) -> Result<String, Failure> {
    let tags = if let Some(text) = parameters.text("tags") {
        logfmt(text)?
    } else {
        let others = parameters.iter().filter(|(name, _)| !KNOWN.contains(name));
        others
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let mut filters: Vec<String> = tags.iter().map(|(key, value)| condition(key, value)).collect();
    for (name, operator) in [("minDuration", ">="), ("maxDuration", "<=")] {
        if let Some(GoDuration(duration)) = parameters.duration(name)? {
            filters.push(format!("traceDuration {operator} {}ns", duration.as_nanos()));
        }
    }
    if filters.is_empty() {
        return Ok("{}".to_owned());
    }
    let filters: Vec<String> = filters.iter().map(|filter| format!("{{ {filter} }}")).collect();
    Ok(filters.join(" && "))
}

fn condition(key: &str, value: &str) -> String {
    let contains = format!("=~ {}", quoted(&format!("(?s).*{}.*", escaped(value))));
    match key {
        "name" | "root.name" | "root.service.name" => {
            let intrinsic = match key {
                "root.name" => "rootName",
                "root.service.name" => "rootServiceName",
                name => name,
            };
            format!("{intrinsic} {contains}")
        }
        "status.code" if matches!(value, "ok" | "error" | "unset") => format!("status = {value}"),
        key => {
            let attribute = format!(".{}", quoted(key));
            let is_whole =
                value.parse::<f64>().is_ok_and(f64::is_finite) || matches!(value, "true" | "false");
            // A number that TraceQL would read as something else is only looked for as text.
            let whole = format!("{attribute} = {value}");
            if is_whole && tempo_traceql::parse(&format!("{{ {whole} }}")).is_ok() {
                format!("{whole} || {attribute} {contains}")
            } else {
                format!("{attribute} {contains}")
            }
        }
    }
}

/// A text without meaning as a regular expression.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A TraceQL string.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', r"\\")
            .replace('"', "\\\"")
            .replace('\n', r"\n")
    )
}

/// `key=value key2="value with spaces"`.
fn logfmt(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let invalid = || {
        Failure::bad_request(format!(
            "invalid tags: expected key=value pairs with spaces between them, received {text:?}"
        ))
    };
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(invalid)?;
        if key.is_empty() || key.contains([' ', '"']) {
            return Err(invalid());
        }
        let (value, after) = if let Some(inside) = after.strip_prefix('"') {
            quoted_value(inside).ok_or_else(invalid)?
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            let (value, after) = after.split_at(end);
            (value.to_owned(), after)
        };
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// The value up to the closing quote, and what comes after it.
fn quoted_value(inside: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = inside.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<String, Failure> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        query(&pairs.collect())
    }

    #[test]
    fn tags_become_filters_that_can_be_read() {
        let tags = r#"service.name=orders-db http.status_code=500 name="GET /" root.service.name=shop status.code=error"#;
        let query = of(&[("tags", tags), ("minDuration", "100ms"), ("limit", "3")]).unwrap();
        assert!(query.contains(r#"."http.status_code" = 500 || "#), "{query}");
        assert!(
            query.contains(r#"."service.name" =~ "(?s).*orders\\-db.*""#),
            "{query}"
        );
        assert!(
            query.contains("status = error") && query.contains("rootServiceName =~"),
            "{query}"
        );
        assert!(query.ends_with("{ traceDuration >= 100000000ns }"), "{query}");
        tempo_traceql::parse(&query).unwrap();
    }

    #[test]
    fn without_tags_other_parameters_are_tags_and_nothing_is_everything() {
        assert_eq!(of(&[]).unwrap(), "{}");
        assert_eq!(
            of(&[("limit", "3"), ("retry", "true")]).unwrap(),
            r#"{ ."retry" = true || ."retry" =~ "(?s).*true.*" }"#
        );
    }

    #[test]
    fn whatever_is_in_a_tag_the_query_can_be_read() {
        for value in [
            r#"a"b"#, r"a\b", "a.b*c(", "", "1e999", "-5", "1.5", "inf", "ä ö", "`", "}", "a\nb",
        ] {
            for key in ["x", "a b", r#"a"b"#, r"a\b", "name", "status.code", "parent.x"] {
                let query = format!("{{ {} }}", condition(key, value));
                tempo_traceql::parse(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
            }
        }
    }

    #[test]
    fn what_is_not_logfmt_is_refused() {
        for tags in ["a", "=b", "a=\"b", "a b=c"] {
            assert!(
                of(&[("tags", tags)])
                    .unwrap_err()
                    .message
                    .starts_with("invalid tags: "),
                "{tags}"
            );
        }
        let pairs = logfmt(r#" a=1  b="x \"y\" z" c= d=2"#).unwrap();
        let values: Vec<&str> = pairs.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["1", r#"x "y" z"#, "", "2"]);
    }
}
