//! The one place where YAML is read and written.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest configuration text, in bytes; also what keeps alias bombs small, as the library bounds their expansion.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// Text that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// Not YAML, or a value of the wrong kind; the message has the path, the line and the column.
    #[error("{0}")]
    Invalid(#[from] serde_yaml::Error),
    /// Too long to be a configuration.
    #[error("the file has {0} bytes; a configuration may have {MAX_TEXT_BYTES}")]
    TooLong(usize),
}

/// Reads a document; `unknown` hears the path of every key that the type does not have. An empty document is `T`'s
/// default.
pub(crate) fn read<T: DeserializeOwned + Default>(
    text: &str,
    unknown: &mut dyn FnMut(String),
) -> Result<T, YamlError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(YamlError::TooLong(text.len()));
    }
    if serde_yaml::from_str::<serde_yaml::Value>(text)?.is_null() {
        return Ok(T::default());
    }
    let document = serde_yaml::Deserializer::from_str(text);
    Ok(serde_ignored::deserialize(document, |path| {
        unknown(path.to_string());
    })?)
}

/// Reads one scalar, as a flag gives it.
pub(crate) fn scalar(text: &str) -> serde_json::Value {
    match serde_yaml::from_str(text) {
        Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => value,
        _ => serde_json::Value::String(text.to_owned()),
    }
}

/// Writes a document.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<String, YamlError> {
    Ok(serde_yaml::to_string(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_a_yaml_1_1_reader_would_misread_come_back_as_strings() {
        for text in [
            "yes",
            "on",
            "0755",
            "1e3",
            "null",
            "~",
            "2024-01-01",
            "",
            "true",
            "0x1f",
            ".5",
            "a: b",
            "1_000",
        ] {
            let written = write(&text).unwrap();
            assert_eq!(
                serde_yaml::from_str::<serde_json::Value>(&written).unwrap(),
                text,
                "{written}"
            );
        }
    }

    #[test]
    fn scalars_of_flags_keep_their_kind() {
        assert_eq!(scalar("true"), true);
        assert_eq!(scalar("3200"), 3200);
        assert_eq!(scalar("30s"), "30s");
        assert_eq!(scalar("a: b"), "a: b");
    }
}
