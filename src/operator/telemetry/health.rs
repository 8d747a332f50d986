//! Whether the operator works: what `/livez`, `/readyz` and `/status` say, in words.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::api::MetricsNamespace;

use super::lasting_failures::{Lasting, Told};
use crate::operator::cluster::watch::Watch;
use crate::operator::lead::fence::Fence;
use crate::operator::locked::Locked;

/// Each answer is given up long before; a reconcile that still waits for one then never will end.
const STUCK: Duration = Duration::from_secs(180);
/// What fails for less is being mended by itself. A request that hangs is given up after eight seconds, so `/readyz`
/// tells of an outage within twenty.
const GRACE: Duration = Duration::from_secs(10);
/// For how long a watch may fail at the start before the others' work begins without it: where the right to one kind is
/// missing, or its list can't be read, the rest of the namespaces' children goes on.
const BLIND_AFTER: Duration = Duration::from_secs(10);
/// How often to look whether that is over.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of the operator's own state.
pub struct Health {
    watches: Locked<BTreeMap<Watch, State>>,
    all_synced: Notify,
    running: Locked<HashMap<ObjectRef<MetricsNamespace>, Instant>>,
    /// MetricsNamespaces that can't be read.
    unreadable: AtomicUsize,
    role: Locked<Role>,
    /// Of the Lease's reads and renewals.
    lease: Locked<Option<Failing>>,
    /// What the log says of failures, by watch; of the Lease's, by none.
    lasting: Lasting<Option<Watch>>,
}

/// Whether this operator is the one that works.
#[derive(Clone, Debug)]
pub enum Role {
    /// It has not reached the API server yet.
    Starting,
    /// It waits for the Lease; in words, which and whose.
    Standby(String),
    /// It works, for as long as it may write.
    Leading(Fence),
    Stopping,
}

#[derive(Clone, Debug, Default)]
struct State {
    synced: bool,
    kind_missing: bool,
    failing: Option<Failing>,
}

/// From the first failure to the first success, however far apart the tries are.
#[derive(Clone, Debug)]
struct Failing {
    since: Instant,
    error: String,
}

impl Failing {
    fn again(before: Option<Self>, error: &str) -> Self {
        Self {
            since: before.map_or_else(Instant::now, |failing| failing.since),
            error: error.to_owned(),
        }
    }

    fn is_lasting(&self) -> bool {
        self.since.elapsed() >= GRACE
    }

    fn in_words(&self) -> String {
        format!(
            "failing for {}s: {}",
            self.since.elapsed().as_secs(),
            self.error
        )
    }
}

/// An answer, and whether it is a good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub healthy: bool,
    /// What is, line by line.
    pub text: String,
}

impl Health {
    /// Nothing is known yet of these watches.
    pub fn new(watches: impl IntoIterator<Item = Watch>) -> Self {
        let unseen = watches.into_iter().map(|watch| (watch, State::default()));
        Self {
            watches: Locked::from(unseen.collect::<BTreeMap<_, _>>()),
            all_synced: Notify::new(),
            running: Locked::default(),
            unreadable: AtomicUsize::new(0),
            role: Locked::from(Role::Starting),
            lease: Locked::default(),
            lasting: Lasting::default(),
        }
    }

    /// Notes how many MetricsNamespaces can't be read.
    pub fn set_unreadable(&self, objects: usize) {
        self.unreadable.store(objects, Ordering::Relaxed);
    }

