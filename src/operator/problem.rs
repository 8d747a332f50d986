//! What keeps a child from being as wanted: as a condition's reason, and in words for conditions and the log.

use std::fmt;

use crate::api::condition_types::{ConditionType, Reason};
use crate::api::prometheus_operator;

use super::kind::{Kind, Monitor};

/// One child that is not as wanted, and can't be made so now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: Kind,
    pub name: String,
    /// The condition that it stands for.
    pub serves: ConditionType,
    pub cause: Cause,
    /// Whether it is there all the same, as it was before, and goes on working.
    pub stays: bool,
}

/// Why a child can't be made as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An object of its name is there that somebody else made.
    NameTaken,
    /// The cluster does not know its kind.
    KindNotServed,
    /// It is not there, as others keep deleting it.
    Contested,
    /// It is not there, and the object is paused.
    HeldBack,
    Failed(Failure),
}

/// Why a request did not do what it was for. Only this is tried again: watches and budgets tell of the end of all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The API server says no, in these words.
    Refused(String),
    /// The API server can't be asked, for this reason.
    Unavailable(String),
    /// The API server has not answered yet.
    Unanswered,
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Problem {
    /// The reason of a condition that it makes false.
    pub fn reason(&self) -> Reason {
        match &self.cause {
            Cause::NameTaken => Reason::NameTaken,
            Cause::KindNotServed => self
                .kind
                .monitor()
                .map_or(Reason::ApiUnavailable, Monitor::missing),
            Cause::Contested => Reason::ChangedByOthers,
            Cause::HeldBack => Reason::PausedBySpec,
            Cause::Failed(Failure::Refused(_)) => Reason::Refused,
            Cause::Failed(Failure::Unavailable(_) | Failure::Unanswered) => Reason::ApiUnavailable,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind.as_str(), &self.name);
        let (child, comma) = match self.stays {
            true => (
                format!("a change of {kind} {name}, which stays as it was"),
                ",",
            ),
            false => (format!("{kind} {name}"), ""),
        };
        match &self.cause {
            Cause::NameTaken => write!(
                f,
                "{child} is there and was not made by Simplepipe; rename or delete it, and it will be made"
            ),
            Cause::KindNotServed => match self.kind.monitor() {
                Some(monitor) => f.write_str(&without(monitor)),
                None => write!(
                    f,
                    "{child} could not be written: this API server serves no {kind}s"
                ),
            },
            Cause::Contested => write!(f, "{child} is not there: others keep deleting it"),
            Cause::HeldBack => write!(
                f,
                "{child} is not there, and is not made while spec.paused is true"
            ),
            Cause::Failed(Failure::Refused(why)) => write!(
                f,
                "the API server refuses {child}: {why}{}",
                cure(self.kind, why)
            ),
            Cause::Failed(Failure::Unavailable(why)) => write!(
                f,
                "{child}{comma} could not be written and is tried again: {why}"
            ),
            Cause::Failed(Failure::Unanswered) => write!(
                f,
                "{child} is not there: the API server has not answered yet, perhaps because an admission webhook hangs"
            ),
        }
    }
}

/// What to do about a refusal, where the API server's words alone do not tell.
fn cure(kind: Kind, why: &str) -> String {
    let is_older = ["unknown field", "field not declared in schema"]
        .iter()
        .any(|words| why.contains(words));
    if !is_older || kind.monitor().is_none() {
        return String::new();
    }
    format!(
        ". The CRD {}.{} is older than Prometheus Operator {}: install the CRDs of that version or a later one",
        kind.plural(),
        prometheus_operator::GROUP,
        prometheus_operator::OLDEST
    )
}

/// What is so, and what to do, where the cluster does not have these monitors.
pub fn without(monitor: Monitor) -> String {
    let kind = monitor.kind();
    format!(
        "this cluster has no {}s (CRD {}.{}), so nobody scrapes {}; install the Prometheus Operator's CRDs, and \
         Simplepipe notices it within seconds",
        kind.as_str(),
        kind.plural(),
        prometheus_operator::GROUP,
        monitor.whom()
    )
}
