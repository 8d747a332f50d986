//! One object, from what is seen to what is so: observe, plan, build, apply, status. And when to look again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use thiserror::Error;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::api::MetricsNamespace;

use super::api_error::cause;
use super::apply::{apply, held_back};
use super::budget::Budgets;
use super::caches::Caches;
use super::child_cache::Served;
use super::children;
use super::events::{self, Events};
use super::health::Health;
use super::kind::Kind;
use super::lasting::Lasting;
use super::locked::Locked;
use super::observe::{self, Children};
use super::outcome::{Cause, Outcome, Problem};
use super::plan::{Hold, plan};
use super::platform::Platform;
use super::queue::Queue;
use super::status::{self, Seen};
use super::telemetry::Metrics;
use super::watches::Watches;

/// A reconcile that takes longer is given up and tried again.
const LONGEST: Duration = Duration::from_secs(60);
/// Delay after the first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Delay after many failures.
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// Objects of somebody else's are not watched, so one that is in the way is looked for this often.
const NAME_TAKEN_RETRY: Duration = Duration::from_secs(15);
/// A kind whose watch has not noticed that it is gone is looked for this often.
const KIND_RETRY: Duration = Duration::from_secs(2);
/// A gateway that has just been made is asked for this soon.
const FIRST_LOOK: Duration = Duration::from_secs(6);
/// A gateway that stays down is asked about at least this often.
const LONGEST_LOOK: Duration = Duration::from_secs(300);

/// While Deployments can't be watched, this often.
const BLIND_LOOK: Duration = Duration::from_secs(10);

/// What every reconcile works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the watches know.
    pub caches: Arc<Caches>,
    /// What the platform sets.
    pub platform: Arc<Platform>,
    /// Where events go.
    pub events: Events,
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
    /// Writes lately.
    pub budgets: Budgets,
}

impl Context {
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
    /// The API server does not answer in time.
    #[error("gave up after {}s", LONGEST.as_secs())]
    TimedOut,
}

impl Error {
    /// The reason as a metric's label: one of a few.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Child(Problem { cause, .. }) | Self::Status(cause) => match cause {
                Cause::NameTaken => "name_taken",
                Cause::KindNotServed => "kind_not_served",
                Cause::Refused(_) => "refused",
                Cause::Unavailable(_) => "unavailable",
                Cause::HeldBack => "held_back",
            },
            Self::TimedOut => "timed_out",
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
    }
}

/// Reconciles one object, with everything around it that is counted and bounded.
///
/// # Errors
/// What [`retry`] decides on.
pub async fn run(object: Arc<MetricsNamespace>, context: Arc<Context>) -> Result<Action, Error> {
    let reference = ObjectRef::from_obj(&*object);
    context.queue.taken(&reference);
    // What changed until now waits no more, so it must be seen: the object that was handed over may be older.
    let object = context.caches.objects.get(&reference).unwrap_or(object);
    if let Some(wait) = context.budgets.wait(&reference, Instant::now()) {
        return Ok(Action::requeue(wait));
    }
    let running = context.health.reconciling(reference.clone());
    let began = Instant::now();
    let result = timeout(LONGEST, reconcile(&object, &context))
        .await
        .unwrap_or(Err(Error::TimedOut));
    drop(running);
    context
        .metrics
        .reconciled(began.elapsed(), result.as_ref().err().map(Error::reason));
    if result.is_ok() {
        context.failures.lock().remove(&reference);
        if let Some(told) = context.lasting.works(&reference, Instant::now()) {
            info!(
                namespace = object.namespace(),
                name = object.name_any(),
                "reconcile {told}"
            );
        }
    }
    result
}

/// When to try an object again after it failed: soon at first, and never later than in seconds.
pub fn retry(object: Arc<MetricsNamespace>, error: &Error, context: Arc<Context>) -> Action {
    let reference = ObjectRef::from_obj(&*object);
    let delay = {
        let mut failures = context.failures.lock();
        let count = failures.entry(reference.clone()).or_insert(0);
        let delay = delay_after(*count);
        *count += 1;
        delay
    };
    let error = error.to_string();
    if let Some(told) = context.lasting.fails(&reference, &error, Instant::now()) {
        warn!(
            namespace = object.namespace(),
            name = object.name_any(),
            error,
            "reconcile {told}"
        );
    }
    Action::requeue(delay)
}

/// Delay before the next try after so many failures in a row before this one.
fn delay_after(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_RETRY)
}

