//! Why a reconcile is tried again, and when.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use thiserror::Error;
use tracing::{info, warn};

use crate::api::MetricsNamespace;

use crate::operator::cluster::backoff::retry_delay;
use crate::operator::locked::Locked;
use crate::operator::problem::{Cause, Failure, Problem};
use crate::operator::telemetry::lasting_failures::Lasting;

/// Delay after the first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(500);

type Reference = ObjectRef<MetricsNamespace>;

/// Why a reconcile is tried again.
#[derive(Debug, Error)]
pub enum Error {
    /// A child can't be written.
    #[error("{says}")]
    Child {
        failure: Failure,
        /// Which child, and why, as its condition says it.
        says: String,
    },
    /// The status can't be written.
    #[error("{}", of_status(.0))]
    Status(Failure),
}

impl Error {
    /// The first of these problems that is tried again.
    pub fn first(problems: &[Problem]) -> Option<Self> {
        problems.iter().find_map(|problem| match &problem.cause {
            Cause::Failed(failure) => Some(Self::Child {
                failure: failure.clone(),
                says: problem.to_string(),
            }),
            Cause::NameTaken | Cause::KindNotServed | Cause::Contested | Cause::HeldBack => None,
        })
    }

    /// The reason as a metric's label: one of a few.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Status(_) => "status_not_written",
            Self::Child { failure, .. } => match failure {
                Failure::Refused(_) => "refused",
                Failure::Unavailable(_) => "unavailable",
                Failure::Unanswered => "unanswered",
            },
        }
    }
}

fn of_status(failure: &Failure) -> String {
    match failure {
        Failure::Refused(why) => format!("the API server refuses the status: {why}"),
        Failure::Unavailable(why) => {
            format!("the status could not be written and is tried again: {why}")
        }
        Failure::Unanswered => "the API server has not answered yet about the status".into(),
    }
}

/// What failed, and how often in a row. The log tells of it.
#[derive(Default)]
pub struct Failures {
    in_a_row: Locked<HashMap<Reference, u32>>,
    told: Lasting<Reference>,
}

impl Failures {
    /// Notes a failure. When to try the object again: soon at first, and never later than in seconds.
    pub fn failed(&self, object: &Reference, error: &Error) -> Duration {
        let delay = {
            let mut in_a_row = self.in_a_row.lock();
            let failing = in_a_row.len();
            let count = in_a_row.entry(object.clone()).or_insert(0);
            let delay = retry_delay(FIRST_RETRY, *count, failing);
            *count += 1;
            delay
        };
        let error = error.to_string();
        if let Some(told) = self.told.fails(object, &error, Instant::now()) {
            warn!(
                namespace = object.namespace,
                name = object.name,
                error,
                "reconcile {told}"
            );
        }
        delay
    }

    /// Notes that nothing of it fails.
    pub fn works(&self, object: &Reference) {
        self.in_a_row.lock().remove(object);
        if let Some(told) = self.told.works(object, Instant::now()) {
            info!(
                namespace = object.namespace,
                name = object.name,
                "reconcile {told}"
            );
        }
    }

    /// Whether the last try failed.
    pub fn is_failing(&self, object: &Reference) -> bool {
        self.in_a_row.lock().contains_key(object)
    }

    /// Drops what is no more.
    pub fn forget(&self, object: &Reference) {
        self.in_a_row.lock().remove(object);
        self.told.forget(object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition_types::ConditionType;
    use crate::operator::kind::Kind;

    #[test]
    fn that_statuses_are_not_written_has_a_reason_of_its_own() {
        let failure = || Failure::Refused("no right".into());
        assert_eq!(Error::Status(failure()).reason(), "status_not_written");
        let problem = |cause| Problem {
            kind: Kind::Service,
            name: "pushgateway".into(),
            serves: ConditionType::GatewayAvailable,
            cause,
            stays: false,
        };
        let problems = [problem(Cause::NameTaken), problem(failure().into())];
        assert_eq!(Error::first(&problems).unwrap().reason(), "refused");
        assert!(Error::first(&problems[..1]).is_none());
    }
}
