//! When to look at an object again, though no watch tells of anything.

use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use crate::api::MetricsNamespace;

use super::cluster::child_cache::Served;
use super::context::Context;
use super::observe;
use super::outcome::{Outcome, Verb};
use super::problem::Cause;
use super::wish::Going;

/// Objects of somebody else's are not watched, so one that is in the way is looked for this often.
const NAME_TAKEN_RETRY: Duration = Duration::from_secs(8);
/// A kind whose watch has not noticed that it is gone is looked for this often.
const KIND_RETRY: Duration = Duration::from_secs(2);
/// While Deployments can't be watched, this often.
const BLIND_LOOK: Duration = Duration::from_secs(10);

/// Reasons to look again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Later {
    /// A kind that is missing may come back before its watch noticed that it was gone, and then no watch tells.
    kind_missing: bool,
    /// An object of somebody else's has a child's name.
    name_taken: bool,
    /// Something was not seen that the status tells of.
    blind: Option<Duration>,
    /// More is to be removed than one reconcile does.
    more: bool,
    /// When a fight over a child may be answered, or is over.
    contest: Option<Duration>,
    /// When a deletion has lasted for so long that it is told.
    deletion: Option<Duration>,
}

impl Later {
    /// Of an object for which all was done that can be done now. `was_blind` is whether something was not seen when its status was
    /// computed.
    pub fn after(
        object: &ObjectRef<MetricsNamespace>,
        applied: &Outcome,
        was_blind: bool,
        context: &Context,
    ) -> Self {
        let kinds_of = |cause: Cause| {
            let problems = applied.problems.iter().filter(move |p| p.cause == cause);
            problems.map(|p| p.kind)
        };
        let served = |kind| context.caches.children.served(kind) != Served::No;
        Self {
            kind_missing: kinds_of(Cause::KindNotServed).any(served),
            name_taken: kinds_of(Cause::NameTaken).next().is_some(),
            // What is seen again by now, the status does not say yet.
            blind: was_blind.then(|| match observe::is_blind(&context.health) {
                true => BLIND_LOOK,
                false => Duration::ZERO,
            }),
            // Where nothing can be removed, a failure says when to try again.
            more: applied.more && applied.written.iter().any(|w| w.verb == Verb::Removed),
            contest: context.contests.look(object, Instant::now()),
            deletion: None,
        }
    }

    /// The soonest of all reasons, of which one is a failure that is tried again after this delay.
    pub fn soonest(self, retry: Option<Duration>) -> Option<Duration> {
        let reasons = [
            retry,
            self.kind_missing.then_some(KIND_RETRY),
            self.name_taken.then_some(NAME_TAKEN_RETRY),
            self.blind,
            // Its turn comes after that of all others, and its budget says when.
            self.more.then_some(Duration::ZERO),
            self.contest,
            self.deletion,
        ];
        reasons.into_iter().flatten().min()
    }
}

impl From<Going> for Later {
    fn from(Going(deletion): Going) -> Self {
        Self {
            deletion,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_of_all_reasons_to_look_again_wins() {
        let all = Later {
            kind_missing: true,
            name_taken: true,
            blind: Some(BLIND_LOOK),
            more: false,
            contest: Some(Duration::from_secs(1)),
            deletion: Some(Duration::from_secs(3)),
        };
        let seconds = |later: Later, retry: Option<u64>| {
            let look = later.soonest(retry.map(Duration::from_secs));
            look.map(|look| look.as_secs())
        };
        assert_eq!(seconds(Later::default(), None), None);
        assert_eq!(seconds(Later::default(), Some(7)), Some(7));
        assert_eq!(seconds(all, Some(7)), Some(1));
        assert_eq!(seconds(all, Some(0)), Some(0));
        assert_eq!(seconds(Later { more: true, ..all }, Some(7)), Some(0));
        let without_contest = Later {
            contest: None,
            deletion: None,
            ..all
        };
        let of_deletion = Later {
            deletion: all.deletion,
            ..Later::default()
        };
        assert_eq!(seconds(of_deletion, None), Some(3));
        assert_eq!(
            seconds(without_contest, Some(7)),
            Some(KIND_RETRY.as_secs())
        );
        let unseen_and_taken = Later {
            kind_missing: false,
            ..without_contest
        };
        let soonest = NAME_TAKEN_RETRY.min(BLIND_LOOK).as_secs();
        assert_eq!(seconds(unseen_and_taken, None), Some(soonest));
        assert_eq!(seconds(unseen_and_taken, Some(7)), Some(7));
    }
}
