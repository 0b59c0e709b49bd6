//! Whether a stack's object store can be used from here, or a local folder takes its place.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tokio::net::TcpStream;

use crate::{
    kubernetes::resources::{Prepared, Resources},
    minio,
    pod::CONFIG_DIRECTORY,
};

use super::process::Process;

const PATIENCE: Duration = Duration::from_secs(2);

/// Where the blocks of a stack lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Where its Secret says; the endpoint.
    AsConfigured(String),
    /// In a local folder, with the reason.
    Local(String),
    /// It is no stack.
    None,
}

/// Chooses the store of one custom resource. `absent` is what it points to and is not among the files.
pub(super) async fn choose(
    processes: &[Process],
    resources: &Resources<Prepared>,
    absent: &[String],
) -> Store {
    let Some(trace) = processes.iter().find_map(|process| configuration(&process.files)) else {
        return Store::None;
    };
    let text = |pointer: &str| trace.pointer(pointer).and_then(Value::as_str);
    let managed = resources.stateful_sets.iter().any(|set| {
        set.spec
            .template
            .spec
            .iter()
            .flat_map(|spec| &spec.containers)
            .any(|container| container.name == minio::COMPONENT)
    });
    match text("/backend") {
        _ if managed => Store::Local("in MinIO's place".to_owned()),
        Some("s3") if !absent.is_empty() => {
            Store::Local(format!("as {} is not among the files", absent.join(", ")))
        }
        Some("s3") => {
            let endpoint = text("/s3/endpoint").unwrap_or_default();
            match answers(
                endpoint,
                trace.pointer("/s3/insecure") == Some(&Value::Bool(true)),
            )
            .await
            {
                Ok(()) => Store::AsConfigured(endpoint.to_owned()),
                Err(reason) => Store::Local(format!("as {endpoint} does not answer ({reason})")),
            }
        }
        Some(other @ ("azure" | "gcs")) => Store::Local(format!("as {other} is not used from here")),
        _ => Store::Local("as configured".to_owned()),
    }
}

/// The `storage.trace` section of the engine's file.
fn configuration(files: &BTreeMap<String, String>) -> Option<Value> {
    let text = files.get(&format!("{CONFIG_DIRECTORY}/tempo.yaml"))?;
    let mut tree: Value = serde_yaml::from_str(text).ok()?;
    Some(
        tree.pointer_mut("/storage/trace")
            .map(Value::take)
            .unwrap_or_default(),
    )
}

async fn answers(endpoint: &str, insecure: bool) -> Result<(), String> {
    let port = if insecure { 80 } else { 443 };
    let has_port = endpoint
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port {
        endpoint.to_owned()
    } else {
        format!("{endpoint}:{port}")
    };
    match tokio::time::timeout(PATIENCE, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("within {PATIENCE:?}")),
    }
}
