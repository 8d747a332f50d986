//! `simplepipe run -- COMMAND`: runs a command as if nobody stood between, and pushes how the run was.

mod caught_signals;
mod command;
mod delivery;
mod ending;
mod heartbeat;
mod memory_kills;
mod metrics_place;
mod on_signal;
mod options;
mod report;
mod standard_metrics;
mod target;
mod usage;

use std::io;
use std::sync::Arc;

use rustix::process::Signal;

pub use ending::Ending;
pub use options::Arguments;

use crate::client::batch;
use crate::client::connection_options::OptionsError;
use crate::client::push_group::DestinationError;
use crate::client::reserved::Reserved;
use crate::exit_code::ExitCode;
use crate::gateway::Client;
use crate::metrics::{Family, exposition};
use crate::terminal::tell;
use delivery::Lost;
use heartbeat::Heartbeat;
use memory_kills::MemoryKills;
use metrics_place::{NoFolder, Place};
use on_signal::Watch;
use report::Report;
use standard_metrics::{Measured, Start};
use target::Target;
use usage::Usage;

/// Why the command was not even tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No push group of that name.
    #[error("the command was not started: {0}")]
    Target(#[from] DestinationError),
    /// A job that is no text.
    #[error(
        "the command was not started: {} is not UTF-8 text; write it in UTF-8",
        options::JOB
    )]
    JobNotUtf8,
    /// Nowhere to push to, where `--strict` wants it.
    #[error("the command was not started: {0}")]
    Gateway(#[from] OptionsError),
    /// Nothing of it would be seen, where `--strict` wants it.
    #[error("the command was not started: {0}")]
    Reserved(String),
    /// Nowhere to write metrics to, where `--strict` wants all of them.
    #[error("the command was not started: {0}")]
    Place(#[from] NoFolder),
    /// Nobody could look after it.
    #[error("the command was not started: signals can't be caught: {0}")]
    Signals(io::Error),
}

impl Error {
    /// The program's exit code after this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Target(_) | Self::JobNotUtf8 | Self::Gateway(_) | Self::Reserved(_) => {
                ExitCode::BadInput
            }
            Self::Place(_) | Self::Signals(_) => ExitCode::Failure,
        }
    }
}

/// Runs the subcommand; says what it has to say on standard error. How to end.
///
/// # Errors
/// When the command was not even tried.
pub fn run(arguments: &Arguments) -> Result<Ending, Error> {
    let target = arguments.target()?;
    let client = client(arguments)?.map(Arc::new);
    let reserved = Reserved::of_environment(arguments.is_strict());
    if client.is_some() {
        check_job(target.group.job(), &reserved)?;
    }
    let place = place(arguments)?;

    let run = Run {
        arguments,
        target,
        client,
        reserved: Arc::new(reserved),
    };
    let (measured, mut watch) = run.measure(place.as_ref())?;
    let pushed = run.push(&measured, place, &mut watch);

    let ending = measured.ending;
    if arguments.is_strict() && ending.succeeded() && !pushed {
        return Ok(Ending::Exited(1));
    }
    Ok(ending)
}

/// None where nothing can be pushed, which is said.
fn client(arguments: &Arguments) -> Result<Option<Client>, Error> {
    match arguments.client() {
        Ok(client) => Ok(Some(client)),
        Err(error) if arguments.is_strict() => Err(error.into()),
        Err(error) => {
            tell(&format!("nothing will be pushed: {error}"));
            Ok(None)
        }
    }
}

/// Says where Prometheus drops all of the run.
///
/// # Errors
/// Where that is refused.
fn check_job(job: &str, reserved: &Reserved) -> Result<(), Error> {
    match reserved.job(job) {
        Some(remark) if reserved.is_strict() => return Err(Error::Reserved(remark)),
        remark => reserved
            .unread()
            .iter()
            .chain(&remark)
            .for_each(|line| tell(&format!("note: {line}"))),
    }
    Ok(())
}

/// None where the system has no room for it, which is said.
fn place(arguments: &Arguments) -> Result<Option<Place>, Error> {
    if let Some(path) = arguments.metrics() {
        return Ok(Some(Place::named(path)));
    }
    match Place::temporary() {
        Ok(place) => Ok(Some(place)),
        Err(error) if arguments.is_strict() => Err(error.into()),
        Err(error) => {
            tell(&format!(
                "the command has no {}: {error}",
                metrics_place::VARIABLE
            ));
            Ok(None)
        }
    }
}

