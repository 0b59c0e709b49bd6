//! Attribute columns of `spans.parquet` and their names.
//!
//! A name is `<scope>.<key>:<type>`, with `~<8 hex digits>` behind it unless the key is in lower-case ASCII: readers that
//! do not tell upper from lower case (DuckDB) would take `userId` and `userid` for one column. The digits depend on the
//! key alone, so the name is the same in every block, and a union over files by name is right.

use serde::{Deserialize, Serialize};
use tempo_traceql::ast::Scope;
use xxhash_rust::xxh3::xxh3_64;

use super::ValueKind;

/// The most attribute columns of a file.
pub const MAX_ATTRIBUTE_COLUMNS: usize = 256;

/// The longest key that may have a column of its own, in bytes.
pub const MAX_COLUMN_KEY_BYTES: usize = 128;

/// The scopes whose attributes may have columns of their own; those of events and links lie in their lists.
pub const COLUMN_SCOPES: [Scope; 3] = [Scope::Span, Scope::Resource, Scope::Instrumentation];

/// The column of an attribute: values of one type under one key in one scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttributeColumn {
    /// Where the attribute is set.
    #[serde(with = "scope_name")]
    pub scope: Scope,
    /// The key.
    pub key: String,
    /// The type; one for which [`ValueKind::has_column`] holds.
    #[serde(rename = "type")]
    pub kind: ValueKind,
}

impl AttributeColumn {
    /// Whether attributes like this may have a column. Long keys and keys with control characters do not, as other
    /// readers could trip over such names.
    pub fn is_possible(&self) -> bool {
        self.kind.has_column()
            && COLUMN_SCOPES.contains(&self.scope)
            && self.key.len() <= MAX_COLUMN_KEY_BYTES
            && !self.key.chars().any(char::is_control)
    }

    /// The column's name.
    pub fn name(&self) -> String {
        let Self { scope, key, kind } = self;
        let plain = format!("{}.{key}:{}", scope.name(), kind.name());
        let is_lower_case = key
            .bytes()
            .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        if is_lower_case {
            plain
        } else {
            format!("{plain}~{:08x}", xxh3_64(key.as_bytes()) as u32)
        }
    }
}

/// Scopes by name, for serde.
pub(super) mod scope_name {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use tempo_traceql::ast::Scope;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) fn serialize<S: Serializer>(scope: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(scope.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        let name = String::deserialize(deserializer)?;
        let scope = Scope::ALL.into_iter().find(|scope| scope.name() == name);
        scope.ok_or_else(|| de::Error::custom(format!("unknown scope {name}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(key: &str, kind: ValueKind) -> AttributeColumn {
        AttributeColumn {
            scope: Scope::Span,
            key: key.to_owned(),
            kind,
        }
    }

    #[test]
    fn names_say_scope_key_and_type() {
        assert_eq!(
            column("http.status_code", ValueKind::Int).name(),
            "span.http.status_code:int"
        );
        let mixed = column("userId", ValueKind::String).name();
        assert!(mixed.starts_with("span.userId:string~"), "{mixed}");
        assert_eq!(mixed, column("userId", ValueKind::String).name());
    }

    proptest! {
        #[test]
        fn different_columns_differ_in_more_than_case(
            one in "[aA:~.éÉ]{0,4}", other in "[aA:~.éÉ]{0,4}",
            kinds in prop::sample::subsequence(vec![ValueKind::String, ValueKind::Int], 2),
        ) {
            let (one, other) = (column(&one, kinds[0]), column(&other, kinds[1]));
            prop_assert_eq!(one == other, one.name().to_lowercase() == other.name().to_lowercase());
            let same_kind = AttributeColumn { kind: one.kind, ..other };
            prop_assert_eq!(one == same_kind, one.name().to_lowercase() == same_kind.name().to_lowercase());
        }
    }
}
