//! How Prometheus scrapes the gateway: pushed labels are kept, what could pass for another tenant's or for
//! Prometheus' own is taken away, and the namespace is written last.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;

use crate::api::names;
use crate::api::prometheus_operator::{
    Endpoint, NamespaceSelector, RelabelConfig, ServiceMonitorSpec,
};
use crate::operator::plan::Plan;

use super::{common_labels, gateway_selector, metadata};

/// Names that Prometheus writes itself, those of recording rules among them (`level:metric:operation`): a pushed one
/// would look like Prometheus' own word.
const PROMETHEUS_NAMES: [&str; 5] = ["up", "ALERTS", "ALERTS_FOR_STATE", "scrape_.*", ".*:.*"];
/// Labels that say where a sample was scraped. A pushed sample's origin is not the gateway's pod, and a pushed
/// label of such a name could pass for somebody else's pod.
/// The last ones win over what a Prometheus adds for those that it sends to, and so could pass for another cluster.
const PINNED_LABELS: &str = "exported_.*|pod|service|container|endpoint|prometheus|prometheus_replica|cluster|\
                             __replica__|__tenant_id__";
/// The gateway, and room for the pods of a rollout. Limits count per target, so without this a namespace could
/// multiply them by labelling further pods as gateways.
const TARGETS: i64 = 4;

#[derive(Serialize)]
pub struct ServiceMonitor {
    metadata: ObjectMeta,
    spec: ServiceMonitorSpec,
}

pub fn build(plan: &Plan) -> ServiceMonitor {
    let scrape = &plan.scrape;
    // The operator's own labels win.
    let mut labels = scrape.labels.clone();
    labels.extend(common_labels());
    ServiceMonitor {
        metadata: metadata(plan, names::GATEWAY, labels),
        spec: ServiceMonitorSpec {
            selector: LabelSelector {
                match_labels: Some(gateway_selector()),
                ..LabelSelector::default()
            },
            // Written out although it is the default: a field that is not ours could be set by another.
            namespace_selector: NamespaceSelector {
                any: false,
                match_names: vec![plan.namespace.clone()],
            },
            endpoints: vec![Endpoint {
                port: names::PORT_NAME.into(),
                path: "/metrics".into(),
                scheme: "http".into(),
                interval: scrape.interval.clone(),
                scrape_timeout: scrape.timeout.clone(),
                honor_labels: true,
                honor_timestamps: false,
                // A tenant may choose the gateway's image, and Prometheus reaches more than the tenant does.
                follow_redirects: false,
                relabelings: target_relabelings(),
                metric_relabelings: relabelings(&plan.namespace, &scrape.reserved_metrics),
            }],
            target_limit: TARGETS,
            sample_limit: scrape.limits.samples,
            label_limit: scrape.limits.labels,
            label_name_length_limit: scrape.limits.label_name_length,
            label_value_length_limit: scrape.limits.label_value_length,
            // Prometheus writes sizes with a B.
            body_size_limit: format!("{}B", scrape.limits.body_size),
        },
    }
}

/// Prometheus writes `up` of a target under the job's name, by default the Service's: a Service of a tenant's that is
/// labelled as a gateway must not make it `up{job="kube-scheduler"}`.
fn target_relabelings() -> Vec<RelabelConfig> {
    vec![
        RelabelConfig {
            source_labels: vec!["__meta_kubernetes_service_name".into()],
            regex: Some(names::GATEWAY.into()),
            action: "keep".into(),
            ..RelabelConfig::default()
        },
        RelabelConfig {
            target_label: Some("job".into()),
            replacement: Some(names::GATEWAY.into()),
            action: "replace".into(),
            ..RelabelConfig::default()
        },
    ]
}

fn relabelings(namespace: &str, reserved_metrics: &[String]) -> Vec<RelabelConfig> {
    let reserved: Vec<&str> = PROMETHEUS_NAMES
        .into_iter()
        .chain(reserved_metrics.iter().map(String::as_str))
        .collect();
    vec![
        RelabelConfig {
            source_labels: vec!["__name__".into()],
            regex: Some(reserved.join("|")),
            action: "drop".into(),
            ..RelabelConfig::default()
        },
        RelabelConfig {
            regex: Some(PINNED_LABELS.into()),
            action: "labeldrop".into(),
            ..RelabelConfig::default()
        },
        RelabelConfig {
            target_label: Some("namespace".into()),
            replacement: Some(namespace.into()),
            action: "replace".into(),
            ..RelabelConfig::default()
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::plan::fixtures;

    #[test]
    fn the_namespace_is_written_last_and_pushed_labels_are_kept() {
        let spec = build(&fixtures::alice()).spec;
        let endpoint = &spec.endpoints[0];
        assert!(endpoint.honor_labels);
        let last = endpoint.metric_relabelings.last().unwrap();
        assert_eq!(last.target_label.as_deref(), Some("namespace"));
        assert_eq!(last.replacement.as_deref(), Some("alice"));
    }

    #[test]
    fn prometheus_goes_nowhere_else_and_writes_up_under_the_gateways_name() {
        let endpoint = &build(&fixtures::alice()).spec.endpoints[0];
        assert!(!endpoint.follow_redirects);
        let [keep, job] = &endpoint.relabelings[..] else {
            panic!("{:?}", endpoint.relabelings);
        };
        assert_eq!(keep.source_labels, ["__meta_kubernetes_service_name"]);
        assert_eq!(
            (keep.action.as_str(), keep.regex.as_deref()),
            ("keep", Some("pushgateway"))
        );
        assert_eq!(job.target_label.as_deref(), Some("job"));
        assert_eq!(job.replacement.as_deref(), Some("pushgateway"));
    }

    #[test]
    fn a_tenants_label_never_replaces_the_operators_own() {
        let mut plan = fixtures::alice();
        plan.scrape.labels = [(names::MANAGED_BY_LABEL.to_owned(), "me".to_owned())].into();
        let labels = build(&plan).metadata.labels.unwrap();
        assert_eq!(labels[names::MANAGED_BY_LABEL], names::MANAGER);
    }
}
