//! A lock that an unmodified Pushgateway keeps for one of its push groups, so that one pusher at a time reads and
//! writes it.
//!
//! A Pushgateway has no lock and no compare-and-set. But it applies writes one after another, and before each it checks
//! that all that it would hold fits together; if not, it refuses the push, and the two are one step. So what must not
//! happen twice is written such that a second time would not fit:
//!
//! - **The lock** is a push of [`DIGITS`] metrics to a group of its own, each of one of three types. The types spell the
//!   lock's random id, the names are the same for all who lock the same group, and one name can have only one type: any
//!   other id is refused for as long as the first is there. Letting go is deleting the own group, which touches nobody
//!   else's. Two pushers at the same moment would have to pick the same of 3^32 ids to both hold it.
//! - **The write** carries a series that is labelled with the lock's id, its seal. **A ban** is the same series in a
//!   group of its own. Both at once would be the same series twice, so of a write and its ban only the first can be, and
//!   whoever tries to ban knows from the answer which that was.
//!
//! An id is used for one write at most. So a holder that got no answer to its write bans it: refused, the write is
//! there; taken, it is not there, and never will be, and the whole starts over. And a lock that a dead pusher left is
//! broken, when it is [`STALE`] by the gateway's own clock, by banning its write before it is deleted: a holder that was
//! only slow is refused, and starts over. (A proxy that puts its own `Date` on answers makes that early or late, no
//! worse.) Where the write is there already, whoever breaks the lock attests it before,
//! since the next write replaces the seal, and a holder that still waits for its answer must find out. No clock, and no
//! delay in the network, can make two writes from one reading, or one push count twice.
//!
//! What has to hold: the gateway checks what it is pushed (the answer to a push tells: 200 if so, 202 if not), and from
//! lock to write it is the same process. The latter is seen to by doing both on one connection; behind a proxy that
//! connects anew, a gateway that restarts in those milliseconds without keeping what it held could lose a lock.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use ureq::http::{Method, StatusCode};

use crate::gateway::group_contents::{Held, HeldGroup, Labels};
use crate::gateway::{Client, Group, PushError};

/// The job of all locks. Metrics of this job, and those whose name begins so, are nobody's measurements.
pub const LOCK_JOB: &str = "simplepipe_accumulate";
/// After how long a lock is taken for a dead pusher's. A live one holds it for milliseconds.
pub(super) const STALE: Duration = Duration::from_secs(10);
/// After how long what a killed pusher left may be tidied up: no request is under way for so long.
pub(super) const LITTER: Duration = Duration::from_secs(3600);
/// How many pieces of litter one holder tidies up.
const TIDIED: usize = 10;

/// The label that names the group that is locked.
const GROUP: &str = "group";
/// The label that names the lock itself, another one at each push.
pub const ID: &str = "simplepipe_accumulate_id";
const LOCK: &str = "simplepipe_accumulate_lock";
const SEAL: &str = "simplepipe_accumulate_write";
const ATTEST: &str = "simplepipe_accumulate_written";
/// Three to their power ids.
const DIGITS: u32 = 32;
const TYPES: [&str; 3] = ["gauge", "counter", "untyped"];

/// The right to write a group once, from [`Lock::take`] to [`Lock::release`] or [`Lock::ban`].
pub(super) struct Lock<'a> {
    client: &'a Client,
    target: &'a Group,
    id: String,
}

/// How taking a lock ended.
pub(super) enum Taken {
    Yes,
    /// Somebody else holds it, or did so a moment ago. With the gateway's refusal.
    No(PushError),
    /// The gateway checks nothing, so everybody would get it.
    Unchecked,
}

/// What became of a write that was banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Happened,
    NeverWill,
}

impl<'a> Lock<'a> {
    /// A lock that is not taken yet, with a new id.
    pub(super) fn new(client: &'a Client, target: &'a Group) -> Self {
        // The standard library seeds its hash maps at random.
        let id = RandomState::new().hash_one(()) % 3u64.pow(DIGITS);
        Self::with_id(client, target, format!("{id:016x}"))
    }

    fn with_id(client: &'a Client, target: &'a Group, id: String) -> Self {
        Self { client, target, id }
    }

