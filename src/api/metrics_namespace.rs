//! `MetricsNamespace`: one object that gives its namespace a Pushgateway which Prometheus scrapes.

// The lint takes the keys of one printer column for those of the next.
#![allow(clippy::duplicated_attributes)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quantity::Quantity;
use super::schema::{
    INTERVAL_RULE, INTERVAL_WORDS, LABEL_NAME_RULE, LABEL_NAME_WORDS, LABEL_VALUE_RULE,
    LABEL_VALUE_WORDS, TIMEOUT_RULE, TIMEOUT_WITHIN_INTERVAL_RULE, TIMEOUT_WORDS, label_value,
    rule, short_lists,
};
use super::seldon::SeldonSpec;
use super::status::MetricsNamespaceStatus;

/// Asks for a Pushgateway in this namespace. Prometheus scrapes it, and its metrics get this namespace's name.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "simplepipe.dev",
    version = "v1alpha1",
    kind = "MetricsNamespace",
    plural = "metricsnamespaces",
    shortname = "mns",
    category = "simplepipe",
    namespaced,
    status = "MetricsNamespaceStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A MetricsNamespace gives its namespace a Pushgateway that Prometheus scrapes, so that whatever ends before a scrape can push its metrics to `http://pushgateway:9091`.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the gateway answers, and nothing that the operator sees keeps a Prometheus from scraping it"
    ),
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".status.url",
        description = "Where the gateway answers, from any namespace"
    ),
    printcolumn(
        name = "Scraped by",
        type_ = "string",
        json_path = ".status.scrape.selectedBy[*]",
        description = "Prometheus objects that select this namespace's ServiceMonitor"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(
        name = "Interval",
        type_ = "string",
        json_path = ".spec.scrape.interval",
        priority = 1
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".status.gateway.image",
        priority = 1
    ),
    printcolumn(
        name = "Paused",
        type_ = "boolean",
        json_path = ".spec.paused",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(cel)]
pub struct MetricsNamespaceSpec {
    /// Leave every child as it is. Nothing is created, changed, repaired or removed until this is false again.
    #[serde(default)]
    pub paused: bool,
    /// The Pushgateway. It holds what was pushed in memory, so a new pod begins with nothing. The pod is replaced after
    /// a change of a field here or of the operator's settings for gateways, a node's drain, an eviction or a crash.
    #[serde(default)]
    pub gateway: GatewaySpec,
    /// How Prometheus scrapes the gateway.
    #[serde(default)]
    pub scrape: ScrapeSpec,
    /// The Grafana dashboard of this namespace.
    #[serde(default)]
    pub dashboard: DashboardSpec,
    /// The model servers of this namespace: Seldon Core, or KServe.
    #[serde(default)]
    pub seldon: SeldonSpec,
}

impl MetricsNamespace {
    /// Whether the operator has served the spec as it is now.
    pub fn was_served(&self) -> bool {
        let status = self.status.as_ref();
        status.is_some_and(|s| s.observed_generation == self.metadata.generation)
    }
}

/// The Pushgateway's image, log, resources and placement.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(cel)]
pub struct GatewaySpec {
    /// Image of the Pushgateway. Default: the operator's setting `gatewayImage`, as it was when the gateway was made or
    /// its own settings last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._:/@-]*$')")
        .message("expected an image, like quay.io/prometheus/pushgateway:v1.11.3"))]
    pub image: Option<String>,
    /// The least severe level that the gateway logs.
    #[serde(default)]
    pub log_level: LogLevel,
    /// CPU, memory and scratch space of the gateway's container.
    #[serde(default)]
    pub resources: Resources,
    /// Labels that a node must have for the gateway to run there. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = label_value()))]
    #[x_kube(
        validation = Rule::new(LABEL_NAME_RULE).message(LABEL_NAME_WORDS),
        validation = Rule::new(LABEL_VALUE_RULE).message(LABEL_VALUE_WORDS),
    )]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the gateway tolerates. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Where the gateway may or should be scheduled. At most 32 entries in each list. Default: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = short_lists)]
    pub affinity: Option<Affinity>,
    /// PriorityClass of the gateway's pod. Default: the cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("expected the name of a PriorityClass: lower-case letters and digits, and between them also '-' and '.'"))]
    pub priority_class_name: Option<String>,
}

/// Levels of the gateway's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What may become a problem.
    Warn,
    /// What failed.
    Error,
}

impl LogLevel {
    /// The word that the gateway's `--log.level` takes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What the gateway's container asks for, and may use at most.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    cel,
    validation = Rule::new("!has(self.requests.cpu) || !has(self.limits.cpu) || !isQuantity(string(self.requests.cpu)) || !isQuantity(string(self.limits.cpu)) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0")
        .message("requests.cpu must not be more than limits.cpu (where `requests` is not given, requests.cpu is 10m): set requests.cpu and limits.cpu"),
    validation = Rule::new("!has(self.requests.memory) || !has(self.limits.memory) || !isQuantity(string(self.requests.memory)) || !isQuantity(string(self.limits.memory)) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0")
        .message("requests.memory must not be more than limits.memory (where `requests` is not given, requests.memory is 32Mi, and where `limits` is not given, limits.memory is 128Mi): set requests.memory and limits.memory"),
    validation = Rule::new("!has(self.limits.memory) || !isQuantity(string(self.limits.memory)) || quantity(string(self.limits.memory)).compareTo(quantity('16Mi')) >= 0")
        .message("limits.memory must be at least 16Mi: the gateway does not start with less"),
)]
pub struct Resources {
    /// What is set aside for the gateway. Default: `{cpu: 10m, memory: 32Mi}`. If this field is given, the whole
    /// default is gone.
    #[serde(default = "default_requests")]
    pub requests: ResourceList,
    /// What the gateway may use at most. Above its memory limit it is killed, and what was pushed is lost. Default:
    /// `{memory: 128Mi}`. If this field is given, the whole default is gone.
    #[serde(default = "default_limits")]
    pub limits: ResourceList,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            requests: default_requests(),
            limits: default_limits(),
        }
    }
}

