//! Which objects wait to be looked at, and which of them is next.
//!
//! Ten thousand may wait at once: each costs an entry here, and nothing runs for it before its turn comes. A turn costs
//! the same however many others wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::api::MetricsNamespace;

use crate::operator::locked::Locked;

/// Changes of one object that come this close together are looked at once.
const DEBOUNCE: Duration = Duration::from_millis(100);

type Reference = ObjectRef<MetricsNamespace>;

/// New ones that are looked at before one of those that only go on has its turn.
const NEW_IN_A_ROW: u32 = 3;

/// The objects that wait, each once. Of those whose time has come, and that have the same rank, who came first is first.
#[derive(Clone, Default)]
pub struct Queue(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Locked<State>,
    /// Wakes whoever waits for the next.
    news: Notify,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<Reference>, Entry>,
    by_time: [BTreeMap<Turn, Arc<Reference>>; RANKS],
    turns: u64,
    /// New ones that had their turns since another had one.
    new_in_a_row: u32,
}

/// Who comes before whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It serves its namespace, and what its author wants now was not looked at yet: somebody waits for it. A change of
    /// all ten thousand does not hold it up.
    New,
    /// It serves its namespace.
    #[default]
    GoesOn,
    /// It does not serve its namespace. Anybody may make thousands of these.
    ServesNobody,
}

const RANKS: usize = 3;

/// When it is an object's turn, with a number for the order among those of one moment.
type Turn = (Instant, u64);

#[derive(Default)]
struct Entry {
    turn: Option<Turn>,
    rank: Rank,
    /// Whether something has changed since it was last looked at; else it is to be looked at without.
    asked: bool,
    /// Whether it has been begun with. Until that has ended, it is not begun with again.
    begun: bool,
}

impl State {
    fn plan(&mut self, object: &Arc<Reference>, at: Instant) {
        let entry = self.entries.entry(object.clone()).or_default();
        if entry.turn.is_some_and(|(sooner, _)| sooner <= at) {
            return;
        }
        self.turns += 1;
        let by_time = &mut self.by_time[entry.rank as usize];
        if let Some(before) = entry.turn.replace((at, self.turns)) {
            by_time.remove(&before);
        }
        by_time.insert((at, self.turns), object.clone());
    }

    /// Has one no longer wait for its turn.
    fn unplan(&mut self, object: &Reference) {
        if let Some(entry) = self.entries.get_mut(object)
            && let Some(turn) = entry.turn.take()
        {
            self.by_time[entry.rank as usize].remove(&turn);
        }
    }

    /// The next one whose turn it is, or else when it is somebody's.
    fn begin(&mut self, now: Instant) -> Result<Arc<Reference>, Option<Instant>> {
        let order = match self.new_in_a_row >= NEW_IN_A_ROW {
            true => [Rank::GoesOn, Rank::New, Rank::ServesNobody],
            false => [Rank::New, Rank::GoesOn, Rank::ServesNobody],
        };
        let mut next = None;
        for rank in order {
            while let Some(first) = self.by_time[rank as usize].first_entry() {
                let at = first.key().0;
                if at > now {
                    next = Some(next.map_or(at, |next: Instant| next.min(at)));
                    break;
                }
                let object = first.remove();
                let entry = self.entries.entry(object.clone()).or_default();
                entry.turn = None;
                // What was begun before has its next turn when it ends.
                if !entry.begun {
                    entry.begun = true;
                    self.new_in_a_row = match rank {
                        Rank::New => self.new_in_a_row + 1,
                        _ => 0,
                    };
                    return Ok(object);
                }
            }
        }
        Err(next)
    }
}

impl Queue {
    /// Asks for a look at each of these, which serve their namespaces.
    pub fn add_all(&self, objects: Vec<Reference>) {
        self.add(objects.into_iter().map(|object| (object, Rank::GoesOn)));
    }

    /// Asks for a look at each of these.
    pub fn add(&self, objects: impl IntoIterator<Item = (Reference, Rank)>) {
        let at = Instant::now() + DEBOUNCE;
        let mut state = self.0.state.lock();
        for (object, mut rank) in objects {
            let known = state.entries.get(&object);
            // What else happens makes it no less new.
            if rank == Rank::GoesOn && known.is_some_and(|entry| entry.rank == Rank::New) {
                rank = Rank::New;
            }
            let moved = known.is_none_or(|entry| entry.rank != rank);
            if known.is_some_and(|entry| entry.asked) && !moved {
                continue;
            }
            let object = Arc::new(object);
            if moved {
                state.unplan(&object);
                state.entries.entry(object.clone()).or_default().rank = rank;
            }
            state.plan(&object, at);
            state.entries.entry(object).or_default().asked = true;
        }
        drop(state);
        self.0.news.notify_one();
    }

