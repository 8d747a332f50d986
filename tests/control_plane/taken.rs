//! Whatever another takes of a child, in whatever way, shows in its managed fields, and is mended.

use std::collections::{BTreeMap, HashMap};

use futures::future::join_all;
use futures::{StreamExt, stream};
use kube::Client;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams};
use proptest::prelude::Strategy;
use proptest::sample::subsequence;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use simplepipe::operator::kind::Kind;
use simplepipe::operator::ownership;

use crate::child_names::{CHILDREN, ChildName, everything};
use crate::damage::{Damage, essence};
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::own_fields::{held, own_fields};
use crate::stages::{exclusive, shared};
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

/// Each field, map and list of each child alone, in one of the ways, and all of a child together in each: at most one of
/// them in each tenant's child.
#[tokio::test]
async fn what_is_taken_while_no_operator_runs_is_mended_at_once_by_the_next() {
    const FIRST: &str = "taken-first";
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let operator = Operator::start_alone(&control_plane).await;
    let first = Tenant::converged(client.clone(), FIRST, every_field()).await;
    let looked = Looked::at(&first).await;
    let all = join_all(
        looked
            .iter()
            .map(|looked| looked.one_by_one_and_together(&first)),
    )
    .await;
    let most = all.iter().map(Vec::len).max().unwrap();
    let tenants = stream::iter(0..most).map(|number| {
        let client = client.clone();
        async move { Tenant::converged(client, &format!("taken-{number}"), every_field()).await }
    });
    let tenants: Vec<_> = tenants.buffered(AT_ONCE).collect().await;
    operator.kill();
    let takings = looked.iter().zip(&all).flat_map(|(looked, takings)| {
        let of_tenants = tenants.iter().zip(takings);
        of_tenants.map(move |(tenant, taking)| (tenant, looked, taking))
    });
    let losses = stream::iter(takings).map(async |(tenant, looked, taking)| {
        let of_tenant = |of_first: Value| -> Value {
            let text = of_first.to_string().replace(FIRST, &tenant.namespace);
            serde_json::from_str(&text).unwrap()
        };
        let taking = Taking {
            child: looked.child,
            fields: &of_tenant(looked.fields.clone()),
            way: taking.way,
            values: serde_json::from_value(of_tenant(json!(taking.values))).unwrap(),
        };
        Loss::inflict(tenant, &taking).await
    });
    let losses: Vec<_> = losses.buffer_unordered(AT_ONCE).collect().await;
    println!("{} takings in {most} tenants", losses.len());
    let operator = Operator::start_alone(&control_plane).await;
    until_mended(&client, losses).await;
    operator.kill();
    // Later operators on this control plane need not look at them.
    let tenants = stream::iter(&tenants).chain(stream::iter([&first]));
    tenants.for_each_concurrent(AT_ONCE, remove).await;
}

impl Looked {
    async fn one_by_one_and_together(&self, tenant: &Tenant) -> Vec<Taking<'_>> {
        let api = tenant.api(self.child);
        let most = async |place, way| {
            let child = (self.child, &self.fields);
            let most = most_of(&api, &self.applied, child, (&self.takings, place), way).await;
            // What the API server puts back by itself is no loss.
            let loss = most.filter(|(_, after)| !self.owned(after));
            loss.map(|(taking, _)| taking)
        };
        let together = join_all(Way::ALL.map(|way| most("", way))).await;
        let places = self.takings.places.iter().skip(1).enumerate();
        let one_by_one = stream::iter(places).map(async |(number, place)| {
            let ways = Way::ALL.into_iter().cycle().skip(number % Way::ALL.len());
            for way in ways.take(Way::ALL.len()) {
                if let Some(taking) = most(place, way).await {
                    return Some(taking);
                }
            }
            assert!(
                self.takings.below(place).is_empty(),
                "{} lets nobody take {place}",
                self.child.in_words()
            );
            None
        });
        let one_by_one = one_by_one.buffered(AT_ONCE).collect::<Vec<_>>().await;
        together.into_iter().chain(one_by_one).flatten().collect()
    }
}

/// What was taken of a tenant's child.
struct Loss {
    place: (String, String),
    resource: ApiResource,
    fields: Value,
    wanted: Value,
    in_words: String,
}

impl Loss {
    async fn inflict(tenant: &Tenant, taking: &Taking<'_>) -> Self {
        let before = tenant.child(taking.child).await;
        let in_words = format!(
            "{} in {} after {}",
            taking.child.in_words(),
            tenant.namespace,
            in_words(taking)
        );
        let written = taking
            .write(&tenant.api(taking.child), &before, false)
            .await;
        written.unwrap_or_else(|e| panic!("{in_words}: {e}"));
        Self {
            place: (tenant.namespace.clone(), taking.child.name.to_owned()),
            resource: taking.child.api_resource(),
            fields: taking.fields.clone(),
            wanted: held(taking.fields, &json!(before)).unwrap(),
            in_words,
        }
    }
}

async fn until_mended(client: &Client, losses: Vec<Loss>) {
    let mut open = losses;
    eventually("all that was taken is back", async || {
        let resources = open.iter().map(|loss| loss.resource.clone());
        let resources: BTreeMap<_, _> = resources.map(|r| (r.kind.clone(), r)).collect();
        let mut there = HashMap::new();
        for (kind, resource) in resources {
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let list = api
                .list(&ListParams::default())
                .await
                .map_err(|e| e.to_string())?;
            there.extend(list.into_iter().map(|object| {
                let place = (object.namespace().unwrap_or_default(), object.name_any());
                ((kind.clone(), place), json!(object))
            }));
        }
        open.retain(|loss| {
            let now = there.get(&(loss.resource.kind.clone(), loss.place.clone()));
            now.and_then(|now| held(&loss.fields, now)).as_ref() != Some(&loss.wanted)
        });
        let words: Vec<_> = open.iter().take(SHOWN).map(|loss| &loss.in_words).collect();
        so(open.is_empty(), (open.len(), words))
    })
    .await;
}

async fn remove(tenant: &Tenant) {
    let now = DeleteParams::default();
    tenant.delete("metrics").await;
    for child in &CHILDREN {
        match tenant.api(child).delete(child.name, &now).await {
            // The garbage collector may be faster.
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            deleted => drop(deleted.unwrap()),
        }
    }
}