fn default_requests() -> ResourceList {
    ResourceList {
        cpu: Some("10m".into()),
        memory: Some("32Mi".into()),
        ephemeral_storage: None,
    }
}

fn default_limits() -> ResourceList {
    ResourceList {
        memory: Some("128Mi".into()),
        ..ResourceList::default()
    }
}

/// Amounts by resource. A resource that is left out is not set.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ResourceList {
    /// CPU, in cores, like `1` or `10m`. Default: not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory, in bytes, like `128Mi`; a limit is at least `16Mi`. Default: not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// Scratch space on the node, in bytes, like `64Mi`. Default: not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<Quantity>,
}

/// How Prometheus scrapes the gateway.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    cel,
    validation = Rule::new(TIMEOUT_WITHIN_INTERVAL_RULE)
        .message("timeout must not be longer than interval (which is 30s where it is not given): set timeout and interval")
        .field_path(".timeout"),
)]
pub struct ScrapeSpec {
    /// Time between two scrapes, in hours, minutes and seconds like `30s` or `1m30s`. From `5s` to `1h`.
    #[serde(default = "default_interval")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(INTERVAL_RULE).message(INTERVAL_WORDS))]
    pub interval: String,
    /// Time after which a scrape is given up, like `10s`. From `1s` to the interval. Default: `10s`, or the interval if
    /// that is shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(TIMEOUT_RULE).message(TIMEOUT_WORDS))]
    pub timeout: Option<String>,
    /// Further labels on the ServiceMonitor, and on the PodMonitor of `spec.seldon`, for a Prometheus that selects by
    /// label (kube-prometheus-stack wants `release: <its release>`). The operator's own labels can't be set here.
    /// Default: the operator's setting `serviceMonitorLabels` alone.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = label_value()))]
    #[x_kube(
        validation = Rule::new(LABEL_NAME_RULE).message(LABEL_NAME_WORDS),
        validation = Rule::new(LABEL_VALUE_RULE).message(LABEL_VALUE_WORDS),
        validation = Rule::new("self.all(k, !k.startsWith('app.kubernetes.io/') && !k.startsWith('simplepipe.dev/'))")
            .message("labels under app.kubernetes.io/ and simplepipe.dev/ are the operator's own"),
    )]
    pub labels: BTreeMap<String, String>,
    /// What one scrape may bring at most. Above any of these limits the scrape fails. Prometheus then takes nothing of
    /// the whole namespace until the gateway holds less or the limit is raised.
    #[serde(default)]
    pub limits: ScrapeLimits,
}

impl Default for ScrapeSpec {
    fn default() -> Self {
        Self {
            interval: default_interval(),
            timeout: None,
            labels: BTreeMap::new(),
            limits: ScrapeLimits::default(),
        }
    }
}

fn default_interval() -> String {
    "30s".into()
}

/// What one scrape may bring at most.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScrapeLimits {
    /// Samples in all, after relabelling.
    #[schemars(range(min = 100, max = 200_000))]
    pub samples: i64,
    /// Labels of one sample, including those that Prometheus adds.
    #[schemars(range(min = 10, max = 200))]
    pub labels: i64,
    /// Length of a label's name, in bytes.
    #[schemars(range(min = 32, max = 1024))]
    pub label_name_length: i64,
    /// Length of a label's value, in bytes.
    #[schemars(range(min = 128, max = 16_384))]
    pub label_value_length: i64,
    /// Size of the uncompressed answer, with the unit `Ki` or `Mi`. From `1Ki` to `64Mi`.
    #[schemars(
        length(max = 8),
        extend("x-kubernetes-validations" = rule(
            "self.matches('^[1-9][0-9]{0,4}(Ki|Mi)$') && quantity(self).compareTo(quantity('64Mi')) <= 0",
            "expected a size from 1Ki to 64Mi with the unit Ki or Mi, like 512Ki or 16Mi",
        ))
    )]
    pub body_size: String,
}

impl Default for ScrapeLimits {
    fn default() -> Self {
        Self {
            samples: 50_000,
            labels: 30,
            label_name_length: 128,
            label_value_length: 1024,
            body_size: "16Mi".into(),
        }
    }
}

/// The Grafana dashboard of this namespace, as a ConfigMap for Grafana's sidecar.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DashboardSpec {
    /// Whether the dashboard is made.
    pub enabled: bool,
    /// Grafana folder of the dashboard, if the sidecar is set up for folders (`folderAnnotation: grafana_folder`).
    // The sidecar makes a directory of this name: no slash and no leading dot.
    #[schemars(
        length(min = 1, max = 63),
        extend("x-kubernetes-validations" = rule(
            "self.matches('^[A-Za-z0-9]([A-Za-z0-9 _.-]*[A-Za-z0-9])?$')",
            "expected a name like `Data science`: letters and digits, and between them also spaces, '-', '_' and '.'",
        ))
    )]
    pub folder: String,
}

impl Default for DashboardSpec {
    fn default() -> Self {
        Self {
            enabled: true,
            folder: "Tenants".into(),
        }
    }
}
