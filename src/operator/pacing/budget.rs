//! How often something may be done for one object: somebody who keeps changing a child back must not keep the operator
//! busy.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use crate::api::MetricsNamespace;

use crate::operator::locked::Locked;

/// So many at once for each object, and after that one in a while.
pub struct Budgets {
    burst: u32,
    every: Duration,
    used: Locked<HashMap<ObjectRef<MetricsNamespace>, Used>>,
    /// When those were last gone through for what is long past.
    pruned: Locked<Option<Instant>>,
}

struct Used {
    count: u32,
    /// Up to when those have been counted down.
    counted: Instant,
}

impl Used {
    fn count_down(&mut self, now: Instant, every: Duration) {
        let passed = now.duration_since(self.counted).as_millis() / every.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.count = self.count.saturating_sub(passed);
        self.counted += every.saturating_mul(passed);
    }
}

impl Budgets {
    /// For each object so many at once, and after that one in a while.
    pub fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst,
            every,
            used: Locked::default(),
            pruned: Locked::default(),
        }
    }

    /// How long an object has to wait for its next.
    pub fn wait(&self, object: &ObjectRef<MetricsNamespace>, now: Instant) -> Option<Duration> {
        let mut all = self.used.lock();
        let used = all.get_mut(object)?;
        used.count_down(now, self.every);
        let is_spent = used.count >= self.burst;
        is_spent.then(|| self.every.saturating_sub(now.duration_since(used.counted)))
    }

    pub fn spend(&self, object: &ObjectRef<MetricsNamespace>, now: Instant) {
        let mut all = self.used.lock();
        let mut pruned = self.pruned.lock();
        if pruned.is_none_or(|at| now.duration_since(at) >= self.every) {
            *pruned = Some(now);
            all.retain(|_, used| {
                used.count_down(now, self.every);
                used.count > 0
            });
        }
        all.entry(object.clone())
            .or_insert(Used {
                count: 0,
                counted: now,
            })
            .count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 20;
    const EVERY: Duration = Duration::from_millis(1500);

    #[test]
    fn a_fight_is_slowed_down_and_forgotten_when_it_ends() {
        let budgets = Budgets::new(BURST, EVERY);
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
        assert_eq!(
            budgets.used.lock().len(),
            1,
            "what is long past is forgotten"
        );
    }
}
