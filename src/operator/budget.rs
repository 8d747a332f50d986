//! How often one object may be written for: somebody who keeps changing a child back must not keep the operator busy.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use crate::api::MetricsNamespace;

use super::locked::Locked;

/// Reconciles with writes that may follow each other at once: more than any change of a person's brings.
const BURST: u32 = 20;
/// After that, one in this time.
const EVERY: Duration = Duration::from_millis(1500);

/// What each object has used of its writes lately.
#[derive(Default)]
pub struct Budgets(Locked<HashMap<ObjectRef<MetricsNamespace>, Used>>);

struct Used {
    writes: u32,
    /// Up to when those have been counted down.
    counted: Instant,
}

impl Used {
    fn count_down(&mut self, now: Instant) {
        let passed = now.duration_since(self.counted).as_millis() / EVERY.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.writes = self.writes.saturating_sub(passed);
        self.counted += EVERY.saturating_mul(passed);
    }
}

impl Budgets {
    /// How long an object has to wait until it may be written for.
    pub fn wait(&self, object: &ObjectRef<MetricsNamespace>, now: Instant) -> Option<Duration> {
        let mut all = self.0.lock();
        let used = all.get_mut(object)?;
        used.count_down(now);
        (used.writes >= BURST).then(|| EVERY.saturating_sub(now.duration_since(used.counted)))
    }

    /// Notes that an object was written for.
    pub fn spend(&self, object: &ObjectRef<MetricsNamespace>, now: Instant) {
        let mut all = self.0.lock();
        all.retain(|_, used| {
            used.count_down(now);
            used.writes > 0
        });
        all.entry(object.clone())
            .or_insert(Used {
                writes: 0,
                counted: now,
            })
            .writes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_is_slowed_down_and_forgotten_when_it_ends() {
        let budgets = Budgets::default();
        let object = ObjectRef::new("metrics").within("alice");
        let now = Instant::now();
        for _ in 0..BURST {
            assert_eq!(budgets.wait(&object, now), None);
            budgets.spend(&object, now);
        }
        assert_eq!(budgets.wait(&object, now), Some(EVERY));
        assert_eq!(budgets.wait(&object, now + EVERY), None);
        budgets.spend(&object, now + EVERY);
        assert!(budgets.wait(&object, now + EVERY).is_some());

        let other = ObjectRef::new("metrics").within("bob");
        assert_eq!(
            budgets.wait(&other, now),
            None,
            "others are not slowed down"
        );
        budgets.spend(&other, now + EVERY * 1000);
        assert_eq!(budgets.0.lock().len(), 1, "what is long past is forgotten");
    }
}
