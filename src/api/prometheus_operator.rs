//! The parts of the Prometheus Operator's API that Simplepipe writes (all of the fields that it sets of a
//! ServiceMonitor and a PodMonitor) and reads (what a Prometheus object selects). Names and meanings are those of
//! `monitoring.coreos.com/v1`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

/// The API group of the Prometheus Operator.
pub const GROUP: &str = "monitoring.coreos.com";

/// The oldest Prometheus Operator whose CRDs have every field that is set here: the youngest is `bodySizeLimit`.
pub const OLDEST: &str = "0.73";

/// `spec` of a ServiceMonitor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Services to scrape.
    pub selector: LabelSelector,
    /// Namespaces to look for them.
    pub namespace_selector: NamespaceSelector,
    /// Ports to scrape.
    pub endpoints: Vec<Endpoint>,
    /// What its scrapes may bring.
    #[serde(flatten)]
    pub limits: Limits,
}

/// `spec` of a PodMonitor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodMonitorSpec {
    /// Pods to scrape.
    pub selector: LabelSelector,
    /// Namespaces to look for them.
    pub namespace_selector: NamespaceSelector,
    /// Ports to scrape.
    pub pod_metrics_endpoints: Vec<Endpoint>,
    /// What its scrapes may bring.
    #[serde(flatten)]
    pub limits: Limits,
}

/// What the scrapes of a monitor may bring.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Targets at most.
    pub target_limit: i64,
    /// Samples of one scrape at most.
    pub sample_limit: i64,
    /// Labels of one sample at most.
    pub label_limit: i64,
    /// Bytes of a label's name at most.
    pub label_name_length_limit: i64,
    /// Bytes of a label's value at most.
    pub label_value_length_limit: i64,
    /// Size of an answer at most (`16MiB`).
    pub body_size_limit: String,
}

/// Namespaces that a monitor looks into.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Every namespace.
    pub any: bool,
    /// These namespaces.
    pub match_names: Vec<String>,
}

/// A port of what is selected, and how it is scraped.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the port.
    pub port: String,
    /// Path of the metrics.
    pub path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Time between two scrapes.
    pub interval: String,
    /// Time after which a scrape is given up.
    pub scrape_timeout: String,
    /// Labels of the scraped samples win over the target's.
    pub honor_labels: bool,
    /// Timestamps of the scraped samples are kept.
    pub honor_timestamps: bool,
    /// Whether an answer that points elsewhere is followed.
    pub follow_redirects: bool,
    /// What is done to targets before they are scraped, in order.
    pub relabelings: Vec<RelabelConfig>,
    /// What is done to samples before they are stored, in order.
    pub metric_relabelings: Vec<RelabelConfig>,
}

/// One step of relabelling.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelabelConfig {
    /// Labels whose values are matched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// What the values must match, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// The label that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    /// What is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// `replace`, `keep`, `drop`, `labeldrop`.
    pub action: String,
}

/// What of a Prometheus (or PrometheusAgent) object decides which monitors it uses.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrometheusSelectors {
    /// ServiceMonitors by label. Absent selects none; empty selects all.
    pub service_monitor_selector: Option<LabelSelector>,
    /// Namespaces by label. Absent: only the Prometheus object's own; empty: all.
    pub service_monitor_namespace_selector: Option<LabelSelector>,
    /// PodMonitors by label, likewise.
    pub pod_monitor_selector: Option<LabelSelector>,
    /// Their namespaces, likewise.
    pub pod_monitor_namespace_selector: Option<LabelSelector>,
}
