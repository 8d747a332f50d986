//! One object, from what is seen to what is so: observe, plan, build, apply, status. And when to look again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt};
use thiserror::Error;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::api::prometheus_operator::Labels;
use crate::api::{MetricsNamespace, names};

use super::apply::{Cause, Outcome, Problem, apply, cause, is_converged};
use super::caches::{Caches, Locked};
use super::child_cache::Rollout;
use super::children::{self, Child};
use super::events;
use super::health::Health;
use super::kind::Kind;
use super::observe;
use super::plan::{Hold, plan};
use super::queue::Queue;
use super::settings::Platform;
use super::status::{self, Seen};
use super::telemetry::Metrics;

/// A reconcile that takes longer is given up and tried again.
const LONGEST: Duration = Duration::from_secs(60);
/// Delay after the first failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Delay after many failures.
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// Objects of somebody else's are not watched, so one that is in the way is looked for this often.
const NAME_TAKEN_RETRY: Duration = Duration::from_secs(15);
/// A gateway that has just been made is asked for this soon.
const FIRST_LOOK: Duration = Duration::from_secs(6);
/// A gateway that stays down is asked about at least this often.
const LONGEST_LOOK: Duration = Duration::from_secs(300);

/// What every reconcile works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What the watches know.
    pub caches: Arc<Caches>,
    /// What the platform sets.
    pub platform: Arc<Platform>,
    /// Where events go.
    pub recorder: Recorder,
    /// What waits.
    pub queue: Queue,
    /// Whether the operator works.
    pub health: Arc<Health>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Failures in a row.
    pub failures: Locked<HashMap<ObjectRef<MetricsNamespace>, u32>>,
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
    }
}

/// Reconciles one object, with everything around it that is counted and bounded.
///
/// # Errors
/// What [`retry`] decides on.
pub async fn run(object: Arc<MetricsNamespace>, context: Arc<Context>) -> Result<Action, Error> {
    let reference = ObjectRef::from_obj(&*object);
    context.queue.taken(&reference);
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
    }
    result
}

/// When to try an object again after it failed: soon at first, and never later than in seconds.
pub fn retry(object: Arc<MetricsNamespace>, error: &Error, context: Arc<Context>) -> Action {
    let reference = ObjectRef::from_obj(&*object);
    let delay = {
        let mut failures = context.failures.lock();
        let count = failures.entry(reference).or_insert(0);
        let delay = FIRST_RETRY
            .saturating_mul(2_u32.saturating_pow(*count))
            .min(LONGEST_RETRY);
        *count += 1;
        delay
    };
    warn!(
        namespace = object.namespace(),
        name = object.name_any(),
        %error,
        retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        "reconcile failed"
    );
    Action::requeue(delay)
}

async fn reconcile(object: &Arc<MetricsNamespace>, context: &Context) -> Result<Action, Error> {
    let inputs = observe::inputs(object, &context.caches, &context.platform);
    let decision = plan(&inputs);
    if matches!(decision, Err(Hold::Deleting | Hold::NamespaceTerminating)) {
        return Ok(Action::await_change());
    }
    let wanted = decision.as_ref().map(children::build).unwrap_or_default();
    let applied = match &decision {
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
        _ => Outcome::default(),
    };
    for written in &applied.written {
        context.metrics.wrote(written.verb, written.kind);
    }
    let now = Timestamp::now();
    let state = State::of(object, &wanted, &context.caches);
    let down = state
        .rollout
        .as_ref()
        .and_then(|r| observe::unavailable_for(r, now));
    let pod_problem = match down {
        Some(_) => ask_pod(object, context).await,
        None => None,
    };
    let status = status::compute(
        object,
        &Seen {
            decision: decision.as_ref(),
            problems: &applied.problems,
            rollout: state.rollout.as_ref(),
            pod_problem: pod_problem.as_deref(),
            selection: state.selection.as_ref(),
            converged: state.converged,
            now,
        },
    );
    let told = status::write(&context.client, object, &status)
        .await
        .map_err(|e| Error::Status(cause(e)));
    events::publish(&context.recorder, object, &applied.written, &status).await;
    if !applied.written.is_empty() {
        info!(
            namespace = object.namespace(),
            name = object.name_any(),
            changes = events::in_words(&applied.written),
            "applied"
        );
    }
    told?;
    next(applied.problems, &state, down)
}

/// What is seen of the children once everything was applied.
struct State {
    rollout: Option<Rollout>,
    selection: Option<super::selection::Selection>,
    /// Asked only of a paused object.
    converged: bool,
}

impl State {
    fn of(object: &MetricsNamespace, wanted: &[Child], caches: &Caches) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        let live = caches.children.in_namespace(&namespace);
        let converged =
            object.spec.paused && is_converged(&live, wanted, &object.uid().unwrap_or_default());
        let labels: Labels = wanted
            .iter()
            .find(|c| c.kind == Kind::ServiceMonitor)
            .and_then(|c| serde_json::from_value(c.object["metadata"]["labels"].clone()).ok())
            .unwrap_or_default();
        Self {
            selection: observe::selection(&namespace, &labels, caches),
            rollout: live
                .into_iter()
                .find(|l| l.kind == Kind::Deployment && l.name == names::GATEWAY)
                .map(|l| {
                    // Made a moment ago, and nothing seen of its pods yet.
                    l.rollout.unwrap_or(Rollout {
                        complete: false,
                        available: false,
                        since: None,
                        problem: None,
                    })
                }),
            converged,
        }
    }
}

async fn ask_pod(object: &MetricsNamespace, context: &Context) -> Option<String> {
    let namespace = object.namespace().unwrap_or_default();
    match observe::pod_problem(&context.client, &namespace).await {
        Ok(problem) => problem,
        Err(error) => {
            debug!(namespace, %error, "the gateway's pod could not be asked");
            None
        }
    }
}

fn next(
    problems: Vec<Problem>,
    state: &State,
    down: Option<jiff::SignedDuration>,
) -> Result<Action, Error> {
    let mut look_again = None;
    for problem in problems {
        match problem.cause {
            // Its watch tells when the kind appears.
            Cause::KindNotServed => {}
            Cause::NameTaken => look_again = Some(NAME_TAKEN_RETRY),
            Cause::Refused(_) | Cause::Unavailable(_) => return Err(Error::Child(problem)),
        }
    }
    if let Some(rollout) = &state.rollout
        && !rollout.available
        && rollout.since.is_some()
    {
        // Twice as late each time: what stays down for hours is not asked about every few seconds.
        let look = down
            .and_then(|d| Duration::try_from(d).ok())
            .unwrap_or(FIRST_LOOK)
            .clamp(FIRST_LOOK, LONGEST_LOOK);
        look_again = Some(look_again.map_or(look, |l: Duration| l.min(look)));
    }
    Ok(look_again.map_or_else(Action::await_change, Action::requeue))
}
