//! Another image in the operator's settings restarts no gateway, because a restart loses what was pushed.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::child_names::DEPLOYMENT;
use crate::control_plane::ControlPlane;
use crate::damage::{Damage, essence};
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::Tenant;

const OLD: &str = "registry.example/pushgateway:v1";
const NEW: &str = "registry.example/pushgateway:v2";

async fn start(control_plane: &ControlPlane, image: &str) -> Operator {
    let flags = ["--leader-election=false", "--gateway-image", image];
    let operator = Operator::start(control_plane, &flags);
    operator.until_ready().await;
    operator
}

fn image(deployment: &DynamicObject) -> Value {
    deployment.data["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

async fn until_told(tenant: &Tenant, applied: &str, newer: Option<&str>) {
    eventually(
        format!("{} has {applied}, newer: {newer:?}", tenant.namespace),
        async || {
            let object = tenant.until_observed().await;
            let gateway = json!(object.status.unwrap().gateway);
            so(
                gateway["image"] == applied && gateway["newerImage"] == json!(newer),
                gateway,
            )
        },
    )
    .await;
}

async fn has(tenant: &Tenant, expected: &str) {
    tenant
        .child_when(&DEPLOYMENT, "image", image, json!(expected))
        .await;
}

#[tokio::test]
async fn another_image_in_the_settings_waits_until_a_gateways_own_settings_change() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let operator = start(&control_plane, OLD).await;
    let kept = Tenant::converged(client.clone(), "image-kept", json!({})).await;
    let spec = json!({"gateway": {"image": "registry.example/own:v1"}});
    let own = Tenant::converged(client.clone(), "image-own", spec).await;
    operator.kill();

    let _operator = start(&control_plane, NEW).await;
    until_told(&kept, OLD, Some(NEW)).await;
    let before = kept.child(&DEPLOYMENT).await;
    assert_eq!(image(&before), OLD);
    let fresh = Tenant::converged(client.clone(), "image-fresh", json!({})).await;
    has(&fresh, NEW).await;

    // What others do to it is no reason for another image.
    for damage in [
        Damage::Emptied,
        Damage::WithoutDigest,
        Damage::WithoutOurLabel,
        Damage::Deleted,
    ] {
        damage.inflict(&kept, &DEPLOYMENT).await;
        let what = format!("all of it, after {damage:?},");
        kept.child_when(&DEPLOYMENT, &what, essence, essence(&before))
            .await;
    }
    // Nor is what the object says of anything but its gateway.
    kept.change_spec(json!({"dashboard": {"folder": "Another"}}))
        .await;
    until_told(&kept, OLD, Some(NEW)).await;
    has(&kept, OLD).await;

    kept.change_spec(json!({"gateway": {"logLevel": "debug"}}))
        .await;
    has(&kept, NEW).await;
    until_told(&kept, NEW, None).await;
    own.change_spec(json!({"gateway": {"image": null}})).await;
    has(&own, NEW).await;
    until_told(&own, NEW, None).await;
}