async fn reconcile(object: &Arc<MetricsNamespace>, context: &Context) -> Result<Action, Error> {
    let inputs = observe::inputs(object, &context.caches, &context.platform);
    let decision = match plan(&inputs) {
        Ok(plan) => Ok(plan),
        Err(Hold::Objection(objection)) => Err(objection),
        Err(Hold::Going) => return Ok(Action::await_change()),
    };
    let built = decision
        .as_ref()
        .map_or_else(|_| Ok(Vec::new()), children::build);
    // A plan of which a child can't be built is not applied: what is lacking would count as no longer wanted.
    let (wanted, unbuildable) = match built {
        Ok(wanted) => (wanted, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let applied = match &decision {
        _ if let Some(error) = unbuildable => Outcome::from(error),
        Ok(plan) if !object.spec.paused => {
            let children = &context.caches.children;
            apply(
                &context.client,
                children,
                &plan.namespace,
                &plan.owner.uid,
                &wanted,
            )
            .await
        }
        Ok(plan) => held_back(
            &context.caches.children.in_namespace(&plan.namespace),
            &wanted,
        ),
        Err(_) => Outcome::default(),
    };
    for written in &applied.written {
        context.metrics.wrote(written.verb, written.kind);
    }
    let now = Timestamp::now();
    let seen = Children::of(object, &wanted, &context.caches);
    let stuck = seen
        .rollout
        .as_ref()
        .and_then(|r| observe::stuck_for(r, now));
    let pod_problem = match stuck {
        Some(_) => observe::pod_problem(&context.client, object).await,
        None => None,
    };
    let unseen = context.health.problem(Kind::Deployment.plural());
    let unseen_prometheuses = Watches::PROMETHEUSES
        .into_iter()
        .find_map(|watch| context.health.problem(watch));
    let status = status::compute(
        object,
        &Seen {
            decision: decision.as_ref(),
            problems: &applied.problems,
            rollout: seen.rollout.as_ref(),
            pod_problem: pod_problem.as_deref(),
            selections: &seen.selections,
            unseen: unseen.as_deref(),
            unseen_prometheuses: unseen_prometheuses.as_deref(),
            converged: seen.converged,
            now,
        },
    );
    let told = status::write(&context.client, &context.caches.objects, object, &status)
        .await
        .map_err(|e| Error::Status(cause(e)));
    match &told {
        Ok(_) => {
            context
                .events
                .publish(object, &applied.written, &status)
                .await;
        }
        Err(error) if !context.is_failing(object) => {
            context.events.status_not_written(object, error).await;
        }
        Err(_) => {}
    }
    let over_another = matches!(told, Ok(true));
    if !applied.written.is_empty() || over_another {
        let reference = ObjectRef::from_obj(&**object);
        context.budgets.spend(&reference, Instant::now());
    }
    if !applied.written.is_empty() {
        info!(
            namespace = object.namespace(),
            name = object.name_any(),
            changes = events::in_words(&applied.written),
            "applied"
        );
    }
    told?;
    let action = next(applied.problems, &context.caches, &seen, stuck)?;
    Ok(match unseen {
        // Nothing tells when the gateway comes up, or when it can be seen again.
        Some(_) => Action::requeue(BLIND_LOOK),
        None => action,
    })
}

fn next(
    problems: Vec<Problem>,
    caches: &Caches,
    seen: &Children,
    stuck: Option<SignedDuration>,
) -> Result<Action, Error> {
    let mut look_again: Option<Duration> = None;
    for problem in problems {
        match problem.cause {
            // A kind may come back before its watch noticed that it was gone, and then no watch tells.
            Cause::KindNotServed if caches.children.served(problem.kind) != Served::No => {
                look_again = sooner(look_again, KIND_RETRY);
            }
            // A watch tells when the kind appears, or the object is no longer paused.
            Cause::KindNotServed | Cause::HeldBack => {}
            Cause::NameTaken => look_again = sooner(look_again, NAME_TAKEN_RETRY),
            Cause::Refused(_) | Cause::Unavailable(_) => return Err(Error::Child(problem)),
        }
    }
    let coming_up = seen.rollout.as_ref().and_then(observe::coming_up_since);
    if coming_up.is_some() {
        // Twice as late each time: what stays down for hours is not asked about every few seconds.
        let look = stuck
            .and_then(|d| Duration::try_from(d).ok())
            .unwrap_or(FIRST_LOOK)
            .clamp(FIRST_LOOK, LONGEST_LOOK);
        look_again = sooner(look_again, look);
    }
    Ok(look_again.map_or_else(Action::await_change, Action::requeue))
}

fn sooner(planned: Option<Duration>, other: Duration) -> Option<Duration> {
    Some(planned.map_or(other, |planned| planned.min(other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_from_half_a_second_to_ten_seconds_apart() {
        let delays: Vec<_> = [0, 1, 2, 3, 4, 5, 6, u32::MAX]
            .map(|failures| delay_after(failures).as_secs_f64())
            .into();
        assert_eq!(delays, [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]);
    }
}
