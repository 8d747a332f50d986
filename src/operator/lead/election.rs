//! Who may hold the Lease, and for how long: what is decided, apart from asking.
//!
//! All times are this machine's own. What another wrote into the Lease is never compared with this machine's clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::ResourceExt;
use tokio::time::Instant;

/// A holder's word on how long its Lease lasts is taken up to this.
const LONGEST: Duration = Duration::from_secs(300);
/// Between two tries.
const RETRY: Duration = Duration::from_millis(300);

/// What a candidate does about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It is not there: to be made.
    Nobodys,
    /// Somebody deleted it, and its holder may not know yet: to be made when it would have ended.
    Deleted { until: Instant },
    /// To be taken, if it is still at this version.
    Free { version: String },
    /// Another's; to be taken when it has not been renewed by then.
    Theirs {
        /// By whom, and when it was renewed.
        words: String,
        holder: String,
        /// When it ends, and its version.
        until: Instant,
        version: String,
    },
}

/// What is known of another's Lease.
struct Seen {
    spec: LeaseSpec,
    since: Instant,
    until: Instant,
}

/// One that would like to hold the Lease.
pub struct Candidate {
    identity: String,
    duration: Duration,
    seen: Option<Seen>,
}

impl Candidate {
    /// Knows nothing yet. `duration` is its own.
    pub fn new(identity: String, duration: Duration) -> Self {
        Self {
            identity,
            duration,
            seen: None,
        }
    }

    /// What follows from the Lease as it is now.
    pub fn look(&mut self, lease: Option<&Lease>, now: Instant) -> Whose {
        let Some(lease) = lease else {
            let until = self.seen.as_ref().map(|seen| seen.until);
            let Some(until) = until.filter(|until| now < *until) else {
                self.seen = None;
                return Whose::Nobodys;
            };
            return Whose::Deleted { until };
        };
        let version = lease.resource_version().unwrap_or_default();
        let Some(holder) = holder(lease).filter(|holder| *holder != self.identity) else {
            self.seen = None;
            return Whose::Free { version };
        };
        let spec = lease.spec.clone().unwrap_or_default();
        // Somebody else's annotation is no renewal.
        let since = match self.seen.take() {
            Some(seen) if seen.spec == spec => seen.since,
            _ => now,
        };
        // What the holder promised counts: it may have been started with another duration.
        let promised = spec
            .lease_duration_seconds
            .and_then(|s| u64::try_from(s).ok());
        let lasts = promised
            .map_or(self.duration, Duration::from_secs)
            .min(LONGEST);
        let until = since + lasts;
        self.seen = Some(Seen {
            spec: spec.clone(),
            since,
            until,
        });
        if now >= until {
            return Whose::Free { version };
        }
        let renewed = spec
            .renew_time
            .map_or_else(|| "never".into(), |time| time.0.to_string());
        Whose::Theirs {
            words: format!("is held by {holder}, renewed {renewed}"),
            holder: holder.to_owned(),
            until,
            version,
        }
    }
}

/// Who holds it, if somebody does.
pub fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// The time of one that holds the Lease.
#[derive(Debug)]
pub struct Tenure {
    duration: Duration,
    /// When the last renewal that went well *began*: others count from later.
    renewed: Instant,
    next: Instant,
}

impl Tenure {
    /// It was taken by a write that began then.
    pub fn new(duration: Duration, began: Instant) -> Self {
        Self {
            duration,
            renewed: began,
            next: began + duration / 3,
        }
    }

    /// From then on nothing is written. A tenth before the Lease's end: what is cut then, or was sent just before, is
    /// over when another may take it.
    pub fn end(&self) -> Instant {
        self.renewed + self.duration - self.duration / 10
    }

    /// When to renew it, or to try again.
    pub fn next(&self) -> Instant {
        self.next.min(self.end())
    }

    /// How long an answer is waited for, so that there is time for another try.
    pub fn patience(&self, now: Instant) -> Duration {
        let left = self.end().saturating_duration_since(now);
        left.min(self.duration / 5)
    }

    /// A renewal that began then went well.
    pub fn renewed(&mut self, began: Instant) {
        *self = Self::new(self.duration, began);
    }

