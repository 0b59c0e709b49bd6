//! The upstream operator's own cases against our operator and a real API server.
//!
//! The cases are data of another project and lie beside this repository; without them there is nothing to do.

use std::{fs, path::PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use serde_json::Value;
use tempo_operator::{crd::TempoStack, defaults};

use crate::{
    cluster::{Space, documents, eventually},
    matching::{checkable, differences},
    repository,
};

struct Case {
    folder: PathBuf,
    space: Space,
}

impl Case {
    async fn start(name: &str) -> Option<Self> {
        let folder = repository().join("../shared/operator-cases/e2e").join(name);
        if !folder.is_dir() {
            println!("skipped: {} is not there", folder.display());
            return None;
        }
        let space = Space::with_operator(&format!("case-{name}")).await?;
        Some(Self { folder, space })
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    async fn apply(&self, file: &str) {
        self.space.apply(&self.read(file)).await.unwrap();
    }

    /// Waits until everything in an assert file is so.
    async fn assert(&self, file: &str) {
        for assert in documents(&self.read(file)) {
            let (assert, left_out) = checkable(&assert);
            for note in left_out {
                println!("{file}: not checked, for it needs nodes: {note}");
            }
            let Some(assert) = assert else { continue };
            eventually(file, || async {
                let found = self.space.find(&assert).await;
                let found = found.ok_or_else(|| format!("{assert} is not there"))?;
                match differences(&with_defaults(found), &assert) {
                    none if none.is_empty() => Ok(()),
                    differences => Err(differences.join("; ")),
                }
            })
            .await;
        }
    }
}

/// Upstream stores defaults in a TempoStack, and its asserts expect them there. Ours never stores them, so that a
/// later change of `size` reaches what follows from it; they are put in place for the comparison.
fn with_defaults(found: Value) -> Value {
    if found["kind"] != "TempoStack" {
        return found;
    }
    let stack: TempoStack = serde_json::from_value(found).unwrap();
    serde_json::to_value(defaults::tempo_stack(&stack)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn compatibility() {
    let Some(case) = Case::start("compatibility").await else {
        return;
    };
    case.apply("00-install-storage.yaml").await;
    case.apply("01-install.yaml").await;
    case.assert("01-assert.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tshirt_size_pico() {
    let Some(case) = Case::start("tshirt-size-pico").await else {
        return;
    };
    case.apply("00-install-storage.yaml").await;
    case.apply("01-install-tempo.yaml").await;
    case.assert("01-assert.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile() {
    let Some(case) = Case::start("reconcile").await else {
        return;
    };
    let space = &case.space;
    case.apply("00-install-storage.yaml").await;
    case.apply("01-install-tempo.yaml").await;
    case.assert("01-assert.yaml").await;
    // The asserts of step 3 need every workload to be there once before it is changed.
    space.condition::<TempoStack>("simplest", "Pending").await;

    space.delete::<Service>("tempo-simplest-querier").await;
    case.assert("02-assert.yaml").await;

    case.apply("03-update-storage-secret.yaml").await;
    case.assert("03-assert.yaml").await;
    let config: ConfigMap = space.get("tempo-simplest").await;
    let text = &config.data.unwrap()["tempo.yaml"];
    assert!(text.contains("bucket: tempo2"), "{text}");
    assert!(text.lines().all(|line| line == line.trim_end()), "{text}");

    case.apply("05-disable-reconciliation.yaml").await;
    let before = space.quiet().await;
    case.assert("05-assert.yaml").await;
    assert_eq!(space.quiet().await, before, "an unmanaged stack is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn monolithic_memory() {
    let Some(case) = Case::start("monolithic-memory").await else {
        return;
    };
    case.apply("01-install-tempo.yaml").await;
    case.assert("01-assert.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monolithic_pv() {
    let Some(case) = Case::start("monolithic-pv").await else {
        return;
    };
    case.apply("01-install-tempo.yaml").await;
    case.assert("01-assert.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monolithic_custom_storage_class() {
    let Some(case) = Case::start("monolithic-custom-storage-class").await else {
        return;
    };
    case.apply("01-tempo.yaml").await;
    case.assert("02-assert.yaml").await;
}
