//! Who works side by side. A tenant whose requests wait, as for an admission webhook that hangs, must not hold a place
//! that another could use: it moves on to a lane for such.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::pending;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::api::MetricsNamespace;

use crate::operator::kind::Kind;
use crate::operator::locked::Locked;

/// Tenants in the slow lane. With those in the last lane, and their requests side by side, they hold fewer than half of
/// the seats that an API server has by default for all service accounts.
const SLOW: Size = Size { first: 8, most: 32 };
/// Tenants in the last lane.
const HANGING: Size = Size { first: 4, most: 24 };
/// A lane that is full grows after so long. An API server lends to others what nobody needs, and takes it back in steps
/// of this time: who fills its seats before makes all service accounts wait.
const GROWS_EVERY: Duration = Duration::from_secs(10);
/// Between two looks whether a place that is held for long is wanted.
const AGAIN: Duration = Duration::from_millis(50);
/// By so many answers the API server's pace is known.
const LAST_ANSWERS: usize = 16;
/// However slow the API server is, what takes longer hangs.
const LONGEST_PATIENCE: Duration = Duration::from_secs(5);
/// How long an answer is waited for at the operator's end.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How slow a tenant was is forgotten after this long: longer than between two tries.
const REMEMBERED: Duration = Duration::from_secs(120);

type Reference = ObjectRef<MetricsNamespace>;

/// How fast a tenant's requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speed {
    /// At once, as nearly everywhere.
    Quick,
    /// Late.
    Slow,
    /// Perhaps never.
    Hanging,
}

impl Speed {
    /// How long one request may take for its tenant to stay in this lane, where the fastest of the last such requests
    /// took so long.
    fn patience(self, fastest: Duration) -> Option<Duration> {
        let (least, times) = match self {
            Self::Quick => (Duration::from_millis(200), 16),
            Self::Slow => (Duration::from_secs(1), 20),
            Self::Hanging => return None,
        };
        Some((fastest * times).clamp(least, LONGEST_PATIENCE))
    }

    fn next(self) -> Self {
        match self {
            Self::Quick => Self::Slow,
            Self::Slow | Self::Hanging => Self::Hanging,
        }
    }

    fn of(took: Duration, fastest: Duration) -> Self {
        [Self::Quick, Self::Slow]
            .into_iter()
            .find(|speed| speed.patience(fastest).is_some_and(|p| took < p))
            .unwrap_or(Self::Hanging)
    }
}

/// The lanes, and how slow each tenant was at its last try.
pub struct Lanes {
    quick: Lane,
    slow: Lane,
    hanging: Lane,
    last: Locked<HashMap<Reference, (Speed, Instant)>>,
    paces: Locked<HashMap<Asked, Pace>>,
    stopping: Notify,
}

/// What is asked: to write a child of this kind, or anything else. An API server that has much to do needs ten times as
/// long for a Service, whose address it looks for, as for any other child.
pub type Asked = Option<Kind>;

/// How long the last answers took, whoever they were for, but those that hung. Where even the fastest took long, the API
/// server is slow and no tenant is.
#[derive(Default)]
struct Pace(VecDeque<Duration>);

impl Pace {
    fn note(&mut self, took: Duration) {
        if self.0.len() == LAST_ANSWERS {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    fn fastest(&self) -> Duration {
        self.0.iter().min().copied().unwrap_or_default()
    }
}

struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    size: Size,
    now: Locked<SizeNow>,
}

/// How many places a lane has.
#[derive(Clone, Copy)]
struct Size {
    /// When nobody has been there before. It grows by as many.
    first: usize,
    most: usize,
}

struct SizeNow {
    places: usize,
    since: Instant,
}

/// One that waits for a place.
struct Waiting<'a>(&'a AtomicUsize);

