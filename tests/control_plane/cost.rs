//! What a tenant costs the API server and etcd, held against figures that are committed here. One of them grows only
//! with a reason.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::audit::AuditLog;
use crate::child_names::{CLIENT_SETTINGS, DASHBOARD, children_of};
use crate::damage::Damage;
use crate::operator::Operator;
use crate::prometheus::create_prometheus;
use crate::stages::exclusive;
use crate::tenant::Tenant;

/// Their namespaces' names are of usual length, and equally long.
const TENANTS: usize = 20;
/// Requests a tenant, and in bytes what etcd keeps of it.
const COMMITTED: [(&str, f64); 9] = [
    ("writes until its children stand", 7.0),
    ("reads until its children stand", 0.0),
    ("writes from there until it is Ready", 1.0),
    ("reads from there until it is Ready", 0.0),
    ("writes where a child was deleted", 2.0),
    ("writes after a restart", 0.0),
    ("bytes of its children", 28_672.0),
    ("bytes of its dashboard's text", 12_288.0),
    ("bytes of its MetricsNamespace", 4_096.0),
];
/// So many requests a tenant more are no fault: two pieces of news that come just so cost two writes of a status, and
/// a watch starts anew.
const LEEWAY: f64 = 0.1;
const STOP: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_tenant_costs_no_more_than_is_committed() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    create_prometheus(&client, "k8s", json!({})).await;
    let operator = Operator::start_alone(&control_plane).await;
    let names = (0..TENANTS).map(|number| format!("cost-{number:07}"));
    let tenants =
        join_all(names.map(async |name| Tenant::empty(client.clone(), &name).await)).await;

    let log = control_plane.audit().starting_now();
    join_all(tenants.iter().map(|t| t.create("metrics", json!({})))).await;
    join_all(tenants.iter().map(Tenant::until_converged)).await;
    let [made_by_writes, made_by_reads] = requests(&log);

    let log = control_plane.audit().starting_now();
    join_all(tenants.iter().map(Tenant::gateway_comes_up)).await;
    let ready = |t| Tenant::until_condition(t, "metrics", "Ready", "True", "AllWorking");
    join_all(tenants.iter().map(ready)).await;
    let [ready_by_writes, ready_by_reads] = requests(&log);

    let mut children = 0;
    for child in children_of(&json!({})) {
        children += json!(tenants[0].child(child).await).to_string().len();
    }
    let dashboard = tenants[0].child(&DASHBOARD).await.data["data"].clone();
    let text = dashboard.as_object().unwrap().values().next().unwrap();
    let object = tenants[0].objects().get("metrics").await.unwrap();

    let log = control_plane.audit().starting_now();
    for tenant in &tenants {
        Damage::Deleted.inflict(tenant, &CLIENT_SETTINGS).await;
    }
    join_all(tenants.iter().map(|t| t.until_there(&CLIENT_SETTINGS))).await;
    // What it still has to say is in the log when it has ended.
    operator.terminate(STOP).await;
    let [healed_by_writes, _] = requests(&log);

    let log = control_plane.audit().starting_now();
    let operator = Operator::start_alone(&control_plane).await;
    operator.until_all_are_looked_at(TENANTS).await;
    operator.terminate(STOP).await;
    let [restarted_by_writes, _] = requests(&log);

    let found = [
        made_by_writes,
        made_by_reads,
        ready_by_writes,
        ready_by_reads,
        healed_by_writes,
        restarted_by_writes,
        children as f64,
        text.as_str().unwrap().len() as f64,
        json!(object).to_string().len() as f64,
    ];
    let mut grown = Vec::new();
    for ((what, committed), found) in COMMITTED.into_iter().zip(found) {
        println!("{what}: {found}, committed {committed}");
        if found > committed + LEEWAY {
            grown.push(format!("{what}: {found}, not {committed}"));
        }
    }
    assert_eq!(grown, [""; 0], "a tenant costs more than before");
}

/// Writes and reads of the operator for each tenant.
fn requests(log: &AuditLog) -> [f64; 2] {
    [log.operators_writes(), log.operators_reads()]
        .map(|requests| requests.len() as f64 / TENANTS as f64)
}
