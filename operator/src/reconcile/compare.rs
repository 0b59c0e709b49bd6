//! Whether an object in the cluster already is what is wanted (pure).
//!
//! Two things are asked. Is the object the result of applying exactly this one? A digest, kept in an
//! annotation, tells: it changes also when a field was removed. And has nobody changed since what was
//! applied? Then every field that is wanted is there with its value, or is one that the API server leaves
//! out; what the cluster or others added besides is theirs.

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

/// Whether an object in the cluster is the result of applying a signed one as a field manager.
pub fn is_applied(found: &Value, signed: &Value, manager: &str) -> bool {
    covers_fields(found, signed, Owned::of(found, manager))
}

/// Whether everything that is wanted is there with its value. `false`, `0` and the empty text are taken to be there
/// where the field is missing.
pub fn covers(found: &Value, wanted: &Value) -> bool {
    covers_fields(found, wanted, Owned::All)
}

fn covers_fields(found: &Value, wanted: &Value, owned: Owned<'_>) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            let owned = owned.field(key);
            match found.get(key) {
                Some(found) => covers_fields(found, wanted, owned),
                None => is_left_out(wanted, owned),
            }
        }),
        (Value::Array(found), Value::Array(wanted)) => list_covers(found, wanted, owned),
        (Value::String(found), Value::String(wanted)) => found == wanted || same_quantity(found, wanted),
        (found, wanted) => found == wanted,
    }
}

/// Lists of objects may have been added to, such as by injected containers. Other lists are one value.
fn list_covers(found: &[Value], wanted: &[Value], owned: Owned<'_>) -> bool {
    if wanted.iter().any(Value::is_object) {
        let is_covered = |wanted: &Value| {
            let mut found = found.iter();
            found.any(|found| covers_fields(found, wanted, owned.item(found)))
        };
        return wanted.iter().all(is_covered);
    }
    found == wanted
}

/// Whether the API server leaves a value out when it stores an object. `false`, `0` and the empty text are left out of
/// some fields and kept in others, where they mean something; the manager still owns the field in the first case,
/// and owns it no longer when somebody took it away.
fn is_left_out(wanted: &Value, owned: Owned<'_>) -> bool {
    match wanted {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty() && owned.is_any(),
        Value::Bool(value) => !value && owned.is_any(),
        Value::Number(number) => number.as_f64() == Some(0.0) && owned.is_any(),
    }
}

/// What a field manager owns from some place of an object on, as `metadata.managedFields` has it.
#[derive(Clone, Copy)]
enum Owned<'a> {
    Nothing,
    /// The place as a whole, with whatever is in it.
    All,
    /// `f:FIELD`, and `k:{…}` for the item of a list with these fields.
    Fields(&'a Map<String, Value>),
}

impl<'a> Owned<'a> {
    /// What a manager owns of an object by server-side apply.
    fn of(object: &'a Value, manager: &str) -> Self {
        let entries = object
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        let entry = entries.into_iter().flatten().find(|entry| {
            entry.get("manager").and_then(Value::as_str) == Some(manager)
                && entry.get("operation").and_then(Value::as_str) == Some("Apply")
                && entry.get("subresource").is_none()
        });
        Self::at(entry.and_then(|entry| entry.get("fieldsV1")))
    }

    fn at(place: Option<&'a Value>) -> Self {
        match place.and_then(Value::as_object) {
            None => Self::Nothing,
            Some(fields) if fields.is_empty() => Self::All,
            Some(fields) => Self::Fields(fields),
        }
    }

    fn field(self, name: &str) -> Self {
        match self {
            Self::Fields(fields) => Self::at(fields.get(&format!("f:{name}"))),
            whole => whole,
        }
    }

    fn item(self, found: &Value) -> Self {
        let Self::Fields(fields) = self else { return self };
        let is_of = |key: &str| {
            let key = key.strip_prefix("k:").map(serde_json::from_str::<Value>);
            matches!(key, Some(Ok(key)) if covers(found, &key))
        };
        Self::at(fields.iter().find(|(key, _)| is_of(key)).map(|(_, place)| place))
    }

    fn is_any(self) -> bool {
        !matches!(self, Self::Nothing)
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
    fn what_is_left_out_and_what_was_taken_away_are_told_apart_by_who_owns_it() {
        let wanted = json!({"spec": {"token": false, "mounts": [{"path": "/a", "readOnly": false}], "args": {"x": 0}}});
        let found = |fields: Value| {
            json!({
                "metadata": {"managedFields": [
                    {"manager": "other", "operation": "Apply", "fieldsV1": {}},
                    {"manager": "me", "operation": "Update", "fieldsV1": {}},
                    {"manager": "me", "operation": "Apply", "subresource": "status", "fieldsV1": {}},
                    {"manager": "me", "operation": "Apply", "fieldsV1": fields},
                ]},
                "spec": {"mounts": [{"path": "/b"}, {"path": "/a", "more": 1}], "args": {}},
            })
        };
        let fields = |token: Value, item: Value| {
            json!({"f:spec": {
                "f:token": token,
                "f:args": {},
                "f:mounts": {"k:{\"path\":\"/a\"}": item, "k:{\"path\":\"/b\"}": {"f:path": {}}},
            }})
        };
        let item = json!({".": {}, "f:path": {}, "f:readOnly": {}});
        assert!(is_applied(&found(fields(json!({}), item.clone())), &wanted, "me"));
        for fields in [
            fields(Value::Null, item),
            fields(json!({}), json!({"f:path": {}})),
            json!({"f:spec": {"f:token": {}}}),
        ] {
            assert!(!is_applied(&found(fields.clone()), &wanted, "me"), "{fields}");
        }
        assert!(!is_applied(
            &json!({"spec": {}}),
            &json!({"spec": {"token": false}}),
            "me"
        ));
        assert!(!is_applied(
            &found(json!({})),
            &json!({"spec": {"token": true}}),
            "me"
        ));
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
