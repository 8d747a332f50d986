//! A cluster without ServiceMonitors or PodMonitors, and one that gets them, loses them and gets them again.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use rstest::rstest;

use crate::child_names::{CHILDREN, ChildName, POD_MONITOR, SERVICE_MONITOR, everything};
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
