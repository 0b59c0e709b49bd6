//! The `tempo` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // Two providers are linked in by dependencies, so that one must be chosen; a second choice is not made here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tempo_core::cli::execute(std::env::args().skip(1).collect()).await
}
