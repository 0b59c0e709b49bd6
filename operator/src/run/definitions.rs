//! Waits until the custom resource definitions are installed.

use std::{fmt::Debug, time::Duration};

use kube::{Api, Client, Resource, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tracing::{error, info};

use crate::crd::{Collector, TempoMonolithic, TempoStack};

const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// Returns when all kinds can be listed. What is in the way is told to `report` each time that it changes,
/// with what to do about it.
pub async fn wait(client: &Client, namespace: Option<&str>, report: impl Fn(&str)) {
    let mut reported = String::new();
    loop {
        match obstacle(client, namespace).await {
            None => return info!("custom resource definitions are installed"),
            Some(obstacle) if obstacle != reported => {
                error!("{obstacle}");
                report(&obstacle);
                reported = obstacle;
            }
            Some(_) => {}
        }
        sleep(RETRY_PERIOD).await;
    }
}

async fn obstacle(client: &Client, namespace: Option<&str>) -> Option<String> {
    let failures = [
        probe::<TempoStack>(client, namespace).await,
        probe::<TempoMonolithic>(client, namespace).await,
        probe::<Collector>(client, namespace).await,
    ];
    failures.into_iter().flatten().next()
}

async fn probe<K>(client: &Client, namespace: Option<&str>) -> Option<String>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned,
{
    let api: Api<K> = super::api(client, namespace);
    let kind = K::kind(&());
    match api.list_metadata(&ListParams::default().limit(1)).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) if status.code == 404 => Some(format!(
            "the custom resource definition of {kind} is not installed; install all of them with: \
             tempo-operator crds | kubectl apply --server-side -f -"
        )),
        Err(kube::Error::Api(status)) if status.code == 403 => Some(format!(
            "the operator may not list {kind}: {}; bind its ServiceAccount to the roles in config/rbac",
            status.message
        )),
        Err(error) => Some(format!("cannot list {kind}: {error}")),
    }
}
