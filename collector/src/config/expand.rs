//! `${env:NAME}`, `${NAME}`, `${env:NAME:-default}` and `${file:PATH}` in configuration values; `$$` is a dollar sign.
//!
//! A value that is one reference and no more takes the type that its replacement has as YAML, so a port stays a number.
//! Inside longer text the replacement is text.

use serde_yaml::Value;

/// Where values come from.
pub trait Sources {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The content of a file.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// The process's own environment and files.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Sources for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| format!("read {path}: {error}"))
    }
}

/// How deep references may stand inside references.
const MAX_DEPTH: usize = 16;

/// Replaces every reference in `value`, a part of the configuration at `path`. The error is the path and the reason.
pub fn expand(value: &mut Value, path: &str, sources: &dyn Sources) -> Result<(), (String, String)> {
    match value {
        Value::String(text) if text.contains('$') => {
            let whole = is_one_reference(text);
            let expanded = text_of(text, sources, 0).map_err(|reason| (path.to_owned(), reason))?;
            *value = if whole {
                serde_yaml::from_str(&expanded).unwrap_or(Value::String(expanded))
            } else {
                Value::String(expanded)
            };
            Ok(())
        }
        Value::Sequence(items) => items
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, item)| expand(item, &format!("{path}::{index}"), sources)),
        Value::Mapping(map) => map.iter_mut().try_for_each(|(key, item)| {
            let key = key.as_str().unwrap_or("?");
            let path = if path.is_empty() {
                key.to_owned()
            } else {
                format!("{path}::{key}")
            };
            expand(item, &path, sources)
        }),
        _ => Ok(()),
    }
}

fn is_one_reference(text: &str) -> bool {
    text.starts_with("${") && closing_brace(text) == Some(text.len() - 1)
}

/// Where the reference that `text` begins with ends.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(index),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn text_of(text: &str, sources: &dyn Sources, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!("references are nested more than {MAX_DEPTH} deep"));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        let (before, reference) = rest.split_at(start);
        out.push_str(before);
        if let Some(after) = reference.strip_prefix("$$") {
            out.push('$');
            rest = after;
        } else if reference.starts_with("${") {
            let end =
                closing_brace(reference).ok_or_else(|| format!("'{reference}' has no closing brace"))?;
            let inner = reference.get(2..end).unwrap_or_default();
            out.push_str(&resolve(&text_of(inner, sources, depth + 1)?, sources)?);
            rest = reference.get(end + 1..).unwrap_or_default();
        } else {
            out.push('$');
            rest = reference.get(1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve(reference: &str, sources: &dyn Sources) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        return sources.file(path).map(|content| content.trim_end().to_owned());
    }
    let name = reference.strip_prefix("env:").unwrap_or(reference);
    let (name, default) = match name.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (name, None),
    };
    if !is_variable_name(name) {
        return Err(format!(
            "'${{{reference}}}' is no reference; use ${{env:NAME}}, ${{env:NAME:-default}} or ${{file:PATH}}"
        ));
    }
    Ok(match (sources.variable(name), default) {
        (Some(value), _) => value,
        (None, Some(default)) => default.to_owned(),
        (None, None) => {
            tracing::warn!(
                variable = name,
                "environment variable is not set; its value is empty"
            );
            String::new()
        }
    })
}

fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Sources for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "PORT" => Some("4317".to_owned()),
                "NAME" => Some("PORT".to_owned()),
                _ => None,
            }
        }

        fn file(&self, path: &str) -> Result<String, String> {
            Err(format!("read {path}: not there"))
        }
    }

    fn expanded(text: &str) -> Result<Value, (String, String)> {
        let mut value = Value::String(text.to_owned());
        expand(&mut value, "a::b", &Fixed).map(|()| value)
    }

    #[test]
    fn references_are_replaced() {
        for (text, expected) in [
            ("${env:PORT}", Value::from(4317)),
            ("${PORT}", Value::from(4317)),
            ("localhost:${env:PORT}", Value::from("localhost:4317")),
            ("${env:NONE:-x}", Value::from("x")),
            ("${env:${env:NAME}}", Value::from(4317)),
            ("${env:NONE}", Value::Null),
            ("$$5 ${NAME}", Value::from("$5 PORT")),
            ("$PORT", Value::from("$PORT")),
        ] {
            assert_eq!(expanded(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_named_with_its_path() {
        for text in ["${env:PORT", "${env:A B}", "${file:/nowhere}"] {
            let (path, reason) = expanded(text).unwrap_err();
            assert_eq!(path, "a::b");
            assert!(!reason.is_empty());
        }
    }
}
