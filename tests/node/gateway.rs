//! The gateway's pod, for real: that it starts, is replaced without a gap, and says what is wrong with it.

use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use super::cluster::{Tenant, client, eventually};

#[tokio::test]
async fn a_labelled_namespace_gets_a_gateway_that_answers() {
    let tenant = Tenant::new(client().await, "e2e-enrolled").await;
    tenant
        .label(json!({"pod-security.kubernetes.io/enforce": "restricted", "simplepipe.dev/enroll": "true"}))
        .await;
    tenant.until("Ready", "True", "monitoring/k8s").await;

    let pods: Api<Pod> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let pods = pods.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(pods.len(), 1);
    let spec = pods[0].spec.as_ref().unwrap();
    assert!(
        spec.volumes.iter().flatten().next().is_none(),
        "no token, no other volume: {:?}",
        spec.volumes
    );
    let security = spec.containers[0].security_context.as_ref().unwrap();
    assert_eq!(security.read_only_root_filesystem, Some(true));

    tenant
        .label(json!({"pod-security.kubernetes.io/enforce": "restricted"}))
        .await;
    eventually("the gateway is gone with the label", async || {
        let objects = tenant
            .objects()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items;
        let pods: Api<Pod> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
        let pods = pods.list(&ListParams::default()).await.unwrap().items;
        if objects.is_empty() && pods.is_empty() {
            Ok(())
        } else {
            Err((objects.len(), pods.len()))
        }
    })
    .await;
    tenant.gone().await;
}

#[tokio::test]
async fn a_changed_gateway_replaces_the_old_one_without_a_gap() {
    let tenant = Tenant::new(client().await, "e2e-rollout").await;
    tenant.wants(json!({})).await;
    tenant.until("Ready", "True", "").await;
    let before = ready_endpoints(&tenant).await;
    assert_eq!(before.len(), 1);

    tenant
        .wants(json!({"gateway": {"logLevel": "debug"}}))
        .await;
    let mut seen = Vec::new();
    eventually("only the new gateway answers", async || {
        let now = ready_endpoints(&tenant).await;
        seen.push(now.len());
        if now.len() == 1 && now != before {
            Ok(())
        } else {
            Err(now)
        }
    })
    .await;
    assert!(
        !seen.contains(&0),
        "there was a time when nobody answered: {seen:?}"
    );
    assert!(seen.iter().all(|n| *n <= 2), "{seen:?}");
    tenant.gone().await;
}

async fn ready_endpoints(tenant: &Tenant) -> Vec<String> {
    let slices: Api<EndpointSlice> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let slices = slices
        .list(&ListParams::default().labels("kubernetes.io/service-name=pushgateway"))
        .await
        .unwrap();
    let mut ready: Vec<_> = slices
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .filter(|e| e.conditions.as_ref().and_then(|c| c.ready) == Some(true))
        .flat_map(|e| e.addresses.clone())
        .collect();
    ready.sort();
    ready
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named_and_another_one_heals_it() {
    let tenant = Tenant::new(client().await, "e2e-image").await;
    tenant
        .wants(json!({"gateway": {"image": "localhost/no-such-image:1"}}))
        .await;
    let message = tenant
        .until("Ready", "False", "localhost/no-such-image:1")
        .await;
    assert!(
        message.contains("Image"),
        "the kubelet's reason is missing: {message}"
    );
    tenant.wants(json!({})).await;
    tenant.until("Ready", "True", "").await;
    tenant.gone().await;
}

#[tokio::test]
async fn a_changed_gateway_that_does_not_come_up_is_told_while_the_old_one_answers() {
    let tenant = Tenant::new(client().await, "e2e-stuck").await;
    tenant.wants(json!({})).await;
    tenant.until("Ready", "True", "").await;
    tenant
        .wants(json!({"gateway": {"image": "localhost/no-such-image:1"}}))
        .await;
    tenant
        .until("Ready", "True", "the changed one does not come up")
        .await;
    tenant.wants(json!({})).await;
    tenant.until("Ready", "True", "").await;
    tenant.gone().await;
}

#[tokio::test]
async fn a_quota_that_keeps_the_gateway_away_is_named_and_heals_when_lifted() {
    let tenant = Tenant::new(client().await, "e2e-quota").await;
    let quotas: Api<ResourceQuota> = Api::namespaced(tenant.client.clone(), &tenant.namespace);
    let quota = serde_json::from_value(
        json!({"metadata": {"name": "no-pods"}, "spec": {"hard": {"pods": "0"}}}),
    )
    .unwrap();
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    tenant.wants(json!({})).await;
    tenant.until("Ready", "False", "exceeded quota").await;

    quotas
        .delete("no-pods", &DeleteParams::default())
        .await
        .unwrap();
    tenant.until("Ready", "True", "").await;
    tenant.gone().await;
}
