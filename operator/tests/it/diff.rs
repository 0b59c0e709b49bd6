//! `render --diff` as a process against a real API server: what it prints, how it ends, and that it changes nothing.

use std::{path::PathBuf, process::Stdio};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use tempfile::TempDir;
use tempo_operator::crd::TempoStack;
use tokio::process::Command;

use crate::{
    cluster::{ADMIN_TOKEN, Space},
    lifecycle::{SECRET, stack},
};

struct Differ {
    folder: TempDir,
    kubeconfig: PathBuf,
}

impl Differ {
    fn new(space: &Space) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, space.kubeconfig(ADMIN_TOKEN, "default")).unwrap();
        Self { folder, kubeconfig }
    }

    /// The exit code and what is printed for a manifest.
    async fn run(&self, manifest: &str) -> (i32, String, String) {
        let file = self.folder.path().join("stack.yaml");
        std::fs::write(&file, manifest).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tempo-operator"))
            .args(["render", "--diff", "-f"])
            .arg(&file)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

fn in_namespace(manifest: &str) -> String {
    manifest.replace("{name: shop}", "{name: shop, namespace: diff}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_shown_and_nothing_is_changed() {
    let Some(space) = Space::with_operator("diff").await else {
        return;
    };
    let differ = Differ::new(&space);
    let ui = |kind: &str| {
        format!("template: {{queryFrontend: {{jaegerQuery: {{enabled: true, ingress: {{type: {kind}}}}}}}}}")
    };
    let first = stack(&ui("ingress"));
    space.apply(SECRET).await.unwrap();
    space.apply(&first).await.unwrap();
    space.condition::<TempoStack>("shop", "Pending").await;
    let before = space.quiet().await;
    let (code, text, errors) = differ.run(&in_namespace(&first)).await;
    assert_eq!((code, text.as_str()), (0, ""), "{errors}");

    // Other replicas, no Ingress any longer, and a larger volume, for which the StatefulSet must be made anew.
    let second = in_namespace(
        &stack(&ui("none"))
            .replace("200M", "1Gi")
            .replace("template: {", "template: {querier: {replicas: 2}, "),
    );
    let (code, text, errors) = differ.run(&second).await;
    assert_eq!(code, 1, "{errors}");
    for part in [
        "--- live Deployment diff/tempo-shop-querier\n+++ applied Deployment diff/tempo-shop-querier\n",
        "-  replicas: 1\n+  replicas: 2\n",
        "+++ applied StatefulSet diff/tempo-shop-ingester (deleted and made anew)\n",
        "--- live Ingress diff/tempo-shop-query-frontend\n",
        "-kind: Ingress\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("Deployment diff/tempo-shop-distributor"), "{text}");
    assert!(!text.contains("resourceVersion"), "{text}");
    assert_eq!(differ.run(&second).await.1, text, "the same again");
    assert_eq!(
        space.quiet().await,
        before,
        "nothing has changed that the operator would see"
    );
    let querier: Deployment = space.get("tempo-shop-querier").await;
    assert_eq!(querier.spec.replicas, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_yet_is_shown_whole_but_for_secrets() {
    let Some(space) = Space::new("diff-new").await else {
        return;
    };
    let differ = Differ::new(&space);
    let manifest = "{apiVersion: tempo.grafana.com/v1alpha1, kind: TempoStack, metadata: {name: shop, namespace: diff-new}, \
                    spec: {storage: {minio: {}}}}";
    let (code, text, errors) = differ.run(manifest).await;
    assert_eq!(code, 1, "{errors}");
    assert!(text.contains("+  rootPassword: '***'\n"), "{text}");
    assert!(text.contains("+kind: StatefulSet\n"), "{text}");
    assert_eq!(space.names::<Secret>().await, Vec::<String>::new());
    assert_eq!(space.names::<Deployment>().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_told_from_a_difference() {
    let Some(space) = Space::new("diff-trouble").await else {
        return;
    };
    let differ = Differ::new(&space);
    let (code, text, errors) = differ
        .run(&stack("").replace("{name: shop}", "{name: shop, namespace: diff-trouble}"))
        .await;
    assert_eq!((code, text.as_str()), (2, ""));
    assert!(errors.contains("Secret \"bucket\" not found"), "{errors}");
    std::fs::write(&differ.kubeconfig, "no kubeconfig").unwrap();
    let (code, _, errors) = differ.run(&stack("")).await;
    assert_eq!(code, 2);
    assert!(errors.contains("set KUBECONFIG"), "{errors}");
}
