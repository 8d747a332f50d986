//! The `simplepipe` command line: one function per subcommand, errors to a message and an exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use simplepipe::operator::{self, settings};
use simplepipe::push;

/// Push metrics for every Kubernetes namespace.
#[derive(Parser)]
#[command(version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator.
    Operator(Box<settings::Flags>),
    /// Print the CustomResourceDefinition.
    Crd,
    Push(push::Arguments),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Operator(flags) => operator(*flags),
        Command::Crd => crd(),
        Command::Push(arguments) => push(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("simplepipe: {error}");
        ExitCode::FAILURE
    })
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn operator(flags: settings::Flags) -> Outcome {
    tokio::runtime::Runtime::new()?.block_on(operator::run(flags))?;
    Ok(ExitCode::SUCCESS)
}

fn crd() -> Outcome {
    print!("{}", simplepipe::api::crd::crd_yaml()?);
    Ok(ExitCode::SUCCESS)
}

fn push(arguments: &push::Arguments) -> Outcome {
    Ok(push::run(arguments).map_or_else(
        |error| {
            eprintln!("simplepipe: {error}");
            error.exit_code().into()
        },
        |()| ExitCode::SUCCESS,
    ))
}
