//! What is known of every live child: its metadata, reduced to what a reconcile asks of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DeploymentStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::api::names;

use super::children::Child;
use super::kind::Kind;
use super::ownership;

/// A live child.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its identity: another object of the same name has another.
    pub uid: String,
    /// Its version, which grows with every write.
    pub version: u64,
    /// UID of the MetricsNamespace that owns it.
    pub owner: Option<String>,
    /// Digest of what was last written, from its annotation.
    pub digest: Option<String>,
    /// What this operator wrote and nobody took since. `None`: this operator did not make it.
    pub ours: Option<Ours>,
    /// Whether another wrote to it, under our own name too, since this operator did.
    pub touched: bool,
    /// Of a Deployment: how its pods are.
    pub rollout: Option<Rollout>,
}

/// Our entry of the managed fields, without the owner references: those are compared by value.
#[derive(Clone, Debug, PartialEq)]
pub struct Ours {
    fields: Arc<Value>,
    time: Option<Timestamp>,
}

/// How a Deployment's pods are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Whether the newest pods are the ones that answer.
    pub complete: bool,
    /// Whether any pod answers.
    pub available: bool,
    /// Since when, by the Deployment's own condition.
    pub since: Option<Timestamp>,
    /// The Deployment's own word on what keeps it from more.
    pub problem: Option<String>,
}

impl Live {
    /// From what the API serves.
    pub fn new(kind: Kind, metadata: &ObjectMeta, status: Option<&DeploymentStatus>) -> Self {
        let entry = ownership::entry(metadata);
        Self {
            kind,
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata
                .resource_version
                .as_deref()
                .and_then(|v| v.parse().ok())
                .unwrap_or(0),
            owner: metadata
                .owner_references
                .iter()
                .flatten()
                .find(|o| {
                    o.kind == "MetricsNamespace" && o.api_version.starts_with("simplepipe.dev/")
                })
                .map(|o| o.uid.clone()),
            digest: metadata
                .annotations
                .as_ref()
                .and_then(|a| a.get(names::DIGEST_ANNOTATION))
                .cloned(),
            touched: entry
                .as_ref()
                .is_some_and(|e| ownership::written_over_after_creation(metadata, e)),
            ours: entry.map(|e| Ours {
                fields: without_owner_references(e.fields).into(),
                time: e.time,
            }),
            rollout: status.map(|status| Rollout::new(metadata, status)),
        }
    }

    /// Whether it still is as the plan wants it.
    pub fn is_as_wanted(&self, wanted: &Child, owner: &str) -> bool {
        let Some(ours) = &self.ours else { return false };
        !self.touched
            && self.owner.as_deref() == Some(owner)
            && self.digest.as_deref() == Some(&wanted.digest)
            && ownership::owns(&ours.fields, &owned_part(wanted))
    }
}

impl Rollout {
    fn new(metadata: &ObjectMeta, status: &DeploymentStatus) -> Self {
        let condition = |name: &str| {
            status
                .conditions
                .iter()
                .flatten()
                .find(move |c| c.type_ == name)
        };
        let seen = status.observed_generation >= metadata.generation;
        let available = status.available_replicas.unwrap_or(0) > 0;
        let problem = [("ReplicaFailure", "True"), ("Progressing", "False")]
            .into_iter()
            .find_map(|(name, bad)| condition(name).filter(|c| c.status == bad))
            .and_then(|c| c.message.clone());
        Self {
            complete: seen
                && available
                && status.updated_replicas == status.replicas
                && status.unavailable_replicas.unwrap_or(0) == 0,
            available,
            since: condition("Available")
                .and_then(|c| c.last_transition_time.as_ref())
                .map(|t| t.0),
            problem,
        }
    }
}

fn without_owner_references(fields: &Value) -> Value {
    let mut fields = fields.clone();
    if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
        metadata.remove("f:ownerReferences");
    }
    fields
}

/// Of a wanted child, what shows in managed fields and is not compared by value.
fn owned_part(wanted: &Child) -> Value {
    let mut object = wanted.object.clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("apiVersion");
        object.remove("kind");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| name == "labels" || name == "annotations");
    }
    object
}

/// Whether a kind of child is there to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Not known yet.
    Unknown,
    /// Its watch runs.
    Yes,
    /// The cluster does not know this kind.
    No,
}

/// Live children of all namespaces, fed by the watches and by the answers to our own writes.
pub struct ChildCache {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_namespace: HashMap<String, Vec<Live>>,
    served: HashMap<Kind, Served>,
    /// Equal in most namespaces, so each is kept once.
    field_sets: HashSet<Arc<Value>>,
}

impl Default for ChildCache {
    fn default() -> Self {
        Self::new()
    }
}

impl ChildCache {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds this lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live children of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Live> {
        self.state()
            .by_namespace
            .get(namespace)
            .cloned()
            .unwrap_or_default()
    }

    /// Whether a kind is served.
    pub fn served(&self, kind: Kind) -> Served {
        self.state()
            .served
            .get(&kind)
            .copied()
            .unwrap_or(Served::Unknown)
    }

    /// Notes whether a kind is served; true if that is news.
    pub fn set_served(&self, kind: Kind, served: Served) -> bool {
        self.state().served.insert(kind, served) != Some(served)
    }

