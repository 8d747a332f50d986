//! The children that a MetricsNamespace makes, by the names that users rely on.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

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
pub const CLIENT_SETTINGS: ChildName = child("", "ConfigMap", "configmaps", "simplepipe");
pub const DASHBOARD: ChildName = child("", "ConfigMap", "configmaps", "pushgateway-dashboard");
/// All that a MetricsNamespace makes.
pub const CHILDREN: [ChildName; 6] = [
    SERVICE_ACCOUNT,
    DEPLOYMENT,
    SERVICE,
    SERVICE_MONITOR,
    CLIENT_SETTINGS,
    DASHBOARD,
];

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
