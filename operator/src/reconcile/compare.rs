//! Whether an object in the cluster already is what is wanted (pure).
//!
//! Two things are asked. Is the object the result of applying exactly this one? A digest, kept in an
//! annotation, tells: it changes also when a field was removed. And has nobody changed since what was
//! applied? Then every field that is wanted is there with its value; what the cluster or others added
//! besides is theirs.

use serde_json::{Map, Value};

use crate::{crd::Quantity, digest::digest};

/// Annotation with the digest of an object as it was applied.
pub const APPLIED_HASH: &str = "tempo.grafana.com/applied.hash";

/// Adds the digest of an object to its annotations.
pub fn sign(object: &mut Value) {
    let hash = digest([object.to_string().as_bytes()]);
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata
            .entry("annotations")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(APPLIED_HASH.to_owned(), Value::String(hash));
        }
    }
}

/// Whether everything that is wanted is there with its value.
pub fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            found
                .get(key)
                .map_or_else(|| is_empty(wanted), |found| covers(found, wanted))
        }),
        (Value::Array(found), Value::Array(wanted)) => list_covers(found, wanted),
        (Value::String(found), Value::String(wanted)) => found == wanted || same_quantity(found, wanted),
        (found, wanted) => found == wanted,
    }
}

/// Lists of objects may have been added to, such as by injected containers. Other lists are one value.
fn list_covers(found: &[Value], wanted: &[Value]) -> bool {
    if wanted.iter().any(Value::is_object) {
        return wanted
            .iter()
            .all(|wanted| found.iter().any(|found| covers(found, wanted)));
    }
    found == wanted
}

/// What the API server leaves out when it stores an object.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The API server rewrites quantities: `1000m` becomes `1`.
fn same_quantity(one: &str, other: &str) -> bool {
    let units = |text: &str| Quantity::new(text).units().ok();
    units(one).is_some_and(|one| units(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_added_is_theirs() {
        let wanted =
            json!({"spec": {"ports": [{"name": "http", "port": 3200}], "args": ["-a"], "labels": {}}});
        let found = json!({
            "spec": {
                "ports": [{"name": "other", "port": 1}, {"name": "http", "port": 3200, "nodePort": 3}],
                "args": ["-a"],
                "clusterIP": "10.0.0.1",
            },
            "status": {},
        });
        assert!(covers(&found, &wanted));
    }

    #[test]
    fn what_was_changed_or_taken_away_is_seen() {
        let wanted =
            json!({"spec": {"replicas": 2, "args": ["-a"], "ports": [{"name": "http", "port": 3200}]}});
        for found in [
            json!({"spec": {"replicas": 1, "args": ["-a"], "ports": [{"name": "http", "port": 3200}]}}),
            json!({"spec": {"replicas": 2, "args": ["-a", "-b"], "ports": [{"name": "http", "port": 3200}]}}),
            json!({"spec": {"replicas": 2, "args": ["-a"], "ports": []}}),
            json!({"spec": {"replicas": 2, "args": ["-a"]}}),
            json!({"spec": {"args": ["-a"], "ports": [{"name": "http", "port": 3200}]}}),
        ] {
            assert!(!covers(&found, &wanted), "{found}");
        }
    }

    #[test]
    fn quantities_are_compared_by_value() {
        assert!(covers(
            &json!({"cpu": "1", "memory": "2Gi"}),
            &json!({"cpu": "1000m", "memory": "2048Mi"})
        ));
        assert!(!covers(&json!({"cpu": "1"}), &json!({"cpu": "1001m"})));
        assert!(!covers(&json!("tempo"), &json!("minio")));
    }

    #[test]
    fn a_digest_tells_that_a_field_went() {
        let hash = |mut object: Value| {
            sign(&mut object);
            object["metadata"]["annotations"][APPLIED_HASH].clone()
        };
        let (with, without) = (
            hash(json!({"metadata": {"name": "a"}, "data": {"x": "1"}})),
            hash(json!({"metadata": {"name": "a"}})),
        );
        assert!(with.is_string());
        assert_ne!(with, without);
    }
}
