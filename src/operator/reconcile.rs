//! One object, from what is seen to what is so: observe, plan, build, apply, status. And when to look again.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{Either, join, select};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use thiserror::Error;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::api::{MetricsNamespace, MetricsNamespaceStatus};

use super::api_error::cause;
use super::apply::{LONGEST_WRITE, Progress, Writer, held_back, no_answer};
use super::backoff::retry_delay;
use super::budget::Budgets;
use super::caches::Caches;
use super::child_cache::Served;
use super::children::{self, Child};
use super::contests::{Contests, Ground, Rivalry};
use super::events::{self, Events, News};
use super::health::Health;
use super::kind::Kind;
use super::lanes::{Lanes, Place};
use super::lasting::Lasting;
use super::locked::Locked;
use super::objection::Objection;
use super::observe::{self, Children};
use super::outcome::{Cause, Outcome, Problem, Verb};
use super::plan::{Hold, Plan, plan};
use super::platform::Platform;
use super::pods::Pods;
use super::queue::Queue;
use super::status::{self, Seen};
use super::telemetry::Metrics;
use super::watches::Watches;

/// Delay after the first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Objects of somebody else's are not watched, so one that is in the way is looked for this often.
const NAME_TAKEN_RETRY: Duration = Duration::from_secs(8);
/// A kind whose watch has not noticed that it is gone is looked for this often.
const KIND_RETRY: Duration = Duration::from_secs(2);
/// While Deployments can't be watched, this often.
const BLIND_LOOK: Duration = Duration::from_secs(10);
/// A child that is not there after the API server has kept its write waiting for so long is told of at once.
const TELL_AFTER: Duration = Duration::from_secs(2);
/// Who waits for long in any case is not kept from it by a status that hangs.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// Reconciles with writes that may follow each other at once: more than any change of a person's brings.
pub const BURST: u32 = 20;
/// After that, one in this time.
pub const EVERY: Duration = Duration::from_millis(1500);
/// What is being deleted is soon gone, and tells nothing before, unless something holds it for longer.
const SOON_GONE: Duration = Duration::from_secs(10);

/// What every reconcile works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the watches know.
    pub caches: Arc<Caches>,
    /// What the platform sets.
    pub platform: Arc<Platform>,
    /// Where events go.
    pub events: Arc<Events>,
    /// What waits.
    pub queue: Queue,
    /// Whether the operator works.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Failures in a row.
    pub failures: Locked<HashMap<ObjectRef<MetricsNamespace>, u32>>,
    /// What the log says of them.
    pub lasting: Lasting<ObjectRef<MetricsNamespace>>,
    /// What events say of statuses that can't be written: they are kept for an hour, and the failure may last longer.
    pub untold: Lasting<ObjectRef<MetricsNamespace>>,
    /// Writes lately.
    pub budgets: Budgets,
    /// What others keep changing back.
    pub contests: Contests,
    /// Why gateways do not come up.
    pub pods: Pods,
    /// Who works side by side.
    pub lanes: Arc<Lanes>,
}

impl Context {
    /// Forgets an object that is gone.
    pub fn forget(&self, object: &ObjectRef<MetricsNamespace>) {
        self.failures.lock().remove(object);
        self.lasting.forget(object);
        self.untold.forget(object);
    }

    fn is_failing(&self, object: &MetricsNamespace) -> bool {
        self.failures
            .lock()
            .contains_key(&ObjectRef::from_obj(object))
    }
}

/// Why a reconcile is tried again.
#[derive(Debug, Error)]
pub enum Error {
    /// A child can't be written.
    #[error("{} {}: {}", .0.kind.as_str(), .0.name, in_words(&.0.cause))]
    Child(Problem),
    /// The status can't be written.
    #[error("status: {}", in_words(.0))]
    Status(Cause),
}

impl Error {
    /// The reason as a metric's label: one of a few.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Status(_) => "status_not_written",
            Self::Child(Problem { cause, .. }) => match cause {
                Cause::NameTaken => "name_taken",
                Cause::KindNotServed => "kind_not_served",
                Cause::Refused(_) => "refused",
                Cause::Unavailable(_) => "unavailable",
                Cause::HeldBack => "held_back",
                Cause::Contested => "contested",
                Cause::Unanswered => "unanswered",
            },
        }
    }
}