    /// How many MetricsNamespaces can't be read.
    pub fn unreadable(&self) -> usize {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Notes what this operator is.
    pub fn set_role(&self, role: Role) {
        *self.role.lock() = role;
    }

    /// Whether this operator is the one that works.
    pub fn is_leading(&self) -> bool {
        matches!(&*self.role.lock(), Role::Leading(fence) if fence.is_open())
    }

    /// Notes that the Lease can't be had or renewed. What to say about it, if anything.
    pub fn lease_fails(&self, error: &str) -> Option<Told> {
        let mut lease = self.lease.lock();
        *lease = Some(Failing::again(lease.take(), error));
        self.lasting.fails(&None, error, Instant::now())
    }

    /// Notes that the Lease was read or renewed. What to say about it, if anything.
    pub fn lease_works(&self) -> Option<Told> {
        *self.lease.lock() = None;
        self.lasting.works(&None, Instant::now())
    }

    /// Notes that a watch has seen everything there is; true if it has for the first time.
    pub fn synced(&self, watch: Watch) -> bool {
        let mut first = false;
        self.update(watch, |w| first = !std::mem::replace(&mut w.synced, true));
        self.all_synced.notify_waiters();
        first
    }

    /// Notes that a watch works. What to say about it, if anything.
    pub fn works(&self, watch: Watch) -> Option<Told> {
        self.update(watch, |w| {
            w.failing = None;
            w.kind_missing = false;
        });
        self.lasting.works(&Some(watch), Instant::now())
    }

    /// Notes that a watch fails. What to say about it, if anything.
    pub fn fails(&self, watch: Watch, error: &str) -> Option<Told> {
        self.update(watch, |w| {
            w.failing = Some(Failing::again(w.failing.take(), error));
        });
        self.lasting.fails(&Some(watch), error, Instant::now())
    }

    /// Notes that the cluster does not have the kind; true if that is news. A failure before it is over: for as long as
    /// the kind is not there, nothing fails.
    pub fn kind_missing(&self, watch: Watch) -> bool {
        let mut news = false;
        self.lasting.forget(&Some(watch));
        self.update(watch, |w| {
            news = !w.kind_missing;
            *w = State {
                synced: true,
                kind_missing: true,
                failing: None,
            };
        });
        self.all_synced.notify_waiters();
        news
    }

    fn update(&self, watch: Watch, change: impl FnOnce(&mut State)) {
        change(self.watches.lock().entry(watch).or_default());
    }

    /// What is wrong with a watch; not of a failure that is being mended by itself, while what was seen is known.
    pub fn problem(&self, watch: Watch) -> Option<String> {
        let watches = self.watches.lock();
        let watch = watches.get(&watch)?;
        let failing = watch.failing.as_ref()?;
        (!watch.synced || failing.is_lasting()).then(|| failing.error.clone())
    }

    /// Whether a watch fails, however short.
    pub fn is_failing(&self, watch: Watch) -> bool {
        let watches = self.watches.lock();
        watches.get(&watch).is_some_and(|w| w.failing.is_some())
    }

    /// Every watch, and whether it fails.
    pub fn failing_watches(&self) -> Vec<(Watch, bool)> {
        let watches = self.watches.lock();
        let failing = |(watch, state): (&Watch, &State)| (*watch, state.failing.is_some());
        watches.iter().map(failing).collect()
    }

    /// Waits until every watch has seen everything there is, or has failed for so long that it is gone on without.
    /// Which those are.
    pub async fn wait_until_synced(&self) -> Vec<Watch> {
        loop {
            let news = self.all_synced.notified();
            if let Some(blind) = self.blind() {
                return blind;
            }
            // Nothing tells when a failure has gone on for long enough.
            let _ = timeout(LOOK, news).await;
        }
    }

    /// The watches to go on without, none where all is seen; `None` while some are to be waited for.
    fn blind(&self) -> Option<Vec<Watch>> {
        let watches = self.watches.lock();
        let mut blind = Vec::new();
        for (watch, state) in watches.iter().filter(|(_, state)| !state.synced) {
            let since = state.failing.as_ref().map(|failing| failing.since);
            if watch.is_needed() || since.is_none_or(|at| at.elapsed() < BLIND_AFTER) {
                return None;
            }
            blind.push(*watch);
        }
        Some(blind)
    }

    /// Notes that a reconcile begins; it ends when the answer is dropped.
    pub fn reconciling(&self, object: ObjectRef<MetricsNamespace>) -> Running<'_> {
        self.running.lock().insert(object.clone(), Instant::now());
        Running {
            health: self,
            object,
        }
    }

    /// Notes that a reconcile has got an answer, or has given one up.
    pub fn goes_on(&self, object: &ObjectRef<MetricsNamespace>) {
        if let Some(since) = self.running.lock().get_mut(object) {
            *since = Instant::now();
        }
    }

    /// Whether the process can go on: a kubelet restarts it if not.
    pub fn live(&self) -> Report {
        let now = Instant::now();
        let stuck: Vec<_> = self
            .running
            .lock()
            .iter()
            .filter(|(_, since)| now.duration_since(**since) > STUCK)
            .map(|(object, since)| {
                format!(
                    "reconcile of {object} has waited for an answer for {}s",
                    now.duration_since(*since).as_secs()
                )
            })
            .collect();
        Report {
            healthy: stuck.is_empty(),
            text: if stuck.is_empty() {
                "ok\n".into()
            } else {
                stuck.join("\n") + "\n"
            },
        }
    }