    /// Tries to take it, once.
    pub(super) fn take(&self) -> Result<Taken, PushError> {
        let text = lock_exposition(self.target, &self.id);
        match self.client.push(Method::POST, &self.group(), &text) {
            Ok(StatusCode::OK) => Ok(Taken::Yes),
            Ok(_) => {
                self.release();
                Ok(Taken::Unchecked)
            }
            Err(error) => {
                // A refused push leaves a group that says so, and one without an answer may have arrived. Where it still
                // does so later, it is stale after a while.
                let hangs = matches!(error, PushError::Timeout(_));
                let refused = matches!(error, PushError::Refused(..));
                if refused || (error.may_have_arrived() && !hangs) {
                    self.release();
                }
                match &error {
                    PushError::Refused(_, answer) if answer.mentions(LOCK) => Ok(Taken::No(error)),
                    _ => Err(error),
                }
            }
        }
    }

    /// Whether a push was refused because somebody banned it.
    pub(super) fn is_banned(&self, error: &PushError) -> bool {
        matches!(error, PushError::Refused(_, answer) if answer.mentions(SEAL))
    }

    /// Whether the gateway still showed it.
    pub(super) fn is_in(&self, held: &Held) -> bool {
        held.groups
            .iter()
            .filter(|group| locks(group, self.target))
            .any(|group| group.labels.get(ID) == Some(&self.id))
    }

    /// What makes the write one that can be banned; to be pushed with it.
    pub(super) fn seal(&self) -> String {
        format!("# TYPE {SEAL} gauge\n{SEAL}{{{ID}=\"{}\"}} 1\n", self.id)
    }

    /// Sees to it that the write never happens unless it has. Afterwards the lock can be released.
    pub(super) fn ban(&self) -> Result<Write, PushError> {
        let text = format!("# TYPE {SEAL} gauge\n{SEAL} 1\n");
        match self.client.merge(&self.ban_group(), &text) {
            Err(error) if self.is_banned(&error) => Ok(Write::Happened),
            Err(error) => Err(error),
            // Also where the write was there, and another one has replaced its seal since.
            Ok(()) => match self.client.held(&self.ban_group())? {
                Some(held) if held.families.contains_key(ATTEST) => Ok(Write::Happened),
                _ => Ok(Write::NeverWill),
            },
        }
    }

    /// Keeps on record that the write happened.
    fn attest(&self) -> Result<(), PushError> {
        let text = format!("# TYPE {ATTEST} gauge\n{ATTEST} 1\n");
        self.client.merge(&self.ban_group(), &text)
    }

    /// Forgets what is on record about the write: for its holder, once nothing can depend on it any more.
    pub(super) fn forget(&self) {
        let _ = self.client.delete(&self.ban_group());
    }

    /// Lets go of it. Where that does not arrive, it is stale after a while.
    pub(super) fn release(&self) {
        let _ = self.client.delete(&self.group());
    }

    fn ban_group(&self) -> Group {
        self.target.clone().with_own(ID, &self.id)
    }

    fn group(&self) -> Group {
        lock_group(self.target).with_own(ID, &self.id)
    }
}

/// Whether a group is worth looking at by who locks the target: the target, its locks, and bans.
pub(super) fn concerns(labels: &Labels, target: &Group) -> bool {
    is_lock_group(labels, target) || is_target(labels, target) || is_ban(labels, target)
}

/// The target, as the gateway holds it.
pub(super) fn take_target(held: &mut Held, target: &Group) -> Option<HeldGroup> {
    let place = held
        .groups
        .iter()
        .position(|group| is_target(&group.labels, target))?;
    Some(held.groups.swap_remove(place))
}

/// For how long the target has been locked by somebody.
pub(super) fn locked_for(held: &Held, target: &Group) -> Option<Duration> {
    held.groups
        .iter()
        .filter(|group| locks(group, target))
        .map(|group| age(group, held.at))
        .max()
}

/// Breaks the lock on the target, where it is stale. A gateway has one at most, and whoever shows more is not waited for.
///
/// # Errors
/// When it could not be found out what became of a dead pusher's write; its lock stays then.
pub(super) fn break_stale(client: &Client, held: &Held, target: &Group) -> Result<(), PushError> {
    let is_stale = |group: &&HeldGroup| locks(group, target) && age(group, held.at) >= STALE;
    let stale = held.groups.iter().find(is_stale);
    let Some(id) = stale.and_then(|group| group.labels.get(ID)) else {
        return Ok(());
    };
    let lock = Lock::with_id(client, target, id.clone());
    if lock.ban()? == Write::Happened {
        lock.attest()?;
    }
    lock.release();
    Ok(())
}

/// Removes what pushers that were killed left.
pub(super) fn tidy(client: &Client, held: &Held, target: &Group) {
    for group in litter(held, target) {
        let _ = client.delete(&group);
    }
}

