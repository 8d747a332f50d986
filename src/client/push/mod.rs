//! `simplepipe push`: checks metrics files, and brings what they hold to a Pushgateway, one request for each push group.

mod arguments;
mod error;
mod grouping_labels;
mod pack;

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::Duration;

pub use arguments::Arguments;
pub use error::{ArgumentsError, Error, FileError, PushFailure};

use arguments::{Action, Method};
use pack::pack;

use crate::client::accumulation;
use crate::client::batch::{Batch, TTL};
use crate::client::connection_options::OptionsError;
use crate::client::reserved::Reserved;
use crate::gateway::{Client, Group, Patience, Undelivered, deliver, update};
use crate::metrics::{Family, MetricType, exposition};
use crate::terminal::{listed, quoted, tell};

/// For how long a gateway that can't be reached is tried again, where nobody says otherwise.
const RETRY_FOR: Duration = Duration::from_secs(30);
/// How many metrics a line names at most.
const LISTED: usize = 5;

/// Runs the subcommand: a line on standard output for each group that is there, lines on standard error while it waits.
///
/// # Errors
/// When something was not pushed; [`Error::exit_code`] says whose fault it is.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let undone = arguments.undone();
    let action = (arguments.action()).map_err(|cause| Error::Arguments { undone, cause })?;
    // Checked in this order, so that a wrong setting is told before a file is waited for.
    let client = arguments.gateway.client();
    if arguments.dry_run {
        let client = match client {
            Err(OptionsError::NoGateway) => Ok(None),
            other => other.map(Some),
        };
        let client = client.map_err(|cause| Error::Options { undone, cause })?;
        return dry_run(client.as_ref(), &action, &arguments.reserved());
    }
    let client = client.map_err(|cause| Error::Options { undone, cause })?;
    let patience = Patience {
        retry_for: arguments.gateway.retry_for_or(RETRY_FOR),
        progress: &tell,
    };
    match action {
        Action::Delete(group) => delete(&client, &group, patience),
        Action::Push(method, files) => {
            let batches = pack(&files)?;
            warn(method, &batches, &arguments.reserved())?;
            push_all(&client, method, &batches, patience)
        }
    }
}

fn delete(client: &Client, group: &Group, patience: Patience) -> Result<(), Error> {
    deliver(client, patience, || client.delete(group)).map_err(|cause| Error::Delete {
        gateway: client.address().to_string(),
        cause,
    })?;
    say(format_args!("deleted {group} at {}", client.address()));
    Ok(())
}

fn push_all(
    client: &Client,
    method: Method,
    batches: &[Batch],
    patience: Patience,
) -> Result<(), Error> {
    for (index, batch) in batches.iter().enumerate() {
        push(client, method, batch, patience).map_err(|cause| Error::Push {
            gateway: client.address().to_string(),
            cause: Box::new(cause),
            arrived: batches[..index]
                .iter()
                .map(|each| each.group.to_string())
                .collect(),
            missing: batches[index..]
                .iter()
                .map(|each| each.group.to_string())
                .collect(),
        })?;
        let done = what_was_done(method, &batch.families);
        let (gateway, group) = (client.address(), &batch.group);
        say(format_args!("{done} to {gateway} as {group}"));
    }
    Ok(())
}

/// Who adds up wants to know what was not: a counter's text may lack its type.
fn what_was_done(method: Method, families: &[Family]) -> String {
    let metrics = |count: usize| {
        let metrics = if count == 1 { "metric" } else { "metrics" };
        format!("{count} {metrics}")
    };
    // Nobody's measurement.
    let families = families.iter().filter(|family| family.name.as_str() != TTL);
    let count = families.clone().count();
    if method != Method::Accumulate {
        return format!("pushed {}", metrics(count));
    }
    let replaced: Vec<&str> = families
        .filter(|family| !accumulation::adds_up(family))
        .map(|family| family.name.as_str())
        .collect();
    let added = format!("added {}", metrics(count - replaced.len()));
    if replaced.is_empty() {
        added
    } else {
        let names = listed(&replaced, ", ", LISTED);
        format!("{added} and replaced {} ({names})", replaced.len())
    }
}

/// Of what a gateway takes, and Prometheus doesn't, and of what looks as if it were added and isn't.
///
/// # Errors
/// When something of that is refused.
fn warn(method: Method, batches: &[Batch], reserved: &Reserved) -> Result<(), Error> {
    let mut remarks = reserved.of_batches(batches);
    if method == Method::Accumulate {
        remarks.extend(untyped_counters(batches));
    }
    if reserved.is_strict() && !remarks.is_empty() {
        return Err(Error::Strict(remarks));
    }
    for remark in reserved.unread().iter().chain(&remarks) {
        tell(&format!("note: {remark}"));
    }
    Ok(())
}

/// What looks as if it were added, a remark for each.
fn untyped_counters(batches: &[Batch]) -> Vec<String> {
    let mut remarks = Vec::new();
    // Once, in however many groups it is.
    let mut seen = HashSet::new();
    let families = batches.iter().flat_map(|batch| &batch.families);
    for family in families.filter(|family| family.metric_type == MetricType::Untyped) {
        let name = family.name.as_str();
        if name.ends_with("_total") && seen.insert(name) {
            remarks.push(format!(
                "metric {} has no type, so it is not added but replaces what the group holds; a counter has a line \
                 # TYPE {name} counter",
                quoted(name)
            ));
        }
    }
    remarks
}

fn push(
    client: &Client,
    method: Method,
    Batch { group, families }: &Batch,
    patience: Patience,
) -> Result<(), PushFailure> {
    match method {
        Method::Put | Method::Post => {
            let text = exposition(families);
            let pushed = deliver(client, patience, || match method {
                Method::Put => client.replace(group, &text),
                _ => client.merge(group, &text),
            });
            Ok(pushed.map_err(|error| explained(client, group, error))?)
        }
        Method::Accumulate => {
            // Those of the sum that was written: there may be several tries.
            let mut notes = Vec::new();
            update(client, group, patience, |held| {
                let sum = accumulation::sum(families, held, group)?;
                notes = sum.notes;
                Ok(exposition(&sum.families))
            })?;
            notes.iter().for_each(|note| tell(note));
            Ok(())
        }
    }
}

/// Nothing is pushed after a refusal, so there is time to ask what it is about.
fn explained(client: &Client, group: &Group, mut error: Undelivered) -> Undelivered {
    client.explain([(&mut error.cause, group)]);
    error
}

/// Prints what would be sent: of each group, its request as a comment, and an exposition.
fn dry_run(client: Option<&Client>, action: &Action, reserved: &Reserved) -> Result<(), Error> {
    let target = |group: &Group| match client {
        Some(client) => client.address().of_group(group),
        None => "to no gateway: none is named".to_owned(),
    };
    let mut text = String::new();
    // Writing into a String doesn't fail.
    match action {
        Action::Delete(group) => {
            let _ = writeln!(text, "# DELETE {}\n# {group}", target(group));
        }
        Action::Push(method, files) => {
            let batches = pack(files)?;
            warn(*method, &batches, reserved)?;
            for Batch { group, families } in batches {
                let _ = writeln!(text, "# {method} {}\n# {group}", target(&group));
                text += &exposition(&families);
            }
        }
    }
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::Output)
}

/// What was done is done, also where nobody reads this line.
fn say(line: fmt::Arguments) {
    let _ = writeln!(io::stdout(), "{line}");
}
