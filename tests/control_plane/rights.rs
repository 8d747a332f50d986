//! An operator that lacks a right says so. That its manifests give it all that it needs shows in every other test.

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{Api, Patch};
use serde_json::json;

use crate::child_names::{DEPLOYMENT, POD_MONITOR, SERVICE};
use crate::damage::Damage;
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::{Tenant, by};

/// The operator's ClusterRole without this resource.
async fn take_away(roles: &Api<ClusterRole>, resource: &str) {
    let mut rules = roles.get("simplepipe").await.unwrap().rules.unwrap();
    for rule in &mut rules {
        rule.resources
            .iter_mut()
            .for_each(|names| names.retain(|name| name != resource));
    }
    // A rule about nothing is refused.
    rules.retain(|rule| {
        rule.resources
            .as_ref()
            .is_none_or(|names| !names.is_empty())
    });
    let patch = Patch::Merge(json!({"rules": rules}));
    roles
        .patch("simplepipe", &by("kubectl-edit"), &patch)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_watch_without_the_right_to_it_is_named_until_the_right_is_given() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    take_away(&roles, "services").await;
    let operator = Operator::start(&control_plane, &["--leader-election=false"]);
    eventually("/readyz names the watch and the right", async || {
        let (status, text) = operator.get("/readyz").await?;
        let named = text.lines().any(|line| {
            line.starts_with("watch services: failing")
                && line.contains("cannot list resource \"services\"")
        });
        so(status == 503 && named, text)
    })
    .await;
    assert_eq!(
        operator.get("/livez").await.unwrap().0,
        200,
        "a restart would not help"
    );

    control_plane.install().await;
    operator.until_ready().await;
    Tenant::converged(client, "rights-watch", json!({})).await;
}

/// As after an update of the image alone, beside rights that somebody else looks after.
#[tokio::test]
async fn without_the_right_to_one_kind_the_others_go_on() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    take_away(&roles, "podmonitors").await;
    take_away(&roles, "prometheuses").await;
    let _operator = Operator::start(&control_plane, &["--leader-election=false"]);
    let tenant = Tenant::empty(client, "rights-kind").await;
    tenant
        .create("metrics", json!({"seldon": {"enabled": true}}))
        .await;
    tenant.until_there(&DEPLOYMENT).await;
    tenant.gateway_comes_up().await;
    let message = tenant
        .until_condition("metrics", "ServingScrapeConfigured", "False", "Refused")
        .await;
    assert!(
        message.contains("PodMonitor seldon") && message.contains("cannot create resource"),
        "{message}"
    );
    tenant
        .until_condition("metrics", "GatewayAvailable", "True", "GatewayAnswers")
        .await;
    let message = tenant
        .until_condition(
            "metrics",
            "ScrapeConfigured",
            "Unknown",
            "NoPrometheusFound",
        )
        .await;
    assert!(
        message.contains("cannot list resource \"prometheuses\""),
        "{message}"
    );

    control_plane.install().await;
    tenant.until_there(&POD_MONITOR).await;
    tenant
        .until_condition_says(
            "ScrapeConfigured",
            "this cluster has no Prometheus or PrometheusAgent object",
        )
        .await;
}

#[tokio::test]
async fn a_write_without_the_right_to_it_is_told_by_the_object_until_the_right_is_given() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let _operator = Operator::start_alone(&control_plane).await;
    take_away(&roles, "services").await;
    let tenant = Tenant::empty(client, "rights-write").await;
    tenant.create("metrics", json!({})).await;
    let message = tenant
        .until_condition("metrics", "GatewayAvailable", "False", "Refused")
        .await;
    assert!(
        message.contains("Service pushgateway") && message.contains("cannot create"),
        "{message}"
    );

    control_plane.install().await;
    tenant.until_there(&SERVICE).await;
    tenant
        .until_condition("metrics", "GatewayAvailable", "False", "GatewayStarting")
        .await;
}

/// No status can say it, so a metric and the log do.
#[tokio::test]
async fn without_the_right_to_statuses_metrics_say_so() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let operator = Operator::start_alone(&control_plane).await;
    take_away(&roles, "metricsnamespaces/status").await;
    let tenant = Tenant::empty(client, "rights-status").await;
    tenant.create("metrics", json!({})).await;
    for metric in [
        "simplepipe_tenants{condition=\"Ready\",status=\"Unknown\"}",
        "simplepipe_reconcile_errors_total{reason=\"status_not_written\"}",
    ] {
        eventually(metric, async || {
            let count = operator.metric(metric).await?;
            so(count >= 1.0, count)
        })
        .await;
    }
    control_plane.install().await;
    tenant.until_converged().await;
}

#[tokio::test]
async fn a_change_that_is_refused_leaves_standing_what_works_and_says_so() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let _operator = Operator::start_alone(&control_plane).await;
    let tenant = Tenant::converged(client, "rights-change", json!({})).await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "GatewayAvailable", "True", "GatewayAnswers")
        .await;
    take_away(&roles, "services").await;
    Damage::Edited.inflict(&tenant, &SERVICE).await;
    let message = tenant
        .until_condition("metrics", "Ready", "False", "Refused")
        .await;
    assert!(
        message.contains("a change of Service pushgateway, which stays as it was")
            && message.contains("cannot get"),
        "{message}"
    );
    let message = tenant
        .until_condition("metrics", "GatewayAvailable", "True", "GatewayAnswers")
        .await;
    assert!(message.contains("which stays as it was"), "{message}");
    control_plane.install().await;
    tenant
        .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
        .await;
}
