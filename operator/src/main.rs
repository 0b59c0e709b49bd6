//! The `tempo-operator` binary.

use std::process::ExitCode;

use clap::Parser;
use tempo_operator::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    // Dependencies may link more than one provider in, so that one must be chosen; a second choice is not made here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Cli::parse().execute().await
}
