//! Why something was not pushed, as one message for a person.

use std::io;

use crate::client::accumulation::CantAdd;
use crate::client::batch::Unfit;
use crate::client::connection_options::OptionsError;
use crate::client::push_group::{DestinationError, FileGroupError};
use crate::exit_code::ExitCode;
use crate::gateway::{Undelivered, UpdateError};
use crate::metrics_file::{ReadError, Rejection};

/// Why something was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments that make no sense together.
    #[error("{undone}: {cause}")]
    Arguments {
        undone: &'static str,
        /// What is wrong with them.
        cause: ArgumentsError,
    },
    /// No gateway, or none that can be spoken to as asked.
    #[error("{}{cause}", prefix(.undone, .cause))]
    Options {
        undone: &'static str,
        /// What is wrong with them.
        cause: OptionsError,
    },
    /// Files that can't be pushed.
    #[error("nothing was pushed: {}", listed(.0))]
    Files(Vec<FileError>),
    /// What Prometheus would drop, or what would not be added up, where that is refused.
    #[error("nothing was pushed: {}", .0.join("\n  "))]
    Strict(Vec<String>),
    /// The gateway does not have everything.
    #[error("not pushed: {gateway} {cause}{}", arrived_note(.arrived, .missing))]
    Push {
        /// Where it should have gone, ready to print.
        gateway: String,
        cause: Box<PushFailure>,
        /// The groups that arrived before, ready to print.
        arrived: Vec<String>,
        /// Those that did not, ready to print.
        missing: Vec<String>,
    },
    /// The gateway may still have the group.
    #[error("not deleted: {gateway} {cause}")]
    Delete {
        /// Where the group is, ready to print.
        gateway: String,
        cause: Undelivered,
    },
    /// What would be sent could not be printed.
    #[error("standard output can't be written: {0}")]
    Output(io::Error),
}

/// Arguments that make no sense together.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentsError {
    #[error("no FILE is named; write: simplepipe push FILE JOB")]
    NoFile,
    /// A deletion that names a file, or a job as one does.
    #[error(
        "--delete takes the job by --job: simplepipe push --delete --job {0}; it takes no FILE"
    )]
    DeleteOperand(String),
    /// A deletion of nothing.
    #[error("no job is named; write: simplepipe push --delete --job JOB")]
    DeleteWhat,
    /// A file, or a job, beside those of `--file`.
    #[error(
        "{0} stands beside --file, which takes one file; write --file before each file, or all files without it, and the job \
         with --job"
    )]
    BesideFile(String),
    /// More arguments than a file and a job.
    #[error(
        "more than FILE and JOB are named; for several files write --job JOB FILE..., or --file before each file that \
         names its job itself"
    )]
    ManyFiles,
    /// The file is not there, but a file of the job's name is.
    #[error("{file} is not there, and the job {job} is a file; write the file first, then the job")]
    Swapped {
        /// What was taken for the file, ready to print.
        file: String,
        /// What was taken for the job, ready to print.
        job: String,
    },
    /// What stands where the job does looks like a second file.
    #[error(
        "{job} stands where the job does, and {sign}; for two files write: simplepipe push --job JOB FILE..., and for a \
         job of this name: --job {job} FILE"
    )]
    FileAsJob {
        /// What was taken for the job, ready to print.
        job: String,
        /// By what it looks like a file.
        sign: &'static str,
    },
    /// Standard input can only be read once.
    #[error("standard input (-) is named twice; name it once")]
    InputTwice,
    /// A job that is no text.
    #[error("JOB is not UTF-8 text; write it in UTF-8")]
    JobNotUtf8,
    /// A job or a label that is none.
    #[error("{0}")]
    Destination(#[from] DestinationError),
}

/// Why a file can't be pushed. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    Read(#[from] ReadError),
    #[error("{file} {cause}")]
    Content {
        /// The file's name, ready to print.
        file: String,
        /// What is wrong with it.
        cause: Rejection,
    },
    /// It has no push group.
    #[error("{file} {cause}")]
    Group {
        /// The file's name, ready to print.
        file: String,
        cause: FileGroupError,
    },
    /// It is right, but not for this push, or not together with the others.
    #[error("{0}")]
    Unfit(#[from] Unfit),
}

/// What went wrong between the gateway and a push.
#[derive(Debug, thiserror::Error)]
pub enum PushFailure {
    #[error("{0}")]
    Undelivered(#[from] Undelivered),
    #[error("{0}")]
    NotAdded(#[from] UpdateError<CantAdd>),
}

impl Error {
    /// The program's exit code after this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Arguments { .. } | Self::Options { .. } | Self::Files(_) | Self::Strict(_) => {
                ExitCode::BadInput
            }
            Self::Push { .. } | Self::Delete { .. } | Self::Output(_) => ExitCode::Failure,
        }
    }
}

/// The message on a missing gateway says it by itself.
fn prefix(undone: &str, error: &OptionsError) -> String {
    match error {
        OptionsError::NoGateway => String::new(),
        _ => format!("{undone}: "),
    }
}

fn listed(wrong: &[FileError]) -> String {
    let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    match &lines[..] {
        [line] => line.clone(),
        lines => format!("{} files are wrong:\n{}", lines.len(), lines.join("\n")),
    }
}

fn arrived_note(arrived: &[String], missing: &[String]) -> String {
    if arrived.is_empty() && missing.len() == 1 {
        return String::new();
    }
    let there = match arrived {
        [] => "none of the groups".to_owned(),
        arrived => arrived.join("; "),
    };
    format!(
        "\n  arrived: {there}\n  not arrived: {}",
        missing.join("; ")
    )
}
