//! Configuration as a tree of JSON values: merging free-form parts in, leaving defaults out, masking secrets.

use serde_json::{Map, Value};

/// Keys whose values are never shown.
const SECRETS: [&str; 7] = [
    "secret_key",
    "access_key",
    "storage_account_key",
    "session_token",
    "password",
    "bearer_token",
    "token",
];

/// Merges `over` into `base` as upstream's operator merges `extraConfig`: maps key by key, anything else replaced.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// What of `value` differs from `default`: maps are compared key by key, and empty ones left out.
pub fn without_defaults(value: &Value, default: &Value) -> Value {
    let Value::Object(fields) = value else {
        return value.clone();
    };
    let empty = Map::new();
    let defaults = default.as_object().unwrap_or(&empty);
    let differing = fields.iter().filter_map(|(key, value)| {
        let default = defaults.get(key).unwrap_or(&Value::Null);
        if value == default {
            return None;
        }
        let value = without_defaults(value, default);
        (!value.as_object().is_some_and(Map::is_empty)).then(|| (key.clone(), value))
    });
    Value::Object(differing.collect())
}

/// The same tree with every secret that is set replaced by `<secret>`.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| {
                    let secret = SECRETS.contains(&key.as_str())
                        && value.as_str().is_some_and(|text| !text.is_empty());
                    (
                        key.clone(),
                        if secret { "<secret>".into() } else { masked(value) },
                    )
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(masked).collect()),
        other => other.clone(),
    }
}

/// Sets the value at a dotted path; `false` when the path is not in the tree.
pub(crate) fn set(tree: &mut Value, path: &str, value: Value) -> bool {
    let mut place = tree;
    for part in path.split('.') {
        // Flags write `http-listen-port` where the file writes `http_listen_port`.
        let Some(next) = place
            .as_object_mut()
            .and_then(|map| map.get_mut(&part.replace('-', "_")))
        else {
            return false;
        };
        place = next;
    }
    *place = value;
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merging_replaces_lists_and_keeps_siblings() {
        let mut base = json!({"a": {"b": 1, "c": [1, 2]}, "d": 1});
        merge(&mut base, &json!({"a": {"c": [3], "e": {"f": 1}}}));
        assert_eq!(base, json!({"a": {"b": 1, "c": [3], "e": {"f": 1}}, "d": 1}));
    }

    #[test]
    fn defaults_are_left_out() {
        let default = json!({"a": {"b": 1, "c": 2}, "d": {}});
        assert_eq!(
            without_defaults(&json!({"a": {"b": 1, "c": 3}, "d": {}}), &default),
            json!({"a": {"c": 3}})
        );
    }

    #[test]
    fn secrets_are_masked_where_set() {
        let shown = masked(&json!({"s3": {"secret_key": "abc", "access_key": "", "bucket": "b"}}));
        assert_eq!(
            shown,
            json!({"s3": {"secret_key": "<secret>", "access_key": "", "bucket": "b"}})
        );
    }
}
