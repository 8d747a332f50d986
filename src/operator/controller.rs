//! Works through the queue: who is looked at when, in which lane, and when again.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

use crate::api::MetricsNamespace;

use super::apply::Progress;
use super::context::Context;
use super::pacing::lanes::Place;
use super::pacing::retry::Error;
use super::reconcile::{Work, reconcile};

/// Who waits for long in any case is not kept from it by a status that hangs.
const TELL_WITHIN: Duration = Duration::from_secs(1);
/// Reconciles with writes that may follow each other at once: more than any change of a person's brings.
pub const BURST: u32 = 20;
/// After that, one in this time.
pub const EVERY: Duration = Duration::from_millis(1500);

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
            let work = Work {
                reference: &ObjectRef::from_obj(&*object),
                object: &object,
                context,
                place: &place,
            };
            // On the heap: who waits for a place has none.
            let reconciled = Box::pin(reconcile(&work, before, &progress));
            tokio::select! {
                ended = reconciled => break (ended, began),
                () = place.left() => {}
            }
            // In the last lane the wait for a place may be long.
            if place.leads_to_the_last() {
                let _ = timeout(TELL_WITHIN, work.tell_of_waiting(&progress)).await;
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
        Some(error) => Some(context.failures.failed(reference, error)),
        None => {
            context.failures.works(reference);
            None
        }
    };
    ended.later.soonest(retry)
}
