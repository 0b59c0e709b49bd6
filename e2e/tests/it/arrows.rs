//! The crate arrows of docs/architecture.md, and one of each of the libraries that must not be there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const ALLOWED: &[(&str, &[&str])] = &[
    ("tempo-config", &[]),
    ("tempo-model", &[]),
    ("tempo-traceql", &[]),
    ("tempo-runtime", &["tempo-config"]),
    ("tempo-receiver", &["tempo-model", "tempo-runtime"]),
    ("tempo-block", &["tempo-model", "tempo-runtime", "tempo-traceql"]),
    (
        "tempo-core",
        &[
            "tempo-block",
            "tempo-config",
            "tempo-model",
            "tempo-receiver",
            "tempo-runtime",
            "tempo-traceql",
        ],
    ),
    (
        "tempo-collector",
        &["tempo-model", "tempo-receiver", "tempo-runtime"],
    ),
    ("tempo-operator", &["tempo-collector", "tempo-config"]),
    ("e2e", &["tempo-config", "tempo-model"]),
];

fn metadata(arguments: &[&str]) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(e2e::repository())
        .output()
        .context("run cargo metadata")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("parse cargo metadata")
}

#[test]
fn only_the_documented_arrows_between_crates_exist() -> Result<()> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    assert_eq!(
        ours,
        allowed.keys().copied().collect(),
        "a crate is missing from the list of arrows"
    );
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let in_tests_only = dependency["kind"] == "dev";
            let fine = !ours.contains(on) || in_tests_only || allowed[name].contains(&on);
            assert!(fine, "{name} must not depend on {on}: see docs/architecture.md");
        }
    }
    Ok(())
}

#[test]
fn there_is_one_of_each_heavy_library_and_one_tls_provider() -> Result<()> {
    let metadata = metadata(&[])?;
    let packages = metadata["packages"].as_array().unwrap();
    let versions = |name: &str| packages.iter().filter(|package| package["name"] == name).count();
    for single in [
        "arrow-array",
        "parquet",
        "hyper",
        "object_store",
        "schemars",
        "tokio",
        "rustls",
        "ring",
    ] {
        assert_eq!(
            versions(single),
            1,
            "{single} is in the tree more than once, or not at all"
        );
    }
    for banned in ["aws-lc-sys", "openssl-sys", "native-tls"] {
        assert_eq!(versions(banned), 0, "{banned} is in the tree");
    }
    Ok(())
}
