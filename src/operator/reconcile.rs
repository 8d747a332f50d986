//! One object, from what is seen to what is so. Each step has a file of its own; this one is their order.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{Either, join, select};
use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::time::{sleep, timeout};

use crate::api::{MetricsNamespace, MetricsNamespaceStatus};

use super::apply::{LONGEST_WRITE, Progress, Writer, held_back, no_answer, pod_template};
use super::cluster::api_error::failure;
use super::context::Context;
use super::next_look::Later;
use super::outcome::Outcome;
use super::pacing::contests::Ground;
use super::pacing::lanes::Place;
use super::pacing::retry::Error;
use super::plan::Plan;
use super::wish::{Going, Wish};
use super::{observe, report, status};

/// A child that is not there after the API server has kept its write waiting for so long is told of at once.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// What a reconcile leaves.
pub struct Ended {
    /// Why it is tried again.
    pub error: Option<Error>,
    /// What else is to be looked at later.
    pub later: Later,
}

/// Makes an object's children and its status as they are to be. `before` is the object as it was when this began,
/// perhaps in a faster lane; `progress` is what was done since.
pub async fn reconcile(work: &Work<'_>, before: &MetricsNamespace, progress: &Progress) -> Ended {
    let Work {
        object, context, ..
    } = work;
    // Reads caches; then pure: plans and builds. Where that does not show which image the gateway keeps, reads it.
    let wish = match work.wish().await {
        Ok(wish) => wish,
        Err(going) => {
            return Ended {
                error: None,
                later: going.into(),
            };
        }
    };
    // Writes children.
    let applied = work.apply(&wish, progress).await;
    // Reads caches. What is not seen is asked first: it may be seen again a moment later, which the status can't say.
    let was_blind = observe::is_blind(&context.health);
    let seen = observe::after(object, &wish, &applied.problems, context);
    // Pure.
    let status = status::compute(object, &seen);
    // Writes the status.
    let told = work.tell(&status).await;
    // Writes events, counts and logs.
    report::report(work, before, &applied, &status, &told).await;
    // Reads caches.
    let later = Later::after(work.reference, &applied, was_blind, context);
    let error = told.err().or_else(|| Error::first(&applied.problems));
    Ended { error, later }
}

/// One object, and what is at hand for it.
pub struct Work<'a> {
    /// The object's namespace and name, and its UID: a fight is over when another object takes the name.
    pub reference: &'a ObjectRef<MetricsNamespace>,
    /// The object as it is now.
    pub object: &'a Arc<MetricsNamespace>,
    /// The parts of the operator.
    pub context: &'a Context,
    /// Where answers are waited for.
    pub place: &'a Place,
}

impl Work<'_> {
    async fn wish(&self) -> Result<Wish, Going> {
        let Context {
            client,
            caches,
            platform,
            ..
        } = self.context;
        let mut inputs = observe::before(self.object, caches, platform);
        let wish = Wish::of(&inputs, Timestamp::now())?;
        let (true, Some(gateway)) = (wish.image_is_unclear, &mut inputs.older_gateway) else {
            return Ok(wish);
        };
        let namespace = self.object.metadata.namespace.as_deref();
        let read = pod_template(client, namespace.unwrap_or_default());
        gateway.template = self.wait(read).await.flatten();
        Wish::of(&inputs, Timestamp::now())
    }

    async fn apply(&self, wish: &Wish, progress: &Progress) -> Outcome {
        match &wish.decision {
            _ if let Some(problem) = &wish.unbuildable => problem.clone(),
            Ok(plan) if self.object.spec.paused => {
                let live = self.context.caches.children.in_namespace(&plan.namespace);
                held_back(&live, &wish.children)
            }
            Ok(plan) => self.write(plan, wish, progress).await,
            Err(_) => Outcome::default(),
        }
    }

    /// Writes the children. Where the API server keeps that waiting, the status says so before it is known how it ends.
    async fn write(&self, plan: &Plan, wish: &Wish, progress: &Progress) -> Outcome {
        let writer = Writer {
            client: &self.context.client,
            cache: &self.context.caches.children,
            contests: &self.context.contests,
            place: self.place,
            health: &self.context.health,
            object: self.object,
            namespace: &plan.namespace,
        };
        let applying = pin!(writer.apply(&wish.children, progress));
        match select(applying, pin!(sleep(TELL_AFTER))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), applying)) => {
                let telling = self.tell_of_unanswered(wish, progress);
                join(applying, telling).await.0
            }
        }
    }

    /// Says in the status which children are waited for.
    pub async fn tell_of_waiting(&self, progress: &Progress) {
        if let Ok(wish) = self.wish().await {
            self.tell_of_unanswered(&wish, progress).await;
        }
    }

    async fn tell_of_unanswered(&self, wish: &Wish, progress: &Progress) {
        // What the last try found out says more.
        if self.context.failures.is_failing(self.reference) {
            return;
        }
        if let Some(problems) = progress.unanswered() {
            let seen = observe::after(self.object, wish, &problems, self.context);
            // The status at the end is tried again where it fails; this one is not.
            let _ = self.tell(&status::compute(self.object, &seen)).await;
        }
    }

    /// True if it was written over one that another wrote. Where that has gone on for long, it is left as it is for a while.
    async fn tell(&self, status: &MetricsNamespaceStatus) -> Result<bool, Error> {
        let objects = &self.context.caches.objects;
        let contests = &self.context.contests;
        let rest = contests.wait(self.reference, Ground::Status, Instant::now());
        if rest.is_some() && objects.is_written_by_another(self.object) {
            return Ok(false);
        }
        let written = status::write(&self.context.client, objects, self.object, status);
        match self.wait(written).await {
            Some(written) => written.map_err(|error| Error::Status(failure(&error))),
            None => Err(Error::Status(no_answer())),
        }
    }

    /// `None` where no answer came in time.
    pub async fn wait<T>(&self, request: impl Future<Output = T>) -> Option<T> {
        let answer = self.place.wait(None, timeout(LONGEST_WRITE, request)).await;
        self.context.health.goes_on(self.reference);
        answer.ok()
    }
}
