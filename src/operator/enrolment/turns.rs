//! Pure: which of many tries comes next, so that those that hang keep nobody waiting.
//!
//! A fresh one, which did not fail last time, finds a slot at once: the tries of those that failed leave some free, and
//! one that was not answered soon loses its slot to it, or to another that failed. So each of those is tried again and
//! again, however many hang, and one that does not hang any more is done. The longest running ones keep their slots, so
//! that each gets its answer in the end.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::operator::cluster::backoff::retry_delay;

const SLOTS: usize = 40;
/// Of those, the longest running ones keep their slots.
const KEPT: usize = 16;
/// No more than so many are filled with tries of what failed before.
const RETRIES: usize = 32;
/// A try keeps its slot for this long, whoever waits.
const HEAD_START: Duration = Duration::from_millis(250);
/// Delay after the first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// Who runs, who waits, and who failed.
#[derive(Default)]
pub struct Turns {
    /// In order; those that no longer wait are passed over.
    fresh: VecDeque<String>,
    waiting: HashSet<String>,
    /// From the longest running to the shortest.
    running: Vec<Run>,
    failed: HashMap<String, Failed>,
    /// Those of the failed that do not run, by when they are tried again.
    due: BTreeSet<(Instant, String)>,
}

struct Run {
    name: String,
    since: Instant,
    /// It changed meanwhile.
    again: bool,
}

struct Failed {
    failures: u32,
    due: Instant,
}

#[derive(Debug, PartialEq)]
pub struct Turn {
    pub name: String,
    /// Whose try has to be ended for it.
    pub instead_of: Option<String>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Ended {
    /// Nothing is left to do.
    Well,
    /// It is tried again, later from time to time.
    Badly,
}

impl Turns {
    /// Something is to be done for this one. The delay of one that failed stays as it is.
    pub fn wanted(&mut self, name: String) {
        if let Some(run) = self.running.iter_mut().find(|r| r.name == name) {
            run.again = true;
        } else if !self.failed.contains_key(&name) && self.waiting.insert(name.clone()) {
            self.fresh.push_back(name);
        }
    }

    /// Nothing is to be done any more for this one.
    pub fn forget(&mut self, name: &str) {
        self.waiting.remove(name);
        if let Some(failed) = self.failed.remove(name) {
            self.due.remove(&(failed.due, name.to_owned()));
        }
    }

    /// Whose turn it is, until nobody's is. It runs from now on.
    pub fn next(&mut self, now: Instant) -> Option<Turn> {
        let turn = self.fresh_turn(now).or_else(|| self.failed_turn(now))?;
        self.running.push(Run {
            name: turn.name.clone(),
            since: now,
            again: false,
        });
        Some(turn)
    }

    fn fresh_turn(&mut self, now: Instant) -> Option<Turn> {
        while let Some(name) = self.fresh.front()
            && !self.waiting.contains(name)
        {
            self.fresh.pop_front();
        }
        self.fresh.front()?;
        let instead_of = self.slot(SLOTS, now)?;
        let name = self.fresh.pop_front()?;
        self.waiting.remove(&name);
        Some(Turn { name, instead_of })
    }

    fn failed_turn(&mut self, now: Instant) -> Option<Turn> {
        let (due, _) = self.due.first()?;
        if *due > now {
            return None;
        }
        let instead_of = self.slot(RETRIES, now)?;
        let (_, name) = self.due.pop_first()?;
        Some(Turn { name, instead_of })
    }

    /// A slot among the first ones. The name of who had to leave it, if anybody; `None` if nobody leaves it yet.
    fn slot(&mut self, among: usize, now: Instant) -> Option<Option<String>> {
        if self.running.len() < among {
            return Some(None);
        }
        let slow = self.running.get(KEPT)?;
        if now.duration_since(slow.since) < HEAD_START {
            return None;
        }
        let name = slow.name.clone();
        self.ended(&name, Ended::Badly, now);
        Some(Some(name))
    }

    pub fn ended(&mut self, name: &str, how: Ended, now: Instant) {
        let Some(place) = self.running.iter().position(|r| r.name == name) else {
            return;
        };
        let run = self.running.remove(place);
        match how {
            Ended::Well => {
                self.failed.remove(name);
                if run.again {
                    self.wanted(run.name);
                }
            }
            Ended::Badly => {
                let failures = self.failed.get(name).map_or(0, |f| f.failures);
                let due = now + retry_delay(FIRST_RETRY, failures, self.failed.len());
                self.due.insert((due, run.name.clone()));
                let failures = failures + 1;
                self.failed.insert(run.name, Failed { failures, due });
            }
        }
    }

    /// When to ask again whose turn it is, where nothing happens before; `None` if not at all.
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        let slot = |among| match self.running.len() < among {
            true => Some(now),
            false => Some(self.running.get(KEPT)?.since + HEAD_START),
        };
        let fresh = (!self.waiting.is_empty()).then(|| slot(SLOTS)).flatten();
        let failed = self.due.first();
        let failed = failed.and_then(|(due, _)| Some(slot(RETRIES)?.max(*due)));
        let first = fresh.into_iter().chain(failed).min();
        first.map(|when| when.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(turns: &mut Turns, names: impl IntoIterator<Item = String>) {
        names.into_iter().for_each(|name| turns.wanted(name));
    }

    fn started(turns: &mut Turns, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| turns.next(now))
            .map(|turn| turn.name)
            .collect()
    }

