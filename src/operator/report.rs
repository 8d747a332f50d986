//! What a reconcile tells beside the status: events, metrics, the log. And what it spends.

use std::time::Instant;

use kube::ResourceExt;
use tracing::info;

use crate::api::{MetricsNamespace, MetricsNamespaceStatus};

use super::events::{self, News};
use super::outcome::Outcome;
use super::pacing::contests::{Ground, Rivalry};
use super::pacing::retry::Error;
use super::reconcile::Work;

/// Tells of one reconcile. `told` is what became of the status: true where another's was written over.
pub async fn report(
    work: &Work<'_>,
    before: &MetricsNamespace,
    applied: &Outcome,
    status: &MetricsNamespaceStatus,
    told: &Result<bool, Error>,
) {
    match told {
        Ok(_) => changes(work, before, applied, status).await,
        Err(error) => untold(work, error).await,
    }
    spend(work, applied, matches!(told, Ok(true)));
    // Nothing is waited for from here on, so that it is counted once.
    for written in &applied.written {
        work.context.metrics.wrote(written.verb, written.kind);
    }
    if !applied.written.is_empty() {
        info!(
            namespace = work.object.namespace(),
            name = work.object.name_any(),
            changes = events::in_words(&applied.written),
            "applied"
        );
    }
}

async fn changes(
    work: &Work<'_>,
    before: &MetricsNamespace,
    applied: &Outcome,
    status: &MetricsNamespaceStatus,
) {
    let context = work.context;
    context.untold.works(work.reference, Instant::now());
    let news = News {
        written: &applied.written,
        was_served: before.was_served(),
        before: before.status.as_ref(),
        now: status,
    };
    work.wait(context.events.publish(work.object, &news)).await;
}

/// An event says what the status can't.
async fn untold(work: &Work<'_>, error: &Error) {
    let (context, reference) = (work.context, work.reference);
    let told = (context.untold).fails(reference, error.reason(), Instant::now());
    if told.is_some() || !context.failures.is_failing(reference) {
        let event = context.events.status_not_written(work.object, error);
        work.wait(event).await;
    }
}

fn spend(work: &Work<'_>, applied: &Outcome, over_another: bool) {
    let (reference, now) = (work.reference, Instant::now());
    if over_another {
        (work.context.contests).answered(reference, Ground::Status, Rivalry::somebody(), now);
    }
    if over_another || !applied.written.is_empty() {
        work.context.budgets.spend(reference, now);
    }
}
