//! How long to wait before a push is tried again, and when to stop.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first wait, at most; each following one is twice as long.
const MIN_WAIT: Duration = Duration::from_millis(500);
/// The longest wait: a gateway that comes back is not kept waiting for longer.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// The waits between tries: exponential, bounded in sum, and spread, so that many jobs which lost the same gateway
/// don't all come back at the same moment.
#[derive(Debug)]
pub(super) struct Retry {
    total: Duration,
    next: Duration,
}

impl Retry {
    /// No try starts later than this after the first.
    pub(super) fn within(total: Duration) -> Self {
        Self {
            total,
            next: MIN_WAIT,
        }
    }

    /// How long to wait now, `elapsed` after the first try began; none once the time is over. The last wait ends with
    /// the time, so that the whole of it is used.
    pub(super) fn wait(&mut self, elapsed: Duration) -> Option<Duration> {
        let left = self
            .total
            .checked_sub(elapsed)
            .filter(|left| !left.is_zero())?;
        let longest = self.next;
        self.next = (longest * 2).min(MAX_WAIT);
        Some(spread(longest).min(left))
    }
}

/// Between a half and the whole of it.
pub(super) fn spread(longest: Duration) -> Duration {
    longest.mul_f64(0.5 + 0.5 * random())
}

/// From 0 to 1. The standard library seeds its hash maps at random, which is random enough for this.
fn random() -> f64 {
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_time_there_is_no_second_try() {
        assert_eq!(Retry::within(Duration::ZERO).wait(Duration::ZERO), None);
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut retry = Retry::within(Duration::from_secs(1000));
        for longest in [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0] {
            let wait = retry.wait(Duration::ZERO).unwrap().as_secs_f64();
            assert!(
                (longest / 2.0..=longest).contains(&wait),
                "{wait} s where {longest} s is the longest"
            );
        }
    }

    #[test]
    fn waits_differ_between_jobs() {
        let first = |_| Retry::within(MAX_WAIT).wait(Duration::ZERO).unwrap();
        let waits: std::collections::HashSet<_> = (0..8).map(first).collect();
        assert!(waits.len() > 1, "eight waits, all {waits:?}");
    }

    proptest! {
        #[test]
        fn no_wait_ends_after_the_time(total in 0..1_000u64, elapsed in 0..1_500u64) {
            let (total, elapsed) = (Duration::from_millis(total), Duration::from_millis(elapsed));
            match Retry::within(total).wait(elapsed) {
                Some(wait) => prop_assert!(elapsed + wait <= total && !wait.is_zero()),
                None => prop_assert!(elapsed >= total),
            }
        }
    }
}
