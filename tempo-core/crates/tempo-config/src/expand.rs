//! `${VAR}` and `${VAR:-default}` in configuration text (`-config.expand-env=true`).

/// Replaces `${VAR}` and `${VAR:-default}` by what `lookup` knows; an unknown variable without a default is empty.
/// `$${` stands for a literal `${`.
pub fn expand_environment(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, after) = rest.split_at(start);
        let inner = after.get(2..).unwrap_or_default();
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.push_str(escaped);
            expanded.push_str("${");
            rest = inner;
            continue;
        }
        let Some(end) = inner.find('}') else { break };
        let (expression, tail) = inner.split_at(end);
        let (name, default) = expression.split_once(":-").unwrap_or((expression, ""));
        expanded.push_str(before);
        expanded.push_str(
            &lookup(name)
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.to_owned()),
        );
        rest = tail.get(1..).unwrap_or_default();
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_defaults_and_escapes() {
        let lookup = |name: &str| (name == "A").then(|| "1".to_owned());
        let expand = |text| expand_environment(text, lookup);
        assert_eq!(
            expand("x: ${A} ${B:-two} ${B} $${A} $A ${A"),
            "x: 1 two  ${A} $A ${A"
        );
    }
}
