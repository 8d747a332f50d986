//! A live child, reduced to what a reconcile asks of it.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DeploymentStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::api::names;
use crate::operator::children::is_childs_name;
use crate::operator::kind::Kind;
use crate::operator::ownership;

#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    pub kind: Kind,
    pub name: String,
    /// Its identity: another object of the same name has another.
    pub uid: String,
    /// Its version, which grows with every write; `None` where it can't be read.
    pub version: Option<u64>,
    /// UIDs of the MetricsNamespaces that own it.
    pub owners: Vec<String>,
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
    /// Without the keys of a ConfigMap: the rest is the same for all tenants.
    pub(super) fields: Arc<Value>,
    /// Those keys, as the entry writes them: a dashboard's has its tenant's name in it.
    pub(super) keys: Option<Arc<[Box<str>]>>,
    pub(super) time: Option<Timestamp>,
}

/// Where an entry has a ConfigMap's keys.
const DATA: &str = "f:data";

/// How a Deployment's pods are. By default: nothing is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Whether the newest pods are the ones that answer.
    pub complete: bool,
    /// Whether any pod answers.
    pub available: bool,
    /// Since when, by the Deployment's own condition.
    pub since: Option<Timestamp>,
    /// When the Deployment last came closer to being complete.
    pub progressed: Option<Timestamp>,
    /// The Deployment's own word on what keeps it from more.
    pub problem: Option<String>,
    /// Since when the Deployment is being deleted.
    pub going: Option<Timestamp>,
}

/// Characters that are kept of a digest: ours have fewer, and others are only told from ours.
const LONGEST_DIGEST: usize = 64;

/// An object's version as a number. `None` where it is none: then what came first can't be told.
pub fn version(metadata: &ObjectMeta) -> Option<u64> {
    metadata.resource_version.as_deref()?.parse().ok()
}

impl Live {
    /// From what the API serves.
    pub fn new(kind: Kind, metadata: &ObjectMeta, status: Option<&DeploymentStatus>) -> Self {
        let entry = ownership::entry(metadata);
        Self {
            kind,
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            version: version(metadata),
            owners: metadata
                .owner_references
                .iter()
                .flatten()
                .filter(|o| ownership::is_our_kind(o))
                .map(|o| o.uid.clone())
                .take(ownership::MOST_OWNERS)
                .collect(),
            digest: metadata
                .annotations
                .as_ref()
                .and_then(|a| a.get(names::DIGEST_ANNOTATION))
                .map(|digest| digest.chars().take(LONGEST_DIGEST).collect()),
            touched: entry
                .as_ref()
                .is_some_and(|e| ownership::written_over_after_creation(metadata, e)),
            ours: entry.map(|e| Ours::new(e.fields, e.time)),
            rollout: status.map(|status| Rollout::new(metadata, status)),
        }
    }

    pub fn pods(&self) -> Rollout {
        self.rollout.clone().unwrap_or_default()
    }

    /// Whether this operator made it: each sign of that is there.
    pub fn was_made_here(&self) -> bool {
        self.ours.is_some() && !self.owners.is_empty() && self.digest.is_some()
    }

    /// Whether it may be a child, or one of former times. Anybody may give our label to thousands of others.
    pub fn counts(&self) -> bool {
        is_childs_name(&self.name) || self.was_made_here()
    }

    /// Whether there is nothing new in it, but for its version.
    pub fn is_as(&self, other: &Self) -> bool {
        let compared = |live: &Self| Self {
            version: None,
            rollout: Some(live.pods()),
            ..live.clone()
        };
        compared(self) == compared(other)
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
            progressed: condition("Progressing")
                .and_then(|c| c.last_update_time.as_ref())
                .map(|t| t.0),
            problem,
            going: metadata.deletion_timestamp.as_ref().map(|t| t.0),
        }
    }
}

impl Ours {
    fn new(fields: &Value, time: Option<Timestamp>) -> Self {
        let mut fields = fields.clone();
        if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
            metadata.remove("f:ownerReferences");
        }
        let keys = take_keys(&mut fields);
        Self {
            fields: fields.into(),
            keys,
            time,
        }
    }

    pub fn fields(&self) -> Cow<'_, Value> {
        let Some(keys) = &self.keys else {
            return Cow::Borrowed(&self.fields);
        };
        let mut fields = Value::clone(&self.fields);
        let keys = keys.iter().map(|key| (key.to_string(), json!({})));
        fields[DATA] = Value::Object(keys.collect());
        Cow::Owned(fields)
    }
}

/// Takes a ConfigMap's keys out of an entry's fields, where there is nothing below them.
fn take_keys(fields: &mut Value) -> Option<Arc<[Box<str>]>> {
    let data = fields.get(DATA)?.as_object()?;
    if data.values().any(|below| *below != json!({})) {
        return None;
    }
    let keys = data.keys().map(|key| key.as_str().into()).collect();
    fields.as_object_mut()?.remove(DATA);
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const EARLY: &str = "2026-01-01T00:00:00Z";

    #[test]
    fn that_a_deployment_is_being_deleted_is_known() {
        let metadata = serde_json::from_value(json!({"deletionTimestamp": EARLY})).unwrap();
        let live = Live::new(Kind::Deployment, &metadata, Some(&Default::default()));
        assert_eq!(live.pods().going, EARLY.parse().ok());
    }

    #[test]
    fn a_second_owner_is_no_drift() {
        let metadata = serde_json::from_value(json!({"ownerReferences": [
            {"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "name": "a", "uid": "first"},
            {"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "name": "b", "uid": "second"},
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "third"},
        ]}))
        .unwrap();
        assert_eq!(
            Live::new(Kind::Service, &metadata, None).owners,
            ["first", "second"]
        );
    }

    #[test]
    fn of_owners_without_end_and_of_a_digest_without_end_the_beginning_is_kept() {
        let owner = |number: usize| json!({"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "name": "a", "uid": number.to_string()});
        let metadata = json!({
            "annotations": {names::DIGEST_ANNOTATION: "é".repeat(100_000)},
            "ownerReferences": (0..15_000).map(owner).collect::<Vec<_>>(),
        });
        let live = Live::new(
            Kind::Service,
            &serde_json::from_value(metadata).unwrap(),
            None,
        );
        assert_eq!(live.owners.len(), ownership::MOST_OWNERS);
        assert_eq!(live.digest.unwrap().chars().count(), LONGEST_DIGEST);
    }

    #[rstest]
    #[case(json!({"f:data": {}}))]
    #[case(json!({"f:data": {"f:a": {"f:below": {}}}}))]
    #[case(json!({"f:data": null}))]
    #[case(json!({"f:metadata": {}}))]
    #[case(json!({}))]
    #[case(json!(null))]
    fn a_field_set_is_what_it_was(#[case] fields: Value) {
        assert_eq!(*Ours::new(&fields, None).fields(), fields);
    }
}
