//! Whether the operator works: what `/livez`, `/readyz` and `/status` say, in words.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::api::MetricsNamespace;

use super::locked::Locked;

/// A reconcile is given up long before; one that still runs then never will end.
const STUCK: Duration = Duration::from_secs(180);
/// A watch that fails for less is being mended by itself.
const GRACE: Duration = Duration::from_secs(20);
/// A watch that works again says nothing until something changes. One that still fails says so at each try, so
/// silence for longer than a try and the wait before it means that it works.
const QUIET: Duration = Duration::from_secs(30);
/// For how long a watch may fail at the start before the others' work begins without it: where the right to one kind is
/// missing, or its list can't be read, the rest of the namespaces' children goes on.
const BLIND_AFTER: Duration = Duration::from_secs(10);
/// How often to look whether that is over.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of the operator's own state.
pub struct Health {
    watches: Locked<BTreeMap<&'static str, Watch>>,
    /// Watches without which nothing can be done.
    needed: &'static [&'static str],
    all_synced: Notify,
    running: Locked<HashMap<ObjectRef<MetricsNamespace>, Instant>>,
    role: Locked<Role>,
}

/// Whether this operator is the one that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has not reached the API server yet.
    Starting,
    /// It waits for the Lease; in words, which and whose.
    Standby(String),
    /// It works.
    Leading,
    /// It ends.
    Stopping,
}

#[derive(Clone, Debug, Default)]
struct Watch {
    synced: bool,
    kind_missing: bool,
    failing: Option<Failing>,
}

#[derive(Clone, Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    error: String,
}

/// An answer, and whether it is a good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether all is well.
    pub healthy: bool,
    /// What is, line by line.
    pub text: String,
}

