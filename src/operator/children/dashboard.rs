//! The tenant's dashboard, as a ConfigMap that Grafana's sidecar collects.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::api::condition_types::ConditionType;
use crate::api::metrics_namespace::DashboardSpec;
use crate::api::names;
use crate::operator::plan::Plan;

use super::labels::common_labels;
use super::{Built, built, metadata};

// Made from dashboards/ by build.rs.
const TENANT: &str = include_str!(concat!(env!("OUT_DIR"), "/tenant.json"));
/// With panels that only tenants with model servers have: for all others they would be empty for ever.
const WITH_MODEL_SERVERS: &str =
    include_str!(concat!(env!("OUT_DIR"), "/tenant-with-model-servers.json"));
/// Grafana refuses a longer UID.
const UID_LENGTH: usize = 40;

pub fn child(plan: &Plan) -> Built {
    match &plan.dashboard {
        Some(dashboard) => built(ConditionType::DashboardPublished, &build(plan, dashboard)),
        None => Ok(None),
    }
}

fn build(plan: &Plan, dashboard: &DashboardSpec) -> ConfigMap {
    let namespace = &plan.namespace;
    let mut labels = common_labels();
    labels.insert("grafana_dashboard".into(), "1".into());
    let mut metadata = metadata(plan, names::DASHBOARD, labels);
    metadata.annotations = Some([("grafana_folder".into(), dashboard.folder.clone())].into());
    ConfigMap {
        metadata,
        // The sidecar writes all dashboards into one directory, so the key must be the namespace's own.
        data: Some([(format!("simplepipe-{namespace}.json"), text(plan))].into()),
        ..ConfigMap::default()
    }
}

fn text(plan: &Plan) -> String {
    let template = match plan.model_servers {
        None => TENANT,
        Some(_) => WITH_MODEL_SERVERS,
    };
    let limit = plan.scrape.limits.samples.to_string();
    template
        // A number, which the template can only say as a string.
        .replace("\"@SAMPLE_LIMIT@\"", &limit)
        .replace("@UID@", &in_json(&uid(&plan.namespace)))
        .replace("@NAMESPACE@", &in_json(&plan.namespace))
}

/// The same text as it stands between the quotes of a JSON string.
fn in_json(text: &str) -> String {
    let quoted = json!(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
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
    use serde_json::Value;

    use super::*;
    use crate::operator::plan::fixtures;

    /// What every tenant's dashboard may cost etcd and the API server.
    const MOST_BYTES: usize = 12_288;

    fn parsed(plan: &Plan) -> Value {
        serde_json::from_str(&text(plan)).unwrap()
    }

    fn panels(dashboard: &Value) -> &[Value] {
        dashboard["panels"].as_array().unwrap()
    }

    #[test]
    fn a_dashboard_is_small() {
        let mut plan = fixtures::alice();
        plan.namespace = "a-namespace-of-usual-length".into();
        let bytes = text(&plan).len();
        assert!(bytes <= MOST_BYTES, "{bytes} bytes");
    }

    #[test]
    fn model_servers_have_panels_below_all_others() {
        let (usual, more) = (parsed(&fixtures::alice()), parsed(&fixtures::carol()));
        let (usual, more) = (panels(&usual), panels(&more));
        let bottom = usual
            .iter()
            .map(|p| p["gridPos"]["y"].as_u64().unwrap() + p["gridPos"]["h"].as_u64().unwrap())
            .max();
        let heading = &more[usual.len()];
        assert_eq!(
            (&heading["type"], &heading["title"]),
            (&json!("row"), &json!("Model servers"))
        );
        assert_eq!(heading["gridPos"]["y"].as_u64(), bottom);
        let titles = |panels: &[Value]| -> Vec<Value> {
            panels.iter().map(|p| p["title"].clone()).collect()
        };
        assert_eq!(titles(&more[..usual.len()]), titles(usual));
        assert!(more.len() > usual.len() + 1, "a heading and nothing below");
    }

    #[test]
    fn the_gauge_ends_at_the_tenants_own_limit() {
        let mut plan = fixtures::alice();
        plan.scrape.limits.samples = 150;
        let dashboard = parsed(&plan);
        let gauge = panels(&dashboard)
            .iter()
            .find(|panel| panel["title"] == "Samples in a scrape")
            .unwrap();
        assert_eq!(gauge["fieldConfig"]["defaults"]["max"], 150);
    }

    #[test]
    fn no_name_breaks_out_of_its_string() {
        let mut plan = fixtures::alice();
        plan.namespace = r#"a", "x": "\"#.into();
        assert_eq!(parsed(&plan)["title"], r#"Simplepipe: a", "x": "\"#);
    }

    #[test]
    fn uids_of_long_names_are_short_and_differ() {
        let (a, b) = ("a".repeat(63), format!("{}b", "a".repeat(62)));
        assert_eq!(uid("alice"), "simplepipe-alice");
        assert_eq!(uid(&a).len(), UID_LENGTH);
        assert_ne!(uid(&a), uid(&b));
    }
}
