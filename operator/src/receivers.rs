//! TLS of the doors that spans come in by.

use crate::{
    crd::common::TlsSpec,
    object_storage::ca_key,
    references::{Dereferenced, References},
    validation::ValidationError,
};

/// Checked TLS settings of receivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverTls {
    /// Secret with `tls.crt` and `tls.key`.
    pub certificate: String,
    /// ConfigMap with the CA that clients' certificates must come from, and the key that holds it.
    pub client_ca: Option<(String, &'static str)>,
    /// Lowest TLS version; empty for the default.
    pub min_version: String,
}

impl ReceiverTls {
    /// Adds what TLS settings point to.
    pub fn references(spec: &TlsSpec, references: &mut References) {
        let named = |name: &String| Some(name.clone()).filter(|name| spec.enabled && !name.is_empty());
        references.secrets.extend(named(&spec.cert_name));
        references.config_maps.extend(named(&spec.ca_name));
    }

    /// Checks TLS settings at a path of a spec; absent when TLS is off.
    pub fn validate(
        spec: &TlsSpec,
        path: &str,
        found: &Dereferenced,
    ) -> Result<Option<Self>, ValidationError> {
        if !spec.enabled {
            return Ok(None);
        }
        let error =
            |field: &str, message: String| ValidationError::configuration(format!("{path}.{field}"), message);
        if spec.cert_name.is_empty() {
            return Err(error("certName", "need to specify a cert secret name".to_owned()));
        }
        let secret = found
            .secrets
            .get(&spec.cert_name)
            .ok_or_else(|| error("certName", format!("Secret {:?} not found", spec.cert_name)))?;
        for key in ["tls.crt", "tls.key"] {
            if !secret.contains_key(key) {
                return Err(error(
                    "certName",
                    format!("Secret {:?} must contain a '{key}' key", spec.cert_name),
                ));
            }
        }
        let client_ca = match spec.ca_name.as_str() {
            "" => None,
            name => {
                let key = found.config_maps.get(name).and_then(ca_key).ok_or_else(|| {
                    error(
                        "caName",
                        "CA ConfigMap must contain a 'service-ca.crt', 'ca.crt', or 'ca-bundle.crt' key"
                            .to_owned(),
                    )
                })?;
                Some((name.to_owned(), key))
            }
        };
        Ok(Some(Self {
            certificate: spec.cert_name.clone(),
            client_ca,
            min_version: spec.min_version.clone(),
        }))
    }
}
