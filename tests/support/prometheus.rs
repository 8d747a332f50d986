//! Prometheus objects, without a Prometheus.

use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};

use crate::control_plane::OPERATOR_NAMESPACE;

/// Prometheus objects beside the operator.
pub fn prometheuses(client: &Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("monitoring.coreos.com", "v1", "Prometheus");
    let resource = ApiResource::from_gvk_with_plural(&kind, "prometheuses");
    Api::namespaced_with(client.clone(), OPERATOR_NAMESPACE, &resource)
}

/// Makes a Prometheus that selects monitors so, in every namespace.
pub async fn create_prometheus(client: &Client, name: &str, selector: Value) {
    let object = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": {"name": name},
        "spec": {
            "serviceMonitorSelector": selector, "serviceMonitorNamespaceSelector": {},
            "podMonitorSelector": selector, "podMonitorNamespaceSelector": {},
        },
    });
    let object = serde_json::from_value(object).unwrap();
    prometheuses(client)
        .create(&Default::default(), &object)
        .await
        .unwrap();
}