    /// Whether the operator does its work, or stands by to.
    pub fn ready(&self) -> Report {
        let role = self.role.lock().clone();
        let lease = self.lease.lock().clone();
        let works = !lease.as_ref().is_some_and(Failing::is_lasting);
        let lease = lease.map(|failing| failing.in_words());
        match role {
            Role::Starting => Report {
                healthy: false,
                text: match lease {
                    Some(words) => format!("starting: the Lease can't be had, {words}\n"),
                    None => "starting: the API server has not answered yet\n".into(),
                },
            },
            Role::Standby(why) => Report {
                healthy: works,
                text: match lease {
                    Some(words) => format!("standing by; the Lease can't be had, {words}\n"),
                    None => format!("ok: standing by; {why}\n"),
                },
            },
            Role::Leading(fence) if fence.is_open() => {
                let mut report = self.watches_ready();
                if let Some(words) = lease {
                    report.healthy &= works;
                    let _ = writeln!(report.text, "lease: {words}");
                }
                report
            }
            Role::Leading(_) | Role::Stopping => Report {
                healthy: false,
                text: "stopping\n".into(),
            },
        }
    }

    fn watches_ready(&self) -> Report {
        let mut healthy = true;
        let mut text = String::new();
        for (watch, state) in self.watches.lock().iter() {
            let word = match state {
                State {
                    failing: Some(failing),
                    synced,
                    ..
                } => {
                    healthy &= *synced && !failing.is_lasting();
                    let so = if !*synced && watch.is_needed() {
                        "; nothing is reconciled until it works"
                    } else {
                        ""
                    };
                    failing.in_words() + so
                }
                State { synced: false, .. } => {
                    healthy = false;
                    "not listed yet".into()
                }
                State {
                    kind_missing: true, ..
                } => "ok: this cluster does not have the kind".into(),
                State { .. } => "ok".into(),
            };
            let _ = writeln!(text, "watch {}: {word}", watch.as_str());
        }
        Report { healthy, text }
    }
}

