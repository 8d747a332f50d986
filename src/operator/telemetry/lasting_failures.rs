//! What the log says about a failure that lasts: when it begins, when its cause changes, when it ends, and now and then
//! in between. A cause that is tried again each second must not fill the log, and must not be forgotten in it either.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::{Duration, Instant};

use crate::operator::locked::Locked;

/// Between two lines about a failure that goes on as it was.
const REMIND: Duration = Duration::from_secs(300);
/// Lines about one thing in that time: causes that take turns, or a failure that comes and goes, are many otherwise.
const LINES: u32 = 4;
/// Things that are remembered. Where more fail at once, the first ones tell the cause.
const MOST: usize = 256;
/// What was not tried again for so long is gone, or is no failure any more.
const STALE: Duration = Duration::from_secs(900);

/// Failures by what fails.
pub struct Lasting<K>(Locked<Known<K>>);

struct Known<K> {
    things: HashMap<K, Thing>,
    /// All those together for which there is no room.
    others: Thing,
    hasher: RandomState,
}

/// One thing: how it is, and what the log last said of it.
#[derive(Default)]
struct Thing {
    failing: Option<Run>,
    last_asked: Option<Instant>,
    /// The cause that the log gives, and since when. `None` where the log has no open failure.
    told: Option<(u64, Instant)>,
    /// Lines about failures since the given time.
    lines: Option<(Instant, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    since: Instant,
    lasted: Duration,
    tries: u32,
}

/// What there is to say. Shown after the name of what fails: "the watch `{}`".
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    Begins,
    /// The cause is another one.
    Changes,
    Lasts(Run),
    Ends(Run),
    /// More things fail than are remembered, this one among them.
    OneOfMany,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins => f.write_str("failed; it is tried again"),
            Self::Changes => f.write_str("fails for another reason now"),
            Self::Lasts(run) => write!(f, "still fails, {run}"),
            Self::Ends(run) => write!(f, "works again, {run}"),
            Self::OneOfMany => write!(
                f,
                "failed, like {MOST} others; further failures are not named until some of these work"
            ),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = if self.tries == 1 { "try" } else { "tries" };
        write!(
            f,
            "after {} {tries} in {}s",
            self.tries,
            self.lasted.as_secs()
        )
    }
}

impl<K> Default for Lasting<K> {
    fn default() -> Self {
        Self(Locked::from(Known {
            things: HashMap::new(),
            others: Thing::default(),
            hasher: RandomState::new(),
        }))
    }
}

impl<K: Eq + Hash + Clone> Lasting<K> {
    /// Notes a failure. What to say about it, if anything.
    pub fn fails(&self, key: &K, cause: &str, now: Instant) -> Option<Told> {
        let mut known = self.0.lock();
        let cause = known.hasher.hash_one(cause);
        match known.thing(key, now) {
            Some(thing) => thing.fails(cause, now),
            // Whatever their causes are.
            None => known.others.fails(0, now).map(|_| Told::OneOfMany),
        }
    }

    /// Notes that it works. What to say about it, if anything.
    pub fn works(&self, key: &K, now: Instant) -> Option<Told> {
        self.0.lock().things.get_mut(key)?.works(now)
    }

    /// Drops what is no more.
    pub fn forget(&self, key: &K) {
        self.0.lock().things.remove(key);
    }
}

impl<K: Eq + Hash + Clone> Known<K> {
    /// `None` where there is no room for it.
    fn thing(&mut self, key: &K, now: Instant) -> Option<&mut Thing> {
        if !self.things.contains_key(key) {
            if self.things.len() >= MOST {
                self.things.retain(|_, thing| !thing.may_be_dropped(now));
            }
            if self.things.len() >= MOST {
                return None;
            }
        }
        Some(self.things.entry(key.clone()).or_default())
    }
}

impl Thing {
    fn fails(&mut self, cause: u64, now: Instant) -> Option<Told> {
        self.last_asked = Some(now);
        let run = self.failing.get_or_insert(Run {
            since: now,
            lasted: Duration::ZERO,
            tries: 0,
        });
        run.lasted = now.duration_since(run.since);
        run.tries = run.tries.saturating_add(1);
        let told = match self.told {
            None => Told::Begins,
            Some((before, _)) if before != cause => Told::Changes,
            Some((_, at)) if now.duration_since(at) >= REMIND => Told::Lasts(*run),
            Some(_) => return None,
        };
        if !self.may_say(now) {
            return None;
        }
        self.told = Some((cause, now));
        Some(told)
    }

    /// Of what the log calls failing the end is always told: it comes once for each line that was allowed.
    fn works(&mut self, now: Instant) -> Option<Told> {
        self.last_asked = Some(now);
        let mut run = self.failing.take()?;
        self.told.take()?;
        run.lasted = now.duration_since(run.since);
        Some(Told::Ends(run))
    }

