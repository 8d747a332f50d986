//! A Deployment controller whose pods are ready at once, so that conditions settle.

use futures::TryStreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::kubelet::rolled_out;
use crate::tenant::by;

/// Runs until it is aborted. No fault is between it and the API server.
pub fn start(client: Client) -> JoinHandle<()> {
    tokio::spawn(async move {
        let all: Api<Deployment> = Api::all(client.clone());
        let deployments = watcher(all, watcher::Config::default())
            .default_backoff()
            .applied_objects();
        let each = deployments.try_for_each(async |deployment| {
            roll_out(&client, &deployment).await;
            Ok(())
        });
        if let Err(error) = each.await {
            panic!("the rollout's watch ended: {error}");
        }
    })
}

async fn roll_out(client: &Client, deployment: &Deployment) {
    let status = deployment.status.as_ref();
    let generation = deployment.metadata.generation;
    if status.is_some_and(|s| s.observed_generation == generation && s.ready_replicas == Some(1)) {
        return;
    }
    let namespace = deployment.namespace().unwrap_or_default();
    let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
    // Of this object only: one that was made anew has another generation to speak of.
    let patch = json!({"metadata": {"uid": deployment.uid()}, "status": rolled_out(generation)});
    // One that is gone, or has changed, brings another event.
    let _ = api
        .patch_status(
            &deployment.name_any(),
            &by("kube-controller-manager"),
            &Patch::Merge(patch),
        )
        .await;
}
