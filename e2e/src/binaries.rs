//! Where the things under test are: our binaries, the real programs that tests run against, the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(PathBuf::new, Path::to_path_buf)
}

/// One of our binaries, as the workspace built it. `make test` builds them before it runs the tests.
pub fn binary(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("find the running test")?;
    let profile = test
        .ancestors()
        .nth(2)
        .context("find the folder of built binaries")?;
    let path = profile.join(name);
    ensure!(
        path.exists(),
        "{} is not built; type: cargo build --workspace --bins",
        path.display()
    );
    Ok(path)
}

/// A real program that tests run against (`minio`, `telemetrygen`, …), or `None` with a note that the test skips.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("TEMPO_RS_TOOLS").map(|folder| Path::new(&folder).join(name));
    let found = path.filter(|path| path.exists());
    if found.is_none() {
        println!("skipped: {name} is not built; `make test` builds it and sets TEMPO_RS_TOOLS");
    }
    found
}
