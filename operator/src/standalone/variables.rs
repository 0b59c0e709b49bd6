//! Environment variables and arguments of containers, as the kubelet works them out (pure).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, EnvVarSource};

use super::process::Sources;

/// The address of every pod, and of the node that they run on.
const ADDRESS: &str = "127.0.0.1";

/// A variable without a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment variable {variable} needs {wanted}, which is not among the files; give it with -f too")]
pub(super) struct VariableError {
    variable: String,
    wanted: String,
}

/// The environment of a container.
pub(super) fn environment(
    container: &Container,
    pod: &str,
    namespace: &str,
    sources: &Sources,
) -> Result<BTreeMap<String, String>, VariableError> {
    // Every container finds the name of its pod there.
    let mut environment = BTreeMap::from([("HOSTNAME".to_owned(), pod.to_owned())]);
    for source in container.env_from.iter().flatten() {
        environment.extend(all_of(source, sources)?);
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            Some(source) => value_of(variable, source, pod, namespace, sources)?,
            None => Some(expand(
                variable.value.as_deref().unwrap_or_default(),
                &environment,
            )),
        };
        if let Some(value) = value {
            environment.insert(variable.name.clone(), value);
        }
    }
    Ok(environment)
}

fn all_of(source: &EnvFromSource, sources: &Sources) -> Result<BTreeMap<String, String>, VariableError> {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let (data, wanted, optional) = if let Some(secret) = &source.secret_ref {
        let data = sources.secrets.get(&secret.name).map(|data| {
            data.iter()
                .map(|(key, value)| (key.clone(), String::from_utf8_lossy(value).into_owned()))
                .collect()
        });
        (data, format!("Secret {:?}", secret.name), secret.optional)
    } else if let Some(config_map) = &source.config_map_ref {
        let data = sources.config_maps.get(&config_map.name).cloned();
        (
            data,
            format!("ConfigMap {:?}", config_map.name),
            config_map.optional,
        )
    } else {
        return Ok(BTreeMap::new());
    };
    let data: Option<BTreeMap<String, String>> = data;
    match data {
        Some(data) => Ok(data
            .into_iter()
            .map(|(key, value)| (format!("{prefix}{key}"), value))
            .collect()),
        None if optional == Some(true) => Ok(BTreeMap::new()),
        None => Err(VariableError {
            variable: format!("{prefix}*"),
            wanted,
        }),
    }
}

fn value_of(
    variable: &EnvVar,
    source: &EnvVarSource,
    pod: &str,
    namespace: &str,
    sources: &Sources,
) -> Result<Option<String>, VariableError> {
    let (value, wanted, optional) = if let Some(reference) = &source.secret_key_ref {
        let secret = sources.secrets.get(&reference.name);
        let value = secret.and_then(|secret| secret.get(&reference.key));
        (
            value.map(|value| String::from_utf8_lossy(value).into_owned()),
            format!("key {:?} of Secret {:?}", reference.key, reference.name),
            reference.optional,
        )
    } else if let Some(reference) = &source.config_map_key_ref {
        let config_map = sources.config_maps.get(&reference.name);
        (
            config_map
                .and_then(|config_map| config_map.get(&reference.key))
                .cloned(),
            format!("key {:?} of ConfigMap {:?}", reference.key, reference.name),
            reference.optional,
        )
    } else {
        let field = source
            .field_ref
            .as_ref()
            .map(|reference| reference.field_path.as_str());
        return Ok(field.and_then(|path| field_of_pod(path, pod, namespace)));
    };
    match value {
        Some(value) => Ok(Some(value)),
        None if optional == Some(true) => Ok(None),
        None => Err(VariableError {
            variable: variable.name.clone(),
            wanted,
        }),
    }
}

/// What a pod knows about itself; resources are not limited here, and the rest is unknown.
fn field_of_pod(path: &str, pod: &str, namespace: &str) -> Option<String> {
    let value = match path {
        "metadata.name" => pod,
        "metadata.namespace" => namespace,
        "status.podIP" | "status.podIPs" | "status.hostIP" => ADDRESS,
        "spec.nodeName" => "localhost",
        _ => return None,
    };
    Some(value.to_owned())
}

/// Replaces `$(NAME)` by the value of a variable that is there; `$$` is a dollar sign.
pub(super) fn expand(text: &str, environment: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let reference = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((value, after)) =
            reference.and_then(|(name, after)| Some((environment.get(name)?, after)))
        {
            expanded.push_str(value);
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_in_arguments_are_replaced_as_kubernetes_does() {
        let environment = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expected) in [
            ("--key=$(A)", "--key=1"),
            ("$(B) $(A", "$(B) $(A"),
            ("$$(A) $", "$(A) $"),
            ("größe $(A)€", "größe 1€"),
        ] {
            assert_eq!(expand(text, &environment), expected);
        }
    }

    #[test]
    fn variables_come_from_the_pod_and_from_what_was_found() {
        let container: Container = serde_json::from_value(json!({"name": "tempo",
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}}],
        "env": [
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "bucket", "key": "id"}}},
            {"name": "BOTH", "value": "$(POD)/$(KEY)"},
            {"name": "MAYBE", "valueFrom": {"secretKeyRef": {"name": "none", "key": "id", "optional": true}}},
        ]}))
        .unwrap();
        let mut sources = Sources::default();
        sources
            .secrets
            .insert("bucket".to_owned(), [("id".to_owned(), b"me".to_vec())].into());
        sources
            .config_maps
            .insert("settings".to_owned(), [("x".to_owned(), "1".to_owned())].into());
        let found = environment(&container, "pod-0", "shop", &sources).unwrap();
        let expected = [
            ("BOTH", "pod-0/me"),
            ("HOSTNAME", "pod-0"),
            ("KEY", "me"),
            ("POD", "pod-0"),
            ("P_x", "1"),
        ];
        assert_eq!(
            found,
            expected
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );

        sources.secrets.clear();
        let error = environment(&container, "pod-0", "shop", &sources)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("KEY") && error.contains("key \"id\" of Secret \"bucket\""),
            "{error}"
        );
    }
}
