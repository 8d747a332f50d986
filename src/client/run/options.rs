//! The arguments of `simplepipe run`, and the environment's word on them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::target::Target;
use crate::client::connection_options::{NotUtf8, Options, OptionsError, grouping_label, meant};
use crate::client::push_group::Destination;
use crate::duration::duration;
use crate::gateway::Client;

/// Where the job is looked for after `--job`.
pub(super) const JOB: &str = "SIMPLEPIPE_JOB";
/// For how long a gateway that can't be reached is tried again, where nobody says otherwise. Whoever waits for the
/// command waits for this too.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// Run a command, and push how its run was.
///
/// Signals, standard streams and the exit code pass through unchanged. At the end, simplepipe adds these metrics to the
/// push group: run_time_seconds, run_cpu_seconds, run_peak_memory_bytes, run_exit_code, run_succeeded,
/// run_start_timestamp_seconds, run_end_timestamp_seconds and, if the command succeeded,
/// run_last_success_timestamp_seconds. It also adds the metrics that the command wrote to the file or folder that
/// SIMPLEPIPE_METRICS names, in any format that simplepipe push takes.
///
/// Exits as the command does: with its exit code, or by the signal that killed it. Exits with 127 if the command was
/// not found, and with 126 if it can't be run. A gateway that is down changes no exit code, unless --strict is given.
/// If the arguments are wrong, exits with 2 and does not start the command.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The job that the run belongs to: its `job` label in Prometheus [default: $SIMPLEPIPE_JOB, then COMMAND's name]
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// A further label of the push group. Give it as often as needed.
    #[arg(long, value_name = "NAME=VALUE", value_parser = grouping_label)]
    grouping_label: Vec<(String, String)>,
    /// Where the command writes metrics: a file, or a folder of files [default: a file in a temporary folder]
    #[arg(long, value_name = "PATH")]
    metrics: Option<PathBuf>,
    /// Push run_heartbeat_timestamp_seconds at this interval while the command runs, with units: 30s or 5m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    heartbeat: Option<Duration>,
    /// How long the group is worth keeping after its push (push_ttl_seconds), with units: 36h or 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    /// Exit with 1 if the command succeeded and not all metrics were pushed. Exit with 2 if no gateway is named, or the
    /// platform reserves the job. A file with a metric that Prometheus would drop is left out whole.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    gateway: Options,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Arguments {
    pub(super) fn target(&self) -> Result<Target, Error> {
        let job = match &self.job {
            Some(job) => Some(job.clone()),
            None => meant(env::var_os(JOB)).map_err(|NotUtf8| Error::JobNotUtf8)?,
        };
        let destination = Destination::new(job, self.grouping_label.clone())?;
        let (program, _) = self.command();
        Ok(Target::new(destination, program)?)
    }

    pub(super) fn client(&self) -> Result<Client, OptionsError> {
        self.gateway.client()
    }

    pub(super) fn retry_for(&self) -> Duration {
        self.gateway.retry_for_or(RETRY_FOR)
    }

    /// The program and its arguments; clap wants at least one word.
    pub(super) fn command(&self) -> (&OsStr, &[OsString]) {
        match self.command.split_first() {
            Some((program, arguments)) => (program, arguments),
            None => (OsStr::new(""), &[]),
        }
    }

    pub(super) fn metrics(&self) -> Option<&Path> {
        self.metrics.as_deref()
    }

    pub(super) fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    pub(super) fn ttl(&self) -> Option<Duration> {
        self.ttl
    }

    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }
}
