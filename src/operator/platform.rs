//! Pure: what the platform sets for every tenant.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Deserialize;

use super::label_syntax::{label_name_problem, label_value_problem};

/// What the platform sets for every tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Platform {
    /// Image of gateways whose object names none.
    pub gateway_image: String,
    /// When a gateway's image is pulled.
    pub gateway_image_pull_policy: String,
    /// Who says as which user gateways run.
    pub gateway_user_ids: UserIds,
    /// Labels on every monitor; an object's own win.
    pub service_monitor_labels: BTreeMap<String, String>,
    /// Patterns of metric names that tenants may not push, anchored at both ends.
    pub reserved_metrics: Vec<String>,
    /// Patterns of jobs that tenants may not push, anchored at both ends.
    pub reserved_jobs: Vec<String>,
}

/// Who says as which user a gateway runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum UserIds {
    /// The operator sets the user `nobody`.
    #[default]
    Fixed,
    /// The cluster gives each namespace user ids of its own, as OpenShift does. If it gives none, the image's user
    /// is used.
    Cluster,
}

/// Names that a cluster's own alerts and dashboards go by. A namespace is pinned on whatever is pushed, and that does
/// not help against a rule that sums or joins over all.
const RESERVED: [&str; 15] = [
    "kube_.*",
    "kubelet_.*",
    "node_.*",
    "container_.*",
    "apiserver_.*",
    "etcd_.*",
    "coredns_.*",
    "prometheus_.*",
    "alertmanager_.*",
    "grafana_.*",
    "simplepipe_.*",
    "reloader_.*",
    "grpc_server_.*",
    "rest_client_.*",
    "kubernetes_build_info",
];

/// Jobs that a cluster's own alerts ask for, whatever the metric.
const RESERVED_JOBS: [&str; 11] = [
    "apiserver",
    "kubelet",
    "kube-.*",
    "kubernetes-.*",
    ".*etcd.*",
    "coredns",
    "cadvisor",
    "node-exporter",
    "prometheus.*",
    "alertmanager.*",
    "grafana",
];

impl Default for Platform {
    fn default() -> Self {
        Self {
            gateway_image: "quay.io/prometheus/pushgateway:v1.11.3".into(),
            gateway_image_pull_policy: "IfNotPresent".into(),
            gateway_user_ids: UserIds::default(),
            service_monitor_labels: BTreeMap::new(),
            reserved_metrics: RESERVED.map(Into::into).into(),
            reserved_jobs: RESERVED_JOBS.map(Into::into).into(),
        }
    }
}

/// A setting that can't be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Which one.
    pub setting: &'static str,
    /// What it is set to.
    pub value: String,
    /// What would be right.
    pub expected: &'static str,
}

impl Platform {
    /// Whether all of it can be used.
    ///
    /// # Errors
    /// The first that can't be.
    pub fn check(&self) -> Result<(), Unusable> {
        let unusable = |setting, value: &str, expected| {
            Err(Unusable {
                setting,
                value: value.to_owned(),
                expected,
            })
        };
        if !is_image(&self.gateway_image) {
            return unusable(
                "gatewayImage",
                &self.gateway_image,
                "an image reference, like quay.io/prometheus/pushgateway:v1.11.3",
            );
        }
        if !["Always", "IfNotPresent", "Never"].contains(&self.gateway_image_pull_policy.as_str()) {
            return unusable(
                "gatewayImagePullPolicy",
                &self.gateway_image_pull_policy,
                "Always, IfNotPresent or Never",
            );
        }
        for (name, value) in &self.service_monitor_labels {
            if let Some(expected) = label_name_problem(name) {
                return unusable("serviceMonitorLabels", name, expected);
            }
            if ["app.kubernetes.io/", "simplepipe.dev/"]
                .iter()
                .any(|own| name.starts_with(own))
            {
                let expected =
                    "a label that is not the operator's own, as those under app.kubernetes.io/ are";
                return unusable("serviceMonitorLabels", name, expected);
            }
            if let Some(expected) = label_value_problem(value) {
                return unusable("serviceMonitorLabels", value, expected);
            }
        }
        for (setting, patterns, expected) in [
            (
                "reservedMetrics",
                &self.reserved_metrics,
                "a regular expression over metric names, like kube_.*",
            ),
            (
                "reservedJobs",
                &self.reserved_jobs,
                "a regular expression over jobs, like kube-.*",
            ),
        ] {
            if let Some(pattern) = patterns.iter().find(|p| !is_pattern(p)) {
                return unusable(setting, pattern, expected);
            }
        }
        Ok(())
    }
}

/// As the schema of `spec.gateway.image` has it.
fn is_image(image: &str) -> bool {
    image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && image
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._:/@-".contains(c))
}

/// Whether Prometheus takes this as a pattern of metric names or jobs. One that it refuses would end the scraping of every
/// tenant, and its dialect is narrower than that of the parser here: no flags, and no repetition of a repetition.
fn is_pattern(pattern: &str) -> bool {
    !pattern.is_empty()
        && pattern
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_:.*+?|()[]^-".contains(c))
        && !pattern.replace("(?:", "(").contains("(?")
        && !repeats_a_repetition(pattern)
        && regex_lite::Regex::new(pattern).is_ok()
}

fn repeats_a_repetition(pattern: &str) -> bool {
    let mut in_class = false;
    let mut before = 0;
    for c in pattern.replace("(?:", "(").chars() {
        match c {
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        before = match c {
            '*' | '+' | '?' if !in_class => before + 1,
            _ => 0,
        };
        // The second may only make the first lazy.
        if before > 2 || (before == 2 && c != '?') {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("kube_.*", true)]
    #[case("(?:node|kube)_[a-z]+?", true)]
    #[case("[*+?]+", true)]
    #[case("", false)]
    #[case("kube_(", false)]
    #[case("kube_.**", false)]
    #[case("a++", false)]
    #[case("a*??", false)]
    #[case("(?x)a", false)]
    #[case("a b", false)]
    fn a_pattern_that_prometheus_refuses_is_refused_here(
        #[case] pattern: &str,
        #[case] fine: bool,
    ) {
        assert_eq!(is_pattern(pattern), fine, "{pattern:?}");
    }

    /// Each is asked for by an alert of kube-prometheus-stack that sums over all namespaces, or in each.
    #[rstest]
    #[case::config_reloaders("reloader_last_reload_successful", "train")]
    #[case::versions_of_kubernetes("kubernetes_build_info", "train")]
    #[case::clients_of_the_api_server("rest_client_requests_total", "train")]
    #[case::etcd("grpc_server_handled_total", "train")]
    #[case::etcd_by_job("go_goroutines", "my-etcd-1")]
    #[case::kubelet("go_goroutines", "kubelet")]
    fn what_the_usual_alerts_ask_for_is_reserved(#[case] metric: &str, #[case] job: &str) {
        let platform = Platform::default();
        let among = |patterns: &[String], name: &str| {
            let whole = regex_lite::Regex::new(&format!("^(?:{})$", patterns.join("|"))).unwrap();
            whole.is_match(name)
        };
        assert!(among(&platform.reserved_metrics, metric) || among(&platform.reserved_jobs, job));
        assert!(!among(&platform.reserved_metrics, "run_time"));
        assert!(!among(&platform.reserved_jobs, "train"));
    }
}