fn in_words(cause: &Cause) -> String {
    match cause {
        Cause::NameTaken => "an object of this name was made by somebody else".into(),
        Cause::KindNotServed => "the cluster does not have this kind".into(),
        Cause::Refused(why) => format!("refused: {why}"),
        Cause::Unavailable(why) => format!("could not be written: {why}"),
        Cause::HeldBack => "not made while paused".into(),
        Cause::Contested => "others keep deleting it".into(),
        Cause::Unanswered => "the API server has not answered yet".into(),
    }
}

/// What a reconcile leaves.
struct Ended {
    /// Why it is tried again.
    error: Option<Error>,
    /// What else is to be looked at later.
    later: Later,
}

/// Reasons to look again, though no watch tells of anything.
#[derive(Clone, Copy, Debug, Default)]
struct Later {
    /// A kind that is missing may come back before its watch noticed that it was gone, and then no watch tells.
    kind_missing: bool,
    /// An object of somebody else's has a child's name.
    name_taken: bool,
    /// Something was not seen that the status tells of.
    blind: Option<Duration>,
    /// More is to be removed than one reconcile does.
    more: bool,
    /// When a fight over a child may be answered, or is over.
    contest: Option<Duration>,
    /// When a deletion has lasted for so long that it is told.
    deletion: Option<Duration>,
}

/// When to look again: the soonest of all reasons, of which one is a failure that is tried again after this delay.
fn next_look(later: Later, retry: Option<Duration>) -> Option<Duration> {
    let reasons = [
        retry,
        later.kind_missing.then_some(KIND_RETRY),
        later.name_taken.then_some(NAME_TAKEN_RETRY),
        later.blind,
        // Its turn comes after that of all others, and its budget says when.
        later.more.then_some(Duration::ZERO),
        later.contest,
        later.deletion,
    ];
    reasons.into_iter().flatten().min()
}

/// Looks at each object whose turn it is, until `stop`; then ends what runs.
pub async fn run(context: &Arc<Context>, stop: impl Future<Output = ()>) {
    let (mut stop, mut next) = (pin!(stop), pin!(begin(context)));
    // How many work side by side, the lanes decide. When this is dropped, they end.
    let mut running = JoinSet::new();
    loop {
        let (object, place) = tokio::select! {
            () = &mut stop => break,
            Some(ended) = running.join_next() => {
                pass_on_panic(ended);
                continue;
            }
            begun = &mut next => begun,
        };
        next.set(begin(context));
        let context = context.clone();
        running.spawn(async move {
            let look = match place {
                Some(place) => look_at(&object, place, &context).await,
                None => wait_and_look_at(&object, &context).await,
            };
            context.queue.ended(&object, look);
        });
    }
    while let Some(ended) = running.join_next().await {
        pass_on_panic(ended);
    }
}

fn pass_on_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        resume_unwind(panic);
    }
}

/// Waits for the next object, and for its place where that is soon there: nothing else is begun before. Who may wait for
/// long holds up nobody.
async fn begin(context: &Context) -> (Arc<ObjectRef<MetricsNamespace>>, Option<Place>) {
    let object = context.queue.next().await;
    let place = match context.lanes.is_quick(&object) {
        true => context.lanes.enter(&object).await,
        false => None,
    };
    (object, place)
}

async fn wait_and_look_at(
    object: &ObjectRef<MetricsNamespace>,
    context: &Context,
) -> Option<Duration> {
    let place = context.lanes.enter(object).await?;
    look_at(object, place, context).await
}

/// Reconciles one object, with everything around it that is counted and bounded, in the lane that its speed is for. When
/// to look again: what fails is tried again.
async fn look_at(
    reference: &ObjectRef<MetricsNamespace>,
    mut place: Place,
    context: &Context,
) -> Option<Duration> {
    let progress = Progress::default();
    // What is told of the end is told against this, however often the work begins again.
    let mut before = None;
    let (ended, began) = loop {
        context.queue.taken(reference);
        // What changed until now waits no more, so it must be seen; and the object may be gone.
        let Some(object) = context.caches.objects.get(reference) else {
            context.forget(reference);
            return None;
        };
        if let Some(wait) = context.budgets.wait(reference, Instant::now()) {
            return Some(wait);
        }
        let before = before.get_or_insert_with(|| object.clone());
        let began = Instant::now();
        {
            let _running = context.health.reconciling(reference.clone());
            // On the heap: who waits for a place has none.
            let work = Box::pin(reconcile(&object, before, context, &place, &progress));
            tokio::select! {
                ended = work => break (ended, began),
                () = place.left() => {}
            }
            // In the last lane the wait for a place may be long.
            if place.leads_to_the_last()
                && let Ok(wish) = Wish::of(&object, context)
            {
                let report = Report {
                    object: &object,
                    context,
                    place: &place,
                    wish: &wish,
                };
                let _ = timeout(TELL_WITHIN, report.tell_of_waiting(&progress)).await;
            }
        }
        place = place.into_next().await?;
    };
    place.finish();
    let error = ended.error;
    context
        .metrics
        .reconciled(began.elapsed(), error.as_ref().map(Error::reason));
    let retry = match &error {
        Some(error) => Some(failed(reference, error, context)),
        None => {
            context.failures.lock().remove(reference);
            if let Some(told) = context.lasting.works(reference, Instant::now()) {
                info!(
                    namespace = reference.namespace,
                    name = reference.name,
                    "reconcile {told}"
                );
            }
            None
        }
    };
    next_look(ended.later, retry)
}

