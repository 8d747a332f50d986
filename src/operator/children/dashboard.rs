//! The tenant's dashboard, as a ConfigMap that Grafana's sidecar collects.

use k8s_openapi::api::core::v1::ConfigMap;
use sha2::{Digest, Sha256};

use crate::api::metrics_namespace::DashboardSpec;
use crate::api::names;
use crate::operator::plan::Plan;

use super::{common_labels, metadata};

const TEMPLATE: &str = include_str!("../../../dashboards/tenant.json");
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
                TEMPLATE
                    .replace("@NAMESPACE@", namespace)
                    .replace("@UID@", &uid(namespace)),
            )]
            .into(),
        ),
        ..ConfigMap::default()
    }
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

    #[test]
    fn uids_of_long_names_are_short_and_differ() {
        let (a, b) = ("a".repeat(63), format!("{}b", "a".repeat(62)));
        assert_eq!(uid("alice"), "simplepipe-alice");
        assert_eq!(uid(&a).len(), UID_LENGTH);
        assert_ne!(uid(&a), uid(&b));
    }
}
