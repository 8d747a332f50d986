//! The arguments of `simplepipe run`, and the environment's word on them.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::target::{self, Target, TargetError};
use crate::gateway::{Client, GroupingLabelError, Options, OptionsError};
use crate::terminal::quoted;

/// Where the job is looked for after `--job`.
const JOB: &str = "SIMPLEPIPE_JOB";
/// For how long a gateway that can't be reached is tried again, where nobody says otherwise. Whoever waits for the
/// command waits for this too.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// Run a command, and push how its run was.
///
/// Signals, standard streams and the exit code pass through unchanged. At the end these metrics are added to the push
/// group: run_time_seconds, run_cpu_seconds, run_peak_memory_bytes, run_exit_code, run_succeeded,
/// run_start_timestamp_seconds and, where it ended well, run_last_success_timestamp_seconds; and those that the command
/// wrote to the file or folder that SIMPLEPIPE_METRICS names, in any format that simplepipe push takes.
///
/// Exits as the command does: with its exit code, by the signal that killed it, with 127 where it was not found and 126
/// where it can't be run. A gateway that is down changes nothing of that, unless --strict. Exits with 2 before it starts
/// the command where the arguments are wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The job that the run belongs to: its `job` label in Prometheus [default: $SIMPLEPIPE_JOB, then COMMAND's name]
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// A further label of the push group; as often as needed.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    grouping_label: Vec<(String, String)>,
    /// Where the command writes metrics: a file, or a folder of files [default: a file in a temporary folder]
    #[arg(long, value_name = "PATH")]
    metrics: Option<PathBuf>,
    /// Say so again and again while the command runs (run_heartbeat_timestamp_seconds), so often; such as 30s or 5m.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    heartbeat: Option<Duration>,
    /// For how long after its push the group is worth keeping (push_ttl_seconds); such as 36h or 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,
    /// Exit with 1 where the command succeeded and not all metrics were pushed, and with 2 where no gateway is named.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    gateway: Options,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Arguments {
    pub(super) fn target(&self) -> Result<Target, TargetError> {
        // An empty variable is as good as none, as everywhere in a shell.
        let variable = || env::var(JOB).ok().filter(|job| !job.trim().is_empty());
        let given = self.job.clone().or_else(variable);
        let (program, _) = self.command();
        let mut labels = BTreeMap::new();
        for (name, value) in self.grouping_label.iter().cloned() {
            if labels.insert(name.clone(), value).is_some() {
                return Err(GroupingLabelError::Twice(name).into());
            }
        }
        Target::new(given, target::name_of(program), labels)
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

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write NAME=VALUE".to_owned())
}

/// At least a second: less is a mistake, or too much for a gateway.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{} is not a time; write a number and a unit, such as 30s, 5m, 12h or 7d",
            quoted(text)
        )
    };
    let (number, unit) =
        text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    if number == 0 {
        return Err("must not be zero".to_owned());
    }
    Ok(Duration::from_secs(u64::from(number) * unit))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1s", 1)]
    #[case("90m", 5400)]
    #[case("36h", 129_600)]
    #[case("7d", 604_800)]
    fn a_duration_has_a_unit(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
    }

    #[rstest]
    fn other_durations_are_refused(
        #[values("", "s", "5", "5 m", "-5s", "0s", "5ms", "5é", "1.5h", "99999999999s")] text: &str,
    ) {
        assert!(duration(text).is_err(), "{text}");
    }
}