/// Notes a failure. When to try the object again: soon at first, and never later than in seconds.
fn failed(object: &ObjectRef<MetricsNamespace>, error: &Error, context: &Context) -> Duration {
    let delay = {
        let mut failures = context.failures.lock();
        let failing = failures.len();
        let count = failures.entry(object.clone()).or_insert(0);
        let delay = retry_delay(FIRST_RETRY, *count, failing);
        *count += 1;
        delay
    };
    let error = error.to_string();
    if let Some(told) = context.lasting.fails(object, &error, Instant::now()) {
        warn!(
            namespace = object.namespace,
            name = object.name,
            error,
            "reconcile {told}"
        );
    }
    delay
}

async fn reconcile(
    object: &Arc<MetricsNamespace>,
    before: &MetricsNamespace,
    context: &Context,
    place: &Place,
    progress: &Progress,
) -> Ended {
    let wish = match Wish::of(object, context) {
        Ok(wish) => wish,
        Err(later) => return Ended { error: None, later },
    };
    let report = Report {
        object,
        context,
        place,
        wish: &wish,
    };
    let applied = match &wish.decision {
        _ if let Some(problem) = &wish.unbuildable => problem.clone(),
        Ok(plan) if !object.spec.paused => report.apply(plan, progress).await,
        Ok(plan) => held_back(
            &context.caches.children.in_namespace(&plan.namespace),
            &wish.children,
        ),
        Err(_) => Outcome::default(),
    };
    let blind = report.is_blind();
    let status = report.status(&applied.problems);
    let told = report.tell(&status).await;
    let reference = ObjectRef::from_obj(&**object);
    match &told {
        Ok(_) => {
            context.untold.works(&reference, Instant::now());
            let news = News {
                written: &applied.written,
                was_served: was_served(before),
                before: before.status.as_ref(),
                now: &status,
            };
            report.wait(context.events.publish(object, &news)).await;
        }
        Err(error) => {
            let told = (context.untold).fails(&reference, error.reason(), Instant::now());
            if told.is_some() || !context.is_failing(object) {
                let event = context.events.status_not_written(object, error);
                report.wait(event).await;
            }
        }
    }
    let over_another = matches!(told, Ok(true));
    if over_another {
        let (now, somebody) = (Instant::now(), Rivalry::somebody());
        (context.contests).answered(&reference, Ground::Status, somebody, now);
    }
    if !applied.written.is_empty() || over_another {
        context.budgets.spend(&reference, Instant::now());
    }
    // Nothing is waited for from here on, so that it is counted once.
    for written in &applied.written {
        context.metrics.wrote(written.verb, written.kind);
    }
    if !applied.written.is_empty() {
        info!(
            namespace = object.namespace(),
            name = object.name_any(),
            changes = events::in_words(&applied.written),
            "applied"
        );
    }
    let mut later = Later {
        // What is seen again by now, the status does not say yet.
        blind: blind.then(|| match report.is_blind() {
            true => BLIND_LOOK,
            false => Duration::ZERO,
        }),
        // Where nothing can be removed, a failure says when to try again.
        more: applied.more && applied.written.iter().any(|w| w.verb == Verb::Removed),
        contest: context.contests.look(&reference, Instant::now()),
        ..Later::default()
    };
    let mut failure = None;
    for problem in applied.problems {
        match problem.cause {
            Cause::KindNotServed => {
                later.kind_missing |= context.caches.children.served(problem.kind) != Served::No;
            }
            Cause::NameTaken => later.name_taken = true,
            // A watch tells when the object is no longer paused, and the contest's look is planned above.
            Cause::HeldBack | Cause::Contested => {}
            Cause::Refused(_) | Cause::Unavailable(_) | Cause::Unanswered => {
                failure = failure.or(Some(Error::Child(problem)));
            }
        }
    }
    Ended {
        error: told.err().or(failure),
        later,
    }
}

