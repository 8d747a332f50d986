//! Everything that a plan and a status depend on, from the caches.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::{MetricsNamespace, names};

use super::apply::is_converged;
use super::caches::Caches;
use super::child_cache::{Rollout, Served};
use super::children::Child;
use super::kind::Kind;
use super::labels::Labels;
use super::plan::Inputs;
use super::platform::Platform;
use super::selection::{Candidate, Monitor, Selection, Selections, select};

/// What a plan depends on.
pub fn inputs(object: &Arc<MetricsNamespace>, caches: &Caches, platform: &Arc<Platform>) -> Inputs {
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
    }
}

/// What is seen of the children once everything was applied.
pub struct Children {
    /// How the gateway's pods are; `None` where there is no Deployment of ours.
    pub rollout: Option<Rollout>,
    /// Who scrapes.
    pub selections: Selections,
    /// Whether all is as wanted. Only looked at while paused: else it just was made so.
    pub converged: bool,
}

impl Children {
    /// What is seen for an object.
    pub fn of(object: &MetricsNamespace, wanted: &[Child], caches: &Caches) -> Self {
        let namespace = object.namespace().unwrap_or_default();
        let live = caches.children.in_namespace(&namespace);
        let owner = object.uid().unwrap_or_default();
        Self {
            selections: wanted
                .iter()
                .filter_map(|child| Some((child.kind, selection(&namespace, child, caches)?)))
                .collect(),
            converged: !object.spec.paused || is_converged(&live, wanted, &owner),
            rollout: live
                .into_iter()
                .find(|l| l.kind == Kind::Deployment && l.name == names::GATEWAY)
                .map(|l| l.pods()),
        }
    }
}

/// Who uses a child; `None` where it is no monitor, or the cluster has no such monitors.
fn selection(namespace: &str, child: &Child, caches: &Caches) -> Option<Selection> {
    let monitor = Monitor::of(child.kind)?;
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