impl Health {
    /// Nothing is known yet of these watches, of which some are such that nothing can be done without.
    pub fn new(watches: &[&'static str], needed: &'static [&'static str]) -> Self {
        Self {
            needed,
            watches: Locked::from(
                watches
                    .iter()
                    .map(|w| (*w, Watch::default()))
                    .collect::<BTreeMap<_, _>>(),
            ),
            all_synced: Notify::new(),
            running: Locked::default(),
            role: Locked::from(Role::Starting),
        }
    }

    /// Notes what this operator is.
    pub fn set_role(&self, role: Role) {
        *self.role.lock() = role;
    }

    /// Whether this operator is the one that works.
    pub fn is_leading(&self) -> bool {
        *self.role.lock() == Role::Leading
    }

    /// Notes that a watch has seen everything there is; true if it has for the first time.
    pub fn synced(&self, watch: &'static str) -> bool {
        let mut first = false;
        self.update(watch, |w| first = !std::mem::replace(&mut w.synced, true));
        self.all_synced.notify_waiters();
        first
    }

    /// Notes that a watch works.
    pub fn works(&self, watch: &'static str) {
        self.update(watch, |w| {
            w.failing = None;
            w.kind_missing = false;
        });
    }

    /// Notes that a watch fails.
    pub fn fails(&self, watch: &'static str, error: &str) {
        self.update(watch, |w| {
            let now = Instant::now();
            let before = w
                .failing
                .take()
                .filter(|f| now.duration_since(f.last) < QUIET);
            w.failing = Some(Failing {
                since: before.map_or(now, |f| f.since),
                last: now,
                error: error.to_owned(),
            });
        });
    }

    /// Notes that the cluster does not have the kind; true if that is news.
    pub fn kind_missing(&self, watch: &'static str) -> bool {
        let mut news = false;
        self.update(watch, |w| {
            news = !w.kind_missing;
            *w = Watch {
                synced: true,
                kind_missing: true,
                failing: None,
            };
        });
        self.all_synced.notify_waiters();
        news
    }

    fn update(&self, watch: &'static str, change: impl FnOnce(&mut Watch)) {
        change(self.watches.lock().entry(watch).or_default());
    }

    /// What is wrong with a watch.
    pub fn problem(&self, watch: &'static str) -> Option<String> {
        let watches = self.watches.lock();
        let failing = watches.get(watch)?.failing.as_ref()?;
        (failing.last.elapsed() < QUIET).then(|| failing.error.clone())
    }

    /// Every watch, and whether it fails.
    pub fn failing_watches(&self) -> Vec<(&'static str, bool)> {
        let names: Vec<_> = self.watches.lock().keys().copied().collect();
        names
            .into_iter()
            .map(|watch| (watch, self.problem(watch).is_some()))
            .collect()
    }

    /// Waits until every watch has seen everything there is, or has failed for so long that it is gone on without.
    /// Which those are.
    pub async fn wait_until_synced(&self) -> Vec<&'static str> {
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
    fn blind(&self) -> Option<Vec<&'static str>> {
        let watches = self.watches.lock();
        let mut blind = Vec::new();
        for (name, watch) in watches.iter().filter(|(_, watch)| !watch.synced) {
            let since = watch.failing.as_ref().map(|failing| failing.since);
            if self.needed.contains(name) || since.is_none_or(|at| at.elapsed() < BLIND_AFTER) {
                return None;
            }
            blind.push(*name);
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
                    "reconcile of {object} has not ended for {}s",
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
        match role {
            Role::Starting => Report {
                healthy: false,
                text: "starting: the API server has not answered yet; the log says why\n".into(),
            },
            Role::Standby(why) => Report {
                healthy: true,
                text: format!("ok: standing by; {why}\n"),
            },
            Role::Stopping => Report {
                healthy: false,
                text: "stopping\n".into(),
            },
            Role::Leading => self.watches_ready(),
        }
    }

    fn watches_ready(&self) -> Report {
        let mut healthy = true;
        let mut text = String::new();
        for (name, watch) in self.watches.lock().iter() {
            let word = match watch {
                Watch {
                    failing: Some(Failing { since, last, error }),
                    synced,
                    ..
                } if !*synced || last.elapsed() < QUIET => {
                    let long = since.elapsed();
                    healthy &= *synced && long < GRACE;
                    let so = if !*synced && self.needed.contains(name) {
                        "; nothing is reconciled before it works"
                    } else {
                        ""
                    };
                    format!("failing for {}s: {error}{so}", long.as_secs())
                }
                Watch { synced: false, .. } => {
                    healthy = false;
                    "not listed yet".into()
                }
                Watch {
                    kind_missing: true, ..
                } => "ok: this cluster does not have the kind".into(),
                Watch { .. } => "ok".into(),
            };
            let _ = writeln!(text, "watch {name}: {word}");
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

    #[test]
    fn ready_only_once_every_watch_has_listed_and_none_fails_for_long() {
        let health = Health::new(&["a", "b"], &[]);
        assert!(
            !health.ready().healthy,
            "the API server may be out of reach"
        );
        health.set_role(Role::Standby("another works".into()));
        assert!(health.ready().healthy, "a standby is ready");
        health.set_role(Role::Leading);
        health.synced("a");
        let report = health.ready();
        assert!(!report.healthy);
        assert!(
            report.text.contains("watch b: not listed yet"),
            "{}",
            report.text
        );

        health.synced("b");
        assert!(health.ready().healthy);
        health.fails("b", "forbidden");
        assert!(
            health.ready().healthy,
            "a watch has a moment to mend itself"
        );
        let failing = |ago: Duration| Failing {
            since: Instant::now() - GRACE * 2,
            last: Instant::now() - ago,
            error: "forbidden".into(),
        };
        health.update("b", |w| w.failing = Some(failing(Duration::ZERO)));
        let report = health.ready();
        assert!(!report.healthy);
        assert!(report.text.contains("forbidden"), "{}", report.text);
        health.works("b");
        assert!(health.ready().healthy);

        health.update("b", |w| w.failing = Some(failing(QUIET)));
        assert!(health.ready().healthy, "it has not failed again: it works");
    }

    #[test]
    fn a_watch_that_never_listed_and_fails_is_not_ready() {
        let health = Health::new(&["a", "b"], &["b"]);
        health.set_role(Role::Leading);
        for name in ["a", "b"] {
            health.fails(name, "forbidden");
        }
        let report = health.ready();
        assert!(!report.healthy);
        assert_eq!(
            report.text,
            "watch a: failing for 0s: forbidden\n\
             watch b: failing for 0s: forbidden; nothing is reconciled before it works\n"
        );
    }

    #[test]
    fn a_watch_that_fails_for_long_at_the_start_is_gone_on_without_unless_it_is_needed() {
        let health = Health::new(&["a", "b", "c"], &["b"]);
        health.synced("c");
        let long_ago = || Failing {
            since: Instant::now() - BLIND_AFTER,
            last: Instant::now(),
            error: "forbidden".into(),
        };
        assert_eq!(health.blind(), None, "neither has failed yet");
        health.fails("a", "forbidden");
        health.synced("b");
        assert_eq!(health.blind(), None, "it may be mending itself");
        health.update("a", |w| w.failing = Some(long_ago()));
        assert_eq!(health.blind(), Some(vec!["a"]));
        health.update("b", |w| {
            w.synced = false;
            w.failing = Some(long_ago());
        });
        assert_eq!(health.blind(), None, "nothing can be done without");
        health.synced("b");
        health.synced("a");
        assert_eq!(health.blind(), Some(vec![]));
    }

    #[test]
    fn a_kind_that_the_cluster_lacks_is_fine_and_news_once() {
        let health = Health::new(&["a"], &[]);
        health.set_role(Role::Leading);
        assert!(health.kind_missing("a"));
        assert!(!health.kind_missing("a"));
        assert!(health.ready().healthy);
    }

    #[test]
    fn a_reconcile_that_never_ends_is_fatal() {
        let health = Health::new(&[], &[]);
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
        drop(running);
        assert!(health.live().healthy);
    }
}