    /// Notes what a watch saw; true if a reconcile should look at it.
    pub fn saw(&self, namespace: &str, mut live: Live) -> bool {
        let mut state = self.state();
        state.intern(&mut live);
        let children = state.by_namespace.entry(namespace.to_owned()).or_default();
        let Some(known) = children
            .iter_mut()
            .find(|c| c.kind == live.kind && c.name == live.name)
        else {
            children.push(live);
            return true;
        };
        if known.uid == live.uid {
            if live.version <= known.version {
                return false;
            }
            // Whoever changes our entry changes the object: to what, the metadata does not say.
            live.touched = known.touched || known.ours != live.ours;
        }
        let news = Live {
            version: known.version,
            ..live.clone()
        } != *known;
        *known = live;
        news
    }

    /// Notes the answer to a write of our own.
    pub fn wrote(&self, namespace: &str, mut live: Live) {
        live.touched = false;
        let mut state = self.state();
        state.intern(&mut live);
        let children = state.by_namespace.entry(namespace.to_owned()).or_default();
        match children
            .iter_mut()
            .find(|c| c.kind == live.kind && c.name == live.name)
        {
            None => children.push(live),
            Some(known) if known.uid != live.uid || known.version <= live.version => *known = live,
            // The watch is ahead of this answer.
            Some(_) => {}
        }
    }

    /// Notes that a child is gone; true if it was known.
    pub fn gone(&self, namespace: &str, kind: Kind, name: &str, uid: Option<&str>) -> bool {
        let mut state = self.state();
        let Some(children) = state.by_namespace.get_mut(namespace) else {
            return false;
        };
        let before = children.len();
        children
            .retain(|c| c.kind != kind || c.name != name || uid.is_some_and(|uid| c.uid != uid));
        let found = children.len() < before;
        if children.is_empty() {
            state.by_namespace.remove(namespace);
        }
        found
    }

    /// After a complete list of a kind: drops what was not in it, and says which namespaces had such.
    pub fn listed(&self, kind: Kind, seen: &HashSet<(String, String)>) -> Vec<String> {
        let mut state = self.state();
        let mut lost = Vec::new();
        state.by_namespace.retain(|namespace, children| {
            let before = children.len();
            children
                .retain(|c| c.kind != kind || seen.contains(&(namespace.clone(), c.name.clone())));
            if children.len() < before {
                lost.push(namespace.clone());
            }
            !children.is_empty()
        });
        // Sets that no child has any more.
        state.field_sets.retain(|set| Arc::strong_count(set) > 1);
        lost
    }
}

impl State {
    fn intern(&mut self, live: &mut Live) {
        let Some(ours) = &mut live.ours else { return };
        match self.field_sets.get(&ours.fields) {
            Some(known) => ours.fields = known.clone(),
            None => {
                self.field_sets.insert(ours.fields.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn live(version: u64, fields: Value, time: &str) -> Live {
        let metadata = serde_json::from_value(json!({
            "name": "pushgateway",
            "uid": "uid-of-child",
            "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "simplepipe", "operation": "Apply", "fieldsV1": fields, "time": time}],
        }))
        .unwrap();
        Live::new(Kind::Service, &metadata, None)
    }

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T09:00:00Z";

    #[test]
    fn our_own_write_is_no_news_whichever_comes_first() {
        let cache = ChildCache::new();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(!cache.saw("alice", live(5, json!({"f:a": {}}), EARLY)));

        cache.saw("alice", live(6, json!({"f:b": {}}), LATE));
        cache.wrote("alice", live(6, json!({"f:b": {}}), LATE));
        assert!(!cache.in_namespace("alice")[0].touched);
    }

    #[test]
    fn a_write_by_another_that_comes_before_our_answer_is_not_forgotten() {
        let cache = ChildCache::new();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(cache.saw("alice", live(7, json!({}), EARLY)));
        cache.wrote("alice", live(6, json!({"f:a": {}}), EARLY));
        assert!(cache.in_namespace("alice")[0].touched);
    }

    #[test]
    fn a_write_under_our_name_is_seen_by_its_time() {
        let cache = ChildCache::new();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(cache.saw("alice", live(6, json!({"f:a": {}}), LATE)));
        assert!(cache.in_namespace("alice")[0].touched);
    }

    #[test]
    fn a_write_that_touches_nothing_of_ours_is_no_news() {
        let cache = ChildCache::new();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(!cache.saw("alice", live(6, json!({"f:a": {}}), EARLY)));
    }

    #[test]
    fn an_old_event_does_not_bring_back_an_old_state() {
        let cache = ChildCache::new();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(!cache.saw("alice", live(4, json!({"f:b": {}}), EARLY)));
        assert_eq!(cache.in_namespace("alice")[0].version, 5);
    }

    #[test]
    fn what_a_complete_list_lacks_is_gone() {
        let cache = ChildCache::new();
        cache.wrote("alice", live(5, json!({}), EARLY));
        cache.wrote("bob", live(6, json!({}), EARLY));
        let seen = [("bob".to_owned(), "pushgateway".to_owned())].into();
        assert_eq!(cache.listed(Kind::Service, &seen), ["alice"]);
        assert!(cache.in_namespace("alice").is_empty());
        assert_eq!(
            cache.listed(Kind::Deployment, &HashSet::new()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn equal_field_sets_are_kept_once() {
        let cache = ChildCache::new();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        cache.wrote("bob", live(6, json!({"f:a": {}}), EARLY));
        let fields = |namespace| {
            cache.in_namespace(namespace)[0]
                .ours
                .clone()
                .unwrap()
                .fields
        };
        assert!(Arc::ptr_eq(&fields("alice"), &fields("bob")));
    }
}
