//! The `tempo-collector` binary.

use std::process::ExitCode;

use clap::Parser;
use tempo_collector::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    // Two providers are linked in by dependencies, so that one must be chosen; a second choice is not made here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Cli::parse().execute().await
}
