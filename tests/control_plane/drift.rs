//! What others do to the children is undone; what they add is left alone.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use rstest::rstest;
use serde_json::json;

use crate::child_names::{CHILDREN, CLIENT_SETTINGS, DASHBOARD, SERVICE, everything};
use crate::damage::{Damage, essence};
use crate::eventually::{eventually, so};
use crate::fault_proxy::{Fault, FaultProxy, Requests, Verb};
use crate::operator::Operator;
use crate::own_fields::{held, own_fields};
use crate::stages::{exclusive, shared};
use crate::tenant::{Tenant, by};

#[rstest]
#[case::deleted("deleted", Damage::Deleted)]
#[case::edited("edited", Damage::Edited)]
#[case::applied_by_force("applied-by-force", Damage::AppliedByForce)]
#[case::replaced("replaced", Damage::Replaced)]
#[case::edited_under_our_name("edited-as-us", Damage::EditedUnderOurName)]
#[case::applied_under_our_name("applied-as-us", Damage::AppliedUnderOurName)]
#[case::without_our_label("without-label", Damage::WithoutOurLabel)]
#[case::without_owner("without-owner", Damage::WithoutOwner)]
#[case::without_digest("without-digest", Damage::WithoutDigest)]
#[case::emptied("emptied", Damage::Emptied)]
#[tokio::test]
async fn a_child_that_is_damaged_is_mended(#[case] name: &str, #[case] damage: Damage) {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, &format!("drift-{name}"), everything()).await;
    for child in &CHILDREN {
        let sound = essence(&tenant.child(child).await);
        damage.inflict(&tenant, child).await;
        tenant.child_when(child, "it", essence, sound).await;
    }
}

#[tokio::test]
async fn what_is_damaged_while_no_operator_runs_is_mended_at_the_next_start() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let operator = Operator::start_alone(&control_plane).await;
    let tenants =
        join_all(
            (0..Damage::ALL.len()).map(|number| {
                let client = client.clone();
                async move {
                    Tenant::converged(client, &format!("downtime-{number}"), everything()).await
                }
            }),
        )
        .await;
    operator.kill();
    let mut damaged = Vec::new();
    for (tenant, damage) in tenants.iter().zip(Damage::ALL) {
        for child in &CHILDREN {
            damaged.push((tenant, damage, child, essence(&tenant.child(child).await)));
            damage.inflict(tenant, child).await;
        }
    }
    let _operator = Operator::start_alone(&control_plane).await;
    for (tenant, damage, child, sound) in damaged {
        tenant
            .child_when(child, &format!("after {damage:?}, it"), essence, sound)
            .await;
    }
}

#[tokio::test]
async fn labels_and_annotations_that_others_add_stay_and_bring_no_write() {
    let shared = shared().await;
    let tenant = Tenant::converged(
        shared.control_plane.client().await,
        "drift-added",
        everything(),
    )
    .await;
    let audit = shared.control_plane.audit().starting_now();
    let added = json!({"labels": {"team": "ml"}, "annotations": {"team": "ml"}});
    let added = Patch::Merge(json!({"metadata": added}));
    for child in &CHILDREN {
        let api = tenant.api(child);
        api.patch(child.name, &by("kubectl-label"), &added)
            .await
            .unwrap();
    }
    // The operator's answer to this comes after any that it would give to what was before.
    Damage::Deleted.inflict(&tenant, &CLIENT_SETTINGS).await;
    tenant.until_there(&CLIENT_SETTINGS).await;
    for child in CHILDREN.iter().filter(|child| **child != CLIENT_SETTINGS) {
        let object = tenant.child(child).await;
        for names in [object.labels(), object.annotations()] {
            assert_eq!(
                names.get("team").map(String::as_str),
                Some("ml"),
                "{}",
                child.in_words()
            );
        }
    }
    let mut writes = audit.operators_writes_in(&tenant.namespace);
    writes.retain(|request| request.resource() != "events");
    let writes: Vec<_> = writes.iter().map(|request| request.in_words()).collect();
    assert_eq!(writes, ["create configmaps/simplepipe in drift-added"]);
}

/// What docs/architecture.md says of a writer that keeps changing a child back.
#[tokio::test]
async fn a_fight_over_a_child_is_slowed_down_and_won() {
    const EVERY: Duration = Duration::from_millis(1500);
    // Twenty at once, and some that come back while the fight goes on: the more, the longer each takes.
    const MOST: usize = 100;
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "drift-fight", json!({})).await;
    let sound = essence(&tenant.child(&SERVICE).await);
    let mut answers = Vec::new();
    let last_three = |answers: &[Instant]| match answers {
        [.., before, _, _, last] => *last - *before,
        _ => Duration::ZERO,
    };
    while last_three(&answers) < EVERY * 2 {
        assert!(answers.len() < MOST, "none of {MOST} answers was slow");
        Damage::Edited.inflict(&tenant, &SERVICE).await;
        tenant
            .child_when(&SERVICE, "it", essence, sound.clone())
            .await;
        answers.push(Instant::now());
    }
}

/// A conflict may mean that the object is another by now, and mostly does not.
#[tokio::test]
async fn a_conflict_makes_nothing_be_forgotten() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let proxy = FaultProxy::before(&control_plane.operators_kubeconfig());
    let flags = ["--leader-election=false"];
    let operator = Operator::start_as(proxy.kubeconfig(), &control_plane, &flags);
    operator.until_ready().await;
    let tenant = Tenant::converged(client, "drift-conflict", json!({})).await;
    let conflict = |verb: Verb| {
        let requests = Requests::with(&[verb]).of("configmaps");
        proxy.add(
            requests.in_namespace("drift-conflict").nth(1),
            Fault::Answer(409),
        )
    };

    // Once changed by apply, a child does not show in its fields who wrote last under the operator's name.
    let sound = essence(&tenant.child(&CLIENT_SETTINGS).await);
    Damage::Edited.inflict(&tenant, &CLIENT_SETTINGS).await;
    let mended = tenant
        .child_when(&CLIENT_SETTINGS, "it", essence, sound.clone())
        .await;
    let fields = own_fields(&mended);
    let mut manifest = held(&fields, &json!(mended)).unwrap();
    manifest["apiVersion"] = json!("v1");
    manifest["kind"] = json!("ConfigMap");
    manifest["metadata"]["ownerReferences"] = json!(mended.owner_references());
    manifest["data"]["PUSHGATEWAY_URL"] = json!("http://elsewhere");
    let written = mended
        .managed_fields()
        .iter()
        .filter_map(|e| e.time.as_ref())
        .max()
        .unwrap();
    eventually("another second", async || {
        let now = jiff::Timestamp::now().as_second();
        so(now > written.0.as_second(), now)
    })
    .await;
    let met = conflict(Verb::Patch);
    let parameters = PatchParams::apply("simplepipe").force();
    let after = tenant
        .api(&CLIENT_SETTINGS)
        .patch(CLIENT_SETTINGS.name, &parameters, &Patch::Apply(manifest))
        .await
        .unwrap();
    assert_eq!(own_fields(&after), fields);
    tenant
        .child_when(&CLIENT_SETTINGS, "it", essence, sound)
        .await;
    assert_eq!(met.count(), 1);

    let met = conflict(Verb::Delete);
    tenant
        .change_spec(json!({"dashboard": {"enabled": false}}))
        .await;
    tenant.until_gone(&DASHBOARD).await;
    assert_eq!(met.count(), 1);
}