struct Run<'a> {
    arguments: &'a Arguments,
    target: Target,
    client: Option<Arc<Client>>,
    reserved: Arc<Reserved>,
}

impl Run<'_> {
    fn measure(&self, place: Option<&Place>) -> Result<(Measured, Watch<Pushed>), Error> {
        let (program, arguments) = self.arguments.command();
        let variable = place.map(|place| (metrics_place::VARIABLE, place.path()));
        let kills = MemoryKills::from_now();
        let used_before = Usage::of_children();

        let mut watch = Watch::begin().map_err(Error::Signals)?;
        let start = Start::now();
        let ending = match command::start(program, arguments, variable) {
            Ok(command) => {
                let _heartbeat = self.heartbeat(start);
                watch.command(command)
            }
            Err(error) => {
                tell(&error.to_string());
                Ending::Exited(error.exit_code())
            }
        };
        let measured = Measured {
            start,
            time: start.elapsed(),
            usage: Usage::of_children().since(used_before),
            ending,
        };
        explain(ending, kills.map_or(0, |kills| kills.so_far()));
        Ok((measured, watch))
    }

    fn heartbeat(&self, start: Start) -> Option<Heartbeat> {
        let interval = self.arguments.heartbeat()?;
        let client = self.client.clone()?;
        let ttl = self.ttl();
        let exposition = move || {
            let families: Vec<Family> = start.heartbeat().into_iter().chain(ttl.clone()).collect();
            exposition(&families)
        };
        Heartbeat::start(client, self.target.group.clone(), interval, exposition)
            .inspect_err(|error| tell(&format!("no heartbeat: {error}")))
            .ok()
    }

    /// Pushes what there is to push. Whether all of it arrived.
    fn push(&self, measured: &Measured, place: Option<Place>, watch: &mut Watch<Pushed>) -> bool {
        let Some(client) = self.client.clone() else {
            return false;
        };
        let pushing = Arc::clone(&client);
        let (families, ttl) = (measured.families(), self.ttl());
        let (target, reserved) = (self.target.clone(), Arc::clone(&self.reserved));
        let retry_for = self.arguments.retry_for();
        // Reading is done there too: a file may be on a disk that hangs.
        let pushed = watch.work(move || {
            let report = Report::gather(&target, families, ttl.as_ref(), place.as_ref(), &reserved);
            drop(place);
            Pushed {
                lost: delivery::push(&pushing, &report, retry_for),
                problems: report.problems,
                notes: report.notes,
            }
        });
        let group = &self.target.group;
        let cause = match pushed {
            Ok(Some(pushed)) => {
                let is_whole = pushed.is_whole();
                explained(pushed, &client, watch)
                    .iter()
                    .for_each(|line| tell(line));
                return is_whole;
            }
            Ok(None) => format!("told to end before {} had them", client.address()),
            Err(error) => error.to_string(),
        };
        tell(&format!("the metrics of {group} were not pushed: {cause}"));
        false
    }

    fn ttl(&self) -> Option<Family> {
        self.arguments.ttl().and_then(batch::ttl)
    }
}

struct Pushed {
    lost: Lost,
    problems: Vec<String>,
    notes: Vec<String>,
}

impl Pushed {
    fn is_whole(&self) -> bool {
        self.lost.is_nothing() && self.problems.is_empty()
    }

    fn lines(&self, client: &Client) -> Vec<String> {
        let known = self.notes.iter().chain(&self.problems).cloned();
        known.chain(self.lost.lines(client)).collect()
    }
}

/// What there is to tell; also why something was refused, where the gateway says so while there is time. All that could be
/// pushed is pushed.
fn explained(mut pushed: Pushed, client: &Arc<Client>, watch: &mut Watch<Pushed>) -> Vec<String> {
    let lines = pushed.lines(client);
    if !pushed.lost.is_refused() {
        return lines;
    }
    let asking = Arc::clone(client);
    let asked = watch.work(move || {
        pushed.lost.explain(&asking);
        pushed
    });
    match asked {
        Ok(Some(explained)) => explained.lines(client),
        _ => lines,
    }
}

/// Says what an exit code alone doesn't: that the kernel killed for lack of memory.
fn explain(ending: Ending, kills: u64) {
    if ending.succeeded() || kills == 0 {
        return;
    }
    let what = if ending == Ending::Killed(Signal::KILL.as_raw()) {
        "the command was killed for lack of memory"
    } else {
        "processes of the command, or others of its container, were killed for lack of memory"
    };
    tell(&format!("{what}; give it a higher memory limit"));
}