    fn may_say(&mut self, now: Instant) -> bool {
        let (since, lines) = match self.lines {
            Some((since, lines)) if now.duration_since(since) < REMIND => (since, lines),
            _ => (now, 0),
        };
        self.lines = Some((since, lines.saturating_add(1)));
        lines < LINES
    }

    fn may_be_dropped(&self, now: Instant) -> bool {
        let quiet = self
            .last_asked
            .is_none_or(|at| now.duration_since(at) > STALE);
        quiet || self.failing.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_failure_is_told_when_it_begins_changes_and_ends_and_each_few_minutes_between() {
        let failures = Lasting::default();
        let start = Instant::now();
        // One try a second for an hour, with another cause from the middle of it.
        let told: Vec<_> = (0..3600)
            .filter_map(|second| {
                let cause = if second < 1800 { "503" } else { "denied" };
                let told = failures.fails(&"alice", cause, start + SECOND * second)?;
                Some((second, told.to_string()))
            })
            .collect();
        let lines: Vec<_> = told.iter().map(|(s, t)| (*s, t.as_str())).collect();
        assert_eq!(
            lines[..3],
            [
                (0, "failed; it is tried again"),
                (300, "still fails, after 301 tries in 300s"),
                (600, "still fails, after 601 tries in 600s"),
            ]
        );
        assert_eq!(lines[6], (1800, "fails for another reason now"));
        assert_eq!(lines.len(), 12, "{lines:?}");
        let end = failures.works(&"alice", start + SECOND * 3600).unwrap();
        assert_eq!(end.to_string(), "works again, after 3600 tries in 3600s");
        assert_eq!(failures.works(&"alice", start + SECOND * 3601), None);
    }

    #[test]
    fn causes_that_take_turns_and_failures_that_come_and_go_do_not_fill_the_log() {
        let start = Instant::now();
        let turns = Lasting::default();
        let told = (0..600).filter_map(|second| {
            let cause = if second % 2 == 0 { "503" } else { "reset" };
            turns.fails(&"alice", cause, start + SECOND * second)
        });
        assert_eq!(told.count(), 8, "four each five minutes");

        let comes_and_goes = Lasting::default();
        let told = (0..600).filter_map(|second| {
            let now = start + SECOND * second;
            if second % 2 == 0 {
                comes_and_goes.fails(&"alice", "503", now)
            } else {
                comes_and_goes.works(&"alice", now)
            }
        });
        let told: Vec<_> = told.collect();
        assert_eq!(told.len(), 16, "four beginnings and ends each five minutes");
        assert!(matches!(told[15], Told::Ends(_)), "the last word is true");
    }

    #[test]
    fn a_failure_that_could_not_be_told_is_told_later() {
        let failures = Lasting::default();
        let start = Instant::now();
        for second in 0..8 {
            let now = start + SECOND * second;
            failures.fails(&"alice", "503", now);
            failures.works(&"alice", now);
        }
        assert_eq!(failures.fails(&"alice", "503", start + SECOND * 9), None);
        assert_eq!(
            failures.fails(&"alice", "503", start + REMIND),
            Some(Told::Begins)
        );
    }

    #[test]
    fn one_thing_does_not_silence_another() {
        let failures = Lasting::default();
        let now = Instant::now();
        assert_eq!(failures.fails(&"alice", "503", now), Some(Told::Begins));
        assert_eq!(failures.fails(&"bob", "503", now), Some(Told::Begins));
        assert_eq!(failures.works(&"carol", now), None);
        failures.forget(&"alice");
        assert_eq!(failures.fails(&"alice", "503", now), Some(Told::Begins));
    }

    #[test]
    fn ten_thousand_failures_take_the_room_and_the_lines_of_a_few() {
        let failures = Lasting::default();
        let start = Instant::now();
        let mut lines = 0;
        let mut of_many = 0;
        for second in [0, 10, 20] {
            for tenant in 0..10_000 {
                match failures.fails(&tenant, "503", start + SECOND * second) {
                    Some(Told::OneOfMany) => of_many += 1,
                    Some(_) => lines += 1,
                    None => {}
                }
            }
        }
        assert_eq!((lines, of_many), (MOST, 1));
        assert_eq!(failures.0.lock().things.len(), MOST);

        // Room is made by what works again, and by what nobody asks about any more.
        failures.works(&0, start + SECOND * 30);
        assert_eq!(
            failures.fails(&9_999, "503", start + SECOND * 30),
            Some(Told::Begins)
        );
        assert_eq!(
            failures.fails(&9_998, "503", start + STALE * 2),
            Some(Told::Begins)
        );
        assert_eq!(failures.0.lock().things.len(), 1);
    }
}
