//! The operator is restarted, as a Deployment's rollout does it: the next is there before the old one is asked to end.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::Tenant;

const RESTARTS: usize = 4;
/// Well below the Lease's duration, so that who leads by then did not wait for its end.
const SOON: SignedDuration = SignedDuration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn after_a_restart_the_next_operator_works_at_once_and_nothing_is_lost() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let audit = control_plane.audit().starting_now();
    let start = async |number: usize| {
        let token = control_plane.token(&format!("rollout-{number}")).await;
        let identity = format!("rollout-{number}");
        let flags = ["--identity", identity.as_str()];
        let operator = Operator::start_as(&token.kubeconfig, &control_plane, &flags);
        (operator, token.id)
    };
    let (mut operator, mut token) = start(0).await;
    operator.until_leading(PATIENCE).await;
    let mut tenants = Vec::new();
    for number in 1..=RESTARTS {
        let name = format!("rollout-before-{number}");
        let before = Tenant::converged(client.clone(), &name, json!({})).await;
        let (next, next_token) = start(number).await;
        next.until_ready().await;

        // What is changed and made while nobody may work yet, or no longer.
        let during = async {
            before
                .change_spec(json!({"scrape": {"interval": "17s"}}))
                .await;
            let name = format!("rollout-during-{number}");
            let tenant = Tenant::empty(client.clone(), &name).await;
            tenant.create("metrics", json!({})).await;
            tenant
        };
        let ((code, log), during) = tokio::join!(operator.terminate(PATIENCE), during);
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("had not ended"), "no time to drain: {log}");
        next.until_leading(PATIENCE).await;

        let of_the_lease = |token: &str| {
            let mut writes = audit.writes_with(token);
            writes.retain(|write| write.resource() == "leases" && !write.failed());
            writes
        };
        let released = of_the_lease(&token).last().unwrap().received;
        let taken = of_the_lease(&next_token).first().unwrap().received;
        let took = taken.duration_since(released);
        println!("restart {number}: the Lease was taken {took:#} after its release");
        assert!(
            took < SOON,
            "the Lease was taken {took:#} after its release"
        );
        let last = audit.writes_with(&token).pop().unwrap();
        assert_eq!(last.resource(), "leases", "written after the release");
        tenants.extend([before, during]);
        (operator, token) = (next, next_token);
    }
    for tenant in &tenants {
        tenant.until_converged().await;
        tenant.until_observed().await;
    }
    operator.terminate(PATIENCE).await;
}
