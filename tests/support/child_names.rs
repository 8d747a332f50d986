//! The children that a MetricsNamespace makes, by the names that users rely on.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

/// A child by its kind and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildName {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    pub name: &'static str,
}

const fn child(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    name: &'static str,
) -> ChildName {
    ChildName {
        group,
        kind,
        plural,
        name,
    }
}

pub const SERVICE_ACCOUNT: ChildName =
    child("", "ServiceAccount", "serviceaccounts", "pushgateway");
pub const DEPLOYMENT: ChildName = child("apps", "Deployment", "deployments", "pushgateway");
pub const SERVICE: ChildName = child("", "Service", "services", "pushgateway");
pub const SERVICE_MONITOR: ChildName = child(
    "monitoring.coreos.com",
    "ServiceMonitor",
    "servicemonitors",
    "pushgateway",
);
pub const POD_MONITOR: ChildName = child(
    "monitoring.coreos.com",
    "PodMonitor",
    "podmonitors",
    "seldon",
);
pub const CLIENT_SETTINGS: ChildName = child("", "ConfigMap", "configmaps", "simplepipe");
pub const DASHBOARD: ChildName = child("", "ConfigMap", "configmaps", "pushgateway-dashboard");
/// All that a MetricsNamespace can make.
pub const CHILDREN: [ChildName; 7] = [
    SERVICE_ACCOUNT,
    DEPLOYMENT,
    SERVICE,
    SERVICE_MONITOR,
    POD_MONITOR,
    CLIENT_SETTINGS,
    DASHBOARD,
];

/// A spec that asks for all of [`CHILDREN`].
pub fn everything() -> Value {
    json!({"seldon": {"enabled": true}})
}

/// What a MetricsNamespace with this spec makes.
pub fn children_of(spec: &Value) -> impl Iterator<Item = &'static ChildName> {
    let serves = spec["seldon"]["enabled"] == true;
    let shows = spec["dashboard"]["enabled"] != false;
    CHILDREN
        .iter()
        .filter(move |child| serves || **child != POD_MONITOR)
        .filter(move |child| shows || **child != DASHBOARD)
}

impl ChildName {
    pub fn api_resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, "v1", self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    /// As a message names it.
    pub fn in_words(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}
