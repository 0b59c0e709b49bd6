//! The object store of a stack, checked: what its configuration and its pods need to reach it.

use std::collections::BTreeSet;

use crate::{
    crd::{
        common::{CredentialMode, TlsSpec},
        tempostack::StorageSecretType,
    },
    references::Dereferenced,
    storage_secret::{self, StorageAccess},
    validation::{Reason, ValidationError},
};

/// An object store that a stack can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStorage {
    /// How it is reached.
    pub access: StorageAccess,
    /// Secret with the credentials.
    pub secret: String,
    /// ConfigMap with the CA of the store, and the key that holds it.
    pub ca: Option<(String, &'static str)>,
    /// Secret with the client certificate for the store.
    pub certificate: Option<String>,
    /// Lowest TLS version; empty for the default.
    pub min_tls_version: String,
}

/// What a spec says about an object store that exists already.
pub struct StorageRequest<'a> {
    /// Path of the storage in the spec.
    pub path: &'a str,
    /// Name of the Secret.
    pub secret: &'a str,
    /// Kind of store.
    pub kind: StorageSecretType,
    /// Credential mode, if given.
    pub mode: Option<CredentialMode>,
    /// TLS of the connection.
    pub tls: &'a TlsSpec,
}

/// Keys under which a ConfigMap may hold a CA, in order of preference.
pub const CA_KEYS: [&str; 3] = ["service-ca.crt", "ca.crt", "ca-bundle.crt"];

impl StorageRequest<'_> {
    /// Checks the Secret and the CA that were fetched.
    pub fn validate(&self, found: &Dereferenced) -> Result<ObjectStorage, ValidationError> {
        let secret = found.secrets.get(self.secret).ok_or_else(|| {
            self.error(format!(
                "could not fetch storage configuration secret: Secret {:?} not found; the stack starts once it exists",
                self.secret
            ))
        })?;
        let mut access = storage_secret::parse(self.kind, self.mode, secret)
            .map_err(|error| self.error(format!("Secret {:?}: {error}", self.secret)))?;
        if self.tls.enabled {
            match &mut access {
                StorageAccess::S3(s3) => s3.insecure = false,
                StorageAccess::Azure(_) => return Err(self.tls_error("Azure Storage")),
                StorageAccess::Gcs(_) => return Err(self.tls_error("Google Cloud Storage")),
            }
        }
        Ok(ObjectStorage {
            access,
            secret: self.secret.to_owned(),
            ca: self.ca(found)?,
            certificate: self.certificate(found)?,
            min_tls_version: self.tls.min_version.clone(),
        })
    }

    fn ca(&self, found: &Dereferenced) -> Result<Option<(String, &'static str)>, ValidationError> {
        let name = &self.tls.ca_name;
        if !self.tls.enabled || name.is_empty() {
            return Ok(None);
        }
        let config_map = found
            .config_maps
            .get(name)
            .ok_or_else(|| self.error(format!("could not fetch ConfigMap: ConfigMap {name:?} not found")))?;
        let key = ca_key(config_map).ok_or_else(|| {
            self.error("CA ConfigMap must contain a 'service-ca.crt', 'ca.crt', or 'ca-bundle.crt' key")
        })?;
        Ok(Some((name.clone(), key)))
    }

    fn certificate(&self, found: &Dereferenced) -> Result<Option<String>, ValidationError> {
        let name = &self.tls.cert_name;
        if !self.tls.enabled || name.is_empty() {
            return Ok(None);
        }
        let secret = found
            .secrets
            .get(name)
            .ok_or_else(|| self.error(format!("could not fetch Secret: Secret {name:?} not found")))?;
        for key in ["tls.crt", "tls.key"] {
            if !secret.contains_key(key) {
                return Err(self.error(format!("Secret {name:?} must contain a '{key}' key")));
            }
        }
        Ok(Some(name.clone()))
    }

    fn tls_error(&self, store: &str) -> ValidationError {
        self.error(format!("custom TLS settings are not supported for {store}"))
    }

    fn error(&self, message: impl Into<String>) -> ValidationError {
        ValidationError::new(Reason::InvalidStorageConfig, self.path, message)
    }

    /// Adds the names of the Secrets and ConfigMaps to what is to be fetched.
    pub fn references(&self, secrets: &mut BTreeSet<String>, config_maps: &mut BTreeSet<String>) {
        secrets.insert(self.secret.to_owned());
        secrets.extend(Some(self.tls.cert_name.clone()).filter(|name| !name.is_empty()));
        config_maps.extend(Some(self.tls.ca_name.clone()).filter(|name| !name.is_empty()));
    }
}

/// The key under which a ConfigMap holds a CA.
pub fn ca_key(config_map: &crate::references::ConfigMapData) -> Option<&'static str> {
    CA_KEYS.into_iter().find(|key| config_map.contains_key(*key))
}
