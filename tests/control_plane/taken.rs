//! Whatever another takes of a child, in whatever way, shows in its managed fields.

use std::collections::BTreeMap;

use futures::future::join_all;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::api::DynamicObject;
use proptest::prelude::Strategy;
use proptest::sample::subsequence;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use simplepipe::operator::kind::Kind;
use simplepipe::operator::ownership;

use crate::child_names::{CHILDREN, ChildName, everything};
use crate::damage::{Damage, essence};
use crate::own_fields::{held, own_fields};
use crate::stages::shared;
use crate::taking::{AT_ONCE, Taking, Takings, Way, most_of};
use crate::tenant::Tenant;

/// Choices of some fields of a child, beside each one, each map and each list.
const CHOICES: usize = 8;
/// Differences that a failure shows.
const SHOWN: usize = 10;

/// A spec that brings every field that a child can have.
fn every_field() -> Value {
    let expression = json!({"key": "disk", "operator": "In", "values": ["ssd"]});
    let pods = json!({"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "zone"});
    let near = json!({
        "requiredDuringSchedulingIgnoredDuringExecution": [pods],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": pods}],
    });
    let terms = json!({"matchExpressions": [expression]});
    let mut spec = everything();
    spec["gateway"] = json!({
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [terms]},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": terms}],
            },
            "podAffinity": near,
            "podAntiAffinity": near,
        },
        "priorityClassName": "high",
    });
    spec
}

/// A child whose fields are looked at.
struct Looked {
    child: &'static ChildName,
    /// As the operator makes it.
    created: DynamicObject,
    /// As the operator changes it.
    applied: DynamicObject,
    /// What the operator writes: of what it makes it owns the defaults too.
    fields: Value,
    takings: Takings,
}

impl Looked {
    async fn at(tenant: &Tenant) -> Vec<Self> {
        join_all(CHILDREN.iter().map(async |child| {
            let created = tenant.child(child).await;
            Damage::Edited.inflict(tenant, child).await;
            let by_apply = |now: &DynamicObject| {
                let entry = ownership::entry(&now.metadata);
                (entry.is_some_and(|e| !e.by_create), essence(now))
            };
            let mended = (true, essence(&created));
            let applied = tenant
                .child_when(child, "its apply", by_apply, mended)
                .await;
            let fields = own_fields(&applied);
            let takings = Takings::of(&tenant.api(child), &applied, &fields).await;
            Self {
                child,
                created,
                applied,
                fields,
                takings,
            }
        }))
        .await
    }

    /// What the operator wants, of this object.
    fn wanted(&self) -> Value {
        held(&self.fields, &json!(self.applied)).unwrap()
    }

    /// Whether the operator takes all that it wants for its own.
    fn owned(&self, object: &DynamicObject) -> bool {
        let kind = self.child.api_resource().kind;
        let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind).unwrap();
        ownership::entry(&object.metadata)
            .is_some_and(|entry| ownership::owns(kind, entry.fields, &self.wanted()))
    }

    /// What is wrong with the operator's view after a taking, in words.
    fn misjudged(&self, taking: &Taking, after: &DynamicObject) -> Option<String> {
        let left = held(&self.fields, &json!(after));
        let is_whole = left.as_ref() == Some(&self.wanted());
        (self.owned(after) != is_whole).then(|| {
            format!(
                "{} after {}: all of it is {}, and what it wants is {}; managed fields: {}",
                self.child.in_words(),
                in_words(taking),
                if is_whole {
                    "taken for lost"
                } else {
                    "taken for its own"
                },
                if is_whole { "there" } else { "changed" },
                json!(after.managed_fields()),
            )
        })
    }
}

fn in_words(taking: &Taking) -> String {
    format!("{:?} {}", taking.way, json!(taking.values))
}

/// Holds the rule by which the operator reads managed fields against what the API server writes there.
#[tokio::test]
async fn fields_that_another_takes_are_no_longer_owned_and_all_others_are() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "taken-fields", every_field()).await;
    let mut wrong = Vec::new();
    for looked in Looked::at(&tenant).await {
        let api = tenant.api(looked.child);
        let what = looked.child.in_words();
        let objects = [&looked.created, &looked.applied];
        for object in objects {
            assert!(looked.owned(object), "{what}, of which nothing was taken");
        }
        let places = looked.takings.places.iter().enumerate();
        let cases = places.flat_map(|(number, place)| {
            let ways = Way::ALL.into_iter().enumerate();
            ways.map(move |(index, way)| (place, way, objects[(number + index) % 2]))
        });
        let (child, takings) = ((looked.child, &looked.fields), &looked.takings);
        let one_by_one = stream::iter(cases).map(|(place, way, object)| {
            let api = &api;
            async move { most_of(api, object, child, (takings, place), way).await }
        });
        let some = stream::iter(choices(takings).into_iter().flat_map(|values| {
            let ways = Way::ALL.into_iter();
            ways.map(move |way| (values.clone(), way))
        }));
        let some = some.map(|(values, way)| {
            let (api, object, (child, fields)) = (&api, &looked.created, child);
            async move {
                let taking = Taking {
                    child,
                    fields,
                    way,
                    values,
                };
                // Not all that can be changed alone can be changed together.
                let after = taking.write(api, object, true).await.ok()?;
                Some((taking, after))
            }
        });
        let mut seen = one_by_one
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        seen.extend(some.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
        let tried = seen.len();
        let seen: Vec<_> = seen.into_iter().flatten().collect();
        let taken = seen.iter().filter(|(_, after)| !looked.owned(after));
        let taken = taken.count();
        println!(
            "{what}: of {tried} takings {} were let through, {taken} took something; fixed: {:?}",
            seen.len(),
            takings.fixed
        );
        assert!(
            taken * 2 > tried,
            "{what}: {taken} of {tried} took something"
        );
        wrong.extend(
            seen.iter()
                .filter_map(|(taking, after)| looked.misjudged(taking, after)),
        );
    }
    assert!(
        wrong.is_empty(),
        "{} takings are misjudged:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(SHOWN)].join("\n")
    );
}

/// Some fields that can be changed, the same in each run.
fn choices(takings: &Takings) -> Vec<BTreeMap<String, Value>> {
    let values: Vec<_> = takings.values.clone().into_iter().collect();
    let some = (1..=values.len()).prop_flat_map(move |n| subsequence(values.clone(), n));
    let mut runner = TestRunner::deterministic();
    let one = |_| {
        some.new_tree(&mut runner)
            .unwrap()
            .current()
            .into_iter()
            .collect()
    };
    (0..CHOICES).map(one).collect()
}
