//! Whether a stack's object store can be used from here, or a local folder takes its place.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rand::distr::{Alphanumeric, SampleString};
use serde_json::Value;
use tokio::net::TcpStream;

use super::{process::Process, programs::Programs};
use crate::{
    kubernetes::{names, owner::Owner},
    minio,
    pod::CONFIG_DIRECTORY,
    references::References,
};

/// MinIO's program.
const PROGRAM: &str = "minio";
const PATIENCE: Duration = Duration::from_secs(2);
const PASSWORD_LENGTH: usize = 32;

/// Where the blocks of a stack lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Store {
    /// Where its Secret says; the endpoint.
    AsConfigured(String),
    /// In the managed MinIO, which runs here too.
    Minio,
    /// In a local folder, with the reason.
    Local(String),
    /// It is no stack.
    None,
}

/// Chooses the store of one custom resource. `absent` is what it points to and is not among the files.
pub(super) async fn choose(processes: &[Process], absent: &[String], programs: &Programs) -> Store {
    let Some(trace) = processes.iter().find_map(|process| configuration(&process.files)) else {
        return Store::None;
    };
    if let Some(minio) = processes.iter().find(|process| process.is_minio()) {
        return managed(minio, programs);
    }
    let text = |pointer: &str| trace.pointer(pointer).and_then(Value::as_str);
    match text("/backend") {
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

/// A managed MinIO runs here where its program is at hand, and does not need the name of its certificate.
fn managed(minio: &Process, programs: &Programs) -> Store {
    let speaks_tls = minio.command.iter().any(|word| word == minio::CERTIFICATES_FLAG);
    if speaks_tls {
        return Store::Local("in MinIO's place, as its certificate is not one for this machine".to_owned());
    }
    match programs.find(PROGRAM) {
        Some(_) => Store::Minio,
        None => Store::Local(format!(
            "in MinIO's place, as there is no program {PROGRAM} in {} or on PATH",
            programs.beside()
        )),
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

/// MinIO's password cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep MinIO's password in {path}", path = path.display())]
pub(super) struct PasswordError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// The password of a managed MinIO that runs here: the one of the first time, as MinIO keeps its data under it.
/// Nothing where none is needed.
pub(super) fn password(
    owner: &Owner,
    references: &References,
    data: &Path,
    programs: &Programs,
) -> Result<Option<String>, PasswordError> {
    let secret = names::tempo(&owner.name, minio::COMPONENT);
    if !references.secrets.contains(&secret) || programs.find(PROGRAM).is_none() {
        return Ok(None);
    }
    let path = data.join("minio-password");
    let kept = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => draw(&path),
        kept => kept,
    };
    kept.map(Some).map_err(|source| PasswordError { path, source })
}

fn draw(path: &Path) -> std::io::Result<String> {
    let password = Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH);
    let mut options = File::options();
    let mut file = options.create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(password.as_bytes())?;
    Ok(password)
}
