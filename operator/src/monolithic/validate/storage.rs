//! Where a TempoMonolithic keeps its data.

use crate::{
    crd::{
        Quantity, TempoMonolithicSpec,
        common::{CredentialMode, TlsSpec, default_storage_size},
        tempomonolithic::{Backend, TracesStorageSpec},
        tempostack::StorageSecretType,
    },
    kubernetes::owner::Owner,
    minio::Minio,
    object_storage::{ObjectStorage, StorageRequest},
    references::Dereferenced,
    validation::{Reason, ValidationError},
};

/// Where a TempoMonolithic keeps its data.
#[derive(Clone, Debug, PartialEq)]
pub struct MonolithicStorage {
    /// What the data directory, with the write-ahead log, lies on.
    pub medium: Medium,
    /// Size of the data directory.
    pub size: Quantity,
    /// Where blocks go; without one they stay in the data directory.
    pub objects: Option<ObjectStorage>,
}

/// What a data directory lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Memory: it is gone when the pod is.
    Memory,
    /// A volume of a storage class, or of the cluster's default class.
    Volume(Option<String>),
}

const PATH: &str = "spec.storage.traces";
/// The TLS settings of stores that take none.
static NO_TLS: TlsSpec = TlsSpec {
    enabled: false,
    ca_name: String::new(),
    cert_name: String::new(),
    cipher_suites: Vec::new(),
    min_version: String::new(),
};

/// The object store that a spec names by its Secret, if any.
pub fn storage_request(spec: &TempoMonolithicSpec) -> Option<StorageRequest<'_>> {
    let traces = &spec.storage.as_ref()?.traces;
    match traces.backend {
        Backend::Memory | Backend::Pv => None,
        Backend::S3 => {
            let s3 = traces.s3.as_ref()?;
            let tls = s3.tls.as_ref().unwrap_or(&NO_TLS);
            Some(request(
                &s3.secret,
                StorageSecretType::S3,
                s3.credential_mode,
                tls,
            ))
        }
        Backend::Azure => {
            let azure = traces.azure.as_ref()?;
            Some(request(&azure.secret, StorageSecretType::Azure, None, &NO_TLS))
        }
        Backend::Gcs => {
            let gcs = traces.gcs.as_ref()?;
            Some(request(&gcs.secret, StorageSecretType::Gcs, None, &NO_TLS))
        }
    }
}

fn request<'a>(
    secret: &'a str,
    kind: StorageSecretType,
    mode: Option<CredentialMode>,
    tls: &'a TlsSpec,
) -> StorageRequest<'a> {
    StorageRequest {
        path: PATH,
        secret,
        kind,
        mode,
        tls,
    }
}

/// Checks the storage of a spec that has its defaults.
pub(super) fn validate(
    spec: &TempoMonolithicSpec,
    minio: Option<&Minio>,
    owner: &Owner,
    found: &Dereferenced,
) -> Result<MonolithicStorage, ValidationError> {
    let traces = spec
        .storage
        .as_ref()
        .map(|storage| storage.traces.clone())
        .unwrap_or_default();
    let size = traces.size.clone().unwrap_or_else(default_storage_size);
    size.units()
        .map_err(|error| storage_error("size", error.to_string()))?;
    let medium = match traces.backend {
        Backend::Memory => Medium::Memory,
        _ => Medium::Volume(traces.storage_class_name.clone()),
    };
    Ok(MonolithicStorage {
        medium,
        size,
        objects: objects(spec, &traces, minio, owner, found)?,
    })
}

fn objects(
    spec: &TempoMonolithicSpec,
    traces: &TracesStorageSpec,
    minio: Option<&Minio>,
    owner: &Owner,
    found: &Dereferenced,
) -> Result<Option<ObjectStorage>, ValidationError> {
    let field = match traces.backend {
        Backend::Memory | Backend::Pv => return Ok(None),
        Backend::S3 => "s3",
        Backend::Azure => "azure",
        Backend::Gcs => "gcs",
    };
    match (storage_request(spec), minio) {
        (Some(request), None) => request.validate(found).map(Some),
        (None, Some(minio)) => Ok(Some(minio.object_storage(&owner.namespace))),
        (Some(_), Some(_)) => Err(storage_error(
            field,
            format!("give exactly one of {PATH}.{field} and spec.storage.minio"),
        )),
        (None, None) => Err(storage_error(
            field,
            format!("backend {field} needs {PATH}.{field}.secret, the name of a Secret"),
        )),
    }
}

fn storage_error(field: &str, message: impl Into<String>) -> ValidationError {
    ValidationError::new(Reason::InvalidStorageConfig, format!("{PATH}.{field}"), message)
}
