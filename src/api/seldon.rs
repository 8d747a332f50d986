//! The part of a `MetricsNamespace` that is about model servers.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{
    INTERVAL_RULE, INTERVAL_WORDS, LABEL_NAME_RULE, LABEL_NAME_WORDS, LABEL_VALUE_RULE,
    LABEL_VALUE_WORDS, label_value,
};

/// The model servers of this namespace. Prometheus scrapes their pods, with the labels and limits of `spec.scrape`.
/// Their metrics get this namespace's name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(cel)]
pub struct SeldonSpec {
    /// Whether they are scraped.
    #[serde(default)]
    pub enabled: bool,
    /// What serves the models. It decides which pods are scraped, and at which port and path.
    ///
    /// `CoreV1`: Seldon Core 1, pods labelled `app.kubernetes.io/managed-by: seldon-core`, ports `metrics`, path
    /// `/prometheus`.
    ///
    /// `CoreV2`: Seldon Core 2, pods labelled `app: seldon-server`, ports `metrics` and `server-metrics`, path `/metrics`.
    ///
    /// `KServe`: KServe on Knative, pods with a label `serving.kserve.io/inferenceservice`, port `http-usermetric`, path
    /// `/metrics`.
    #[serde(default)]
    pub kind: ModelServer,
    /// Labels of the pods that are scraped. Default: those that the kind puts on its pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = label_value()))]
    #[x_kube(
        validation = Rule::new(LABEL_NAME_RULE).message(LABEL_NAME_WORDS),
        validation = Rule::new(LABEL_VALUE_RULE).message(LABEL_VALUE_WORDS),
    )]
    pub selector: BTreeMap<String, String>,
    /// Name of the containers' port that has the metrics, not its number. Default: the kind's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') && self.matches('[a-z]') && !self.contains('--')")
        .message("expected the name of a port, like `metrics`, and not its number: lower-case letters and digits, at least one letter, and between them also single '-'"))]
    pub port: Option<String>,
    /// Path of the metrics. Default: the kind's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^/[A-Za-z0-9/._~-]*$')")
        .message("expected a path that begins with '/', like /metrics: letters, digits, '/', '.', '_', '~' and '-'"))]
    pub path: Option<String>,
    /// Time between two scrapes, like `30s` or `1m30s`. From `5s` to `1h`. Default: that of `spec.scrape`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new(INTERVAL_RULE).message(INTERVAL_WORDS))]
    pub interval: Option<String>,
    /// How much the model servers may bring at most. One scrape brings 4 MiB at most; the other limits are those of
    /// `spec.scrape`.
    #[serde(default)]
    pub limits: ServingLimits,
}

/// What serves the models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ModelServer {
    /// Seldon Core 1.
    #[default]
    CoreV1,
    /// Seldon Core 2.
    CoreV2,
    /// KServe on Knative.
    KServe,
}

/// How much the model servers may bring at most.
#[derive(JsonSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServingLimits {
    /// Number of ports that are scraped. If the kind has two ports for each pod, each of the two gets half of this number,
    /// but at least 1. If there are more ports than this, none is scraped.
    #[schemars(range(min = 1, max = 200))]
    pub targets: i64,
    /// Samples of one scrape of one port, after relabelling. Over the limit Prometheus takes nothing of that port.
    #[schemars(range(min = 100, max = 20_000))]
    pub samples: i64,
}

impl Default for ServingLimits {
    fn default() -> Self {
        Self {
            targets: 50,
            samples: 5000,
        }
    }
}
