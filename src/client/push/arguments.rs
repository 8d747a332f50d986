//! The arguments of `simplepipe push`, and what they ask for.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::error::ArgumentsError;
use super::grouping_labels::{GroupingLabels, grouping_labels};
use crate::client::connection_options::{Options, grouping_label};
use crate::client::push_group::{Destination, DestinationError};
use crate::client::reserved::Reserved;
use crate::duration::duration;
use crate::gateway::Group;
use crate::metrics_file::Source;
use crate::terminal::quoted;

/// How metrics files are named, for all that is known.
const FILE_ENDINGS: [&str; 4] = [".json", ".prom", ".txt", ".om"];

/// Push the metrics of files to a Pushgateway.
///
/// A file is JSON, Prometheus' text format or OpenMetrics; docs/metrics-file.md describes them. All files are checked
/// before anything is sent. The files of one push group (the same job and grouping labels) go in one request. The
/// gateway takes a request whole or not at all. Each further group is a request of its own.
///
/// Exits with 0 when the gateway has everything. Exits with 1 when the gateway could not be reached or did not take the
/// push. Exits with 2 when a file, the arguments or the settings are wrong. Nothing has been sent then.
#[derive(Clone, Debug, clap::Args)]
#[command(override_usage = "simplepipe push [OPTIONS] FILE [JOB]\n       \
    simplepipe push [OPTIONS] --job JOB FILE...\n       \
    simplepipe push [OPTIONS] --file FILE [--file FILE]...\n       \
    simplepipe push [OPTIONS] --delete --job JOB")]
pub struct Arguments {
    /// The metrics file, or - for standard input. The job follows it if neither --job nor the file names the job. With
    /// --job, all words are files. If the job's name looks like a file, give it with --job. It looks like a file if it
    /// is one, has a slash, or ends in .json, .prom, .txt or .om.
    #[arg(value_name = "FILE [JOB]")]
    positional: Vec<OsString>,
    /// A metrics file that names its job itself. Give it as often as needed.
    #[arg(short, long, value_name = "FILE")]
    file: Vec<OsString>,
    /// The job that the metrics belong to: their `job` label in Prometheus. Wins over the job that a file names.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// A further label of the push group. Give it as often as needed. Wins over the label of that name in a file.
    #[arg(long, value_name = "NAME=VALUE", value_parser = grouping_label)]
    grouping_label: Vec<(String, String)>,
    /// Labels of the push group as a JSON object, for a workflow's step: {"instance": "eu-1"}
    #[arg(long, value_name = "JSON", value_parser = grouping_labels, default_value = "{}", hide_default_value = true)]
    grouping_labels: GroupingLabels,
    /// What a push does to the metrics that the group holds: put replaces all of them, post replaces those of the same
    /// names, accumulate adds to those of the same names.
    #[arg(
        long,
        value_enum,
        value_name = "METHOD",
        default_value = "put",
        ignore_case = true
    )]
    method: Method,
    /// The same as --method accumulate: add counters, histograms and summaries without quantiles to what the group
    /// holds, and replace other metrics of the same names. The sums are exact, even if many pushes run at once.
    #[arg(long, conflicts_with = "method")]
    accumulate: bool,
    /// How long the group is worth keeping after its push (metric push_ttl_seconds), with units: 36h, 7d or 1h30m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    /// Refuse metrics and jobs that Prometheus drops: those that it writes itself, and those that the platform reserves.
    /// With --accumulate, also refuse a metric named ..._total that has no type, because it is not added.
    #[arg(long)]
    strict: bool,
    /// Print what would be sent, and send nothing. Needs no gateway.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Delete the group and all that it holds.
    #[arg(
        long,
        conflicts_with_all = ["file", "ttl", "accumulate", "method", "strict"]
    )]
    delete: bool,
    #[command(flatten)]
    pub(super) gateway: Options,
}

/// How files are pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Method {
    Put,
    Post,
    Accumulate,
}

/// What the arguments ask for.
pub(super) enum Action {
    Push(Method, Files),
    Delete(Group),
}

