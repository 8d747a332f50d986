//! Somebody keeps changing a child back.

use std::time::Duration;

use kube::api::Patch;
use serde_json::json;

use crate::audit::Request;
use crate::child_names::{CLIENT_SETTINGS, DEPLOYMENT};
use crate::damage::Damage;
use crate::eventually::{so, within};
use crate::stages::shared;
use crate::tenant::{Tenant, by};

/// A fight is slowed down after a minute, and over after three.
const PATIENCE: Duration = Duration::from_secs(200);
/// Between two answers in a fight that lasts.
const EVERY: Duration = Duration::from_secs(30);
/// A fight is changed back this often.
const PAUSE: Duration = Duration::from_millis(500);

/// As a downscaler does it, without end.
async fn scale_down(tenant: &Tenant) {
    let deployments = tenant.api(&DEPLOYMENT);
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    let mut ticks = tokio::time::interval(PAUSE);
    loop {
        ticks.tick().await;
        deployments
            .patch(DEPLOYMENT.name, &by("kube-downscaler"), &none)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_fight_is_told_and_slowed_down_and_forgotten_when_it_ends() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let tenant = Tenant::converged(client, "contest-replicas", json!({})).await;
    let all = shared.control_plane.audit().starting_now();
    let slowly = async {
        let message = tenant
            .until_condition("metrics", "Contested", "True", "ChangedByOthers")
            .await;
        assert!(
            message.starts_with(
                "kube-downscaler keeps changing spec.replicas of Deployment pushgateway, at least 5 times"
            ),
            "{message}"
        );
        within(PATIENCE, "the operator slows down", async || {
            let object = tenant.objects().get("metrics").await.unwrap();
            let conditions = object.status.unwrap().conditions;
            so(
                conditions
                    .iter()
                    .any(|c| c.message.contains("only every 30 seconds")),
                conditions,
            )
        })
        .await;
        let audit = shared.control_plane.audit().starting_now();
        let answers = within(PATIENCE, "the operator answers slowly", async || {
            let mut writes = audit.operators_writes_in(&tenant.namespace);
            writes.retain(|w| w.resource() == "deployments" && !w.failed());
            so(writes.len() >= 2, writes.len())?;
            Ok(writes)
        })
        .await;
        assert_slow(&answers);
    };
    tokio::select! {
        () = scale_down(&tenant) => {}
        () = slowly => {}
    }
    within(
        PATIENCE,
        "the fight is over, and replicas is 1",
        async || {
            let object = tenant.objects().get("metrics").await.unwrap();
            let conditions = object.status.unwrap().conditions;
            let replicas = tenant.child(&DEPLOYMENT).await.data["spec"]["replicas"].clone();
            so(
                replicas == 1 && conditions.iter().all(|c| c.type_ != "Contested"),
                (replicas, conditions),
            )
        },
    )
    .await;
    let mut events = all.operators_writes_in(&tenant.namespace);
    events.retain(|write| write.resource() == "events");
    assert!(events.len() <= 10, "{} events", events.len());
}

#[tokio::test]
async fn a_child_that_is_deleted_again_and_again_is_told() {
    let client = shared().await.control_plane.client().await;
    let tenant = Tenant::converged(client, "contest-deleted", json!({})).await;
    for _ in 0..8 {
        Damage::Deleted.inflict(&tenant, &CLIENT_SETTINGS).await;
        tenant.until_there(&CLIENT_SETTINGS).await;
    }
    let message = tenant
        .until_condition("metrics", "Contested", "True", "ChangedByOthers")
        .await;
    assert!(
        message.starts_with("somebody keeps deleting ConfigMap simplepipe"),
        "{message}"
    );
}

fn assert_slow(answers: &[Request]) {
    let times: Vec<_> = answers.iter().map(|w| w.received).collect();
    for two in times.windows(2) {
        let pause = Duration::try_from(two[1].duration_since(two[0])).unwrap();
        // The first of both may have been sent a little late.
        assert!(pause >= EVERY - PAUSE * 2, "answers at {times:?}");
    }
}

/// As somebody does who wants to be seen as ready.
async fn write_another_status(tenant: &Tenant) {
    let another = Patch::Merge(json!({"status": {"url": "http://elsewhere"}}));
    let mut ticks = tokio::time::interval(PAUSE);
    loop {
        ticks.tick().await;
        tenant
            .objects()
            .patch_status("metrics", &by("kubectl-patch"), &another)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_fight_over_the_status_is_told_and_slowed_down_and_won_when_it_ends() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let tenant = Tenant::converged(client, "contest-status", json!({})).await;
    let slowly = async {
        within(PATIENCE, "the operator slows down", async || {
            let object = tenant.objects().get("metrics").await.unwrap();
            let conditions = object.status.unwrap().conditions;
            so(
                conditions.iter().any(|c| {
                    c.type_ == "Contested"
                        && c.message.starts_with("somebody keeps changing this status")
                        && c.message.contains("only every 30 seconds")
                }),
                conditions,
            )
        })
        .await;
        let audit = shared.control_plane.audit().starting_now();
        let answers = within(PATIENCE, "the operator answers slowly", async || {
            let writes = audit.operators_writes_in(&tenant.namespace);
            so(writes.len() >= 2, writes.len())?;
            Ok(writes)
        })
        .await;
        assert_slow(&answers);
    };
    tokio::select! {
        () = write_another_status(&tenant) => {}
        () = slowly => {}
    }
    within(
        PATIENCE,
        "the fight is over, and the status is true",
        async || {
            let status = tenant.objects().get("metrics").await.unwrap().status;
            let status = status.unwrap();
            so(
                status.url.as_deref() != Some("http://elsewhere")
                    && status.conditions.iter().all(|c| c.type_ != "Contested"),
                status,
            )
        },
    )
    .await;
}