    fn numbered(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|i| format!("slow-{i}"))
    }

    #[test]
    fn a_fresh_one_has_its_turn_within_seconds_beside_many_that_hang() {
        let begin = Instant::now();
        let mut turns = Turns::default();
        wanted(&mut turns, numbered(200));
        started(&mut turns, begin);
        // All at once, and nothing is known of any.
        turns.wanted("fresh".into());
        let mut now = begin;
        while !started(&mut turns, now).contains(&"fresh".to_owned()) {
            now = turns.wake(now).unwrap();
        }
        assert!(now - begin < Duration::from_secs(4), "{:?}", now - begin);

        // Once they are known to hang, at once, at any time.
        turns.ended("fresh", Ended::Well, now);
        for second in 10..100 {
            now = begin + Duration::from_secs(second);
            started(&mut turns, now);
            turns.wanted("later".into());
            assert_eq!(started(&mut turns, now), ["later"], "after {second} s");
            turns.ended("later", Ended::Well, now);
        }
    }

    #[test]
    fn one_that_hangs_no_more_has_its_turn_within_seconds_beside_hundreds_that_do() {
        let begin = Instant::now();
        let mut turns = Turns::default();
        wanted(&mut turns, numbered(300));
        let mut now = begin;
        // Each is given up by itself at last, as the API server does.
        let answered_after = Duration::from_secs(30);
        let mut last: HashMap<String, Instant> = HashMap::new();
        let mut longest = Duration::ZERO;
        while now - begin < Duration::from_secs(120) {
            while let Some(Run { name, .. }) = turns
                .running
                .first()
                .filter(|run| now - run.since >= answered_after)
            {
                let name = name.clone();
                turns.ended(&name, Ended::Badly, now);
            }
            for name in started(&mut turns, now) {
                let before = last.insert(name, now).unwrap_or(begin);
                longest = longest.max(now - before);
            }
            let ends = turns.running[0].since + answered_after;
            now = turns.wake(now).map_or(ends, |wake| wake.min(ends));
        }
        assert_eq!(last.len(), 300);
        // Those that kept their slots for long are tried again when they are answered.
        let limit = answered_after + Duration::from_secs(12);
        assert!(longest < limit, "{longest:?}");
        let often = last
            .values()
            .filter(|at| now - **at < Duration::from_secs(12));
        assert!(often.count() >= 300 - KEPT - RETRIES, "{last:?}");
    }

    #[test]
    fn the_longest_running_keep_their_slots_until_they_are_answered() {
        let begin = Instant::now();
        let mut turns = Turns::default();
        wanted(&mut turns, numbered(SLOTS));
        let first = started(&mut turns, begin);
        wanted(&mut turns, (0..500).map(|i| format!("fresh-{i}")));
        let mut now = begin;
        let mut displaced = Vec::new();
        for _ in 0..500 {
            now += HEAD_START;
            while let Some(turn) = turns.next(now) {
                displaced.extend(turn.instead_of);
            }
        }
        assert!(displaced.len() > KEPT);
        assert!(first[..KEPT].iter().all(|kept| !displaced.contains(kept)));
    }

    #[test]
    fn nobody_is_displaced_where_nobody_waits() {
        let begin = Instant::now();
        let mut turns = Turns::default();
        wanted(&mut turns, numbered(SLOTS));
        started(&mut turns, begin);
        let later = begin + Duration::from_secs(30);
        assert_eq!(turns.next(later), None);
        assert_eq!(turns.running.len(), SLOTS);
    }

    #[test]
    fn a_change_does_not_shorten_the_delay_of_one_that_failed() {
        let begin = Instant::now();
        let mut turns = Turns::default();
        let mut now = begin;
        let mut delays = Vec::new();
        turns.wanted("bad".into());
        for _ in 0..6 {
            assert_eq!(started(&mut turns, now), ["bad"]);
            turns.ended("bad", Ended::Badly, now);
            turns.wanted("bad".into());
            assert_eq!(turns.next(now), None);
            let due = turns.wake(now).unwrap();
            delays.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(delays, [1, 2, 4, 8, 8, 8]);
    }

    #[test]
    fn what_changes_while_it_is_tried_is_tried_again() {
        let now = Instant::now();
        let mut turns = Turns::default();
        turns.wanted("one".into());
        assert_eq!(started(&mut turns, now), ["one"]);
        turns.wanted("one".into());
        assert_eq!(turns.next(now), None, "never twice at the same time");
        turns.ended("one", Ended::Well, now);
        assert_eq!(started(&mut turns, now), ["one"]);
        turns.ended("one", Ended::Well, now);
        assert_eq!((turns.next(now), turns.wake(now)), (None, None));
    }

    #[test]
    fn what_is_forgotten_has_no_turn() {
        let now = Instant::now();
        let mut turns = Turns::default();
        wanted(&mut turns, ["waits".into(), "fails".into()]);
        turns.forget("waits");
        assert_eq!(started(&mut turns, now), ["fails"]);
        turns.ended("fails", Ended::Badly, now);
        turns.forget("fails");
        assert_eq!((turns.next(now), turns.wake(now)), (None, None));
    }
}
