//! The tenant's dashboard, as a ConfigMap that Grafana's sidecar collects.

use std::borrow::Cow;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::api::metrics_namespace::DashboardSpec;
use crate::api::names;
use crate::operator::plan::Plan;

use super::{common_labels, metadata};

const TEMPLATE: &str = include_str!("../../../dashboards/tenant.json");
/// Panels, by themselves, that only tenants with model servers have: for all others they would be empty for ever.
const MODEL_SERVERS: &str = include_str!("../../../dashboards/model-servers.json");
/// Grafana refuses a longer UID.
const UID_LENGTH: usize = 40;

pub fn build(plan: &Plan, dashboard: &DashboardSpec) -> ConfigMap {
    let namespace = &plan.namespace;
    let mut labels = common_labels();
    labels.insert("grafana_dashboard".into(), "1".into());
    let mut metadata = metadata(plan, names::DASHBOARD, labels);
    metadata.annotations = Some([("grafana_folder".into(), dashboard.folder.clone())].into());
    ConfigMap {
        metadata,
        // The sidecar writes all dashboards into one directory, so the key must be the namespace's own.
        data: Some(
            [(
                format!("simplepipe-{namespace}.json"),
                template(plan)
                    .replace("@NAMESPACE@", namespace)
                    .replace("@UID@", &uid(namespace)),
            )]
            .into(),
        ),
        ..ConfigMap::default()
    }
}

fn template(plan: &Plan) -> Cow<'static, str> {
    static WITH_MODEL_SERVERS: LazyLock<String> =
        LazyLock::new(|| with_panels(TEMPLATE, MODEL_SERVERS));
    match plan.model_servers {
        // To the letter, so that nothing is written to a tenant without.
        None => TEMPLATE.into(),
        Some(_) => WITH_MODEL_SERVERS.as_str().into(),
    }
}

/// A dashboard with further panels below its own.
fn with_panels(dashboard: &str, panels: &str) -> String {
    // Both are files of ours that tests read.
    let mut dashboard: Value = serde_json::from_str(dashboard).unwrap_or_default();
    let mut further: Vec<Value> = serde_json::from_str(panels).unwrap_or_default();
    if let Some(panels) = dashboard["panels"].as_array_mut() {
        let line = |panel: &Value, side| panel["gridPos"][side].as_u64().unwrap_or_default();
        let bottom = panels
            .iter()
            .map(|panel| line(panel, "y") + line(panel, "h"))
            .max()
            .unwrap_or_default();
        for panel in &mut further {
            panel["gridPos"]["y"] = json!(bottom + line(panel, "y"));
        }
        panels.append(&mut further);
    }
    format!("{dashboard:#}\n")
}

/// A dashboard UID of the namespace's own, readable where the name is short enough.
fn uid(namespace: &str) -> String {
    let readable = format!("simplepipe-{namespace}");
    if readable.len() <= UID_LENGTH {
        return readable;
    }
    let mut short = format!("simplepipe-{:x}", Sha256::digest(namespace));
    short.truncate(UID_LENGTH);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::plan::fixtures;

    #[test]
    fn model_servers_have_panels_below_all_others() {
        let panels = |text: &str| -> Vec<Value> {
            let dashboard: Value = serde_json::from_str(text).unwrap();
            dashboard["panels"].as_array().unwrap().clone()
        };
        let usual = panels(&template(&fixtures::alice()));
        let more = panels(&template(&fixtures::carol()));
        let titles = |panels: &[Value]| -> Vec<String> {
            panels.iter().map(|p| p["title"].to_string()).collect()
        };
        let row: Vec<Value> = serde_json::from_str(MODEL_SERVERS).unwrap();
        assert_eq!(more[..usual.len()], usual);
        assert_eq!(titles(&more[usual.len()..]), titles(&row));
        let bottom = usual
            .iter()
            .map(|p| p["gridPos"]["y"].as_u64().unwrap() + p["gridPos"]["h"].as_u64().unwrap())
            .max();
        assert_eq!(more[usual.len()]["gridPos"]["y"].as_u64(), bottom);
    }

    #[test]
    fn uids_of_long_names_are_short_and_differ() {
        let (a, b) = ("a".repeat(63), format!("{}b", "a".repeat(62)));
        assert_eq!(uid("alice"), "simplepipe-alice");
        assert_eq!(uid(&a).len(), UID_LENGTH);
        assert_ne!(uid(&a), uid(&b));
    }
}
