//! Who scrapes a namespace, by the Prometheus objects of the cluster.

use kube::Client;
use kube::api::{DeleteParams, Patch};
use serde_json::{Value, json};

use crate::child_names::{POD_MONITOR, SERVICE_MONITOR, everything};
use crate::operator::Operator;
use crate::prometheus::{create_prometheus, prometheuses};
use crate::stages::exclusive;
use crate::tenant::{Tenant, by};

async fn change_prometheus(client: &Client, spec: Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    prometheuses(client)
        .patch("k8s", &by("kubectl-edit"), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn who_scrapes_follows_prometheus_objects_labels_and_namespaces() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let _operator = Operator::start_alone(&control_plane).await;
    let tenant = Tenant::converged(client.clone(), "selection", json!({})).await;
    let until = async |status, reason| {
        tenant
            .until_condition("metrics", "ScrapeConfigured", status, reason)
            .await
    };
    let change = async |spec| change_prometheus(&client, spec).await;
    until("Unknown", "NoPrometheusFound").await;

    create_prometheus(&client, "k8s", json!({})).await;
    let message = until("True", "Selected").await;
    assert!(
        message.contains("every 30s by simplepipe-system/k8s"),
        "{message}"
    );

    // By a label that the ServiceMonitor lacks.
    change(json!({"serviceMonitorSelector": {"matchLabels": {"release": "monitoring"}}})).await;
    let message = until("False", "NotSelected").await;
    assert!(
        message.contains("release=monitoring") && message.contains("spec.scrape.labels"),
        "{message}"
    );
    tenant
        .change_spec(json!({"scrape": {"labels": {"release": "monitoring"}}}))
        .await;
    until("True", "Selected").await;

    // By a label that the namespace lacks.
    change(json!({"serviceMonitorNamespaceSelector": {"matchLabels": {"monitored": "yes"}}})).await;
    let message = until("False", "NotSelected").await;
    assert!(
        message.contains("monitored=yes") && message.contains("namespace selection"),
        "{message}"
    );
    tenant.label_namespace(json!({"monitored": "yes"})).await;
    until("True", "Selected").await;
    tenant.label_namespace(json!({"monitored": null})).await;
    until("False", "NotSelected").await;

    // In its own namespace only.
    change(json!({"serviceMonitorNamespaceSelector": null})).await;
    until("False", "NotSelected").await;
    change(json!({"serviceMonitorNamespaceSelector": {}})).await;
    until("True", "Selected").await;

    create_prometheus(&client, "second", json!({})).await;
    tenant
        .until_condition_says(
            "ScrapeConfigured",
            "simplepipe-system/k8s, simplepipe-system/second",
        )
        .await;
    for name in ["k8s", "second"] {
        prometheuses(&client)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }
    until("Unknown", "NoPrometheusFound").await;
    assert_eq!(
        tenant
            .child(&SERVICE_MONITOR)
            .await
            .metadata
            .labels
            .unwrap()["release"],
        "monitoring"
    );
}

#[tokio::test]
async fn who_scrapes_the_model_servers_is_a_matter_of_selectors_of_their_own() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let _operator = Operator::start_alone(&control_plane).await;
    let tenant = Tenant::converged(client.clone(), "selection-serving", everything()).await;
    let until = async |status, reason| {
        tenant
            .until_condition("metrics", "ServingScrapeConfigured", status, reason)
            .await
    };
    let change = async |spec| change_prometheus(&client, spec).await;
    tenant.gateway_comes_up().await;
    until("Unknown", "NoPrometheusFound").await;
    create_prometheus(&client, "k8s", json!({})).await;
    let message = until("True", "Selected").await;
    assert!(
        message.starts_with("set to be scraped every 30s by simplepipe-system/k8s; over a limit"),
        "{message}"
    );

    change(json!({"podMonitorSelector": {"matchLabels": {"release": "monitoring"}}})).await;
    let message = until("False", "NotSelected").await;
    assert!(
        message.contains("PodMonitors with labels \"release=monitoring\"")
            && message.contains("spec.scrape.labels"),
        "{message}"
    );
    tenant
        .until_condition("metrics", "ScrapeConfigured", "True", "Selected")
        .await;
    let ready = tenant
        .until_condition("metrics", "Ready", "False", "NotSelected")
        .await;
    assert_eq!(ready, message);
    tenant
        .change_spec(json!({"scrape": {"labels": {"release": "monitoring"}}}))
        .await;
    until("True", "Selected").await;
    let labels = tenant.child(&POD_MONITOR).await.metadata.labels.unwrap();
    assert_eq!(labels["release"], "monitoring");

    change(json!({"podMonitorNamespaceSelector": {"matchLabels": {"monitored": "yes"}}})).await;
    let message = until("False", "NotSelected").await;
    assert!(message.contains("monitored=yes"), "{message}");
    tenant.label_namespace(json!({"monitored": "yes"})).await;
    until("True", "Selected").await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
}
