//! The command line: a subcommand each for the cluster, this machine, and files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{
    crd,
    ensure_bucket::{EnsureBucket, ensure_bucket},
    environment::Environment,
    manifest::Manifests,
    render::{
        self,
        diff::{Difference, diff},
    },
    run,
    standalone::{self, guard},
    validate::{self, Report},
};

/// What is logged when `RUST_LOG` does not say.
const DEFAULT_LOG: &str = "info";

/// Custom resources become running trace stores and collectors.
#[derive(Debug, Parser)]
#[command(name = "tempo-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reconcile the custom resources of a cluster until told to stop.
    Run(run::Options),
    /// Run custom resources as processes on this machine, without a cluster.
    Standalone(standalone::Arguments),
    /// Check custom resources as the operator would.
    Validate(Files),
    /// Print every object that would be applied, or what that would change in a cluster.
    Render(Render),
    /// Write the CustomResourceDefinitions.
    Crds(Crds),
    /// Create buckets in an S3 server: what the bucket Job of a managed MinIO runs.
    EnsureBucket(EnsureBucket),
    /// Print the version.
    Version,
    /// End the processes of a standalone that is gone.
    #[command(hide = true)]
    Guard,
}

#[derive(Debug, clap::Args)]
struct Files {
    /// A file, a folder with files (*.yaml, *.yml, *.json), or - for standard input; may be given several times.
    #[arg(short, long = "filename", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Render {
    #[command(flatten)]
    files: Files,
    /// Compare with the cluster that KUBECONFIG names. Exit code 0: no differences; 1: some; 2: an error.
    #[arg(long)]
    diff: bool,
}

#[derive(Debug, clap::Args)]
struct Crds {
    /// The folder to write one file a kind to. Without it, all are printed.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Cli {
    /// Does what was asked for.
    pub async fn execute(self) -> ExitCode {
        let outcome = match self.command {
            Command::Run(options) => Box::pin(run_in_cluster(options)).await,
            Command::Standalone(arguments) => standalone::standalone(arguments).await,
            Command::Validate(files) => validate_files(&files),
            Command::Render(Render { files, diff: true }) => return compare_files(&files).await,
            Command::Render(Render { files, diff: false }) => render_files(&files),
            Command::Crds(crds) => write_definitions(crds.dir.as_deref()),
            Command::EnsureBucket(arguments) => make_buckets(&arguments).await,
            Command::Version => print(&format!("tempo-operator {}\n", env!("CARGO_PKG_VERSION"))),
            Command::Guard => guard::guard().await.map_err(Into::into),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("Error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Logs to standard error.
fn log() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG)))
        .with_writer(std::io::stderr)
        .init();
}

async fn run_in_cluster(options: run::Options) -> anyhow::Result<()> {
    log();
    Ok(Box::pin(run::run(options, environment()?)).await?)
}

async fn make_buckets(arguments: &EnsureBucket) -> anyhow::Result<()> {
    log();
    Ok(ensure_bucket(arguments).await?)
}

fn validate_files(files: &Files) -> anyhow::Result<()> {
    let manifests = Manifests::read(&files.files)?;
    let Report { text, invalid } = validate::report(&manifests, &environment()?);
    print(&text)?;
    anyhow::ensure!(invalid == 0, "{invalid} of them cannot be used");
    Ok(())
}

fn render_files(files: &Files) -> anyhow::Result<()> {
    let manifests = Manifests::read(&files.files)?;
    let rendered = render::render(&manifests, &environment()?)?;
    for notice in rendered.notices {
        eprintln!("{notice}");
    }
    print(&rendered.text)
}

/// As `diff` has it: 0 means no differences, 1 some, and 2 trouble.
async fn compare_files(files: &Files) -> ExitCode {
    match Box::pin(difference(files)).await {
        Ok(difference) if difference.text.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn difference(files: &Files) -> anyhow::Result<Difference> {
    let manifests = Manifests::read(&files.files)?;
    let config = kube::Config::infer()
        .await
        .context("cannot find a cluster to compare with; set KUBECONFIG")?;
    let client = kube::Client::try_from(config).context("cannot make a client for the API server")?;
    let difference = diff(&client, manifests, &environment()?).await?;
    for notice in &difference.notices {
        eprintln!("{notice}");
    }
    print(&difference.text)?;
    Ok(difference)
}

fn environment() -> anyhow::Result<Environment> {
    Ok(Environment::from_variables(|name| std::env::var(name).ok())?)
}

fn write_definitions(folder: Option<&Path>) -> anyhow::Result<()> {
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    }
    for definition in crd::definitions() {
        let text = crd::to_yaml(&definition)?;
        match folder {
            Some(folder) => {
                let path = folder.join(crd::file_name(&definition));
                std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            }
            None => print(&format!("---\n{text}"))?,
        }
    }
    Ok(())
}

/// Writes to standard output; a reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("write the output")
        }
        _ => Ok(()),
    }
}
