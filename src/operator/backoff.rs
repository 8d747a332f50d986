//! How long a watch waits before it is tried again.

use std::time::{Duration, Instant};

use kube::runtime::utils::Backoff;

const FIRST: Duration = Duration::from_millis(500);
/// Also how late a kind that the cluster did not have is noticed.
const LONGEST: Duration = Duration::from_secs(8);
/// A watch that has worked for this long begins anew.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Doubles from failure to failure, and forgets them after a while without one.
///
/// kube resets a backoff at each item of the stream. A watch whose list fails yields its `Init` before each failure,
/// so it would be tried twice a second for as long as its kind is missing.
#[derive(Default)]
pub struct WatchBackoff {
    last: Option<(Instant, Duration)>,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let delay = match self.last {
            Some((when, delay)) if when.elapsed() < FORGET_AFTER => (delay * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some((Instant::now(), delay));
        Some(delay)
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_whatever_the_stream_yields_in_between() {
        let mut backoff = WatchBackoff::default();
        let mut next = || {
            backoff.reset();
            backoff.next().unwrap()
        };
        assert_eq!(next(), FIRST);
        assert_eq!(next(), FIRST * 2);
        (0..10).for_each(|_| {
            next();
        });
        assert_eq!(next(), LONGEST);
    }

    #[test]
    fn after_a_long_time_without_failure_the_delay_is_short_again() {
        let mut backoff = WatchBackoff {
            last: Some((Instant::now() - FORGET_AFTER, LONGEST)),
        };
        assert_eq!(backoff.next(), Some(FIRST));
    }
}
