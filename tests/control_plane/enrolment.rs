//! Namespaces that ask by label.

use kube::api::Patch;
use serde_json::{Value, json};

use crate::child_names::CHILDREN;
use crate::eventually::{eventually, so};
use crate::stages::shared;
use crate::tenant::{Tenant, by};

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