/// Whether the spec, as it is now, was served before.
pub fn was_served(object: &MetricsNamespace) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|s| s.observed_generation == object.metadata.generation)
}

/// What an object asks for.
struct Wish {
    decision: Result<Plan, Objection>,
    children: Vec<Child>,
    /// A plan of which a child can't be built is not applied: what is lacking would count as no longer wanted.
    unbuildable: Option<Outcome>,
}

impl Wish {
    /// When to look later, where the object or its namespace is going and there is nothing to tell.
    fn of(object: &Arc<MetricsNamespace>, context: &Context) -> Result<Self, Later> {
        let inputs = observe::inputs(object, &context.caches, &context.platform);
        let decision = match plan(&inputs) {
            Ok(plan) => Ok(plan),
            Err(Hold::Objection(objection)) => Err(objection),
            Err(Hold::Going) if inputs.namespace_terminating => return Err(Later::default()),
            Err(Hold::Going) => Err(deletion(object, Timestamp::now())?),
        };
        let built = decision
            .as_ref()
            .map_or_else(|_| Ok(Vec::new()), children::build);
        let (children, unbuildable) = match built {
            Ok(children) => (children, None),
            Err(error) => (Vec::new(), Some(Outcome::from(error))),
        };
        Ok(Self {
            decision,
            children,
            unbuildable,
        })
    }
}

/// What there is to tell of an object that is being deleted; when to look later, where that is a matter of seconds.
fn deletion(object: &MetricsNamespace, now: Timestamp) -> Result<Objection, Later> {
    let since = object.metadata.deletion_timestamp.as_ref();
    let Some(Time(since)) = since.cloned() else {
        return Err(Later::default());
    };
    let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    match SOON_GONE.checked_sub(lasted) {
        Some(rest) if !rest.is_zero() => Err(Later {
            deletion: Some(rest),
            ..Later::default()
        }),
        _ => Ok(Objection::BeingDeleted {
            since,
            held_by: object.finalizers().to_vec(),
        }),
    }
}

/// One reconcile's view, for what is written of it into the status.
struct Report<'a> {
    object: &'a Arc<MetricsNamespace>,
    context: &'a Context,
    place: &'a Place,
    wish: &'a Wish,
}

