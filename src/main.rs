//! The `simplepipe` command line: one function per subcommand, errors to a message and an exit code.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::process;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};
use simplepipe::client::{old_arguments, push, run};
use simplepipe::exit_code::ExitCode;
use simplepipe::install;
use simplepipe::operator::{self, settings};
use simplepipe::terminal::tell;

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
    Crd {
        /// Print the fields as a page in Markdown instead.
        #[arg(long)]
        markdown: bool,
    },
    Push(Box<push::Arguments>),
    Run(Box<run::Arguments>),
    Install(install::Arguments),
    /// Print the JSON Schema of metrics files.
    Schema,
}

fn main() -> process::ExitCode {
    let outcome = match command() {
        Command::Operator(flags) => operator(*flags),
        Command::Crd { markdown } => crd(markdown),
        Command::Push(arguments) => push(&arguments),
        Command::Run(arguments) => match run(&arguments) {
            Ok(ending) => return ending.imitate(),
            Err(failure) => Err(failure),
        },
        Command::Install(arguments) => install(&arguments),
        Command::Schema => schema(),
    };
    let Err(failure) = outcome else {
        return process::ExitCode::SUCCESS;
    };
    if let Some(message) = failure.message {
        tell(&message);
    }
    failure.code.into()
}

/// What it is asked for, in today's words or in those of 2022.
fn command() -> Command {
    let given: Vec<OsString> = env::args_os().collect();
    let arguments = match given.get(1..).and_then(old_arguments::after_program) {
        Some(file_and_job) => ["simplepipe", "push", "--"]
            .map(OsString::from)
            .into_iter()
            .chain(file_and_job.iter().cloned())
            .collect(),
        None => given,
    };
    match CommandLine::try_parse_from(&arguments) {
        Ok(line) => line.command,
        Err(error) => {
            let variable = variable_at_fault(&error, &arguments);
            if let Some(variable) = variable.filter(|_| error.print().is_ok()) {
                tell(&format!("that value is from the variable {variable}"));
                process::exit(error.exit_code());
            }
            error.exit()
        }
    }
}

/// The variable that a wrong value is from: the parser names the option alone, which nobody may have given.
fn variable_at_fault(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    // As in `--concurrency <N>`.
    let option = option.split([' ', '=']).next().unwrap_or_default();
    let is_given = |argument: &OsString| {
        let argument = argument.to_string_lossy();
        argument.split('=').next() == Some(option)
    };
    if arguments.iter().any(is_given) {
        return None;
    }
    let line = CommandLine::command();
    let mut options = line
        .get_subcommands()
        .flat_map(clap::Command::get_arguments);
    let wanted = option.strip_prefix("--")?;
    let variable = options.find(|each| each.get_long() == Some(wanted) && each.get_env().is_some());
    Some(variable?.get_env()?.to_string_lossy().into_owned())
}

/// What a person is told, and what a script.
struct Failure {
    /// `None` where it was told already.
    message: Option<String>,
    code: ExitCode,
}

impl Failure {
    fn new(error: &impl Display, code: ExitCode) -> Self {
        Self {
            message: Some(error.to_string()),
            code,
        }
    }
}

fn operator(flags: settings::Flags) -> Result<(), Failure> {
    // One thread: the operator waits nearly all the time, and waking a second thread for each answer costs more than it
    // brings.
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(&e, ExitCode::Failure))?
        .block_on(operator::run(flags))
        .map_err(|e| match e.is_logged() {
            true => Failure {
                message: None,
                code: e.exit_code(),
            },
            false => Failure::new(&e, e.exit_code()),
        })
}

fn crd(markdown: bool) -> Result<(), Failure> {
    if markdown {
        return print(Ok::<_, Infallible>(simplepipe::api::reference::markdown()));
    }
    print(simplepipe::api::crd::crd_yaml())
}

fn schema() -> Result<(), Failure> {
    print(simplepipe::metrics_file::schema_json())
}

fn print(text: Result<String, impl Display>) -> Result<(), Failure> {
    let text = text.map_err(|e| Failure::new(&e, ExitCode::Failure))?;
    io::stdout().write_all(text.as_bytes()).map_err(|e| {
        let what = format!("standard output can't be written: {e}");
        Failure::new(&what, ExitCode::Failure)
    })
}

fn run(arguments: &run::Arguments) -> Result<run::Ending, Failure> {
    run::run(arguments).map_err(|e| Failure::new(&e, e.exit_code()))
}

fn push(arguments: &push::Arguments) -> Result<(), Failure> {
    push::run(arguments).map_err(|e| Failure::new(&e, e.exit_code()))
}

fn install(arguments: &install::Arguments) -> Result<(), Failure> {
    install::run(arguments).map_err(|e| Failure::new(&e, ExitCode::Failure))
}