/// Which files, and what is said about all of them.
pub(super) struct Files {
    pub(super) sources: Vec<Source>,
    pub(super) destination: Destination,
    pub(super) ttl: Option<Duration>,
}

impl Arguments {
    /// What does not happen where they are wrong.
    pub(super) fn undone(&self) -> &'static str {
        if self.delete {
            "nothing was deleted"
        } else {
            "nothing was pushed"
        }
    }

    /// What is reserved, by the environment.
    pub(super) fn reserved(&self) -> Reserved {
        Reserved::of_environment(self.strict)
    }

    pub(super) fn action(&self) -> Result<Action, ArgumentsError> {
        if self.delete {
            if let Some(word) = self.positional.first() {
                let job = self.job.as_ref().map_or(word.as_os_str(), OsStr::new);
                return Err(ArgumentsError::DeleteOperand(shown(job)));
            }
            let job = self.job.clone().ok_or(ArgumentsError::DeleteWhat)?;
            let destination = self.destination(Some(job))?;
            return Ok(Action::Delete(destination.group("")?));
        }
        let (files, job) = self.files_and_job()?;
        let sources: Vec<Source> = files
            .iter()
            .map(|file| Source::from_argument(Path::new(file)))
            .collect();
        let from_input = |source: &&Source| **source == Source::StandardInput;
        if sources.iter().filter(from_input).count() > 1 {
            return Err(ArgumentsError::InputTwice);
        }
        let method = if self.accumulate {
            Method::Accumulate
        } else {
            self.method
        };
        let files = Files {
            sources,
            destination: self.destination(job)?,
            ttl: self.ttl,
        };
        Ok(Action::Push(method, files))
    }

    fn destination(&self, job: Option<String>) -> Result<Destination, DestinationError> {
        let labels = self.grouping_label.iter().chain(&self.grouping_labels.0);
        Destination::new(job, labels.cloned().collect())
    }

    fn files_and_job(&self) -> Result<(&[OsString], Option<String>), ArgumentsError> {
        match (&self.positional[..], &self.file[..], &self.job) {
            ([], [], _) => Err(ArgumentsError::NoFile),
            ([word, ..], [_, ..], _) => Err(ArgumentsError::BesideFile(shown(word))),
            ([], files, job) | (files, [], job @ Some(_)) => Ok((files, job.clone())),
            ([_], _, None) => Ok((&self.positional, None)),
            ([file, job], _, None) => {
                check_no_file(file, job)?;
                Ok((&self.positional[..1], Some(text(job)?)))
            }
            (_, _, None) => Err(ArgumentsError::ManyFiles),
        }
    }
}

/// A pattern such as `m/*.prom` that matches two files must not make the second one's name the job of the first.
fn check_no_file(file: &OsStr, job: &OsStr) -> Result<(), ArgumentsError> {
    let is_there = |path: &OsStr| Path::new(path).is_file();
    let is_input = |path: &OsStr| Source::from_argument(Path::new(path)) == Source::StandardInput;
    if is_there(job) && !Path::new(file).exists() && !is_input(file) {
        return Err(ArgumentsError::Swapped {
            file: shown(file),
            job: shown(job),
        });
    }
    let text = job.to_string_lossy().to_ascii_lowercase();
    let sign = if is_input(job) {
        "is standard input"
    } else if is_there(job) {
        "is a file"
    } else if text.contains('/') {
        "has a slash"
    } else if FILE_ENDINGS.iter().any(|ending| text.ends_with(ending)) {
        "is named as a file is"
    } else {
        return Ok(());
    };
    Err(ArgumentsError::FileAsJob {
        job: shown(job),
        sign,
    })
}

fn shown(word: &OsStr) -> String {
    quoted(&word.to_string_lossy())
}

fn text(job: &OsStr) -> Result<String, ArgumentsError> {
    let job = job.to_str().ok_or(ArgumentsError::JobNotUtf8)?;
    Ok(job.to_owned())
}

/// As it stands in a request; the sum is sent like that too.
impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Accumulate => "POST, added to what is there,",
        })
    }
}
