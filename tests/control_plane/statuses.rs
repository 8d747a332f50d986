//! A status says what is so, whoever writes another, and whatever becomes of its own write.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Patch;
use serde_json::{Value, json};

use crate::eventually::{eventually, so, within};
use crate::fault_proxy::{Fault, FaultProxy, Requests, Rule, Verb};
use crate::operator::Operator;
use crate::stages::{exclusive, shared};
use crate::tenant::{Tenant, by};

/// A wrong status stands no longer.
const LONGEST: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_status_that_somebody_else_writes_is_made_true_again() {
    let shared = shared().await;
    let client = shared.control_plane.client().await;
    let tenant = Tenant::converged(client, "status-foreign", json!({})).await;
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "AllWorking")
        .await;
    let sound = essence(&tenant).await.unwrap();
    let other = |type_: &str| {
        json!({"type": type_, "status": "False", "reason": "Nonsense", "message": "by another",
               "lastTransitionTime": "2020-01-01T00:00:00Z", "observedGeneration": 1})
    };
    let mut all: Vec<Value> = sound
        .0
        .iter()
        .map(|c| other(c[0].as_str().unwrap()))
        .collect();
    all.push(other("DashboardPublishedElsewhere"));
    for (wrong, patch) in [
        ("Ready", json!({"conditions": [other("Ready")]})),
        ("all conditions", json!({"conditions": all})),
        ("none", json!({"conditions": []})),
        (
            "the rest",
            json!({"url": "http://elsewhere", "observedGeneration": 7, "gateway": null, "scrape": {"selectedBy": ["a/b"]}}),
        ),
        ("nothing at all", Value::Null),
    ] {
        let audit = shared.control_plane.audit().starting_now();
        let patch = Patch::Merge(json!({"status": patch}));
        tenant
            .objects()
            .patch_status("metrics", &by("kubectl-patch"), &patch)
            .await
            .unwrap();
        within(LONGEST, format!("true again, after {wrong}"), async || {
            let now = essence(&tenant).await?;
            so(now == sound, now)
        })
        .await;
        let mut writes = audit.operators_writes_in(&tenant.namespace);
        writes.retain(|request| request.resource() != "events");
        let writes: Vec<_> = writes.iter().map(|request| request.in_words()).collect();
        let once = "patch metricsnamespaces/metrics/status in status-foreign";
        assert_eq!(writes, [once], "after {wrong}");
    }
}

#[tokio::test]
async fn whatever_the_answer_to_a_status_is_it_becomes_true() {
    let control_plane = exclusive().await;
    let proxy = FaultProxy::before(&control_plane.operators_kubeconfig());
    let flags = ["--leader-election=false"];
    let operator = Operator::start_as(proxy.kubeconfig(), &control_plane, &flags);
    operator.until_ready().await;
    let errors = [400, 401, 403, 404, 408, 409, 410, 422, 500, 502, 503, 504].map(Fault::Answer);
    let losses = [
        Fault::TooManyRequests(1),
        Fault::Reset,
        Fault::LoseAnswer,
        Fault::Cut,
    ];
    let client = control_plane.client().await;
    join_all(
        errors
            .into_iter()
            .chain(losses)
            .enumerate()
            .map(async |(number, fault)| {
                let namespace = format!("status-fault-{number}");
                let statuses = || {
                    Requests::with(&[Verb::Patch])
                        .of("metricsnamespaces/status")
                        .in_namespace(&namespace)
                };
                let first = proxy.add(statuses().nth(1), fault);
                let tenant = Tenant::converged(client.clone(), &namespace, json!({})).await;
                tenant
                    .until_condition("metrics", "Ready", "False", "GatewayStarting")
                    .await;
                struck(&first, format!("{fault:?} of the first status")).await;
                // Just when all has come right: nothing else brings another look.
                let last = proxy.add(statuses().nth(1), fault);
                tenant.gateway_comes_up().await;
                tenant
                    .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
                    .await;
                struck(&last, format!("{fault:?} of the last status")).await;
            }),
    )
    .await;
}

#[tokio::test]
async fn a_status_is_true_while_the_watch_shows_an_older_one() {
    const WHY: &str = "no node has room";
    let control_plane = exclusive().await;
    let proxy = FaultProxy::before(&control_plane.operators_kubeconfig());
    let flags = ["--leader-election=false"];
    let operator = Operator::start_as(proxy.kubeconfig(), &control_plane, &flags);
    operator.until_ready().await;
    let client = control_plane.client().await;
    let tenant = Tenant::converged(client, "status-late", json!({})).await;
    tenant.gateway_goes_down(WHY).await;
    tenant.until_condition_says("GatewayAvailable", WHY).await;
    let down = essence(&tenant).await.unwrap();
    let late = proxy.add(Requests::watches().of("metricsnamespaces"), Fault::Silence);
    tenant.gateway_comes_up().await;
    tenant
        .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
        .await;
    // Conditions tell times in whole seconds.
    let up = ready(&tenant).await.last_transition_time.0;
    eventually("another second", async || {
        so(jiff::Timestamp::now().as_second() > up.as_second(), up)
    })
    .await;
    tenant.gateway_goes_down(WHY).await;
    within(LONGEST, "the status says that it is down", async || {
        let now = essence(&tenant).await?;
        so(now.0 == down.0, now)
    })
    .await;
    let again = ready(&tenant).await;
    assert!(again.last_transition_time.0 > up, "{again:?}");
    assert!(late.count() > 0);
}

/// Once. A fault that comes after its request was carried out may be counted when the status is seen already.
async fn struck(rule: &Rule, what: String) {
    eventually(what, async || so(rule.count() == 1, rule.count())).await;
}

async fn ready(tenant: &Tenant) -> Condition {
    let status = tenant
        .objects()
        .get("metrics")
        .await
        .unwrap()
        .status
        .unwrap();
    status
        .conditions
        .into_iter()
        .find(|c| c.type_ == "Ready")
        .unwrap()
}

/// A status without its times: its conditions, and the rest.
async fn essence(tenant: &Tenant) -> Result<(Vec<[Value; 4]>, Value), String> {
    let object = tenant
        .objects()
        .get("metrics")
        .await
        .map_err(|e| e.to_string())?;
    let mut status = json!(object.status);
    let conditions = status["conditions"].take();
    let conditions = conditions.as_array().into_iter().flatten();
    let parts = |c: &Value| ["type", "status", "reason", "message"].map(|part| c[part].clone());
    Ok((conditions.map(parts).collect(), status))
}
