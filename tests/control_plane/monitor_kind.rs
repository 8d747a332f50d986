//! A cluster without ServiceMonitors or PodMonitors, and one that gets them, loses them and gets them again.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, PostParams};
use rstest::rstest;
use serde_json::{Value, json};

use crate::child_names::{CHILDREN, ChildName, POD_MONITOR, SERVICE_MONITOR, everything};
use crate::eventually::{eventually, so};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::Tenant;

#[rstest]
#[case::service_monitors(
    SERVICE_MONITOR,
    "ScrapeConfigured",
    "ServiceMonitorKindMissing",
    "ServingScrapeConfigured"
)]
#[case::pod_monitors(
    POD_MONITOR,
    "ServingScrapeConfigured",
    "PodMonitorKindMissing",
    "ScrapeConfigured"
)]
#[tokio::test]
async fn monitors_may_come_and_go_while_the_operator_runs(
    #[case] monitor: ChildName,
    #[case] condition: &str,
    #[case] reason: &str,
    #[case] other_condition: &str,
) {
    let plural = monitor.api_resource().plural;
    let crd = format!("{plural}.monitoring.coreos.com");
    let path = format!("/apis/monitoring.coreos.com/v1/{plural}");
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let uninstall = async || {
        crds.delete(&crd, &Default::default()).await.unwrap();
        control_plane.until_served(&path, false).await;
    };
    uninstall().await;
    let operator = Operator::start_alone(&control_plane).await;
    let tenant = Tenant::empty(client, &format!("monitor-kind-{plural}")).await;
    tenant.create("metrics", everything()).await;
    for child in CHILDREN.iter().filter(|child| **child != monitor) {
        tenant.until_there(child).await;
    }
    let until_missing = async || {
        let message = tenant
            .until_condition("metrics", condition, "False", reason)
            .await;
        assert!(message.contains(&crd), "{message}");
        let ready = tenant
            .until_condition("metrics", "Ready", "False", reason)
            .await;
        assert_eq!(ready, message);
        tenant
            .until_condition("metrics", other_condition, "Unknown", "NoPrometheusFound")
            .await;
    };
    tenant.gateway_comes_up().await;
    until_missing().await;
    let (status, text) = operator.get("/readyz").await.unwrap();
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains(&format!(
            "{plural}: ok: this cluster does not have the kind"
        )),
        "{text}"
    );

    control_plane.install().await;
    let first = tenant.until_there(&monitor).await;
    tenant
        .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
        .await;

    uninstall().await;
    until_missing().await;
    control_plane.install().await;
    let second = tenant.until_there(&monitor).await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    tenant
        .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
        .await;
}

/// Takes `bodySizeLimit` out of a monitor's CRD, as before Prometheus Operator 0.73, and waits until that is in force.
async fn make_older(client: &Client, namespace: &str, plural: &str) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("{plural}.monitoring.coreos.com");
    let mut crd = serde_json::to_value(crds.get(&name).await.unwrap()).unwrap();
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let fields = crd.pointer_mut(path).and_then(Value::as_object_mut);
    fields.unwrap().remove("bodySizeLimit").unwrap();
    let older = serde_json::from_value(crd).unwrap();
    crds.replace(&name, &PostParams::default(), &older)
        .await
        .unwrap();
    eventually(
        format!("the older CRD of {plural} is in force"),
        async || {
            let monitor = json!({
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": if plural == "podmonitors" { "PodMonitor" } else { "ServiceMonitor" },
                "metadata": {"name": "probe"},
                "spec": {"selector": {}, "endpoints": [], "bodySizeLimit": "1MiB"},
            });
            let url = format!("/apis/monitoring.coreos.com/v1/namespaces/{namespace}/{plural}");
            let request = http::Request::post(format!("{url}?dryRun=All&fieldValidation=Strict"))
                .header("Content-Type", "application/json")
                .body(serde_json::to_vec(&monitor).unwrap());
            let answer = client.request::<Value>(request.unwrap()).await;
            so(
                answer
                    .as_ref()
                    .is_err_and(|e| e.to_string().contains("spec.bodySizeLimit")),
                answer,
            )
        },
    )
    .await;
}

#[rstest]
#[case::service_monitors(SERVICE_MONITOR, "ScrapeConfigured")]
#[case::pod_monitors(POD_MONITOR, "ServingScrapeConfigured")]
#[tokio::test]
async fn monitors_that_are_too_old_are_told_with_the_version_to_have(
    #[case] monitor: ChildName,
    #[case] condition: &str,
) {
    let plural = monitor.api_resource().plural;
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let _operator = Operator::start_alone(&control_plane).await;
    let tenant = Tenant::empty(client.clone(), &format!("monitor-older-{plural}")).await;
    make_older(&client, &tenant.namespace, &plural).await;
    tenant.create("metrics", everything()).await;
    let message = tenant
        .until_condition("metrics", condition, "False", "Refused")
        .await;
    let advice = format!(
        "The CRD {plural}.monitoring.coreos.com is older than Prometheus Operator 0.73: install the CRDs of that version \
         or a later one"
    );
    assert!(
        message.contains("spec.bodySizeLimit") && message.ends_with(&advice),
        "{message}"
    );

    control_plane.install().await;
    tenant.until_there(&monitor).await;
    tenant
        .until_condition("metrics", condition, "Unknown", "NoPrometheusFound")
        .await;
}
