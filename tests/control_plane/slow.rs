//! Writes that the API server keeps waiting, as for an admission webhook that hangs: who waits, and who does not.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::json;

use crate::child_names::{
    CLIENT_SETTINGS, DASHBOARD, DEPLOYMENT, SERVICE, SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use crate::eventually::{so, within};
use crate::operator::Operator;
use crate::stages::{exclusive, shared};
use crate::tenant::Tenant;
use crate::webhook::HangingWebhook;

/// Tenants whose writes hang: far more than the operator has places for.
const SLOW: usize = 200;
/// Less than one that waits for 200 hanging writes of 10 s each, eight at a time; on a busy machine a start takes long.
const FRESH_WITHIN: Duration = Duration::from_secs(30);
/// Tenants that the test makes at the same time.
const AT_ONCE: usize = 8;
/// Calls of a webhook that the operator may have waiting: what `lanes.rs` and `apply.rs` add up to, and the probe's.
const MOST_CALLS: usize = 8 + 32 + 24 * 3 + 2;

#[tokio::test]
async fn a_webhook_that_hangs_is_named_and_keeps_no_other_child_waiting() {
    let client = shared().await.control_plane.client().await;
    let webhook =
        HangingWebhook::register(client, "slow-child", &["deployments", "configmaps"]).await;
    let tenant = webhook.tenant("slow-child").await;
    tenant.create("metrics", json!({})).await;
    for child in [&SERVICE_ACCOUNT, &SERVICE, &SERVICE_MONITOR] {
        tenant.until_there(child).await;
    }
    // At once, and then as it ends.
    tenant
        .until_condition_says("GatewayAvailable", "has not answered yet")
        .await;
    for condition in [
        "GatewayAvailable",
        "ClientSettingsPublished",
        "DashboardPublished",
        "Ready",
    ] {
        tenant
            .until_condition_says(condition, &webhook.full_name())
            .await;
    }
    webhook.remove().await;
    for child in [&DEPLOYMENT, &CLIENT_SETTINGS, &DASHBOARD] {
        tenant.until_there(child).await;
    }
}

#[tokio::test]
async fn a_fresh_tenant_does_not_wait_for_slow_ones() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let operator = Operator::start_alone(&control_plane).await;
    let webhook = HangingWebhook::register(
        client.clone(),
        "slow-many",
        &["deployments", "services", "configmaps", "serviceaccounts"],
    )
    .await;
    let slow: Vec<Tenant> = stream::iter(0..SLOW)
        .map(async |number| {
            let tenant = webhook.tenant(&format!("slow-many-{number}")).await;
            tenant.create("metrics", json!({})).await;
            tenant
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let fresh = async |name: &str| {
        let tenant = Tenant::empty(client.clone(), name).await;
        tenant.create("metrics", json!({})).await;
        let began = Instant::now();
        let url = within(FRESH_WITHIN, format!("{name} is served"), async || {
            let status = tenant.objects().get("metrics").await.unwrap().status;
            status.and_then(|s| s.url).ok_or("no status".to_owned())
        })
        .await;
        tenant.until_converged().await;
        println!("{url} was served after {:?}", began.elapsed());
    };
    fresh("slow-fresh-first").await;
    for tenant in &slow {
        // Long enough for every one to have its turn.
        within(
            Duration::from_secs(180),
            "each slow one is told",
            async || {
                let status = tenant.objects().get("metrics").await.unwrap().status;
                so(status.is_some(), "no status")
            },
        )
        .await;
    }
    for name in ["slow-fresh-a", "slow-fresh-b", "slow-fresh-c"] {
        fresh(name).await;
    }
    let most = webhook.most_at_once();
    println!("{most} calls waited at once");
    assert!(most <= MOST_CALLS, "{most} calls waited at once");
    assert_eq!(operator.get("/livez").await.unwrap().0, 200);
    webhook.remove().await;
    for tenant in &slow {
        within(
            Duration::from_secs(180),
            "the slow ones are served",
            async || {
                let status = tenant.objects().get("metrics").await.unwrap().status;
                let ready =
                    status.and_then(|s| s.conditions.into_iter().find(|c| c.type_ == "Ready"));
                so(
                    ready
                        .as_ref()
                        .is_some_and(|r| r.reason == "GatewayStarting"),
                    ready,
                )
            },
        )
        .await;
    }
}
