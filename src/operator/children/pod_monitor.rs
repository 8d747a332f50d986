//! How Prometheus scrapes the namespace's model servers: at their pods, by the ports that they have for it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use crate::api::condition_types::ConditionType;
use crate::api::names;
use crate::api::prometheus_operator::{Endpoint, Limits, PodMonitorSpec};
use crate::operator::kind::typed;
use crate::operator::model_servers::ModelServers;
use crate::operator::plan::Plan;

use super::{Built, built, metadata, monitor};

/// What a model server says of its own origin. The labels `pod`, `container` and `endpoint` are Prometheus' own and true,
/// and Seldon's executor tells predictions from feedback by a label `service`.
const ORIGIN_LABELS: &str = "exported_.*";
/// Most of what one scrape may bring. Prometheus holds it whole before it counts samples, and there are many targets.
const BODY_SIZE: &str = "4MiB";

#[derive(Serialize)]
struct PodMonitor {
    metadata: ObjectMeta,
    spec: PodMonitorSpec,
}

typed!(PodMonitor);

pub fn child(plan: &Plan) -> Built {
    match &plan.model_servers {
        Some(servers) => built(
            ConditionType::ServingScrapeConfigured,
            &build(plan, servers),
        ),
        None => Ok(None),
    }
}

fn build(plan: &Plan, servers: &ModelServers) -> PodMonitor {
    let mut labels = monitor::labels(plan);
    for (label, value) in [
        ("app.kubernetes.io/name", names::MODEL_SERVERS),
        ("app.kubernetes.io/instance", names::MODEL_SERVERS),
        ("app.kubernetes.io/component", "model-servers"),
    ] {
        labels.insert(label.into(), value.into());
    }
    // Prometheus counts the targets of each endpoint by themselves.
    let endpoints = i64::try_from(servers.endpoints.len()).unwrap_or(i64::MAX);
    let targets = (servers.limits.targets / endpoints.max(1)).max(1);
    PodMonitor {
        metadata: metadata(plan, names::MODEL_SERVERS, labels),
        spec: PodMonitorSpec {
            selector: servers.selector.clone(),
            namespace_selector: monitor::own_namespace(plan),
            pod_metrics_endpoints: servers
                .endpoints
                .iter()
                .map(|endpoint| Endpoint {
                    port: endpoint.port.clone(),
                    path: endpoint.path.clone(),
                    scheme: "http".into(),
                    interval: servers.interval.clone(),
                    scrape_timeout: servers.timeout.clone(),
                    // Here Prometheus knows better where a sample is from. Two pods that say the same of themselves
                    // would write one series otherwise.
                    honor_labels: false,
                    honor_timestamps: false,
                    follow_redirects: false,
                    relabelings: vec![monitor::job(names::MODEL_SERVERS)],
                    metric_relabelings: monitor::metric_relabelings(plan, &[], ORIGIN_LABELS),
                })
                .collect(),
            limits: Limits {
                body_size_limit: BODY_SIZE.into(),
                ..monitor::limits(plan, targets, servers.limits.samples)
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::plan::fixtures;

    fn spec() -> PodMonitorSpec {
        let plan = fixtures::carol();
        build(&plan, plan.model_servers.as_ref().unwrap()).spec
    }

    #[test]
    fn the_namespace_is_written_last_and_no_server_says_where_it_was_scraped() {
        for endpoint in spec().pod_metrics_endpoints {
            assert!(!endpoint.honor_labels);
            let last = endpoint.metric_relabelings.last().unwrap();
            assert_eq!(last.target_label.as_deref(), Some("namespace"));
            assert_eq!(last.replacement.as_deref(), Some("carol"));
        }
    }

    #[test]
    fn prometheus_goes_nowhere_else_and_writes_up_under_a_name_of_its_own() {
        for endpoint in spec().pod_metrics_endpoints {
            assert!(!endpoint.follow_redirects);
            let [job] = &endpoint.relabelings[..] else {
                panic!("{:?}", endpoint.relabelings);
            };
            assert_eq!(job.target_label.as_deref(), Some("job"));
            assert_eq!(job.replacement.as_deref(), Some("seldon"));
        }
    }

    #[test]
    fn a_kind_with_two_ports_has_no_more_targets_than_one_with_one() {
        let spec = spec();
        assert_eq!(spec.pod_metrics_endpoints.len(), 2);
        assert_eq!(spec.limits.target_limit, 25, "half of the fifty");
    }

    #[test]
    fn the_labels_by_which_seldon_tells_its_series_apart_are_kept() {
        let spec = spec();
        let dropped = spec.pod_metrics_endpoints[0].metric_relabelings[1]
            .regex
            .as_deref()
            .unwrap();
        let dropped = regex_lite::Regex::new(&format!("^(?:{dropped})$")).unwrap();
        for kept in ["service", "deployment_name", "method", "code", "pod"] {
            assert!(!dropped.is_match(kept), "{kept}");
        }
        for forged in ["exported_pod", "cluster", "prometheus"] {
            assert!(dropped.is_match(forged), "{forged}");
        }
    }
}
