//! Where nothing changed, nothing is written.

use std::time::Duration;

use futures::{StreamExt, stream};
use kube::api::Patch;
use serde_json::json;

use crate::child_names::{CLIENT_SETTINGS, SERVICE, everything};
use crate::damage::Damage;
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::{Tenant, by};

const TENANTS: usize = 50;
/// Tenants that the test makes at the same time.
const AT_ONCE: usize = 8;
const STOP: Duration = Duration::from_secs(15);

#[tokio::test]
async fn an_operator_that_restarts_over_converged_tenants_writes_nothing() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let operator = Operator::start_alone(&control_plane).await;
    let tenants: Vec<Tenant> = stream::iter(0..TENANTS)
        .map(async |number| {
            let tenant =
                Tenant::converged(client.clone(), &format!("quiet-{number}"), everything()).await;
            tenant.gateway_comes_up().await;
            tenant
                .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
                .await;
            tenant
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    // What was mended is known again in another way than what was only made.
    Damage::Emptied.inflict(&tenants[0], &SERVICE).await;
    tenants[0]
        .child_when(
            &SERVICE,
            "selector",
            |s| s.data["spec"]["selector"].is_object(),
            true,
        )
        .await;
    let (code, log) = operator.terminate(STOP).await;
    assert_eq!(code, Some(0), "{log}");

    let audit = control_plane.audit().starting_now();
    let operator = Operator::start_alone(&control_plane).await;
    operator.until_all_are_looked_at(TENANTS).await;
    let added = Patch::Merge(json!({"metadata": {"labels": {"team": "ml"}}}));
    for tenant in &tenants {
        tenant
            .api(&SERVICE)
            .patch("pushgateway", &by("kubectl-label"), &added)
            .await
            .unwrap();
    }
    // The operator's answer to this comes after any to what was before.
    let last = &tenants[TENANTS - 1];
    Damage::Deleted.inflict(last, &CLIENT_SETTINGS).await;
    last.until_there(&CLIENT_SETTINGS).await;
    let mut writes = audit.operators_writes();
    // Other tests' tenants may be here too.
    writes.retain(|r| r.namespace().starts_with("quiet-") && r.namespace() != last.namespace);
    let writes: Vec<_> = writes.iter().map(|r| r.in_words()).collect();
    assert_eq!(writes, [""; 0]);
}
