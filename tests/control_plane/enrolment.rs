//! Namespaces that ask by label.

use futures::future::join_all;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch};
use serde_json::{Value, json};

use crate::child_names::CHILDREN;
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::stages::{exclusive, shared};
use crate::tenant::{Tenant, by};
use crate::webhook::HangingWebhook;

fn enrolled() -> Value {
    json!({"simplepipe.dev/enroll": "true"})
}

async fn until_objects(tenant: &Tenant, expected: &[&str]) {
    eventually(
        format!("the objects in {} are {expected:?}", tenant.namespace),
        async || {
            let found = tenant
                .objects()
                .list(&Default::default())
                .await
                .map_err(|e| e.to_string())?;
            let names: Vec<_> = found
                .items
                .into_iter()
                .filter_map(|o| o.metadata.name)
                .collect();
            so(names == expected, names)
        },
    )
    .await;
}

#[tokio::test]
async fn a_labelled_namespace_gets_an_object_and_loses_it_with_the_label() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::labelled(client, "enrol-label", enrolled()).await;
    until_objects(&tenant, &["metrics"]).await;
    tenant.until_converged().await;
    tenant
        .label_namespace(json!({"simplepipe.dev/enroll": null}))
        .await;
    until_objects(&tenant, &[]).await;
    for child in &CHILDREN {
        tenant.until_gone(child).await;
    }
    tenant.label_namespace(enrolled()).await;
    until_objects(&tenant, &["metrics"]).await;
}

#[tokio::test]
async fn an_object_that_is_deleted_while_its_namespace_is_labelled_comes_again() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::labelled(client, "enrol-again", enrolled()).await;
    until_objects(&tenant, &["metrics"]).await;
    let first = tenant.objects().get("metrics").await.unwrap();
    tenant.delete("metrics").await;
    eventually("another object is there", async || {
        let found = tenant
            .objects()
            .get_opt("metrics")
            .await
            .map_err(|e| e.to_string())?;
        so(
            found
                .as_ref()
                .is_some_and(|o| o.metadata.uid != first.metadata.uid),
            found,
        )
    })
    .await;
}

#[tokio::test]
async fn an_object_that_a_person_has_edited_stays_without_the_label() {
    let client = shared().await.control_plane.client().await;
    let edits = [
        ("spec", json!({"spec": {"scrape": {"interval": "1m"}}})),
        ("label", json!({"metadata": {"labels": {"team": "ml"}}})),
        (
            "annotation",
            json!({"metadata": {"annotations": {"team": "ml"}}}),
        ),
    ];
    let mut kept = Vec::new();
    for (what, edit) in edits {
        let tenant =
            Tenant::labelled(client.clone(), &format!("enrol-edited-{what}"), enrolled()).await;
        until_objects(&tenant, &["metrics"]).await;
        tenant.until_converged().await;
        tenant
            .objects()
            .patch("metrics", &by("kubectl-edit"), &Patch::Merge(edit))
            .await
            .unwrap();
        kept.push(tenant);
    }
    // Later in line than the others, so that they were looked at once it is gone.
    let untouched = Tenant::labelled(client, "enrol-untouched", enrolled()).await;
    until_objects(&untouched, &["metrics"]).await;
    for tenant in kept.iter().chain([&untouched]) {
        tenant
            .label_namespace(json!({"simplepipe.dev/enroll": null}))
            .await;
    }
    until_objects(&untouched, &[]).await;
    for tenant in &kept {
        until_objects(tenant, &["metrics"]).await;
    }
}

#[tokio::test]
async fn a_labelled_namespace_that_has_an_object_gets_no_other_and_keeps_its_own() {
    let shared = shared().await;
    let tenant =
        Tenant::converged(shared.control_plane.client().await, "enrol-own", json!({})).await;
    tenant.delete("metrics").await;
    tenant.create("own", json!({})).await;
    tenant.label_namespace(enrolled()).await;
    let untouched = Tenant::labelled(tenant.client.clone(), "enrol-own-later", enrolled()).await;
    until_objects(&untouched, &["metrics"]).await;
    until_objects(&tenant, &["own"]).await;

    tenant
        .label_namespace(json!({"simplepipe.dev/enroll": null}))
        .await;
    untouched
        .label_namespace(json!({"simplepipe.dev/enroll": null}))
        .await;
    until_objects(&untouched, &[]).await;
    until_objects(&tenant, &["own"]).await;
}

