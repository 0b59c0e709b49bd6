//! MinIO as a managed workload: the operator deploys it, makes its buckets and wires the stack to it.

mod build;

use k8s_openapi::api::core::v1::PodSecurityContext;

pub use self::build::{CERTIFICATES_FLAG, SCRATCH_DIRECTORY, build};
use crate::{
    crd::{
        Quantity,
        common::{MinioSpec, ResourceRequirements},
    },
    environment::Environment,
    kubernetes::names,
    object_storage::{ObjectStorage, ca_key},
    references::{Dereferenced, References},
    storage_secret::{S3Access, S3Credentials, StorageAccess},
    validation::{Reason, ValidationError},
};

/// Component label of MinIO's objects, and suffix of their names.
pub const COMPONENT: &str = "minio";
/// Key of the root Secret that holds the user's name.
pub const ROOT_USER: &str = "rootUser";
/// Key of the root Secret that holds the password.
pub const ROOT_PASSWORD: &str = "rootPassword";
const GENERATED_USER: &str = "tempo";
/// Port of its S3 API.
pub const API_PORT: i32 = 9000;

/// A checked MinIO.
#[derive(Clone, Debug, PartialEq)]
pub struct Minio {
    /// Name of its StatefulSet and Service.
    pub name: String,
    /// Its root user.
    pub root: RootSecret,
    /// Buckets to make; the stack uses the first.
    pub buckets: Vec<String>,
    /// Size of its volume.
    pub storage_size: Quantity,
    /// Storage class of its volume.
    pub storage_class: Option<String>,
    /// Its image.
    pub image: String,
    /// Image of the Job that makes the buckets.
    pub bucket_job_image: String,
    /// Its compute resources.
    pub resources: Option<ResourceRequirements>,
    /// Secret with the certificate of its door; without one it speaks plain HTTP.
    pub certificate: Option<String>,
    /// ConfigMap with the CA of the certificate, and the key that holds it.
    pub ca: Option<(String, &'static str)>,
    /// Security settings of its pod.
    pub security_context: PodSecurityContext,
}

/// The Secret with the root user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootSecret {
    /// The user's own, by name.
    Given(String),
    /// One that the operator makes.
    Generated {
        /// Its name.
        name: String,
        /// The user's name.
        user: String,
        /// The password: that of the existing Secret, or a fresh one.
        password: String,
    },
}

impl RootSecret {
    /// The Secret's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Given(name) | Self::Generated { name, .. } => name,
        }
    }
}

/// Adds what a MinIO points to.
pub fn references(spec: &MinioSpec, instance: &str, references: &mut References) {
    let secret = spec
        .root_secret
        .clone()
        .unwrap_or_else(|| names::tempo(instance, COMPONENT));
    references.secrets.insert(secret);
    if spec.tls.enabled {
        references.secrets.insert(spec.tls.cert_name.clone());
        references
            .config_maps
            .extend(Some(spec.tls.ca_name.clone()).filter(|name| !name.is_empty()));
    }
}

/// Checks a MinIO and what it points to.
pub fn validate(
    spec: &MinioSpec,
    instance: &str,
    found: &Dereferenced,
    environment: &Environment,
) -> Result<Minio, ValidationError> {
    let name = names::tempo(instance, COMPONENT);
    if spec.buckets.is_empty() {
        return Err(error("buckets", "name at least one bucket"));
    }
    spec.storage_size
        .units()
        .map_err(|quantity| error("storageSize", &quantity.to_string()))?;
    let (certificate, ca) = tls(spec, found)?;
    Ok(Minio {
        root: root_secret(spec, &name, found)?,
        name,
        buckets: spec.buckets.clone(),
        storage_size: spec.storage_size.clone(),
        storage_class: spec.storage_class_name.clone(),
        image: spec
            .image
            .clone()
            .unwrap_or_else(|| environment.minio_image.clone()),
        bucket_job_image: environment.operator_image.clone(),
        resources: spec.resources.clone(),
        certificate,
        ca,
        security_context: environment.pod_security_context.clone(),
    })
}

fn root_secret(spec: &MinioSpec, name: &str, found: &Dereferenced) -> Result<RootSecret, ValidationError> {
    if let Some(given) = &spec.root_secret {
        let secret = found.secrets.get(given).ok_or_else(|| {
            error(
                "rootSecret",
                &format!("Secret {given:?} not found; create it or leave the field out"),
            )
        })?;
        for key in [ROOT_USER, ROOT_PASSWORD] {
            if !secret.contains_key(key) {
                return Err(error(
                    "rootSecret",
                    &format!("Secret {given:?} must contain a '{key}' key"),
                ));
            }
        }
        return Ok(RootSecret::Given(given.clone()));
    }
    let existing = |key: &str| {
        let value = found.secrets.get(name)?.get(key)?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    Ok(RootSecret::Generated {
        name: name.to_owned(),
        user: existing(ROOT_USER).unwrap_or_else(|| GENERATED_USER.to_owned()),
        password: existing(ROOT_PASSWORD).unwrap_or_else(|| found.fresh_password.clone()),
    })
}

type CertificateAndCa = (Option<String>, Option<(String, &'static str)>);

fn tls(spec: &MinioSpec, found: &Dereferenced) -> Result<CertificateAndCa, ValidationError> {
    let tls = &spec.tls;
    if !tls.enabled {
        return Ok((None, None));
    }
    let certificate = found
        .secrets
        .get(&tls.cert_name)
        .ok_or_else(|| error("tls.certName", &format!("Secret {:?} not found", tls.cert_name)))?;
    for key in ["tls.crt", "tls.key"] {
        if !certificate.contains_key(key) {
            return Err(error(
                "tls.certName",
                &format!("Secret {:?} must contain a '{key}' key", tls.cert_name),
            ));
        }
    }
    let ca = if tls.ca_name.is_empty() {
        None
    } else {
        let key = found
            .config_maps
            .get(&tls.ca_name)
            .and_then(ca_key)
            .ok_or_else(|| {
                error(
                    "tls.caName",
                    "CA ConfigMap must contain a 'service-ca.crt', 'ca.crt', or 'ca-bundle.crt' key",
                )
            })?;
        Some((tls.ca_name.clone(), key))
    };
    Ok((Some(tls.cert_name.clone()), ca))
}

fn error(field: &str, message: &str) -> ValidationError {
    ValidationError::new(
        Reason::InvalidStorageConfig,
        format!("spec.storage.minio.{field}"),
        message,
    )
}

impl Minio {
    /// Where its API is, inside the cluster.
    pub fn endpoint(&self, namespace: &str) -> String {
        format!("{}:{API_PORT}", names::service_host(&self.name, namespace))
    }

    /// The object store that a stack sees.
    pub fn object_storage(&self, namespace: &str) -> ObjectStorage {
        ObjectStorage {
            access: StorageAccess::S3(S3Access {
                endpoint: self.endpoint(namespace),
                insecure: self.certificate.is_none(),
                bucket: self.buckets.first().cloned().unwrap_or_default(),
                credentials: S3Credentials::Keys {
                    access_key: ROOT_USER,
                    secret_key: ROOT_PASSWORD,
                },
            }),
            secret: self.root.name().to_owned(),
            ca: self.ca.clone(),
            certificate: None,
            min_tls_version: String::new(),
        }
    }
}
