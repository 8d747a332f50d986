//! The kinds of child objects, and where the API serves them.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use kube::api::ApiResource;
use kube::core::GroupVersionKind;
use serde::Serialize;

use crate::api::condition_types::Reason;
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

/// What is so of a kind.
struct Facts {
    name: &'static str,
    plural: &'static str,
    group: &'static str,
    monitor: Option<Monitor>,
}

/// A type of objects of one kind.
pub trait Typed: Serialize {
    const KIND: Kind;

    fn name(&self) -> Option<&str>;
}

/// For types whose names are those of their kinds.
macro_rules! typed {
    ($($kind:ident)*) => {$(
        impl $crate::operator::kind::Typed for $kind {
            const KIND: $crate::operator::kind::Kind = $crate::operator::kind::Kind::$kind;

            fn name(&self) -> Option<&str> {
                self.metadata.name.as_deref()
            }
        }
    )*};
}

pub(super) use typed;

typed!(ServiceAccount ConfigMap Service Deployment);

/// What a kind of the Prometheus Operator's has scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitor {
    /// Pods behind a Service: the gateway's.
    Services,
    /// Pods by themselves: the model servers'.
    Pods,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::ServiceAccount,
        Self::ConfigMap,
        Self::Service,
        Self::Deployment,
        Self::ServiceMonitor,
        Self::PodMonitor,
    ];

    /// All that is so of this kind alone. `ownership` has its atomic fields beside it.
    fn facts(self) -> Facts {
        let of_kubernetes = |group, name, plural| Facts {
            name,
            plural,
            group,
            monitor: None,
        };
        let monitor = |monitor, name, plural| Facts {
            name,
            plural,
            group: prometheus_operator::GROUP,
            monitor: Some(monitor),
        };
        match self {
            Self::ServiceAccount => of_kubernetes("", "ServiceAccount", "serviceaccounts"),
            Self::ConfigMap => of_kubernetes("", "ConfigMap", "configmaps"),
            Self::Service => of_kubernetes("", "Service", "services"),
            Self::Deployment => of_kubernetes("apps", "Deployment", "deployments"),
            Self::ServiceMonitor => monitor(Monitor::Services, "ServiceMonitor", "servicemonitors"),
            Self::PodMonitor => monitor(Monitor::Pods, "PodMonitor", "podmonitors"),
        }
    }

    /// The kind's name, as in a manifest.
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// Its name in URLs and rights; also that of its watch.
    pub fn plural(self) -> &'static str {
        self.facts().plural
    }

    /// What it has scraped; `None` where it is no monitor. A cluster may do without monitors, and without nothing else.
    pub fn monitor(self) -> Option<Monitor> {
        self.facts().monitor
    }

    /// Whether it makes pods: of such, more than metadata is looked at.
    pub fn makes_pods(self) -> bool {
        self == Self::Deployment
    }

    /// Where the API serves it.
    pub fn api_resource(self) -> ApiResource {
        let Facts {
            name,
            plural,
            group,
            ..
        } = self.facts();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", name), plural)
    }
}

impl Monitor {
    /// The kind of such monitors.
    pub fn kind(self) -> Kind {
        match self {
            Self::Services => Kind::ServiceMonitor,
            Self::Pods => Kind::PodMonitor,
        }
    }

    /// The reason where the cluster does not have this kind.
    pub fn missing(self) -> Reason {
        match self {
            Self::Services => Reason::ServiceMonitorKindMissing,
            Self::Pods => Reason::PodMonitorKindMissing,
        }
    }

    /// Whom it has scraped, in words.
    pub fn whom(self) -> &'static str {
        match self {
            Self::Services => "the gateway",
            Self::Pods => "the model servers",
        }
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

    #[test]
    fn a_monitor_and_its_kind_name_each_other() {
        for kind in Kind::ALL {
            assert!(kind.monitor().is_none_or(|monitor| monitor.kind() == kind));
        }
    }
}