    /// Waits for the next one, which is begun with by this. Only one may wait for it.
    pub async fn next(&self) -> Arc<Reference> {
        loop {
            let begun = self.0.state.lock().begin(Instant::now());
            match begun {
                Ok(object) => return object,
                Err(None) => self.0.news.notified().await,
                // Whatever comes first.
                Err(Some(at)) => {
                    let _ = timeout_at(at, self.0.news.notified()).await;
                }
            }
        }
    }

    /// Notes that one is being looked at now: what happens from now on is asked for anew.
    pub fn taken(&self, object: &Reference) {
        let mut state = self.0.state.lock();
        state.unplan(object);
        if let Some(entry) = state.entries.get_mut(object) {
            entry.asked = false;
            // What is asked for from now on may be something else.
            entry.rank = entry.rank.max(Rank::GoesOn);
        }
    }

    /// Notes that the look at one has ended, and when the next is due where nothing changes.
    pub fn ended(&self, object: &Arc<Reference>, look: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.0.state.lock();
        let Some(entry) = state.entries.get_mut(object) else {
            return;
        };
        entry.begun = false;
        match (entry.asked, look) {
            // Its turn has come meanwhile.
            (true, _) if entry.turn.is_none() => state.plan(object, now),
            (true, _) => {}
            (false, Some(look)) => state.plan(object, now + look),
            (false, None) => {
                state.entries.remove(object);
            }
        }
        if state.entries.is_empty() {
            // Of the memory that ten thousand once needed, nothing is kept.
            *state = State::default();
        }
        drop(state);
        self.0.news.notify_one();
    }

