//! How long is waited before what failed is tried again.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(500);
/// Also how late a kind that the cluster did not have is noticed, and an API server that is back.
pub const LONGEST: Duration = Duration::from_secs(8);
/// A watch that has worked for this long begins anew.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Where very many fail, a try of one of them comes at most this often.
const BETWEEN_RETRIES: Duration = Duration::from_millis(10);

/// Delay before the next try of one of many, after so many failures in a row before this one, where so many fail. It
/// doubles from `first` with each failure.
pub fn retry_delay(first: Duration, failures: u32, failing: usize) -> Duration {
    let failing = u32::try_from(failing).unwrap_or(u32::MAX);
    first
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST.max(BETWEEN_RETRIES.saturating_mul(failing)))
}

/// Of a watch. Doubles from failure to failure, and forgets them after a while without one.
///
/// Delays lie between the *starts* of two tries. So one that hung until it was given up is followed by the next at once,
/// and no try comes later than [`LONGEST`] after the one before.
#[derive(Default)]
pub struct Backoff {
    last: Option<(Instant, Duration)>,
}

impl Backoff {
    /// How long to wait now, where a try that began then has just failed.
    pub fn wait(&mut self, began: Instant, now: Instant) -> Duration {
        let delay = match self.last {
            Some((when, delay)) if now.duration_since(when) < FORGET_AFTER => {
                (delay * 2).min(LONGEST)
            }
            _ => FIRST,
        };
        self.last = Some((now, delay));
        delay.saturating_sub(now.duration_since(began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_from_half_a_second_to_eight_seconds_apart() {
        let delays: Vec<_> = [0, 1, 2, 3, 4, 5, 6, u32::MAX]
            .map(|failures| retry_delay(FIRST, failures, 500).as_secs_f64())
            .into();
        assert_eq!(delays, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]);
    }

    #[test]
    fn ten_thousand_that_fail_are_tried_a_hundred_times_a_second() {
        assert_eq!(retry_delay(FIRST, 20, 10_000), Duration::from_secs(100));
        assert_eq!(retry_delay(FIRST, 0, 10_000), FIRST);
    }

    #[test]
    fn delays_grow_to_a_bound() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        let mut wait = || backoff.wait(now, now);
        assert_eq!(wait(), FIRST);
        assert_eq!(wait(), FIRST * 2);
        (0..10).for_each(|_| {
            wait();
        });
        assert_eq!(wait(), LONGEST);
    }

    #[test]
    fn after_a_long_time_without_failure_the_delay_is_short_again() {
        let now = Instant::now();
        let mut backoff = Backoff {
            last: Some((now, LONGEST)),
        };
        let later = now + FORGET_AFTER;
        assert_eq!(backoff.wait(later, later), FIRST);
    }

    #[test]
    fn a_try_that_took_long_is_followed_by_the_next_at_once() {
        let now = Instant::now();
        let mut backoff = Backoff {
            last: Some((now, LONGEST)),
        };
        let half = LONGEST / 2;
        assert_eq!(backoff.wait(now, now + half), half);
        assert_eq!(backoff.wait(now, now + LONGEST), Duration::ZERO);
    }
}
