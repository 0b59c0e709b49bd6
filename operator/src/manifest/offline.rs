//! What a custom resource points to, where there is no cluster to ask: found among the files, or stood in for.

use super::{Manifests, kinds::CustomResource};
use crate::{
    crd::{common::CredentialMode, tempostack::StorageSecretType},
    references::{Dereferenced, SecretData},
};

/// Stands where a password would be drawn if the objects were applied.
const PASSWORD: &str = "drawn-when-applied";

/// What the files hold of a resource's references.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What is there. ServiceAccounts are taken to exist.
    pub dereferenced: Dereferenced,
    /// What is not, such as `Secret "bucket"`.
    pub absent: Vec<String>,
    absent_secrets: Vec<String>,
    absent_config_maps: Vec<String>,
}

/// Looks the references of a resource up among the files.
pub fn find(resource: &dyn CustomResource, manifests: &Manifests) -> Found {
    let (namespace, references) = (resource.owner().namespace, resource.references());
    let mut found = Found::default();
    PASSWORD.clone_into(&mut found.dereferenced.fresh_password);
    found.dereferenced.service_accounts = references.service_accounts;
    for name in references.secrets {
        match manifests.secrets.get(&(namespace.clone(), name.clone())) {
            Some(data) => {
                found.dereferenced.secrets.insert(name, data.clone());
            }
            None => found.absent_secrets.push(name),
        }
    }
    for name in references.config_maps {
        match manifests.config_maps.get(&(namespace.clone(), name.clone())) {
            Some(data) => {
                found.dereferenced.config_maps.insert(name, data.clone());
            }
            None => found.absent_config_maps.push(name),
        }
    }
    for other in &manifests.resources {
        if other.resource.owner().namespace == namespace {
            other.resource.be_found(&mut found.dereferenced);
        }
    }
    found.name_absent(resource);
    found
}

impl Found {
    /// A Secret that the operator would generate is not absent.
    fn name_absent(&mut self, resource: &dyn CustomResource) {
        let owner = resource.owner();
        let generated = crate::kubernetes::names::tempo(&owner.name, crate::minio::COMPONENT);
        self.absent_secrets.retain(|name| *name != generated);
        let secrets = self.absent_secrets.iter().map(|name| format!("Secret {name:?}"));
        let config_maps = self
            .absent_config_maps
            .iter()
            .map(|name| format!("ConfigMap {name:?}"));
        self.absent = secrets.chain(config_maps).collect();
    }

    /// The same with something of the right shape in place of what is absent, so that the rest can be checked.
    pub fn with_stand_ins(mut self, resource: &dyn CustomResource) -> Dereferenced {
        let storage = resource.storage_request();
        for name in self.absent_secrets {
            let data = match &storage {
                Some(request) if request.secret == name => storage_secret(request.kind, request.mode),
                _ => secret(&[
                    ("tls.crt", ""),
                    ("tls.key", ""),
                    ("rootUser", "user"),
                    ("rootPassword", "password"),
                ]),
            };
            self.dereferenced.secrets.insert(name, data);
        }
        for name in self.absent_config_maps {
            let data = [("ca.crt".to_owned(), String::new())].into();
            self.dereferenced.config_maps.insert(name, data);
        }
        self.dereferenced
    }
}

/// A storage Secret that passes the checks of its kind and mode.
fn storage_secret(kind: StorageSecretType, mode: Option<CredentialMode>) -> SecretData {
    let token = mode == Some(CredentialMode::Token);
    match kind {
        StorageSecretType::S3 if token => secret(&[
            ("bucket", "tempo"),
            ("region", "us-east-1"),
            ("role_arn", "arn:aws:iam::000000000000:role/tempo"),
        ]),
        StorageSecretType::S3 => secret(&[
            ("endpoint", "http://storage.invalid"),
            ("bucket", "tempo"),
            ("access_key_id", "id"),
            ("access_key_secret", "secret"),
        ]),
        StorageSecretType::Azure if token => secret(&[
            ("container", "tempo"),
            ("account_name", "account"),
            ("client_id", "client"),
            ("tenant_id", "tenant"),
        ]),
        StorageSecretType::Azure => secret(&[
            ("container", "tempo"),
            ("account_name", "account"),
            ("account_key", "key"),
        ]),
        StorageSecretType::Gcs => secret(&[
            ("bucketname", "tempo"),
            (
                "key.json",
                r#"{"credential_source": {"file": "/var/run/secrets/storage/serviceaccount/token"}}"#,
            ),
        ]),
    }
}

fn secret(fields: &[(&str, &str)]) -> SecretData {
    fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage_secret;

    #[test]
    fn stand_ins_pass_the_checks_of_every_kind_and_mode() {
        use CredentialMode::{Static, Token};
        use StorageSecretType::{Azure, Gcs, S3};
        for kind in [S3, Azure, Gcs] {
            for mode in [None, Some(Static), Some(Token)] {
                storage_secret::parse(kind, mode, &storage_secret(kind, mode))
                    .unwrap_or_else(|error| panic!("{kind:?} {mode:?}: {error}"));
            }
        }
    }
}