impl Lane {
    fn new(size: Size) -> Self {
        Self {
            places: Arc::new(Semaphore::new(size.first)),
            waiting: AtomicUsize::new(0),
            size,
            now: Locked::from(SizeNow {
                places: size.first,
                since: Instant::now(),
            }),
        }
    }

    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        self.fit();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        let mut place = std::pin::pin!(self.places.clone().acquire_owned());
        loop {
            match timeout(GROWS_EVERY, &mut place).await {
                Ok(place) => return place.ok(),
                Err(_) => self.fit(),
            }
        }
    }

    fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        self.fit();
        self.places.clone().try_acquire_owned().ok()
    }

    /// Grows where it has been full for a while, and is small again where nobody is there.
    fn fit(&self) {
        let Size { first, most } = self.size;
        let (mut size, now) = (self.now.lock(), Instant::now());
        let free = self.places.available_permits();
        if free == size.places {
            size.places -= self.places.forget_permits(size.places - first);
            size.since = now;
        } else if free == 0 && now.duration_since(size.since) >= GROWS_EVERY {
            let more = first.min(most - size.places);
            self.places.add_permits(more);
            size.places += more;
            size.since = now;
        }
    }

    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// With so many places for tenants whose requests are answered at once.
    pub fn new(quick: u16) -> Arc<Self> {
        let quick = quick.into();
        let quick = Size {
            first: quick,
            most: quick,
        };
        Arc::new(Self {
            quick: Lane::new(quick),
            slow: Lane::new(SLOW),
            hanging: Lane::new(HANGING),
            last: Locked::default(),
            paces: Locked::default(),
            stopping: Notify::new(),
        })
    }

    fn lane(&self, speed: Speed) -> &Lane {
        match speed {
            Speed::Quick => &self.quick,
            Speed::Slow => &self.slow,
            Speed::Hanging => &self.hanging,
        }
    }

    /// Waits for a place in the lane of a tenant's last try, first come, first served. `None`: no work is begun any
    /// more.
    pub async fn enter(self: &Arc<Self>, tenant: &Reference) -> Option<Place> {
        self.enter_lane(tenant, self.speed(tenant)).await
    }

    /// Whether a tenant's last try says that its wait for a place will be short: nobody keeps one there for long.
    pub fn is_quick(&self, tenant: &Reference) -> bool {
        self.speed(tenant) == Speed::Quick
    }

    fn speed(&self, tenant: &Reference) -> Speed {
        let now = Instant::now();
        let known = self.last.lock().get(tenant).copied();
        let lately = known.filter(|(_, when)| now.duration_since(*when) < REMEMBERED);
        lately.map_or(Speed::Quick, |(speed, _)| speed)
    }

    async fn enter_lane(self: &Arc<Self>, tenant: &Reference, speed: Speed) -> Option<Place> {
        let permit = self.lane(speed).enter().await?;
        Some(Place {
            lanes: self.clone(),
            tenant: tenant.clone(),
            held: Locked::from(Held {
                speed,
                needed: Speed::Quick,
                _permit: permit,
            }),
            slowed: Notify::new(),
            left: Notify::new(),
        })
    }

    /// Nobody gets a place any more, and who waits for slow answers gives them up: another operator finishes that.
    pub fn close(&self) {
        for speed in [Speed::Quick, Speed::Slow, Speed::Hanging] {
            self.lane(speed).places.close();
        }
        self.stopping.notify_waiters();
    }

    fn fastest(&self, asked: Asked) -> Duration {
        (self.paces.lock().get(&asked)).map_or(Duration::ZERO, Pace::fastest)
    }

    fn is_closed(&self) -> bool {
        self.quick.places.is_closed()
    }

    fn remember(&self, tenant: &Reference, speed: Speed) {
        let now = Instant::now();
        let mut last = self.last.lock();
        if speed == Speed::Quick {
            last.remove(tenant);
        } else {
            last.insert(tenant.clone(), (speed, now));
            last.retain(|_, (_, when)| now.duration_since(*when) < REMEMBERED);
        }
    }
}

/// A tenant's place in a lane.
pub struct Place {
    lanes: Arc<Lanes>,
    tenant: Reference,
    held: Locked<Held>,
    slowed: Notify,
    left: Notify,
}

struct Held {
    speed: Speed,
    /// The lane that fits the slowest of its requests.
    needed: Speed,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// Waits for an answer. Where that takes long, the tenant moves on to a slower lane; where that is full, and others
    /// want this place, the answer is waited for no longer, and never comes.
    pub async fn wait<T>(&self, asked: Asked, request: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let mut request = std::pin::pin!(request);
        let answer = loop {
            let speed = self.speed();
            let Some(patience) = speed.patience(self.lanes.fastest(asked)) else {
                break self.wait_unless_stopping(&mut request).await;
            };
            let left = patience.saturating_sub(began.elapsed()).max(AGAIN);
            if let Ok(answer) = timeout(left, &mut request).await {
                break answer;
            }
            // At the end, what is answered within a moment is still waited for.
            let is_over = self.lanes.is_closed() && began.elapsed() >= LAST_PATIENCE;
            let is_wanted = self.lanes.lane(speed).is_wanted() || is_over;
            if !self.move_on(speed) && is_wanted {
                self.left.notify_one();
                pending::<()>().await;
            }
        };
        let took = began.elapsed();
        let needed = Speed::of(took, self.lanes.fastest(asked));
        if !self.hangs() {
            self.lanes.paces.lock().entry(asked).or_default().note(took);
        }
        let mut held = self.held.lock();
        held.needed = held.needed.max(needed);
        answer
    }

