//! What the operator reports on a `MetricsNamespace`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was applied and seen when the operator last looked.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsNamespaceStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the gateway answers, from any namespace of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What works and what does not. `Ready` is the summary: the gateway answers, and nothing that the operator sees keeps
    /// a Prometheus from scraping it. `Ready` is also True if the operator can see no Prometheus object
    /// (`NoPrometheusFound`). Only Prometheus knows whether a scrape succeeds.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The gateway, as it was applied and seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayStatus>,
    /// The scraping, as it was applied and seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape: Option<ScrapeStatus>,
}

/// The gateway, as it was applied and seen.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// The image that was applied last. A change that the API server refuses leaves it as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The operator's setting `gatewayImage`, where it is another now. The gateway gets it when its own settings change:
    /// not before, because a restart loses what was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer_image: Option<String>,
    /// The image that the gateway is to have, where the change could not be applied yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_image: Option<String>,
    /// Since when a gateway has answered without a break.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<Time>,
}

/// The scraping, as it was applied and seen.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScrapeStatus {
    /// Prometheus and PrometheusAgent objects whose selectors match, as `namespace/name`.
    pub selected_by: Vec<String>,
}
