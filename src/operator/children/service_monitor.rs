//! How Prometheus scrapes the gateway: pushed labels are kept, but for those that [`monitor`](super::monitor) takes away.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;

use crate::api::condition_types::ConditionType;
use crate::api::names;
use crate::api::prometheus_operator::{Endpoint, RelabelConfig, ServiceMonitorSpec};
use crate::operator::kind::typed;
use crate::operator::plan::Plan;

use super::labels::gateway_selector;
use super::{Built, built, metadata, monitor};

/// Labels that say where a sample was scraped. A pushed sample's origin is not the gateway's pod, and a pushed
/// label of such a name could pass for somebody else's pod.
const ORIGIN_LABELS: &str = "exported_.*|pod|service|container|endpoint";
/// The gateway, and room for the pods of a rollout. Limits count per target, so without this a namespace could
/// multiply them by labelling further pods as gateways.
const TARGETS: i64 = 4;

#[derive(Serialize)]
struct ServiceMonitor {
    metadata: ObjectMeta,
    spec: ServiceMonitorSpec,
}

typed!(ServiceMonitor);

pub fn child(plan: &Plan) -> Built {
    built(ConditionType::ScrapeConfigured, &build(plan))
}

fn build(plan: &Plan) -> ServiceMonitor {
    let scrape = &plan.scrape;
    ServiceMonitor {
        metadata: metadata(plan, names::GATEWAY, monitor::labels(plan)),
        spec: ServiceMonitorSpec {
            selector: LabelSelector {
                match_labels: Some(gateway_selector()),
                ..LabelSelector::default()
            },
            namespace_selector: monitor::own_namespace(plan),
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
                relabelings: vec![gateway_only(), monitor::job(names::GATEWAY)],
                metric_relabelings: monitor::metric_relabelings(
                    plan,
                    &rules(&scrape.reserved_jobs),
                    ORIGIN_LABELS,
                ),
            }],
            limits: monitor::limits(plan, TARGETS, scrape.limits.samples),
        },
    }
}

/// What is pushed, and not for Prometheus: under a job of the cluster's own (what model servers say of their job does not
/// count), and traces of `simplepipe push --accumulate`.
fn rules(reserved_jobs: &[String]) -> Vec<RelabelConfig> {
    // An empty pattern would drop what has no job.
    let jobs = (!reserved_jobs.is_empty()).then(|| reserved_jobs.join("|"));
    let jobs = jobs.map(|jobs| monitor::drop_where("job", &jobs));
    let traces = monitor::drop_where(names::ACCUMULATE_LABEL, ".+");
    jobs.into_iter().chain([traces]).collect()
}

/// Not another Service of the tenant's that is labelled as the gateway's.
fn gateway_only() -> RelabelConfig {
    RelabelConfig {
        source_labels: vec!["__meta_kubernetes_service_name".into()],
        regex: Some(names::GATEWAY.into()),
        action: "keep".into(),
        ..RelabelConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::plan::fixtures;

    #[test]
    fn without_reserved_jobs_no_rule_drops_all() {
        let mut plan = fixtures::alice();
        plan.scrape.reserved_jobs.clear();
        let rules = &build(&plan).spec.endpoints[0].metric_relabelings;
        assert!(rules.iter().all(|rule| rule.source_labels != ["job"]));
    }

    #[test]
    fn what_accumulate_leaves_is_dropped() {
        assert_eq!(names::ACCUMULATE_LABEL, crate::gateway::LOCK_ID);
    }

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
