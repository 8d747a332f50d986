//! `simplepipe run -- COMMAND`: runs a command, and pushes how the run was.

mod command;
mod ending;
mod memory_kills;
mod place;
mod signals;
mod usage;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::exit_code::ExitCode;

pub use ending::Ending;
use memory_kills::MemoryKills;
use place::Place;
use watch::Watch;

/// Run a command, and push how its run was.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Where the command writes metrics of its own.
    #[arg(long, value_name = "PATH")]
    metrics: Option<PathBuf>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Why the command was not even tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody could look after it.
    #[error("the command was not started: signals can't be caught: {0}")]
    Signals(io::Error),
}

impl Error {
    /// The program's exit code after this error.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Failure
    }
}

/// Runs the subcommand; says what it has to say on standard error.
///
/// # Errors
/// When the command was not even tried.
pub fn run(arguments: &Arguments) -> Result<Ending, Error> {
    let place = match &arguments.metrics {
        Some(path) => Some(Place::named(path)),
        None => Place::temporary().ok(),
    };
    let kills = MemoryKills::from_now();
    let mut watch = Watch::<()>::begin().map_err(Error::Signals)?;
    let (program, rest) = arguments.command.split_first().unwrap();
    let variable = place.as_ref().map(|place| (place::VARIABLE, place.path()));
    let ending = match command::start(program, rest, variable) {
        Ok(command) => watch.command(command),
        Err(error) => {
            say(&error.to_string());
            Ending::Exited(error.exit_code())
        }
    };
    if let Some(place) = place {
        place.clear();
    }
    say(&format!("{:?}", kills.map(|k| k.so_far())));
    Ok(ending)
}

fn say(line: &str) {
    // Nothing depends on it that someone reads.
    let _ = writeln!(io::stderr(), "simplepipe: {line}");
}
