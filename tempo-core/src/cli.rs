//! The command line of `tempo`: the engine by Tempo's own flags, and tools as subcommands.

mod bench;
mod check;
mod delete;
mod demo;
mod engine;
mod forget;
mod inspect;
mod opened;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

const ENGINE_HELP: &str = "\
The engine is started by Tempo's own flags, with one dash or two:

  tempo -target=all -config.file=tempo.yaml

  -config.file=FILE         the configuration, in the dialect of Tempo 2.x or 3.x; defaults without it
  -config.expand-env=true   replace ${NAME} and ${NAME:-default} in the file by environment variables
  -config.verify=true       check the configuration, say what is wrong with it, and end
  -target=ROLE              all (default), distributor, ingester, querier, query-frontend or compactor
  -log.level=LEVEL          debug, info, warn or error; RUST_LOG wins with its finer filters
  -SECTION.KEY=VALUE        any setting of the file by its path, such as -server.http-listen-port=3300
  -version                  print the version and end

SIGTERM or Ctrl-C stops it: doors close, what was acknowledged is flushed, then it ends. A second one ends it at once.

See what runs at http://127.0.0.1:3200: /ready, /metrics, /status, /status/config; GET /flush makes blocks of all spans.";

/// Stores traces and answers queries over them; works with Grafana's Tempo data source.
#[derive(Debug, Parser)]
#[command(name = "tempo", version, after_long_help = ENGINE_HELP, after_help = ENGINE_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Bench(bench::Bench),
    Inspect(inspect::Inspect),
    Check(check::Check),
    Delete(delete::Delete),
    Forget(forget::Forget),
    /// Print the version.
    Version,
}

/// Does what the words after the program's name ask for.
pub async fn execute(words: Vec<String>) -> ExitCode {
    let outcome = match words.first().map(String::as_str) {
        Some("-h" | "-help" | "--help" | "help") if words.len() == 1 => {
            let _ = Cli::command().print_long_help();
            Ok(())
        }
        Some(word) if !word.starts_with('-') => subcommand(words).await,
        _ => engine::run(words).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn subcommand(words: Vec<String>) -> anyhow::Result<()> {
    let words = std::iter::once("tempo".to_owned()).chain(words);
    let matches = Cli::command()
        .try_get_matches_from(words)
        .unwrap_or_else(|error| error.exit());
    match Cli::from_arg_matches(&matches)?.command {
        Command::Demo(demo) => demo.run().await,
        Command::Bench(bench) => bench.run().await,
        Command::Inspect(inspect) => inspect.run().await,
        Command::Check(check) => check.run().await,
        Command::Delete(delete) => delete.run().await,
        Command::Forget(forget) => forget.run().await,
        Command::Version => {
            print_version();
            Ok(())
        }
    }
}

fn print_version() {
    println!("tempo {}", env!("CARGO_PKG_VERSION"));
}