    /// A try failed now. `asked`: how long the API server asks to wait; half of what is left is kept for another try.
    pub fn failed(&mut self, now: Instant, asked: Duration) {
        let left = self.end().saturating_duration_since(now);
        self.next = now + asked.min(left / 2).max(RETRY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

    const SECOND: Duration = Duration::from_secs(1);
    const DURATION: Duration = Duration::from_secs(15);

    fn lease(version: &str, holder: &str, renewed: i64, seconds: Option<i32>) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.into()),
                lease_duration_seconds: seconds,
                renew_time: Some(MicroTime(jiff::Timestamp::from_second(renewed).unwrap())),
                ..LeaseSpec::default()
            }),
        }
    }

    fn candidate() -> Candidate {
        Candidate::new("me".into(), DURATION)
    }

    fn free(version: &str) -> Whose {
        Whose::Free {
            version: version.into(),
        }
    }

    #[test]
    fn a_lease_that_is_free_or_given_back_or_its_own_is_taken_at_once() {
        let now = Instant::now();
        assert_eq!(candidate().look(None, now), Whose::Nobodys);
        for holder in ["", "me"] {
            let lease = lease("7", holder, 1, None);
            assert_eq!(candidate().look(Some(&lease), now), free("7"));
        }
        let mut waiting = candidate();
        waiting.look(Some(&lease("7", "other", 1, None)), now);
        assert_eq!(waiting.look(Some(&lease("8", "", 1, None)), now), free("8"));
    }

    #[test]
    fn anothers_is_taken_when_it_was_not_renewed_for_as_long_as_its_holder_promised() {
        let start = Instant::now();
        // By its holder's clock it is renewed in a thousand years.
        for (promised, lasts) in [
            (None, DURATION),
            (Some(60), SECOND * 60),
            (Some(5), SECOND * 5),
        ] {
            let lease = lease("7", "other", 30_000_000_000, promised);
            let mut candidate = candidate();
            let Whose::Theirs { until, words, .. } = candidate.look(Some(&lease), start) else {
                panic!("taken from its holder")
            };
            assert_eq!(until, start + lasts);
            assert!(words.contains("held by other"), "{words}");
            let early = candidate.look(Some(&lease), start + lasts - SECOND);
            assert!(matches!(early, Whose::Theirs { .. }), "{early:?}");
            assert_eq!(candidate.look(Some(&lease), start + lasts), free("7"));
        }
    }

    #[test]
    fn a_renewal_counts_from_when_it_is_seen_and_an_annotation_is_none() {
        let start = Instant::now();
        let mut candidate = candidate();
        candidate.look(Some(&lease("7", "other", 1, None)), start);
        let annotated = lease("8", "other", 1, None);
        let Whose::Theirs { until, .. } = candidate.look(Some(&annotated), start + SECOND) else {
            panic!("taken from its holder")
        };
        assert_eq!(until, start + DURATION);
        let renewed = lease("9", "other", 2, None);
        let Whose::Theirs { until, .. } = candidate.look(Some(&renewed), start + SECOND) else {
            panic!("taken from its holder")
        };
        assert_eq!(until, start + SECOND + DURATION);
    }

    #[test]
    fn one_that_is_deleted_is_made_when_its_holder_surely_knows() {
        let start = Instant::now();
        let mut candidate = candidate();
        candidate.look(Some(&lease("7", "other", 1, None)), start);
        let until = start + DURATION;
        let early = candidate.look(None, until - SECOND);
        assert_eq!(early, Whose::Deleted { until });
        assert_eq!(candidate.look(None, until), Whose::Nobodys);
        assert_eq!(self::candidate().look(None, start), Whose::Nobodys);
    }

    #[test]
    fn nothing_is_written_from_before_the_end_that_another_counts_to() {
        let start = Instant::now();
        let mut tenure = Tenure::new(DURATION, start);
        assert!(tenure.end() < start + DURATION);
        assert_eq!(tenure.next(), start + SECOND * 5);
        tenure.renewed(start + SECOND * 5);
        assert!(tenure.end() > start + DURATION && tenure.end() < start + SECOND * 20);
    }

    #[test]
    fn two_renewals_that_hang_leave_time_for_a_third() {
        for duration in [SECOND * 5, DURATION, SECOND * 300] {
            let start = Instant::now();
            let mut tenure = Tenure::new(duration, start);
            for _ in 0..2 {
                let now = tenure.next();
                tenure.failed(now + tenure.patience(now), Duration::ZERO);
            }
            assert!(tenure.next() < tenure.end(), "{duration:?}");
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_leaves_time_for_another_try() {
        let start = Instant::now();
        let mut tenure = Tenure::new(DURATION, start);
        let now = start + SECOND * 5;
        tenure.failed(now, SECOND);
        assert_eq!(tenure.next(), now + SECOND);
        let late = tenure.end() - SECOND;
        tenure.failed(late, SECOND * 5);
        assert_eq!(tenure.next(), late + SECOND / 2);
        let too_late = tenure.end() - SECOND / 10;
        tenure.failed(too_late, Duration::ZERO);
        assert_eq!(tenure.next(), tenure.end());
        assert_eq!(tenure.patience(tenure.end()), Duration::ZERO);
    }
}
