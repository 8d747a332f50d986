//! Several objects in a namespace, objects that go and come again, and namespaces that go.

use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PropagationPolicy};
use serde_json::json;

use crate::child_names::{CHILDREN, DEPLOYMENT, everything};
use crate::eventually::{eventually, so};
use crate::stages::shared;
use crate::tenant::{Tenant, by, until_in_another_second};

fn owners(child: &DynamicObject) -> Vec<String> {
    child
        .owner_references()
        .iter()
        .map(|o| o.uid.clone())
        .collect()
}

async fn until_owned_by(tenant: &Tenant, uid: &str) {
    for child in &CHILDREN {
        tenant
            .child_when(child, "its owner", owners, vec![uid.to_owned()])
            .await;
    }
}

#[tokio::test]
async fn the_oldest_object_serves_the_namespace_and_the_next_takes_over() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "lifetime-two", everything()).await;
    let first = tenant.objects().get("metrics").await.unwrap();
    until_in_another_second(&first.metadata).await;
    // By its name it would be first.
    let second = tenant.create("a-second", everything()).await;
    let message = tenant
        .until_condition("a-second", "Ready", "False", "NamespaceAlreadyServed")
        .await;
    assert!(
        message.contains("MetricsNamespace metrics is older"),
        "{message}"
    );
    until_owned_by(&tenant, &first.uid().unwrap()).await;

    tenant.delete("metrics").await;
    until_owned_by(&tenant, &second.uid().unwrap()).await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("a-second", "Ready", "True", "AllWorking")
        .await;
}

#[tokio::test]
async fn a_gateway_that_is_left_behind_goes_on_under_the_next_object() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "lifetime-orphan", everything()).await;
    let gateway = tenant.child(&DEPLOYMENT).await;
    let orphan = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Orphan),
        ..DeleteParams::default()
    };
    tenant.objects().delete("metrics", &orphan).await.unwrap();
    eventually("the first object is gone", async || {
        let found = tenant
            .objects()
            .get_opt("metrics")
            .await
            .map_err(|e| e.to_string())?;
        so(found.is_none(), found)
    })
    .await;
    let second = tenant.create("second", everything()).await;
    until_owned_by(&tenant, &second.uid().unwrap()).await;
    assert_eq!(
        tenant.child(&DEPLOYMENT).await.uid(),
        gateway.uid(),
        "the gateway was made anew"
    );
}

#[tokio::test]
async fn what_is_deleted_takes_its_children_along_and_comes_again_with_new_ones() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "lifetime-again", everything()).await;
    tenant.delete("metrics").await;
    // At once: the children of the first are still there.
    let again = tenant.create("metrics", everything()).await;
    until_owned_by(&tenant, &again.uid().unwrap()).await;

    tenant.delete("metrics").await;
    for child in &CHILDREN {
        tenant.until_gone(child).await;
    }
}

#[tokio::test]
async fn a_deletion_that_is_held_is_told_and_an_ordinary_one_is_not() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let tenant = Tenant::converged(client, "lifetime-held", everything()).await;
    let hold = |finalizers: &[&str]| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let objects = tenant.objects();
    let patch = async |finalizers: &[&str]| {
        let by = by("kubectl-patch");
        let patched = objects.patch("metrics", &by, &hold(finalizers)).await;
        patched.unwrap();
    };
    patch(&["example.com/a", "example.com/b"]).await;
    tenant.delete("metrics").await;
    let message = tenant
        .until_condition("metrics", "Ready", "False", "BeingDeleted")
        .await;
    assert!(
        message.contains("finalizer example.com/a, example.com/b holds it"),
        "{message}"
    );
    patch(&["example.com/b"]).await;
    tenant
        .until_condition_says("Ready", "finalizer example.com/b holds it")
        .await;
    patch(&[]).await;
    let is_gone = async || {
        eventually("the object is gone", async || {
            let found = objects.get_opt("metrics").await;
            let found = found.map_err(|e| e.to_string())?;
            so(found.is_none(), found)
        })
        .await;
    };
    is_gone().await;
    for child in &CHILDREN {
        tenant.until_gone(child).await;
    }

    tenant.create("metrics", everything()).await;
    tenant.until_converged().await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    let audit = shared.control_plane.audit().starting_now();
    // It is seen while it goes: its children go first.
    let foreground = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    objects.delete("metrics", &foreground).await.unwrap();
    is_gone().await;
    let writes = audit.operators_writes_in(&tenant.namespace);
    let writes: Vec<_> = writes.iter().map(|r| r.in_words()).collect();
    assert_eq!(writes, [""; 0]);
}

#[tokio::test]
async fn a_namespace_that_is_deleted_goes_without_a_struggle() {
    let shared = shared().await;
    let tenant = Tenant::converged(
        shared.control_plane.client().await,
        "lifetime-namespace",
        everything(),
    )
    .await;
    let audit = shared.control_plane.audit().starting_now();
    tenant
        .namespaces()
        .delete(&tenant.namespace, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the namespace is gone", async || {
        let found = tenant
            .namespaces()
            .get_opt(&tenant.namespace)
            .await
            .map_err(|e| e.to_string())?;
        so(found.is_none(), found)
    })
    .await;
    let mut refused = audit.operators_writes_in(&tenant.namespace);
    refused.retain(|request| request.failed());
    let mut refused: Vec<_> = refused.iter().map(|r| r.in_words()).collect();
    // The gateway's end may be seen before the namespace's, and is told then.
    refused.retain(|request| !request.contains(" events/"));
    assert_eq!(
        refused, [""; 0],
        "what a namespace that is going has no room for"
    );
}
