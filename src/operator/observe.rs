//! Everything that a plan and a status depend on, from the caches; and, where a gateway does not come up, its pod's
//! own words from the API.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};

use crate::api::{MetricsNamespace, names};
use crate::terminal::one_line;

use super::api_error::words;
use super::apply::is_converged;
use super::caches::Caches;
use super::child_cache::{Rollout, Served};
use super::children::Child;
use super::kind::Kind;
use super::labels::Labels;
use super::plan::Inputs;
use super::platform::Platform;
use super::selection::{Candidate, Monitor, Selection, Selections, select};

/// A pod that is not ready after this long is asked why.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// A pod's words are cut here: they go into a status.
const LONGEST_WORDS: usize = 400;

/// What a plan depends on.
pub fn inputs(object: &Arc<MetricsNamespace>, caches: &Caches, platform: &Arc<Platform>) -> Inputs {
    let namespace = object.namespace().unwrap_or_default();
    Inputs {
        object: object.clone(),
        serving: caches.objects.serving(&namespace),
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
                // Made a moment ago, and nothing seen of its pods yet.
                .map(|l| l.rollout.unwrap_or_default()),
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

/// How long the newest gateway has not come up, where that is long enough to ask its pod why.
pub fn stuck_for(rollout: &Rollout, now: Timestamp) -> Option<SignedDuration> {
    let long = now.duration_since(coming_up_since(rollout)?);
    // A time that is still to come is that of another clock.
    (long >= PATIENCE || long.is_negative()).then_some(long.max(PATIENCE))
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

/// What keeps the newest gateway pod from being ready, in the kubelet's or the scheduler's words.
pub async fn pod_problem(client: &Client, object: &MetricsNamespace) -> Option<String> {
    let namespace = object.namespace().unwrap_or_default();
    match ask_pod(client, &namespace).await {
        Ok(problem) => problem,
        Err(error) => Some(format!("its pod could not be asked why: {}", words(&error))),
    }
}

async fn ask_pod(client: &Client, namespace: &str) -> Result<Option<String>, kube::Error> {
    let selector = format!(
        "app.kubernetes.io/name={},{}={}",
        names::GATEWAY,
        names::MANAGED_BY_LABEL,
        names::MANAGER
    );
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods
        .list(
            &ListParams::default()
                .labels(&selector)
                // Pods that were evicted stay for long, and are not the one that is waited for.
                .fields("status.phase!=Failed,status.phase!=Succeeded")
                .limit(20),
        )
        .await?
        .items;
    Ok(pods
        .iter()
        .max_by_key(|pod| pod.creation_timestamp())
        .and_then(problem_of)
        .map(|words| one_line(&words, LONGEST_WORDS)))
}

fn problem_of(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let container = status
        .container_statuses
        .iter()
        .flatten()
        .find(|c| !c.ready);
    let of_container = container.and_then(|c| {
        let now = c.state.as_ref().and_then(in_words);
        let before = c.last_state.as_ref().and_then(in_words);
        match (now, before) {
            (Some(now), Some(before)) => Some(format!("{now} (before: {before})")),
            (now, before) => now.or(before),
        }
        .map(|words| format!("container {}: {words}", c.name))
    });
    let of_pod = || {
        status
            .conditions
            .iter()
            .flatten()
            .find(|c| c.status == "False" && c.message.is_some())
            .and_then(|c| {
                Some(format!(
                    "{}: {}",
                    c.reason.as_deref().unwrap_or(&c.type_),
                    c.message.as_ref()?
                ))
            })
    };
    of_container.or_else(of_pod)
}

fn in_words(state: &ContainerState) -> Option<String> {
    let join = |reason: &Option<String>, message: &Option<String>| match (reason, message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.clone().or_else(|| message.clone()),
    };
    if let Some(waiting) = &state.waiting {
        let underway = ["ContainerCreating", "PodInitializing"];
        let reason = waiting.reason.as_deref().unwrap_or_default();
        return (waiting.message.is_some() || !underway.contains(&reason))
            .then(|| join(&waiting.reason, &waiting.message))?;
    }
    if state.running.is_some() {
        return Some("runs, and its readiness probe fails; the pod's events say how".into());
    }
    let ended = state.terminated.as_ref()?;
    let why = join(&ended.reason, &ended.message).unwrap_or_else(|| "ended".into());
    Some(format!("{why}, exit code {}", ended.exit_code))
}
