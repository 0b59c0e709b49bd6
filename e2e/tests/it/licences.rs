//! The committed list of third-party licences is that of the lock file.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::repository;

#[test]
fn the_list_of_licences_is_current() -> Result<()> {
    let output = Command::new("python3")
        .arg("docs/third_party_licences.py")
        .current_dir(repository())
        .output()
        .context("run docs/third_party_licences.py")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let committed = std::fs::read(repository().join("docs/third-party-licences.md"))?;
    ensure!(
        committed == output.stdout,
        "docs/third-party-licences.md is out of date; type: make licences"
    );
    Ok(())
}