    /// How many have changed and wait.
    pub fn depth(&self) -> usize {
        let state = self.0.state.lock();
        state.entries.values().filter(|entry| entry.asked).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn object(number: usize) -> Reference {
        ObjectRef::new("metrics").within(&format!("tenant-{number}"))
    }

    /// The next one, and how many milliseconds later it came.
    async fn next(queue: &Queue) -> (Arc<Reference>, u128) {
        let began = Instant::now();
        let object = queue.next().await;
        (object, began.elapsed().as_millis())
    }

    fn nobody_is_next(queue: &Queue) -> bool {
        queue.next().now_or_never().is_none()
    }

    #[tokio::test(start_paused = true)]
    async fn changes_that_come_together_are_one_look_a_moment_later() {
        let queue = Queue::default();
        queue.add_all(vec![object(1), object(2), object(1)]);
        assert_eq!(queue.depth(), 2);
        assert!(nobody_is_next(&queue));
        assert_eq!(next(&queue).await, (object(1).into(), DEBOUNCE.as_millis()));
        assert_eq!(next(&queue).await, (object(2).into(), 0));
        queue.taken(&object(1));
        assert_eq!(queue.depth(), 1);
        queue.ended(&object(1).into(), None);
        queue.taken(&object(2));
        queue.ended(&object(2).into(), None);
        tokio::time::sleep(DEBOUNCE * 10).await;
        assert!(nobody_is_next(&queue) && queue.depth() == 0);
        assert!(queue.0.state.lock().entries.capacity() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_waits_for_three_others_at_most_and_keeps_none_waiting_for_more() {
        let queue = Queue::default();
        queue.add_all((0..1000).map(object).collect());
        tokio::time::sleep(DEBOUNCE * 10).await;
        let new = |number: usize| (object(number), Rank::New);
        queue.add((2000..2004).map(new));
        // It waits already, and somebody changes what he wants of it.
        queue.add([new(999)]);
        queue.add_all(vec![object(2003)]);
        tokio::time::sleep(DEBOUNCE).await;
        let mut begun = Vec::new();
        for _ in 0..8 {
            begun.push(next(&queue).await.0);
        }
        let expected = [2000, 2001, 2002, 0, 2003, 999, 1, 2];
        assert_eq!(begun, expected.map(|number| Arc::new(object(number))));
        // Looked at once, it is no more new than the others.
        let looked_at = Arc::new(object(2000));
        queue.taken(&looked_at);
        queue.ended(&looked_at, Some(Duration::ZERO));
        assert_eq!(next(&queue).await.0, object(3).into());
    }

    #[tokio::test(start_paused = true)]
    async fn thousands_that_do_not_serve_their_namespace_come_after_all_that_do() {
        let queue = Queue::default();
        let others = |number: usize| ObjectRef::new(&format!("m{number}")).within("alice");
        queue.add((0..4000).map(|number| (others(number), Rank::ServesNobody)));
        tokio::time::sleep(DEBOUNCE * 10).await;
        queue.add_all(vec![object(1)]);
        queue.add_all(vec![others(3999)]);
        // Those that wait already go on meanwhile.
        assert_eq!(next(&queue).await, (others(0).into(), 0));
        tokio::time::sleep(DEBOUNCE).await;
        assert_eq!(next(&queue).await, (object(1).into(), 0));
        assert_eq!(
            next(&queue).await,
            (others(3999).into(), 0),
            "it serves now"
        );
        assert_eq!(next(&queue).await, (others(1).into(), 0));
        queue.ended(&others(1).into(), Some(Duration::ZERO));
        queue.ended(&object(1).into(), Some(Duration::ZERO));
        assert_eq!(next(&queue).await, (object(1).into(), 0));
        assert_eq!(queue.depth(), 4001);
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_while_it_is_looked_at_is_looked_at_again_when_that_has_ended() {
        let queue = Queue::default();
        queue.add_all(vec![object(1)]);
        let (begun, _) = next(&queue).await;
        // It waits for its place, and will see this change.
        queue.add_all(vec![object(1)]);
        queue.taken(&begun);
        assert_eq!(queue.depth(), 0);
        queue.add_all(vec![object(1)]);
        assert_eq!(queue.depth(), 1);
        tokio::time::sleep(DEBOUNCE * 10).await;
        assert!(nobody_is_next(&queue), "one look at a time");
        queue.ended(&begun, Some(Duration::from_secs(60)));
        assert_eq!(next(&queue).await, (begun.clone(), 0), "it has waited");
        queue.taken(&begun);
        queue.add_all(vec![object(1)]);
        queue.ended(&begun, None);
        assert_eq!(next(&queue).await, (begun.clone(), DEBOUNCE.as_millis()));
        queue.taken(&begun);
        queue.ended(&begun, None);
        assert!(nobody_is_next(&queue));
    }

    #[tokio::test(start_paused = true)]
    async fn a_planned_look_comes_at_its_time_and_a_change_brings_it_forward() {
        let queue = Queue::default();
        queue.add_all(vec![object(1)]);
        let (begun, _) = next(&queue).await;
        let minute = Duration::from_secs(60);
        queue.taken(&begun);
        queue.ended(&begun, Some(minute));
        assert_eq!(queue.depth(), 0, "nothing has changed");
        assert_eq!(next(&queue).await, (begun.clone(), minute.as_millis()));
        queue.taken(&begun);
        queue.ended(&begun, Some(minute));
        queue.add_all(vec![object(1)]);
        assert_eq!(next(&queue).await, (begun.clone(), DEBOUNCE.as_millis()));
        queue.taken(&begun);
        queue.ended(&begun, None);
        tokio::time::sleep(minute * 2).await;
        assert!(nobody_is_next(&queue), "the plan was for the look before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_wakes_who_waits_for_a_later_look() {
        let queue = Queue::default();
        queue.add_all(vec![object(1)]);
        let (begun, _) = next(&queue).await;
        queue.taken(&begun);
        queue.ended(&begun, Some(Duration::from_secs(60)));
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            queue.add_all(vec![object(2)]);
        };
        let ((first, after), ()) = tokio::join!(next(&queue), later);
        assert_eq!(
            (first, after),
            (object(2).into(), 1000 + DEBOUNCE.as_millis())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_planned_while_a_change_waits_for_its_place_is_no_second_look() {
        let queue = Queue::default();
        queue.add_all(vec![object(1)]);
        let (begun, _) = next(&queue).await;
        queue.taken(&begun);
        queue.ended(&begun, Some(DEBOUNCE));
        let (begun, _) = next(&queue).await;
        queue.add_all(vec![object(1)]);
        queue.taken(&begun);
        queue.ended(&begun, None);
        tokio::time::sleep(DEBOUNCE * 10).await;
        assert!(nobody_is_next(&queue));
    }
}
