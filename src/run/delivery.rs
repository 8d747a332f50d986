//! Brings a run's report to the gateway.

use std::time::Duration;

use super::report::{Part, Report};
use super::say;
use crate::gateway::{Client, Patience, PushError, Undelivered, deliver};
use crate::metrics_file::{Family, exposition};

/// Pushes all parts of the report, adding to what their groups hold. What did not arrive, as lines for a person.
pub fn push(client: &Client, report: &Report, retry_for: Duration) -> Vec<String> {
    let mut lost = Vec::new();
    for part in std::iter::once(&report.run).chain(&report.others) {
        match push_part(client, part, retry_for) {
            Ok(None) => {}
            Ok(Some(refused)) => lost.push(told(client, part, "the command's metrics", &refused)),
            Err(error) => {
                let away = error.cause.is_transient();
                lost.push(told(client, part, "the metrics", &error));
                // Then the others would only wait as long, for nothing.
                if away {
                    break;
                }
            }
        }
    }
    lost
}

/// In one push. Where the gateway refuses it because of what the command wrote, in one without that; then the refusal
/// comes back.
fn push_part(
    client: &Client,
    part: &Part,
    retry_for: Duration,
) -> Result<Option<Undelivered>, Undelivered> {
    let bring = |families: &[&[Family]]| {
        let text: String = families.iter().map(|each| exposition(each)).collect();
        let patience = Patience {
            retry_for,
            progress: &say,
        };
        deliver(client, patience, || client.merge(&part.group, &text))
    };
    let refused = match bring(&[&part.measured, &part.written]) {
        Ok(()) => return Ok(None),
        Err(error) => error,
    };
    let may_be_the_commands =
        matches!(refused.cause, PushError::Refused(..)) && !part.written.is_empty();
    if !may_be_the_commands || part.measured.is_empty() {
        return Err(refused);
    }
    bring(&[&part.measured])?;
    Ok(Some(refused))
}

fn told(client: &Client, part: &Part, what: &str, error: &Undelivered) -> String {
    format!(
        "{what} of {} were not pushed: {} {error}",
        part.group,
        client.address()
    )
}
