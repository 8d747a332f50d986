//! The kinds of child objects, and where the API serves them.

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

use crate::api::prometheus_operator;

/// A kind of child object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `v1` ServiceAccount.
    ServiceAccount,
    /// `v1` ConfigMap.
    ConfigMap,
    /// `v1` Service.
    Service,
    /// `apps/v1` Deployment.
    Deployment,
    /// `monitoring.coreos.com/v1` ServiceMonitor; served only where its CRD is installed.
    ServiceMonitor,
    /// `monitoring.coreos.com/v1` PodMonitor; served only where its CRD is installed.
    PodMonitor,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Service,
        Self::Deployment,
        Self::ServiceMonitor,
        Self::PodMonitor,
    ];

    /// The kind's name, as in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::Deployment => "Deployment",
            Self::ServiceMonitor => "ServiceMonitor",
            Self::PodMonitor => "PodMonitor",
        }
    }

    /// Its name in URLs and rights; also that of its watch.
    pub fn plural(self) -> &'static str {
        match self {
            Self::ServiceAccount => "serviceaccounts",
            Self::ConfigMap => "configmaps",
            Self::Service => "services",
            Self::Deployment => "deployments",
            Self::ServiceMonitor => "servicemonitors",
            Self::PodMonitor => "podmonitors",
        }
    }

    /// Whether a cluster may do without it.
    pub fn may_be_missing(self) -> bool {
        matches!(self, Self::ServiceMonitor | Self::PodMonitor)
    }

    /// Where the API serves it.
    pub fn api_resource(self) -> ApiResource {
        let group = match self {
            Self::ServiceAccount | Self::ConfigMap | Self::Service => "",
            Self::Deployment => "apps",
            Self::ServiceMonitor | Self::PodMonitor => prometheus_operator::GROUP,
        };
        ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(group, "v1", self.as_str()),
            self.plural(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_among_all_of_them() {
        // A new one does not compile until it has a place here.
        let place = |kind| match kind {
            Kind::ServiceAccount => 0,
            Kind::ConfigMap => 1,
            Kind::Service => 2,
            Kind::Deployment => 3,
            Kind::ServiceMonitor => 4,
            Kind::PodMonitor => 5,
        };
        assert_eq!(Kind::ALL.map(place), [0, 1, 2, 3, 4, 5]);
    }
}