/// Bans, and groups that say that a lock was refused, which nobody can need any more.
fn litter(held: &Held, target: &Group) -> Vec<Group> {
    let of_use_to_nobody = |group: &&HeldGroup| {
        let labels = &group.labels;
        let refused = is_lock_group(labels, target) && !locks(group, target);
        (refused || is_ban(labels, target)) && age(group, held.at) >= LITTER
    };
    let name = |group: &HeldGroup| {
        let base = if is_ban(&group.labels, target) {
            target.clone()
        } else {
            lock_group(target)
        };
        let id = group.labels.get(ID).map(String::as_str);
        base.with_own(ID, id.unwrap_or_default())
    };
    let litter = held.groups.iter().filter(of_use_to_nobody);
    litter.take(TIDIED).map(name).collect()
}

fn is_target(labels: &Labels, target: &Group) -> bool {
    labels.len() == target.labels().len() && has_all(labels, target)
}

fn is_ban(labels: &Labels, target: &Group) -> bool {
    labels.len() == target.labels().len() + 1 && labels.contains_key(ID) && has_all(labels, target)
}

fn is_lock_group(labels: &Labels, target: &Group) -> bool {
    labels.len() == 3 && labels.contains_key(ID) && has_all(labels, &lock_group(target))
}

fn has_all(labels: &Labels, group: &Group) -> bool {
    group
        .labels()
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}

/// Whether it is a lock, and not only one that was refused.
fn locks(group: &HeldGroup, target: &Group) -> bool {
    is_lock_group(&group.labels, target) && group.families.keys().any(|name| name.starts_with(LOCK))
}