    async fn wait_unless_stopping<T>(&self, request: impl Future<Output = T>) -> T {
        let stopping = self.lanes.stopping.notified();
        tokio::select! {
            answer = request => answer,
            () = async {
                // Also where that was before.
                if !self.lanes.is_closed() {
                    stopping.await;
                }
            } => {
                self.left.notify_one();
                pending().await
            }
        }
    }

    /// True if there was room, or if another request has moved this tenant on already.
    fn move_on(&self, from: Speed) -> bool {
        let mut held = self.held.lock();
        if held.speed > from {
            return true;
        }
        let next = held.speed.next();
        let Some(permit) = self.lanes.lane(next).try_enter() else {
            return false;
        };
        held.speed = next;
        held._permit = permit;
        self.slowed.notify_waiters();
        true
    }

    fn speed(&self) -> Speed {
        self.held.lock().speed
    }

    /// Whether an answer may never come.
    pub fn hangs(&self) -> bool {
        self.speed() == Speed::Hanging
    }

    /// Waits until an answer may never come.
    pub async fn until_hanging(&self) {
        loop {
            let slowed = self.slowed.notified();
            if self.hangs() {
                return;
            }
            slowed.await;
        }
    }

    /// Waits until the tenant has to leave its lane: all that waits here is to be dropped, and begun again in the next.
    pub async fn left(&self) {
        self.left.notified().await;
    }

    /// Whether who leaves this lane goes on to the last one.
    pub fn leads_to_the_last(&self) -> bool {
        self.speed().next() == Speed::Hanging && !self.lanes.is_closed()
    }

    /// Leaves this lane, and waits for a place in the next one.
    pub async fn into_next(self) -> Option<Self> {
        let lanes = self.lanes.clone();
        let tenant = self.tenant.clone();
        let next = self.speed().next();
        drop(self);
        lanes.remember(&tenant, next);
        lanes.enter_lane(&tenant, next).await
    }

