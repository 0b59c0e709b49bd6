//! From a tree to a type, as strictly as the API server: a field that is not known is a mistake.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A field that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Fields that the kind does not have.
    #[error("unknown field {}", .0.join(", "))]
    Unknown(Vec<String>),
    /// A value of the wrong type, or one that is missing.
    #[error("{path}: {reason}")]
    Wrong {
        /// Path of the field.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

/// An object of a known kind.
pub(super) fn typed<K: DeserializeOwned>(mut value: Value) -> Result<K, FieldError> {
    // They have chosen the type already, which knows no such fields.
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| name != "apiVersion" && name != "kind");
    }
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    let parsed = serde_ignored::deserialize(deserializer, |path| unknown.push(plain(&path.to_string())));
    let parsed = parsed.map_err(|error: serde_json::Error| FieldError::Wrong {
        path: track.path().to_string(),
        reason: error.to_string(),
    })?;
    if unknown.is_empty() {
        Ok(parsed)
    } else {
        Err(FieldError::Unknown(unknown))
    }
}

/// A path without the marks for optional values.
fn plain(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').filter(|part| *part != "?").collect();
    parts.join(".")
}
