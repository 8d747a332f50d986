//! A cluster without ServiceMonitors, and one that gets them, loses them and gets them again.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use serde_json::json;

use crate::child_names::{CHILDREN, SERVICE_MONITOR};
use crate::operator::Operator;
use crate::stages::exclusive;
use crate::tenant::Tenant;

const PATH: &str = "/apis/monitoring.coreos.com/v1/servicemonitors";

#[tokio::test]
async fn service_monitors_may_come_and_go_while_the_operator_runs() {
    let control_plane = exclusive().await;
    let client = control_plane.client().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let uninstall = async || {
        crds.delete("servicemonitors.monitoring.coreos.com", &Default::default())
            .await
            .unwrap();
        control_plane.until_served(PATH, false).await;
    };
    uninstall().await;
    let operator = Operator::start_alone(&control_plane).await;
    let tenant = Tenant::empty(client, "monitor-kind").await;
    tenant.create("metrics", json!({})).await;
    for child in CHILDREN.iter().filter(|child| **child != SERVICE_MONITOR) {
        tenant.until_there(child).await;
    }
    let until_missing = async || {
        let reason = "ServiceMonitorKindMissing";
        let message = tenant
            .until_condition("metrics", "ScrapeConfigured", "False", reason)
            .await;
        assert!(
            message.contains("servicemonitors.monitoring.coreos.com"),
            "{message}"
        );
        tenant
            .until_condition("metrics", "Ready", "False", reason)
            .await;
    };
    tenant.gateway_comes_up().await;
    until_missing().await;
    let (status, text) = operator.get("/readyz").await.unwrap();
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("servicemonitors: ok: this cluster does not have the kind"),
        "{text}"
    );

    control_plane.install().await;
    let first = tenant.until_there(&SERVICE_MONITOR).await;
    tenant
        .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
        .await;

    uninstall().await;
    until_missing().await;
    control_plane.install().await;
    let second = tenant.until_there(&SERVICE_MONITOR).await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    tenant
        .until_condition("metrics", "Ready", "True", "NoPrometheusFound")
        .await;
}
