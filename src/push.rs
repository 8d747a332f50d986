//! `simplepipe push FILE JOB`: checks a metrics file and brings it to a Pushgateway.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::exit_code::ExitCode;
use crate::gateway::{Group, JobError, Options, OptionsError, Patience, Undelivered, deliver};
use crate::metrics_file::{MetricsFile, ReadError, Rejection, Source, exposition};

/// Push the metrics of a file to a Pushgateway.
///
/// The file is a JSON array of {"name", "description", "value", "metric_type"}, with metric_type one of gauge, summary,
/// histogram and info, and value a number or a string that holds one. It is pushed whole or not at all, and replaces
/// what was pushed for the job before.
///
/// Exits with 0 when the gateway has the metrics, 1 when it could not be reached or did not take them, 2 when the file,
/// the arguments or the settings are wrong; nothing has been sent then.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The metrics file; - for standard input.
    file: PathBuf,
    /// The job that the metrics belong to: their `job` label in Prometheus.
    job: String,
    #[command(flatten)]
    gateway: Options,
}

/// Why nothing was pushed, as one message for a person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No gateway, or none that can be spoken to as asked.
    #[error("{}{}", prefix(.0), .0)]
    Options(#[from] OptionsError),
    /// A job that is none.
    #[error("nothing was pushed: JOB {0}")]
    Job(#[from] JobError),
    /// A file that can't be read.
    #[error("nothing was pushed: {0}")]
    Read(#[from] ReadError),
    /// A file that is not right.
    #[error("nothing was pushed: {file} {cause}")]
    File {
        /// The file's name, ready to print.
        file: String,
        /// What is wrong with it.
        cause: Rejection,
    },
    /// The gateway does not have the metrics.
    #[error("not pushed: {gateway} {cause}")]
    Push {
        /// Where it should have gone, ready to print.
        gateway: String,
        /// What went wrong.
        cause: Undelivered,
    },
}

impl Error {
    /// The program's exit code after this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Options(_) | Self::Job(_) | Self::Read(_) | Self::File { .. } => {
                ExitCode::BadInput
            }
            Self::Push { .. } => ExitCode::Failure,
        }
    }
}

/// Runs the subcommand: a line on standard output when the metrics are there, lines on standard error while it waits.
///
/// # Errors
/// When nothing was pushed; [`Error::exit_code`] says whose fault it is.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let group = Group::of_job(&arguments.job)?;
    let client = arguments.gateway.client()?;
    let file = read(&Source::from_argument(&arguments.file))?;

    let gateway = client.address().to_string();
    let exposition = exposition(file.families());
    let patience = Patience {
        retry_for: arguments.gateway.retry_for(),
        progress: &progress,
    };
    deliver(&client, patience, || client.replace(&group, &exposition)).map_err(|cause| {
        Error::Push {
            gateway: gateway.clone(),
            cause,
        }
    })?;

    let count = file.families().len();
    let metrics = if count == 1 { "metric" } else { "metrics" };
    // The metrics are there, also where nobody reads this line.
    let _ = writeln!(
        io::stdout(),
        "pushed {count} {metrics} to {gateway} as {group}"
    );
    Ok(())
}

fn read(source: &Source) -> Result<MetricsFile, Error> {
    let content = source.read()?;
    MetricsFile::parse(&content).map_err(|cause| Error::File {
        file: source.to_string(),
        cause,
    })
}

fn progress(line: &str) {
    // Nothing depends on it that someone reads.
    let _ = writeln!(io::stderr(), "simplepipe: {line}");
}

/// The message on a missing gateway says it by itself.
fn prefix(error: &OptionsError) -> &'static str {
    match error {
        OptionsError::NoGateway => "",
        _ => "nothing was pushed: ",
    }
}
