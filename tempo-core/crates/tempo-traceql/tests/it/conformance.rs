//! Where the conformance data is, when it is there.

use std::path::{Path, PathBuf};

/// A file of the conformance data (`TEMPO_CONFORMANCE_DIR`, or beside the repository); `None`, with a note, when absent.
pub(crate) fn file(name: &str) -> Option<String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/conformance");
    let folder = std::env::var_os("TEMPO_CONFORMANCE_DIR").map_or_else(beside, PathBuf::from);
    let text = std::fs::read_to_string(folder.join(name)).ok();
    if text.is_none() {
        println!("skipped: {name} is not there; TEMPO_CONFORMANCE_DIR names its folder");
    }
    text
}
