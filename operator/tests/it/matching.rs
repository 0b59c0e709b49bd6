//! Whether an object is as an assert file of the upstream operator's cases says.
//!
//! Every field that is listed must be there with its value; lists must be of the same length. What needs nodes
//! (pods that run, ready replicas, Jobs) cannot come true here: it is left out, and said so.

use serde_json::{Map, Value};

/// An assert without what needs nodes, and what was left out of it.
pub(crate) fn checkable(assert: &Value) -> (Option<Value>, Vec<String>) {
    let kind = assert["kind"].as_str().unwrap();
    let name = assert["metadata"]["name"].as_str().unwrap();
    if matches!(kind, "Pod" | "Job") {
        return (None, vec![format!("{kind} {name}")]);
    }
    let mut assert = assert.clone();
    let status = assert.as_object_mut().unwrap().remove("status");
    let left_out = status.map(|status| format!("{kind} {name}: status {status}"));
    (Some(assert), left_out.into_iter().collect())
}

/// Where an object differs from an assert.
pub(crate) fn differences(found: &Value, wanted: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare(found, wanted, "", &mut differences);
    differences
}

fn compare(found: &Value, wanted: &Value, path: &str, differences: &mut Vec<String>) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                let path = format!("{path}.{key}");
                match expression(found, key) {
                    Some(value) => compare(&value, wanted, &path, differences),
                    None => compare(found.get(key).unwrap_or(&Value::Null), wanted, &path, differences),
                }
            }
        }
        (Value::Array(found), Value::Array(wanted)) if found.len() == wanted.len() => {
            for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                compare(found, wanted, &format!("{path}[{index}]"), differences);
            }
        }
        _ if found == wanted => {}
        _ => differences.push(format!("{path} is {found}, not {wanted}")),
    }
}

/// The value of a key that is an expression, of the one form that these cases use: ``(FIELD >= `NUMBER`)``.
fn expression(found: &Map<String, Value>, key: &str) -> Option<Value> {
    let (field, number) = key.strip_prefix('(')?.strip_suffix("`)")?.split_once(" >= `")?;
    let number: i64 = number.parse().unwrap();
    Some(Value::Bool(found.get(field)?.as_i64()? >= number))
}

#[test]
fn differences_are_found() {
    let json = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    let found = json("{metadata: {generation: 2, name: a}, spec: {ports: [{port: 1, other: 2}]}}");
    for wanted in [
        "{metadata: {name: a}}",
        "{spec: {ports: [{port: 1}]}}",
        "{metadata: {(generation >= `2`): true}}",
    ] {
        assert_eq!(
            differences(&found, &json(wanted)),
            Vec::<String>::new(),
            "{wanted}"
        );
    }
    for wanted in [
        "{metadata: {name: b}}",
        "{spec: {ports: [{port: 2}]}}",
        "{spec: {ports: []}}",
        "{spec: {new: 1}}",
        "{metadata: {(generation >= `3`): true}}",
    ] {
        assert_eq!(differences(&found, &json(wanted)).len(), 1, "{wanted}");
    }
}
