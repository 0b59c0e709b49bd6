//! A change as a unified diff of YAML (pure). What the API server keeps its books with is left out, and what Secrets
//! hold is masked.

use serde_json::{Map, Value};
use similar::TextDiff;

use crate::reconcile::apply::preview::Change;

/// Lines around a change.
const CONTEXT: usize = 3;
/// Fields of the metadata that say nothing about what is wanted.
const BOOKKEEPING: [&str; 6] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];
const MASK: &str = "***";

/// The text of a change; empty when nothing is left of it.
pub(super) fn text(change: &Change) -> Result<String, serde_yaml::Error> {
    let (mut before, mut after) = (shown(change.before.as_ref()), shown(change.after.as_ref()));
    if change.kind == "Secret" {
        mask(before.as_mut(), after.as_mut());
    }
    let (before, after) = (yaml(before.as_ref())?, yaml(after.as_ref())?);
    let subject = format!("{} {}/{}", change.kind, change.namespace, change.name);
    let is_replaced = if change.is_replaced {
        " (deleted and made anew)"
    } else {
        ""
    };
    let difference = TextDiff::from_lines(&before, &after);
    let mut unified = difference.unified_diff();
    unified.context_radius(CONTEXT).header(
        &format!("live {subject}"),
        &format!("applied {subject}{is_replaced}"),
    );
    Ok(unified.to_string())
}

fn shown(object: Option<&Value>) -> Option<Value> {
    let mut object = object?.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !BOOKKEEPING.contains(&field.as_str()));
    }
    Some(object)
}

fn yaml(object: Option<&Value>) -> Result<String, serde_yaml::Error> {
    object.map_or(Ok(String::new()), serde_yaml::to_string)
}

/// Masks what a Secret holds, in such a way that it can be seen which of it changes.
fn mask(before: Option<&mut Value>, after: Option<&mut Value>) {
    let (old, new) = (data(before.as_deref()), data(after.as_deref()));
    put(before, masked(&old, &new, "before"));
    put(after, masked(&new, &old, "after"));
}

fn data(secret: Option<&Value>) -> Map<String, Value> {
    let data = secret.and_then(|secret| secret.get("data"));
    data.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn masked(own: &Map<String, Value>, other: &Map<String, Value>, side: &str) -> Map<String, Value> {
    own.iter()
        .map(|(key, value)| {
            let changes = other.get(key).is_some_and(|other| other != value);
            let mask = if changes {
                format!("{MASK} ({side})")
            } else {
                MASK.to_owned()
            };
            (key.clone(), Value::String(mask))
        })
        .collect()
}

fn put(secret: Option<&mut Value>, data: Map<String, Value>) {
    let Some(secret) = secret else { return };
    if !data.is_empty() {
        secret["data"] = Value::Object(data);
    }
    // Where kubectl keeps what it applied, data and all.
    let annotations = secret.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(kind: &str, before: Option<Value>, after: Option<Value>) -> Change {
        Change {
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: "a".to_owned(),
            before,
            after,
            is_replaced: false,
        }
    }

    #[test]
    fn the_books_of_the_api_server_are_left_out() {
        let object = |version: u32, replicas: u32| {
            json!({
                "metadata": {"name": "a", "resourceVersion": version, "uid": version, "managedFields": [version]},
                "spec": {"replicas": replicas}, "status": {"replicas": version},
            })
        };
        let same = change("Deployment", Some(object(1, 1)), Some(object(2, 1)));
        assert_eq!(text(&same).unwrap(), "");
        let mut other = change("Deployment", Some(object(1, 1)), Some(object(2, 3)));
        other.is_replaced = true;
        assert_eq!(
            text(&other).unwrap(),
            "--- live Deployment shop/a\n+++ applied Deployment shop/a (deleted and made anew)\n@@ -1,4 +1,4 @@\n \
             metadata:\n   name: a\n spec:\n-  replicas: 1\n+  replicas: 3\n"
        );
    }

    #[test]
    fn what_secrets_hold_is_not_shown() {
        let secret = |data: Value| json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hidden"}}, "data": data});
        let before = secret(json!({"same": "hidden", "other": "hidden1", "gone": "hidden"}));
        let after = secret(json!({"same": "hidden", "other": "hidden2", "new": "hidden"}));
        let text = text(&change("Secret", Some(before), Some(after))).unwrap();
        assert!(!text.contains("hidden"), "{text}");
        for line in [
            "   same: '***'",
            "-  other: '*** (before)'",
            "+  other: '*** (after)'",
            "-  gone: '***'",
            "+  new: '***'",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn what_is_made_or_deleted_is_shown_whole() {
        let object = json!({"kind": "Job"});
        let made = text(&change("Job", None, Some(object.clone()))).unwrap();
        assert!(made.ends_with("+kind: Job\n"), "{made}");
        let deleted = text(&change("Job", Some(object), None)).unwrap();
        assert!(deleted.ends_with("-kind: Job\n"), "{deleted}");
    }
}
