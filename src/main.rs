//! The `simplepipe` command line: one function per subcommand, errors to a message and an exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Push metrics for every Kubernetes namespace.
#[derive(Parser)]
#[command(version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the CustomResourceDefinition.
    Crd,
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Crd => crd(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("simplepipe: {error}");
        ExitCode::FAILURE
    })
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn crd() -> Outcome {
    print!("{}", simplepipe::api::crd::crd_yaml()?);
    Ok(ExitCode::SUCCESS)
}
