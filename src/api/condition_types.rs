//! What a condition may be called, and why it is what it is.

/// Conditions of a `MetricsNamespace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The summary: the gateway answers, and nothing that is seen keeps a Prometheus from scraping it. True also where no
    /// Prometheus object can be seen.
    Ready,
    /// The gateway answers.
    GatewayAvailable,
    /// A Prometheus is told to scrape the gateway.
    ScrapeConfigured,
    /// A Prometheus is told to scrape the model servers. Absent unless `spec.seldon.enabled` is true.
    ServingScrapeConfigured,
    /// The dashboard is there for Grafana's sidecar. Absent where `spec.dashboard.enabled` is false.
    DashboardPublished,
    /// Pods can read where the gateway is from the ConfigMap `simplepipe`.
    ClientSettingsPublished,
    /// `spec.paused` holds everything as it is. Absent otherwise.
    Paused,
    /// Somebody keeps changing a child, or the status, back. Absent otherwise.
    Contested,
}

impl ConditionType {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::GatewayAvailable,
        Self::ScrapeConfigured,
        Self::ServingScrapeConfigured,
        Self::DashboardPublished,
        Self::ClientSettingsPublished,
        Self::Paused,
        Self::Contested,
    ];

    /// As it stands in `status.conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::GatewayAvailable => "GatewayAvailable",
            Self::ScrapeConfigured => "ScrapeConfigured",
            Self::ServingScrapeConfigured => "ServingScrapeConfigured",
            Self::DashboardPublished => "DashboardPublished",
            Self::ClientSettingsPublished => "ClientSettingsPublished",
            Self::Paused => "Paused",
            Self::Contested => "Contested",
        }
    }
}

/// What a condition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody knows.
    Unknown,
}

impl ConditionStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    /// As it stands in `status.conditions[].status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Why a condition is what it is. `docs/conditions.md` says for each what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Everything works.
    AllWorking,
    /// The gateway's readiness probe succeeds.
    GatewayAnswers,
    /// The gateway answers, and a changed one that should replace it does not come up.
    GatewayRolloutStuck,
    /// The gateway was made or changed a moment ago.
    GatewayStarting,
    /// The gateway has no pod that is ready; the message has the pod's own words.
    GatewayNotReady,
    /// The operator may not, or can't, watch Deployments; the message says why.
    GatewayUnseen,
    /// The Deployment is not there.
    GatewayMissing,
    /// At least one Prometheus selects the monitor.
    Selected,
    /// There are Prometheus objects, and none selects the monitor.
    NotSelected,
    /// No Prometheus object can be seen, so who scrapes is not known.
    NoPrometheusFound,
    /// The cluster does not serve ServiceMonitors.
    ServiceMonitorKindMissing,
    /// The cluster does not serve PodMonitors.
    PodMonitorKindMissing,
    /// It is there, as wanted.
    Published,
    /// An object of the child's name is there that this operator did not make.
    NameTaken,
    /// The API server refused a child; the message has its words.
    Refused,
    /// The API server could not be asked; tried again by itself.
    ApiUnavailable,
    /// An older MetricsNamespace serves this namespace.
    NamespaceAlreadyServed,
    /// It is being deleted, and something holds it.
    BeingDeleted,
    /// The spec holds something that the schema should have refused.
    InvalidSpec,
    /// `spec.paused` is true.
    PausedBySpec,
    /// Others keep changing a child back; the message has who, which field, and how often.
    ChangedByOthers,
}

impl Reason {
    /// As it stands in `status.conditions[].reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllWorking => "AllWorking",
            Self::GatewayAnswers => "GatewayAnswers",
            Self::GatewayRolloutStuck => "GatewayRolloutStuck",
            Self::GatewayStarting => "GatewayStarting",
            Self::GatewayNotReady => "GatewayNotReady",
            Self::GatewayUnseen => "GatewayUnseen",
            Self::GatewayMissing => "GatewayMissing",
            Self::Selected => "Selected",
            Self::NotSelected => "NotSelected",
            Self::NoPrometheusFound => "NoPrometheusFound",
            Self::ServiceMonitorKindMissing => "ServiceMonitorKindMissing",
            Self::PodMonitorKindMissing => "PodMonitorKindMissing",
            Self::Published => "Published",
            Self::NameTaken => "NameTaken",
            Self::Refused => "Refused",
            Self::ApiUnavailable => "ApiUnavailable",
            Self::NamespaceAlreadyServed => "NamespaceAlreadyServed",
            Self::BeingDeleted => "BeingDeleted",
            Self::InvalidSpec => "InvalidSpec",
            Self::PausedBySpec => "PausedBySpec",
            Self::ChangedByOthers => "ChangedByOthers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_is_among_all_of_them() {
        // A new one does not compile until it has a place here.
        let place = |type_| match type_ {
            ConditionType::Ready => 0,
            ConditionType::GatewayAvailable => 1,
            ConditionType::ScrapeConfigured => 2,
            ConditionType::ServingScrapeConfigured => 3,
            ConditionType::DashboardPublished => 4,
            ConditionType::ClientSettingsPublished => 5,
            ConditionType::Paused => 6,
            ConditionType::Contested => 7,
        };
        assert_eq!(ConditionType::ALL.map(place), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
