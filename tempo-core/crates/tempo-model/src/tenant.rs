//! Whose data it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest tenant id, in bytes.
pub const MAX_TENANT_ID_BYTES: usize = 150;

/// A tenant id that is not one; the texts are those that Tempo's users know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantIdError {
    /// No id where one is needed.
    #[error("no org id")]
    Missing,
    /// A character that is not allowed.
    #[error("tenant ID '{id}' contains unsupported character '{character}'")]
    Character {
        /// The id.
        id: String,
        /// The character.
        character: char,
    },
    /// More than [`MAX_TENANT_ID_BYTES`].
    #[error("tenant ID is too long: max {MAX_TENANT_ID_BYTES} characters")]
    TooLong,
    /// `.` or `..`, which would be a path.
    #[error("tenant ID is '.' or '..'")]
    Path,
}

/// A tenant's name: letters, digits and `! - _ . * ' ( )`, so that it is safe as a part of a path. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The tenant of everything when multi-tenancy is off.
    pub fn single() -> Self {
        Self("single-tenant".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, TenantIdError> {
        if text.is_empty() {
            return Err(TenantIdError::Missing);
        }
        let allowed = |character: char| character.is_ascii_alphanumeric() || "!-_.*'()".contains(character);
        if let Some(character) = text.chars().find(|character| !allowed(*character)) {
            return Err(TenantIdError::Character {
                id: text.to_owned(),
                character,
            });
        }
        if text.len() > MAX_TENANT_ID_BYTES {
            return Err(TenantIdError::TooLong);
        }
        if text == "." || text == ".." {
            return Err(TenantIdError::Path);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TenantId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_leave_their_folder_are_refused() {
        for bad in ["", ".", "..", "a/b", "a|b", "a b", "ä", &"x".repeat(151)] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?} was taken");
        }
        assert_eq!(
            "team-1_(eu).prod".parse::<TenantId>().unwrap().as_str(),
            "team-1_(eu).prod"
        );
    }
}
