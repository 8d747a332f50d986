//! Brings a run's report to the gateway.

use std::time::Duration;

use super::report::Report;
use crate::gateway::{Client, Group, Patience, PushError, Undelivered, deliver};
use crate::metrics::{Family, exposition};
use crate::terminal::tell;

/// Pushes all of the report, adding to what the groups hold. What did not arrive, as lines for a person.
pub fn push(client: &Client, report: &Report, retry_for: Duration) -> Vec<String> {
    let delivery = Delivery { client, retry_for };
    let mut lost = Vec::new();
    let group = &report.measured.group;
    match delivery.run(report) {
        Ok(None) => {}
        Ok(Some(refused)) => lost.push(delivery.told("the command's metrics", group, &refused)),
        Err(error) => {
            lost.push(delivery.told("the metrics", group, &error));
            if is_away(&error) {
                return lost;
            }
        }
    }
    let mut others = report.others.iter();
    for parcel in &mut others {
        if let Err(error) = delivery.bring(&parcel.group, &[&parcel.families]) {
            lost.push(delivery.told("the command's metrics", &parcel.group, &error));
            if is_away(&error) {
                break;
            }
        }
    }
    match others.len() {
        0 => {}
        1 => lost.push("those of another group were not tried".to_owned()),
        more => lost.push(format!("those of {more} further groups were not tried")),
    }
    lost
}

/// Then the next group would only wait as long, for nothing.
fn is_away(error: &Undelivered) -> bool {
    error.cause.is_transient()
}

struct Delivery<'a> {
    client: &'a Client,
    retry_for: Duration,
}

impl Delivery<'_> {
    /// What goes to the run's own group, in one push. Where the gateway refuses it because of what the command wrote, in
    /// one without that; then the refusal comes back.
    fn run(&self, report: &Report) -> Result<Option<Undelivered>, Undelivered> {
        let measured = &report.measured;
        let Err(error) = self.bring(&measured.group, &[&measured.families, &report.written]) else {
            return Ok(None);
        };
        if !matches!(error.cause, PushError::Refused(..)) || report.written.is_empty() {
            return Err(error);
        }
        self.bring(&measured.group, &[&measured.families])?;
        Ok(Some(error))
    }

    fn bring(&self, group: &Group, families: &[&[Family]]) -> Result<(), Undelivered> {
        let text: String = families.iter().map(|each| exposition(each)).collect();
        let patience = Patience {
            retry_for: self.retry_for,
            progress: &tell,
        };
        deliver(self.client, patience, || self.client.merge(group, &text))
    }

    fn told(&self, what: &str, group: &Group, error: &Undelivered) -> String {
        let gateway = self.client.address();
        format!("{what} of {group} were not pushed: {gateway} {error}")
    }
}
