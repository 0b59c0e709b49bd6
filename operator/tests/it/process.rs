//! The operator as it is deployed: `config/default` is applied, and the real program runs as the ServiceAccount of it.

use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    authentication::v1::{TokenRequest, TokenRequestSpec},
    coordination::v1::Lease,
    core::v1::{Namespace, Pod, ServiceAccount},
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempo_operator::{crd::TempoStack, run::lease::LEASE};
use tokio::process::Command;

use crate::{
    cluster::{PATIENCE, Space, documents, eventually},
    repository,
    samples_in_cluster::with_namespace,
};

const SYSTEM: &str = "tempo-operator-system";

/// The documents of a kustomization, which may do nothing but list its parts.
fn kustomized(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("kustomization.yaml")).unwrap();
    let kustomization: Value = serde_yaml::from_str(&text).unwrap();
    let fields: Vec<&String> = kustomization.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        ["apiVersion", "kind", "resources"],
        "{}",
        folder.display()
    );
    let parts = kustomization["resources"].as_array().unwrap();
    let parts = parts.iter().map(|part| folder.join(part.as_str().unwrap()));
    parts
        .flat_map(|part| {
            if part.is_dir() {
                kustomized(&part)
            } else {
                documents(&fs::read_to_string(part).unwrap())
            }
        })
        .collect()
}

/// Applies a document where it says that it belongs.
async fn apply(space: &Space, document: &Value) {
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
    let version = text("/apiVersion").unwrap();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let kind = GroupVersionKind::gvk(group, version, text("/kind").unwrap());
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(space.client.clone(), namespace, &resource),
        None => Api::all_with(space.client.clone(), &resource),
    };
    let name = text("/metadata/name").unwrap();
    api.patch(
        name,
        &PatchParams::apply("kustomize").force(),
        &Patch::Apply(document),
    )
    .await
    .unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind));
}

fn system<K>(space: &Space) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    Api::namespaced(space.client.clone(), SYSTEM)
}

/// A token of the operator's ServiceAccount.
async fn token(space: &Space) -> String {
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            expiration_seconds: Some(3600),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = system(space);
    let token = accounts
        .create_token_request("tempo-operator", &PostParams::default(), &request)
        .await
        .unwrap();
    token.status.unwrap().token.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_operator_brings_a_sample_about_and_ends_when_told_to() {
    let Some(space) = Space::new("deployed").await else {
        return;
    };
    for document in kustomized(&repository().join("config/default")) {
        apply(&space, &document).await;
    }
    the_pod_is_admitted(&space).await;

    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, space.kubeconfig(&token(&space).await, SYSTEM)).unwrap();
    let log = folder.path().join("log");
    let mut operator = Command::new(env!("CARGO_BIN_EXE_tempo-operator"))
        .args(["run", "--listen=127.0.0.1:0", "--namespace", &space.namespace])
        .env("KUBECONFIG", &kubeconfig)
        .env("POD_NAME", "deployed-0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let sample = repository().join("config/samples/tempostack-minio.yaml");
    let text = with_namespace(&sample, &space.namespace);
    space.apply(&text).await.unwrap();
    let name = documents(&text)
        .iter()
        .find(|document| document["kind"] == "TempoStack")
        .map(|document| document["metadata"]["name"].as_str().unwrap().to_owned())
        .unwrap();
    let pending = space.condition::<TempoStack>(&name, "Pending").await;
    assert_eq!(pending.reason, "PendingComponents");
    space
        .wait::<StatefulSet>(&format!("tempo-{name}-ingester"), "made", |_| true)
        .await;
    let holder = |lease: Lease| lease.spec.unwrap().holder_identity.unwrap_or_default();
    let lease = system::<Lease>(&space).get(LEASE).await.unwrap();
    assert!(holder(lease).starts_with("deployed-0_"));

    let id = i32::try_from(operator.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, operator.wait()).await;
    let log = fs::read_to_string(&log).unwrap();
    let status = ended.expect("it ends in time").unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("forbidden"), "{log}");
    let lease = system::<Lease>(&space).get(LEASE).await.unwrap();
    assert_eq!(holder(lease), "", "the lease is given back");
}

/// The namespace enforces what the pod keeps to, and the image is that of this version, twice.
async fn the_pod_is_admitted(space: &Space) {
    let namespace: Namespace = Api::all(space.client.clone()).get(SYSTEM).await.unwrap();
    let enforced = namespace.metadata.labels.unwrap();
    assert_eq!(enforced["pod-security.kubernetes.io/enforce"], "restricted");
    let pod = eventually("the operator's pod is made", || async {
        let pods: Vec<Pod> = system(space).list(&ListParams::default()).await.unwrap().items;
        let deployment: Deployment = system(space).get("tempo-operator").await.unwrap();
        pods.into_iter()
            .next()
            .ok_or_else(|| format!("{:?}", deployment.status))
    })
    .await;
    let container = &pod.spec.unwrap().containers[0];
    let image = format!("tempo-rs:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(container.image.as_ref(), Some(&image));
    let variable = container.env.as_ref().unwrap();
    assert!(
        variable
            .iter()
            .any(|it| it.name == "OPERATOR_IMAGE" && it.value.as_ref() == Some(&image))
    );
}