/// Since its last push, refused ones included, by the gateway's clock alone; a clock that was set back makes it young.
fn age(group: &HeldGroup, now: Option<Timestamp>) -> Duration {
    let pushed = group.families.values().map(|family| family.time_stamp);
    match (pushed.max(), now) {
        (Some(pushed), Some(now)) => now.duration_since(pushed).try_into().unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

fn lock_group(target: &Group) -> Group {
    Group::own(LOCK_JOB).with_own(GROUP, &digest(target))
}

/// The same for the same labels, whatever their order, and short, however long they are: Prometheus may limit the
/// length of a label, and would scrape nothing at all.
fn digest(target: &Group) -> String {
    let mut labels = target.labels().to_vec();
    labels.sort();
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let digest = Sha256::digest(pairs.join(","));
    let hex = digest[..16].iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// One metric for each digit of the id in base three, the digit being its type. The names are the target's own.
fn lock_exposition(target: &Group, id: &str) -> String {
    let digest = digest(target);
    let number = u64::from_str_radix(id, 16).unwrap_or_default();
    let lines = (0..DIGITS).map(|place| {
        let digit = number / 3u64.pow(place) % 3;
        let word = TYPES[digit as usize];
        let name = format!("{LOCK}_{digest}_{place}");
        format!("# TYPE {name} {word}\n{name} 1\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn group(zone: &str) -> Group {
        Group::of_job("train").unwrap().with("zone", zone).unwrap()
    }

    /// The types by name: what of two locks does not fit.
    fn types(exposition: &str) -> HashMap<&str, &str> {
        exposition
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .collect()
    }

    fn clash(one: &str, other: &str) -> bool {
        let (one, other) = (types(one), types(other));
        one.iter()
            .any(|(name, word)| other.get(name).is_some_and(|second| second != word))
    }

    proptest! {
        #[test]
        fn two_ids_clash_and_one_does_not(one in 0..3u64.pow(DIGITS), other in 0..3u64.pow(DIGITS)) {
            let exposition = |id: u64| lock_exposition(&group("eu"), &format!("{id:016x}"));
            prop_assert_eq!(clash(&exposition(one), &exposition(other)), one != other);
        }
    }

    #[test]
    fn ids_next_to_each_other_clash() {
        let exposition = |id| lock_exposition(&group("eu"), id);
        assert!(clash(
            &exposition("0000000000000000"),
            &exposition("0000000000000001")
        ));
        // The last two of them.
        assert!(clash(
            &exposition("000694a7f8a6cbc0"),
            &exposition("000694a7f8a6cbbf")
        ));
    }

    #[test]
    fn locks_on_two_groups_have_nothing_in_common() {
        let [one, other] = ["eu", "us"].map(|zone| lock_exposition(&group(zone), "0"));
        let (one, other) = (types(&one), types(&other));
        assert!(one.keys().all(|name| !other.contains_key(name)));
    }

    #[test]
    fn the_order_of_labels_makes_no_other_group() {
        let labels = [("zone", "eu"), ("model", "a")];
        let [one, other] = [[0, 1], [1, 0]].map(|order| {
            order
                .iter()
                .fold(Group::of_job("train").unwrap(), |group, &index: &usize| {
                    group.with(labels[index].0, labels[index].1).unwrap()
                })
        });
        assert_eq!(digest(&one), digest(&other));
        // A value that looks like a label is none.
        assert_ne!(digest(&group("eu\",model=\"a")), digest(&one));
    }

    /// Groups by their labels, a metric of each, and when that was pushed, at noon.
    fn at_noon(groups: &[(&Group, &str, &str)]) -> Held {
        let held = |&(group, metric, time): &(&Group, &str, &str)| {
            let family = serde_json::json!({
                "time_stamp": format!("2026-11-25T{time}Z"), "type": "GAUGE", "metrics": []
            });
            HeldGroup {
                labels: group.labels().iter().cloned().collect(),
                families: [(metric.to_owned(), serde_json::from_value(family).unwrap())].into(),
            }
        };
        Held {
            groups: groups.iter().map(held).collect(),
            at: Some("2026-11-25T12:00:00Z".parse().unwrap()),
        }
    }

    #[test]
    fn litter_is_what_nobody_can_need_any_more() {
        let eu = group("eu");
        let ban = |id| eu.clone().with_own(ID, id);
        let lock = |id| lock_group(&eu).with_own(ID, id);
        let others_ban = group("us").with_own(ID, "1");
        let others_lock = lock_group(&group("us")).with_own(ID, "1");
        let another = eu.clone().with("model", "a").unwrap();
        let anothers_ban = another.clone().with_own(ID, "1");
        let held = at_noon(&[
            (&ban("old"), SEAL, "11:00:00"),
            (&ban("young"), SEAL, "11:00:01"),
            (&lock("refused"), "push_failure_time_seconds", "11:00:00"),
            (
                &lock("refused now"),
                "push_failure_time_seconds",
                "11:00:01",
            ),
            (&lock("held"), "simplepipe_accumulate_lock_a_0", "11:00:00"),
            (&eu, "rows_total", "11:00:00"),
            (&another, "rows_total", "11:00:00"),
            (&anothers_ban, SEAL, "11:00:00"),
            (&others_ban, SEAL, "11:00:00"),
            (&others_lock, "push_failure_time_seconds", "11:00:00"),
        ]);
        assert_eq!(litter(&held, &eu), [ban("old"), lock("refused")]);
    }

    #[test]
    fn one_pusher_tidies_up_no_more_than_some() {
        let bans: Vec<Group> = (0..12)
            .map(|id| group("eu").with_own(ID, &id.to_string()))
            .collect();
        let bans: Vec<_> = bans.iter().map(|ban| (ban, SEAL, "10:00:00")).collect();
        assert_eq!(litter(&at_noon(&bans), &group("eu")).len(), TIDIED);
    }

    #[test]
    fn the_oldest_lock_tells_for_how_long_a_group_is_locked() {
        let eu = group("eu");
        let [one, other, refused] = ["1", "2", "3"].map(|id| lock_group(&eu).with_own(ID, id));
        let others = lock_group(&group("us")).with_own(ID, "1");
        let locked_for = |groups: &[_]| locked_for(&at_noon(groups), &eu).map(|age| age.as_secs());
        let (lock, refusal) = (
            "simplepipe_accumulate_lock_a_0",
            "push_failure_time_seconds",
        );
        assert_eq!(
            locked_for(&[(&one, lock, "11:59:57"), (&other, lock, "11:59:48")]),
            Some(12)
        );
        assert_eq!(
            locked_for(&[(&refused, refusal, "11:59:00"), (&others, lock, "11:59:00")]),
            None
        );
        // The gateway's clock was set back.
        assert_eq!(locked_for(&[(&one, lock, "12:00:05")]), Some(0));
    }

    #[test]
    fn a_group_with_more_labels_is_another_one() {
        let eu = group("eu");
        let more = eu.clone().with("model", "a").unwrap();
        let ban = eu.clone().with_own(ID, "1");
        let mut held = at_noon(&[
            (&more, "a", "11:00:00"),
            (&ban, SEAL, "11:00:00"),
            (&eu, "b", "11:00:00"),
        ]);
        let target = take_target(&mut held, &eu).unwrap();
        assert!(target.families.contains_key("b"), "{target:?}");
        assert!(take_target(&mut held, &eu).is_none());
    }
}
