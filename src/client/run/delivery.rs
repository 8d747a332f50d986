//! Brings a run's report to the gateway.

use std::time::Duration;

use super::report::Report;
use crate::gateway::{Client, Group, Patience, PushError, Undelivered, deliver};
use crate::metrics::{Family, exposition};
use crate::terminal::tell;

#[derive(Debug, Default)]
pub struct Lost {
    /// What of which group, and why.
    failed: Vec<(&'static str, Group, Undelivered)>,
    /// Groups that were not tried.
    untried: usize,
}

/// Pushes all of the report, adding to what the groups hold.
pub fn push(client: &Client, report: &Report, retry_for: Duration) -> Lost {
    let delivery = Delivery { client, retry_for };
    let mut lost = Lost::default();
    let group = &report.measured.group;
    match delivery.run(report) {
        Ok(None) => {}
        Ok(Some(refused)) => lost.add("the command's metrics", group, refused),
        Err(error) => {
            let is_away = is_away(&error);
            lost.add("the metrics", group, error);
            if is_away {
                return lost;
            }
        }
    }
    let mut others = report.others.iter();
    for batch in &mut others {
        if let Err(error) = delivery.bring(&batch.group, &[&batch.families]) {
            let is_away = is_away(&error);
            lost.add("the command's metrics", &batch.group, error);
            if is_away {
                break;
            }
        }
    }
    lost.untried = others.len();
    lost
}

impl Lost {
    fn add(&mut self, what: &'static str, group: &Group, error: Undelivered) {
        self.failed.push((what, group.clone(), error));
    }

    pub fn is_nothing(&self) -> bool {
        self.failed.is_empty() && self.untried == 0
    }

    /// Whether the gateway may tell more of why it refused something.
    pub fn is_refused(&self) -> bool {
        let mut causes = self.failed.iter().map(|(_, _, error)| &error.cause);
        causes.any(|cause| matches!(cause, PushError::Refused(..)))
    }

    /// Asks the gateway for it.
    pub fn explain(&mut self, client: &Client) {
        let failed = self.failed.iter_mut();
        client.explain(failed.map(|(_, group, error)| (&mut error.cause, &*group)));
    }

    /// As lines for a person.
    pub fn lines(&self, client: &Client) -> Vec<String> {
        let gateway = client.address();
        let failed = self.failed.iter();
        let failed = failed.map(|(what, group, error)| {
            format!("{what} of {group} were not pushed: {gateway} {error}")
        });
        let untried = match self.untried {
            0 => None,
            1 => Some("those of another group were not tried".to_owned()),
            more => Some(format!("those of {more} further groups were not tried")),
        };
        failed.chain(untried).collect()
    }
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
}