impl Report<'_> {
    /// Writes the children. Where the API server keeps that waiting, the status says so before it is known how it ends.
    async fn apply(&self, plan: &Plan, progress: &Progress) -> Outcome {
        let writer = Writer {
            client: &self.context.client,
            cache: &self.context.caches.children,
            contests: &self.context.contests,
            place: self.place,
            health: &self.context.health,
            object: self.object,
            namespace: &plan.namespace,
        };
        let applying = pin!(writer.apply(&self.wish.children, progress));
        match select(applying, pin!(sleep(TELL_AFTER))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), applying)) => join(applying, self.tell_of_waiting(progress)).await.0,
        }
    }

    async fn tell_of_waiting(&self, progress: &Progress) {
        // What the last try found out says more.
        if self.context.is_failing(self.object) {
            return;
        }
        if let Some(problems) = progress.unanswered() {
            // The status at the end is tried again where it fails; this one is not.
            let _ = self.tell(&self.status(&problems)).await;
        }
    }

    fn status(&self, problems: &[Problem]) -> MetricsNamespaceStatus {
        let (context, now) = (self.context, Timestamp::now());
        let reference = ObjectRef::from_obj(&**self.object);
        let seen = Children::of(self.object, &self.wish.children, &context.caches);
        // The gateway is that of the one that serves.
        let pod_problem = match self.wish.decision {
            Ok(_) => context.pods.words(&reference, seen.rollout.as_ref(), now),
            Err(_) => None,
        };
        // Who pauses has ended the fight.
        let contested = match self.object.spec.paused {
            true => None,
            false => context.contests.in_words(&reference, Instant::now()),
        };
        let unseen_prometheuses = Watches::PROMETHEUSES
            .into_iter()
            .find_map(|watch| context.health.problem(watch));
        status::compute(
            self.object,
            &Seen {
                decision: self.wish.decision.as_ref(),
                problems,
                contested: contested.as_deref(),
                rollout: seen.rollout.as_ref(),
                pod_problem: pod_problem.as_deref(),
                selections: &seen.selections,
                unseen: self.unseen().as_deref(),
                unseen_prometheuses: unseen_prometheuses.as_deref(),
                converged: seen.converged,
                now,
            },
        )
    }

    /// Whether something is not seen now of which the status may say what is no longer so.
    fn is_blind(&self) -> bool {
        Watches::of_statuses().any(|watch| self.context.health.is_failing(watch))
    }

    /// Why the gateway can't be seen, where it can't.
    fn unseen(&self) -> Option<String> {
        self.context.health.problem(Kind::Deployment.plural())
    }

    /// True if it was written over one that another wrote. Where that has gone on for long, it is left as it is for a while.
    async fn tell(&self, status: &MetricsNamespaceStatus) -> Result<bool, Error> {
        let objects = &self.context.caches.objects;
        let (reference, now) = (ObjectRef::from_obj(&**self.object), Instant::now());
        let rest = (self.context.contests).wait(&reference, Ground::Status, now);
        if rest.is_some() && objects.is_written_by_another(self.object) {
            return Ok(false);
        }
        let written = status::write(&self.context.client, objects, self.object, status);
        match self.wait(written).await {
            Some(written) => written.map_err(|error| Error::Status(cause(error))),
            None => Err(Error::Status(Cause::Unavailable(no_answer()))),
        }
    }

    /// `None` where no answer came in time.
    async fn wait<T>(&self, request: impl Future<Output = T>) -> Option<T> {
        let answer = self.place.wait(None, timeout(LONGEST_WRITE, request)).await;
        self.context
            .health
            .goes_on(&ObjectRef::from_obj(&**self.object));
        answer.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::ConditionType;

    #[test]
    fn a_deletion_is_told_only_where_it_lasts() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let deleted = |since: &str| -> MetricsNamespace {
            let metadata =
                serde_json::json!({"name": "a", "deletionTimestamp": since, "finalizers": ["a/b"]});
            let kind = serde_json::json!({"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace",
                "metadata": metadata, "spec": {}});
            serde_json::from_value(kind).unwrap()
        };
        let look = |since| deletion(&deleted(since), now).err().map(|l| l.deletion);
        let seconds = |seconds| Some(Some(Duration::from_secs(seconds)));
        assert_eq!(look("2026-01-01T00:00:57Z"), seconds(7));
        assert_eq!(look("2026-01-01T09:00:00Z"), seconds(10), "another clock");
        let since = "2026-01-01T00:00:50Z";
        let told = Objection::BeingDeleted {
            since: since.parse().unwrap(),
            held_by: vec!["a/b".into()],
        };
        assert_eq!(deletion(&deleted(since), now).ok(), Some(told));
    }

    #[test]
    fn that_statuses_are_not_written_has_a_reason_of_its_own() {
        let cause = || Cause::Refused("no right".into());
        assert_eq!(Error::Status(cause()).reason(), "status_not_written");
        let child = Problem {
            kind: Kind::Service,
            name: "pushgateway".into(),
            serves: ConditionType::GatewayAvailable,
            cause: cause(),
            stays: false,
        };
        assert_eq!(Error::Child(child).reason(), "refused");
    }

    #[test]
    fn the_soonest_of_all_reasons_to_look_again_wins() {
        let all = Later {
            kind_missing: true,
            name_taken: true,
            blind: Some(BLIND_LOOK),
            more: false,
            contest: Some(Duration::from_secs(1)),
            deletion: Some(Duration::from_secs(3)),
        };
        let seconds = |later, retry: Option<u64>| {
            let look = next_look(later, retry.map(Duration::from_secs));
            look.map(|look| look.as_secs())
        };
        assert_eq!(seconds(Later::default(), None), None);
        assert_eq!(seconds(Later::default(), Some(7)), Some(7));
        assert_eq!(seconds(all, Some(7)), Some(1));
        assert_eq!(seconds(all, Some(0)), Some(0));
        assert_eq!(seconds(Later { more: true, ..all }, Some(7)), Some(0));
        let without_contest = Later {
            contest: None,
            deletion: None,
            ..all
        };
        let of_deletion = Later {
            deletion: all.deletion,
            ..Later::default()
        };
        assert_eq!(seconds(of_deletion, None), Some(3));
        assert_eq!(
            seconds(without_contest, Some(7)),
            Some(KIND_RETRY.as_secs())
        );
        let unseen_and_taken = Later {
            kind_missing: false,
            ..without_contest
        };
        let soonest = NAME_TAKEN_RETRY.min(BLIND_LOOK).as_secs();
        assert_eq!(seconds(unseen_and_taken, None), Some(soonest));
        assert_eq!(seconds(unseen_and_taken, Some(7)), Some(7));
    }
}
