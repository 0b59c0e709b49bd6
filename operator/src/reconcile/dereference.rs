//! Fetches what a custom resource points to, exactly its [`References`], and judges nothing.

use std::{collections::BTreeMap, fmt::Debug};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret, ServiceAccount},
};
use kube::{Api, Client, Resource};
use rand::distr::{Alphanumeric, SampleString};
use serde::de::DeserializeOwned;

use crate::{
    crd::{TempoMonolithic, TempoStack, collector::TempoKind},
    references::{Dereferenced, References},
};

const PASSWORD_LENGTH: usize = 32;

/// Why something that a resource points to could not be fetched. That it does not exist is no error.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {kind} {name:?}")]
pub struct DereferenceError {
    /// Kind of the object.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What went wrong.
    #[source]
    pub source: kube::Error,
}

/// Fetches what references point to.
pub async fn dereference(
    client: &Client,
    namespace: &str,
    references: &References,
) -> Result<Dereferenced, DereferenceError> {
    let References {
        secrets,
        config_maps,
        service_accounts,
        stacks,
    } = references;
    let mut found = Dereferenced {
        fresh_password: Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH),
        ..Dereferenced::default()
    };
    for name in secrets {
        if let Some(secret) = get::<Secret>(client, namespace, name).await? {
            found.secrets.insert(name.clone(), secret_data(secret));
        }
    }
    for name in config_maps {
        if let Some(config_map) = get::<ConfigMap>(client, namespace, name).await? {
            found
                .config_maps
                .insert(name.clone(), config_map.data.unwrap_or_default());
        }
    }
    for name in service_accounts {
        if get::<ServiceAccount>(client, namespace, name).await?.is_some() {
            found.service_accounts.insert(name.clone());
        }
    }
    for (kind, name) in stacks {
        match kind {
            TempoKind::TempoStack => {
                let stack = get::<TempoStack>(client, namespace, name).await?;
                found
                    .tempo_stacks
                    .extend(stack.map(|stack| (name.clone(), stack)));
            }
            TempoKind::TempoMonolithic => {
                let monolithic = get::<TempoMonolithic>(client, namespace, name).await?;
                found
                    .tempo_monolithics
                    .extend(monolithic.map(|monolithic| (name.clone(), monolithic)));
            }
        }
    }
    Ok(found)
}

async fn get<K>(client: &Client, namespace: &str, name: &str) -> Result<Option<K>, DereferenceError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    Api::<K>::namespaced(client.clone(), namespace)
        .get_opt(name)
        .await
        .map_err(|source| DereferenceError {
            kind: K::kind(&()).into_owned(),
            name: name.to_owned(),
            source,
        })
}

fn secret_data(secret: Secret) -> BTreeMap<String, Vec<u8>> {
    let data = secret.data.unwrap_or_default();
    data.into_iter().map(|(key, value)| (key, value.0)).collect()
}