/// A reconcile that runs.
pub struct Running<'a> {
    health: &'a Health,
    object: ObjectRef<MetricsNamespace>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.health.running.lock().remove(&self.object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::kind::Kind;

    const A: Watch = Watch::Children(Kind::Service);
    /// Nothing can be done without.
    const B: Watch = Watch::MetricsNamespaces;
    const C: Watch = Watch::Children(Kind::ConfigMap);

    #[test]
    fn ready_only_once_every_watch_has_listed_and_none_fails_for_long() {
        let health = Health::new([A, B]);
        assert!(
            !health.ready().healthy,
            "the API server may be out of reach"
        );
        health.set_role(Role::Standby("another works".into()));
        assert!(health.ready().healthy, "a standby is ready");
        health.set_role(leading());
        health.synced(A);
        let report = health.ready();
        assert!(!report.healthy);
        assert!(
            report
                .text
                .contains("watch metricsnamespaces: not listed yet"),
            "{}",
            report.text
        );

        health.synced(B);
        assert!(health.ready().healthy);
        health.fails(B, "forbidden");
        assert!(
            health.ready().healthy,
            "a watch has a moment to mend itself"
        );
        health.update(B, |w| w.failing = Some(failing_since(GRACE)));
        let report = health.ready();
        assert!(!report.healthy);
        assert!(report.text.contains("forbidden"), "{}", report.text);
        health.works(B);
        assert!(health.ready().healthy);
    }

    fn leading() -> Role {
        Role::Leading(Fence::always_open())
    }

    fn failing_since(ago: Duration) -> Failing {
        Failing {
            since: Instant::now() - ago,
            error: "forbidden".into(),
        }
    }

    #[test]
    fn a_failure_that_mends_itself_is_no_problem_of_what_was_seen() {
        let health = Health::new([A]);
        health.fails(A, "forbidden");
        assert_eq!(health.problem(A).as_deref(), Some("forbidden"));
        health.synced(A);
        assert_eq!(health.problem(A), None);
        assert!(health.is_failing(A));
        health.update(A, |w| w.failing = Some(failing_since(GRACE)));
        assert_eq!(health.problem(A).as_deref(), Some("forbidden"));
    }

    #[test]
    fn a_failure_ends_with_the_first_success_however_long_a_try_takes() {
        let health = Health::new([A]);
        health.set_role(leading());
        health.synced(A);
        let hour = Duration::from_secs(3600);
        health.update(A, |w| w.failing = Some(failing_since(hour)));
        assert_eq!(health.problem(A).as_deref(), Some("forbidden"));
        assert_eq!(health.failing_watches(), [(A, true)]);
        assert!(!health.ready().healthy);
        health.works(A);
        assert_eq!(health.failing_watches(), [(A, false)]);
        assert!(health.ready().healthy);
    }

    #[test]
    fn the_first_failure_and_its_end_are_told_and_not_each_try() {
        let health = Health::new([A]);
        assert_eq!(health.fails(A, "forbidden"), Some(Told::Begins));
        assert_eq!(health.fails(A, "forbidden"), None);
        assert!(matches!(health.works(A), Some(Told::Ends(_))));
        assert_eq!(health.works(A), None);
        assert_eq!(health.lease_fails("forbidden"), Some(Told::Begins));
        assert!(matches!(health.lease_works(), Some(Told::Ends(_))));
    }

    #[test]
    fn the_time_without_the_kind_is_no_time_of_failure() {
        let health = Health::new([A]);
        assert_eq!(health.fails(A, "forbidden"), Some(Told::Begins));
        assert!(health.kind_missing(A));
        assert_eq!(health.works(A), None);
        assert_eq!(health.fails(A, "forbidden"), Some(Told::Begins));
    }

    #[test]
    fn a_lease_that_cannot_be_read_or_written_is_said_in_each_role() {
        let health = Health::new([]);
        for (role, says) in [
            (Role::Starting, "starting: the Lease can't be had"),
            (
                Role::Standby("a holds it".into()),
                "standing by; the Lease can't be had",
            ),
            (leading(), "lease: failing"),
        ] {
            health.set_role(role);
            *health.lease.lock() = Some(failing_since(GRACE));
            let report = health.ready();
            assert!(!report.healthy, "{}", report.text);
            assert!(report.text.contains(says), "{}", report.text);
            assert!(report.text.contains("forbidden"), "{}", report.text);
        }
        health.lease_works();
        assert!(health.ready().healthy);
    }

    #[tokio::test]
    async fn who_may_write_no_more_does_not_lead() {
        let health = Health::new([]);
        let (keeper, fence) = Fence::until(tokio::time::Instant::now() + GRACE);
        health.set_role(Role::Leading(fence));
        assert!(health.is_leading() && health.ready().healthy);
        keeper.close();
        assert!(!health.is_leading());
        assert!(!health.ready().healthy);
    }

    #[test]
    fn a_watch_that_never_listed_and_fails_is_not_ready() {
        let health = Health::new([A, B]);
        health.set_role(leading());
        for name in [A, B] {
            health.fails(name, "forbidden");
        }
        let report = health.ready();
        assert!(!report.healthy);
        assert_eq!(
            report.text,
            "watch metricsnamespaces: failing for 0s: forbidden; nothing is reconciled until it works\n\
             watch services: failing for 0s: forbidden\n"
        );
    }

    #[test]
    fn a_watch_that_fails_for_long_at_the_start_is_gone_on_without_unless_it_is_needed() {
        let health = Health::new([A, B, C]);
        health.synced(C);
        let long_ago = || failing_since(BLIND_AFTER);
        assert_eq!(health.blind(), None, "neither has failed yet");
        health.fails(A, "forbidden");
        health.synced(B);
        assert_eq!(health.blind(), None, "it may be mending itself");
        health.update(A, |w| w.failing = Some(long_ago()));
        assert_eq!(health.blind(), Some(vec![A]));
        health.update(B, |w| {
            w.synced = false;
            w.failing = Some(long_ago());
        });
        assert_eq!(health.blind(), None, "nothing can be done without");
        health.synced(B);
        health.synced(A);
        assert_eq!(health.blind(), Some(vec![]));
    }

    #[test]
    fn a_kind_that_the_cluster_lacks_is_fine_and_news_once() {
        let health = Health::new([A]);
        health.set_role(leading());
        assert!(health.kind_missing(A));
        assert!(!health.kind_missing(A));
        assert!(health.ready().healthy);
    }

    #[test]
    fn a_reconcile_that_never_ends_is_fatal() {
        let health = Health::new([]);
        let object = ObjectRef::new("metrics").within("alice");
        let running = health.reconciling(object.clone());
        assert!(health.live().healthy);
        health
            .running
            .lock()
            .insert(object, Instant::now() - STUCK * 2);
        let report = health.live();
        assert!(!report.healthy);
        assert!(report.text.contains("alice"), "{}", report.text);
        let object = ObjectRef::new("metrics").within("alice");
        health.goes_on(&object);
        assert!(health.live().healthy);
        drop(running);
        health.goes_on(&object);
        assert!(health.live().healthy && health.running.lock().is_empty());
    }
}