    /// Notes that all was answered: how fast that was decides where the next try begins.
    pub fn finish(self) {
        let needed = self.held.lock().needed;
        self.lanes.remember(&self.tenant, needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::{Either, join_all, select};
    use std::pin::pin;

    fn tenant(number: usize) -> Reference {
        ObjectRef::new("metrics").within(&format!("tenant-{number}"))
    }

    const HANGS: Duration = Duration::from_secs(10);

    /// As a reconcile does with one request: how long it took from the start until it was answered.
    async fn request(lanes: &Arc<Lanes>, number: usize, answered_after: Duration) -> Duration {
        let began = Instant::now();
        let mut place = lanes.enter(&tenant(number)).await.unwrap();
        loop {
            tokio::select! {
                () = place.wait(None, tokio::time::sleep(answered_after)) => break,
                () = place.left() => {}
            }
            place = place.into_next().await.unwrap();
        }
        place.finish();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_fresh_tenant_does_not_wait_for_any_number_of_hanging_ones() {
        const MANY: usize = 1000;
        let lanes = Lanes::new(8);
        let hanging = async {
            // The first try of each, and the next, whose lane is known.
            for _ in 0..2 {
                join_all((0..MANY).map(|number| request(&lanes, number, HANGS))).await;
            }
        };
        let fresh = async {
            let mut longest = Duration::ZERO;
            // From when the slow ones are told from the others.
            tokio::time::sleep(Duration::from_secs(60)).await;
            for number in MANY..MANY + 100 {
                longest = longest.max(request(&lanes, number, Duration::from_millis(10)).await);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            longest
        };
        let (mut hanging, fresh) = (pin!(hanging), pin!(fresh));
        let longest = match select(&mut hanging, fresh).await {
            Either::Left(_) => panic!("the slow ones ended first"),
            Either::Right((longest, _)) => longest,
        };
        assert_eq!(longest, Duration::from_millis(10));
        hanging.await;
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_tenants_have_their_turns_in_order_and_no_more_places_than_are_theirs() {
        let lanes = Lanes::new(8);
        let many = HANGING.most * 5;
        let all = || (0..many).map(|number| request(&lanes, number, HANGS));
        join_all(all()).await;
        // Each is known now. Who comes first is served first.
        let took = join_all(all()).await;
        assert!(took.is_sorted(), "{took:?}");
        let ended_by = |time| took.iter().filter(|took| **took <= time).count();
        assert_eq!(ended_by(HANGS), HANGING.first);
        let mut before = 0;
        for round in 1..=15 {
            let ended = ended_by(HANGS * round);
            assert!(ended - before <= HANGING.most, "{took:?}");
            before = ended;
        }
        assert_eq!(before, many, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_api_server_is_slow_for_all_nobody_is_a_slow_tenant() {
        const SLOW_ANSWER: Duration = Duration::from_millis(400);
        let lanes = Lanes::new(8);
        join_all((0..50).map(|number| request(&lanes, number, SLOW_ANSWER))).await;
        // By now that is known.
        let mut place = lanes.enter(&tenant(1000)).await.unwrap();
        for _ in 0..3 {
            place.wait(None, tokio::time::sleep(SLOW_ANSWER)).await;
            assert_eq!(place.speed(), Speed::Quick);
        }
        place.finish();
        assert!(lanes.is_quick(&tenant(1000)));
        // And forgotten with the first answers that come soon.
        place = lanes.enter(&tenant(1001)).await.unwrap();
        place
            .wait(None, tokio::time::sleep(Duration::from_millis(10)))
            .await;
        place.wait(None, tokio::time::sleep(SLOW_ANSWER)).await;
        assert_eq!(place.speed(), Speed::Slow);
    }

    #[tokio::test(start_paused = true)]
    async fn one_kind_of_requests_may_take_longer_than_the_others_for_all() {
        const SERVICE: Duration = Duration::from_millis(60);
        let lanes = Lanes::new(8);
        let place = lanes.enter(&tenant(0)).await.unwrap();
        for _ in 0..LAST_ANSWERS {
            let service = tokio::time::sleep(SERVICE);
            place.wait(Some(Kind::Service), service).await;
            let other = tokio::time::sleep(SERVICE / 10);
            place.wait(Some(Kind::ConfigMap), other).await;
        }
        let late = || tokio::time::sleep(SERVICE * 10);
        place.wait(Some(Kind::Service), late()).await;
        assert_eq!(place.speed(), Speed::Quick);
        place.wait(Some(Kind::ConfigMap), late()).await;
        assert_eq!(place.speed(), Speed::Slow);
        place.finish();
        assert!(!lanes.is_quick(&tenant(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_sent_away_from_a_place_that_nobody_wants() {
        let lanes = Lanes::new(1);
        lanes.slow.places.forget_permits(SLOW.first);
        let place = lanes.enter(&tenant(0)).await.unwrap();
        let mut request = pin!(place.wait(None, tokio::time::sleep(HANGS)));
        let alone = timeout(HANGS / 2, &mut request).await;
        assert!(alone.is_err() && place.left().now_or_never().is_none());
        let other = tenant(1);
        let mut wants = pin!(lanes.enter(&other));
        assert!((&mut wants).now_or_never().is_none());
        assert!(timeout(HANGS, &mut request).await.is_err());
        place.left().now_or_never().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_quick_again_is_back_in_the_first_lane() {
        let lanes = Lanes::new(1);
        request(&lanes, 0, HANGS).await;
        assert_eq!(lanes.last.lock()[&tenant(0)].0, Speed::Hanging);
        request(&lanes, 0, Duration::from_millis(500)).await;
        assert_eq!(lanes.last.lock()[&tenant(0)].0, Speed::Slow);
        request(&lanes, 0, Duration::ZERO).await;
        assert!(lanes.last.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn how_slow_a_tenant_was_is_forgotten_in_time() {
        let lanes = Lanes::new(1);
        request(&lanes, 0, HANGS).await;
        tokio::time::sleep(REMEMBERED).await;
        let place = lanes.enter(&tenant(0)).await.unwrap();
        assert_eq!(place.speed(), Speed::Quick);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_end_what_is_answered_within_a_moment_is_waited_for() {
        let lanes = Lanes::new(1);
        let place = lanes.enter(&tenant(0)).await.unwrap();
        let answered = place.wait(None, tokio::time::sleep(LAST_PATIENCE / 2));
        lanes.close();
        answered.await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_end_nobody_begins_and_who_hangs_gives_up() {
        let lanes = Lanes::new(1);
        let place = lanes.enter(&tenant(0)).await.unwrap();
        let mut hanging = pin!(place.wait(None, pending::<()>()));
        let long = timeout(HANGS, &mut hanging).await;
        assert!(long.is_err() && place.speed() == Speed::Hanging);
        let other = tenant(1);
        let waits = pin!(lanes.enter_lane(&other, Speed::Quick));
        lanes.close();
        assert!(waits.await.is_none());
        assert!((&mut hanging).now_or_never().is_none());
        place.left().now_or_never().unwrap();
    }
}
