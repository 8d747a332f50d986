//! Gateways that do not come up: their pods' words stand in the status, and asking for them has a bound.

use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PostParams};
use serde_json::json;

use crate::child_names::DEPLOYMENT;
use crate::eventually::{so, within};
use crate::operator::Operator;
use crate::stages::{exclusive, shared};
use crate::tenant::{Tenant, by};

/// More than are asked for one by one.
const STUCK: usize = 120;
/// How soon the first hundred that fail at once are told; and as much again, for a busy machine.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
const AT_ONCE: usize = 8;

#[tokio::test]
async fn the_words_of_a_gateways_pod_stand_in_the_status_and_nothing_is_asked_before_or_after() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let audit = shared.control_plane.audit().starting_now();
    let asked = |tenant: &Tenant| {
        let mut requests = audit.operators_requests_of("pods");
        requests.retain(|r| r.namespace() == tenant.namespace);
        requests.len()
    };
    let tenant = Tenant::converged(client, "pods-words", json!({})).await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    assert_eq!(asked(&tenant), 0, "of a gateway that is up");
    tenant.has_a_pod_that_waits("ImagePullBackOff").await;
    tenant.gateway_goes_down("it takes too long").await;
    tenant
        .until_condition_says(
            "GatewayAvailable",
            "container pushgateway: ImagePullBackOff: no such image",
        )
        .await;
    let before = asked(&tenant);
    assert!(before >= 1);
    // The gateway is the first one's, and so is what is learnt of it later.
    tenant.create("second", json!({})).await;
    tenant
        .until_condition("second", "Ready", "False", "NamespaceAlreadyServed")
        .await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    tenant.its_pod_waits("ErrImageNeverPull").await;
    tenant.gateway_goes_down("it takes too long").await;
    tenant
        .until_condition_says("GatewayAvailable", "ErrImageNeverPull: no such image")
        .await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
}

#[tokio::test]
async fn a_gateway_that_has_long_been_down_without_a_word_is_not_called_starting() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "pods-silent", json!({})).await;
    tenant.gateway_comes_up().await;
    tenant.gateway_goes_down_silently().await;
    let message = tenant
        .until_condition("metrics", "GatewayAvailable", "False", "GatewayNotReady")
        .await;
    assert!(message.contains("kubectl describe deployment"), "{message}");

    let held = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    let deployments = tenant.api(&DEPLOYMENT);
    deployments
        .patch(DEPLOYMENT.name, &by("kubectl"), &Patch::Merge(held))
        .await
        .unwrap();
    deployments
        .delete(DEPLOYMENT.name, &DeleteParams::default())
        .await
        .unwrap();
    tenant
        .until_condition_says("GatewayAvailable", "its Deployment's deletion began at")
        .await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    deployments
        .patch(DEPLOYMENT.name, &by("kubectl"), &free)
        .await
        .unwrap();
    tenant
        .until_condition("metrics", "GatewayAvailable", "False", "GatewayStarting")
        .await;
}

#[tokio::test]
async fn many_gateways_that_do_not_come_up_are_asked_about_together() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let _operator = Operator::start_alone(&control_plane).await;
    let tenants: Vec<Tenant> = stream::iter(0..STUCK)
        .map(async |number| {
            let name = format!("pods-many-{number}");
            let tenant = Tenant::converged(client.clone(), &name, json!({})).await;
            tenant.gateway_comes_up().await;
            tenant
                .has_a_pod_that_waits(&format!("Broken{number}"))
                .await;
            tenant
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let audit = control_plane.audit().starting_now();
    join_all(tenants.iter().map(|t| t.gateway_goes_down("why"))).await;
    for tenant in &tenants {
        let number = tenant.namespace.rsplit('-').next().unwrap();
        within(TOLD_WITHIN, "each is told", async || {
            let status = tenant.objects().get("metrics").await.unwrap().status;
            let conditions = status.unwrap().conditions;
            let words = format!("Broken{number}: ");
            so(
                conditions.iter().any(|c| c.message.contains(&words)),
                conditions,
            )
        })
        .await;
    }
    let asked = audit.operators_requests_of("pods").len();
    println!("{STUCK} were told after {asked} requests");
    assert!(asked < STUCK * 2 / 3, "{asked} requests for {STUCK} pods");
}

impl Tenant {
    /// A pod of the gateway that the kubelet can't start.
    async fn has_a_pod_that_waits(&self, reason: &str) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let pod = json!({
            "metadata": {"name": "pushgateway-0", "labels": {
                "app.kubernetes.io/name": "pushgateway", "app.kubernetes.io/managed-by": "simplepipe",
            }},
            "spec": {
                "serviceAccountName": "pushgateway",
                "containers": [{"name": "pushgateway", "image": "i"}],
            },
        });
        let pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        self.its_pod_waits(reason).await;
    }

    async fn its_pod_waits(&self, reason: &str) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let status = json!({"status": {"containerStatuses": [{
            "name": "pushgateway", "ready": false, "restartCount": 0, "image": "i", "imageID": "",
            "state": {"waiting": {"reason": reason, "message": "no such image"}},
        }]}});
        pods.patch_status("pushgateway-0", &by("kubelet"), &Patch::Merge(status))
            .await
            .unwrap();
    }
}