/// Events about a namespace, as `kubectl get events` in it shows them.
async fn told(tenant: &Tenant) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let about = ListParams::default().fields("regarding.kind=Namespace");
    events.list(&about).await.unwrap().items
}

async fn until_told(tenant: &Tenant, type_: &str, reason: &str, words: &str) {
    eventually(
        format!("an event {reason} in {} says {words}", tenant.namespace),
        async || {
            let events = told(tenant).await;
            let found = events.iter().any(|e| {
                e.type_.as_deref() == Some(type_)
                    && e.reason.as_deref() == Some(reason)
                    && e.note.as_deref().is_some_and(|note| note.contains(words))
            });
            so(found, events)
        },
    )
    .await;
}

#[tokio::test]
async fn a_label_whose_value_means_nothing_changes_nothing_and_is_told_on_the_namespace() {
    let client = shared().await.control_plane.client().await;
    let fresh = Tenant::labelled(
        client.clone(),
        "enrol-unclear",
        json!({"simplepipe.dev/enroll": "yes"}),
    )
    .await;
    let words = "simplepipe.dev/enroll is \"yes\", which changes nothing: set it to \"true\"";
    until_told(&fresh, "Warning", "EnrolmentLabelUnclear", words).await;
    until_objects(&fresh, &[]).await;

    let tenant = Tenant::labelled(client, "enrol-unclear-later", enrolled()).await;
    until_objects(&tenant, &["metrics"]).await;
    let before = tenant.objects().get("metrics").await.unwrap();
    tenant
        .label_namespace(json!({"simplepipe.dev/enroll": "True"}))
        .await;
    let words = "simplepipe.dev/enroll is \"True\"";
    until_told(&tenant, "Warning", "EnrolmentLabelUnclear", words).await;
    let after = tenant.objects().get("metrics").await.unwrap();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.metadata.deletion_timestamp, None);

    tenant
        .label_namespace(json!({"simplepipe.dev/enroll": "false"}))
        .await;
    until_objects(&tenant, &[]).await;
    let words = "MetricsNamespace metrics was deleted, and with it the gateway";
    until_told(&tenant, "Normal", "EnrolmentEnded", words).await;
}

#[tokio::test]
async fn what_was_told_of_a_label_is_not_told_again_by_the_next_operator() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let unclear = json!({"simplepipe.dev/enroll": "TRUE"});
    let tenant = Tenant::labelled(client, "enrol-told-once", unclear).await;
    let operator = Operator::start_alone(&control_plane).await;
    until_told(&tenant, "Warning", "EnrolmentLabelUnclear", "\"TRUE\"").await;
    operator.kill();

    let audit = control_plane.audit().starting_now();
    let _operator = Operator::start_alone(&control_plane).await;
    eventually("the next operator has looked", async || {
        let writes = audit.operators_writes_in(&tenant.namespace);
        so(writes.iter().any(|w| w.resource() == "events"), writes)
    })
    .await;
    let events = told(&tenant).await;
    assert_eq!(events.len(), 1, "{events:#?}");
}

#[tokio::test]
async fn namespaces_whose_admission_hangs_delay_no_other() {
    let client = shared().await.control_plane.client().await;
    let webhook =
        HangingWebhook::register(client.clone(), "enrol-slow", &["metricsnamespaces"]).await;
    let mut labels = webhook.labels();
    labels["simplepipe.dev/enroll"] = "true".into();
    let slow = join_all((0..200).map(|i| {
        let (client, labels) = (client.clone(), labels.clone());
        async move { Tenant::labelled(client, &format!("enrol-slow-{i}"), labels).await }
    }))
    .await;
    let fresh = Tenant::labelled(client.clone(), "enrol-beside-slow", enrolled()).await;
    until_objects(&fresh, &["metrics"]).await;

    // The one that the API server waited for longest is told what it was.
    eventually("an event has the webhook's name", async || {
        let all: Api<Event> = Api::all(client.clone());
        let failed = ListParams::default().fields("reason=EnrolmentFailed");
        let events = all.list(&failed).await.unwrap().items;
        let named = events.iter().any(|e| {
            let note = e.note.as_deref().unwrap_or_default();
            note.contains(&webhook.full_name())
        });
        so(named, events)
    })
    .await;
    let later = Tenant::labelled(client, "enrol-beside-slow-later", enrolled()).await;
    until_objects(&later, &["metrics"]).await;

    for tenant in &slow {
        tenant
            .namespaces()
            .delete(&tenant.namespace, &DeleteParams::default())
            .await
            .unwrap();
    }
    webhook.remove().await;
}
