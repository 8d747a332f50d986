//! Everything that a plan and a status depend on, from what is known. Asks nobody.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::{MetricsNamespace, names};

use super::apply::is_converged;
use super::children::Child;
use super::cluster::caches::Caches;
use super::cluster::child_cache::Served;
use super::cluster::live::{Live, Rollout};
use super::cluster::watch::Watch;
use super::context::Context;
use super::gateway_image::{self, Older};
use super::kind::Kind;
use super::label_syntax::Labels;
use super::plan::Inputs;
use super::platform::Platform;
use super::problem::Problem;
use super::selection::{Candidate, Scraper, Selection, select};
use super::status::Seen;
use super::telemetry::health::Health;
use super::wish::Wish;

/// What a plan depends on.
pub fn before(object: &Arc<MetricsNamespace>, caches: &Caches, platform: &Arc<Platform>) -> Inputs {
    let namespace = object.namespace().unwrap_or_default();
    Inputs {
        object: object.clone(),
        serving: caches.objects.serving(&namespace),
        is_near: caches.objects.is_near(object),
        namespace_terminating: caches
            .namespaces
            .get(&namespace)
            .is_none_or(|n| n.terminating),
        platform: platform.clone(),
        older_gateway: older_gateway(object, caches, platform),
    }
}

fn older_gateway(object: &MetricsNamespace, caches: &Caches, platform: &Platform) -> Option<Older> {
    if !gateway_image::may_be_older(object, &platform.gateway_image) {
        return None;
    }
    let told = object.status.as_ref().and_then(|s| s.gateway.as_ref());
    let live = caches.children.in_namespace(&object.namespace()?);
    let digest = live.into_iter().find(is_gateway).and_then(|l| l.digest);
    Some(Older {
        image: told.and_then(|gateway| gateway.image.clone()),
        digest,
        template: None,
    })
}

fn is_gateway(live: &Live) -> bool {
    live.kind == Kind::Deployment && live.name == names::GATEWAY
}

/// What a status depends on, once everything was applied, or is waited for.
pub fn after<'a>(
    object: &MetricsNamespace,
    wish: &'a Wish,
    problems: &'a [Problem],
    context: &Context,
) -> Seen<'a> {
    let (caches, health) = (&context.caches, &context.health);
    let now = Timestamp::now();
    let reference = ObjectRef::from_obj(object);
    let namespace = object.namespace().unwrap_or_default();
    let live = caches.children.in_namespace(&namespace);
    let owner = object.uid().unwrap_or_default();
    // All else was just made as wanted.
    let converged = !object.spec.paused || is_converged(&live, &wish.children, &owner);
    let rollout = live.into_iter().find(is_gateway).map(|l| l.pods());
    let selected = |child: &Child| Some((child.kind, selection(&namespace, child, caches)?));
    Seen {
        decision: wish.decision.as_ref(),
        newer_image: wish.newer_image.as_deref(),
        problems,
        // Who pauses has ended the fight.
        contested: match object.spec.paused {
            true => None,
            false => context.contests.in_words(&reference, Instant::now()),
        },
        // The gateway is that of the one that serves.
        pod_problem: match wish.decision {
            Ok(_) => context.pods.words(&reference, rollout.as_ref(), now),
            Err(_) => None,
        },
        rollout,
        selections: wish.children.iter().filter_map(selected).collect(),
        unseen: health.problem(Watch::Children(Kind::Deployment)),
        unseen_prometheuses: Scraper::ALL
            .into_iter()
            .find_map(|scraper| health.problem(Watch::Scrapers(scraper))),
        converged,
        now,
    }
}

/// Whether something is not seen now of which a status may say what is no longer so.
pub fn is_blind(health: &Health) -> bool {
    Watch::of_statuses().any(|watch| health.is_failing(watch))
}

/// Who uses a child; `None` where it is no monitor, or the cluster has no such monitors.
fn selection(namespace: &str, child: &Child, caches: &Caches) -> Option<Selection> {
    let monitor = child.kind.monitor()?;
    if caches.children.served(child.kind) == Served::No {
        return None;
    }
    let labels: Labels =
        serde_json::from_value(child.object["metadata"]["labels"].clone()).unwrap_or_default();
    let known = caches.namespaces.get(namespace).unwrap_or_default();
    Some(select(
        &caches.prometheuses.all(),
        &Candidate {
            monitor,
            namespace,
            namespace_labels: &known.labels,
            labels: &labels,
        },
    ))
}

/// Since when a gateway is waited for; `None` where all is done, or nothing is known yet.
pub fn coming_up_since(rollout: &Rollout) -> Option<Timestamp> {
    match rollout {
        Rollout { complete: true, .. } => None,
        // The old one answers meanwhile.
        Rollout {
            available: true, ..
        } => rollout.progressed,
        Rollout { .. } => rollout.since,
    }
}
