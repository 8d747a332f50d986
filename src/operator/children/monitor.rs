//! What the monitors have in common: what could pass for another tenant's or for Prometheus' own is taken away, and the
//! namespace is written last.

use std::collections::BTreeMap;

use crate::api::prometheus_operator::{Limits, NamespaceSelector, RelabelConfig};
use crate::operator::plan::Plan;

use super::labels::common_labels;

/// Names that Prometheus writes itself, those of recording rules among them (`level:metric:operation`): a tenant's own
/// would look like Prometheus' word.
const PROMETHEUS_NAMES: [&str; 5] = ["up", "ALERTS", "ALERTS_FOR_STATE", "scrape_.*", ".*:.*"];
/// Labels that say which Prometheus has scraped. They win over what a Prometheus adds for those that it sends to, and so
/// could pass for another cluster.
const PROMETHEUS_LABELS: &str = "prometheus|prometheus_replica|cluster|__replica__|__tenant_id__";

/// Labels of a monitor, those that a Prometheus selects by among them.
pub fn labels(plan: &Plan) -> BTreeMap<String, String> {
    // The operator's own labels win.
    let mut labels = plan.scrape.labels.clone();
    labels.extend(common_labels());
    labels
}

/// The tenant's namespace alone. Written out although it is the default: a field that is not ours could be set by
/// another.
pub fn own_namespace(plan: &Plan) -> NamespaceSelector {
    NamespaceSelector {
        any: false,
        match_names: vec![plan.namespace.clone()],
    }
}

/// What the scrapes may bring.
pub fn limits(plan: &Plan, targets: i64, samples: i64) -> Limits {
    let limits = &plan.scrape.limits;
    Limits {
        target_limit: targets,
        sample_limit: samples,
        label_limit: limits.labels,
        label_name_length_limit: limits.label_name_length,
        label_value_length_limit: limits.label_value_length,
        // Prometheus writes sizes with a B.
        body_size_limit: format!("{}B", limits.body_size),
    }
}

/// Prometheus writes `up` of a target under the job's name, by default that of what it was found by: what a tenant has
/// labelled as a target must not make it `up{job="kube-scheduler"}`.
pub fn job(name: &str) -> RelabelConfig {
    RelabelConfig {
        target_label: Some("job".into()),
        replacement: Some(name.into()),
        action: "replace".into(),
        ..RelabelConfig::default()
    }
}

/// Drops samples, or targets, of which a label is such.
pub fn drop_where(label: &str, pattern: &str) -> RelabelConfig {
    RelabelConfig {
        source_labels: vec![label.into()],
        regex: Some(pattern.into()),
        action: "drop".into(),
        ..RelabelConfig::default()
    }
}

/// What is done to each sample, in this order: reserved names are dropped; then these rules hold; then labels that say
/// where it is from, and which Prometheus scraped it, are taken away; then the namespace is written.
pub fn metric_relabelings(
    plan: &Plan,
    rules: &[RelabelConfig],
    origin_labels: &str,
) -> Vec<RelabelConfig> {
    let reserved: Vec<&str> = PROMETHEUS_NAMES
        .into_iter()
        .chain(plan.scrape.reserved_metrics.iter().map(String::as_str))
        .collect();
    let last = [
        RelabelConfig {
            regex: Some(format!("{origin_labels}|{PROMETHEUS_LABELS}")),
            action: "labeldrop".into(),
            ..RelabelConfig::default()
        },
        RelabelConfig {
            target_label: Some("namespace".into()),
            replacement: Some(plan.namespace.clone()),
            action: "replace".into(),
            ..RelabelConfig::default()
        },
    ];
    std::iter::once(drop_where("__name__", &reserved.join("|")))
        .chain(rules.iter().cloned())
        .chain(last)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricName;

    #[test]
    fn what_push_warns_of_is_what_is_dropped() {
        let dropped = regex_lite::Regex::new(&format!("^(?:{})$", PROMETHEUS_NAMES.join("|")));
        let dropped = dropped.unwrap();
        for name in [
            "up",
            "uptime",
            "ALERTS",
            "ALERTS_FOR_STATE",
            "ALERTS_x",
            "scrape_",
            "scrape_time",
            "scraped",
            "job:loss:min",
            ":",
            "run_time",
        ] {
            let warned = MetricName::new(name).unwrap().is_prometheus_own();
            assert_eq!(warned, dropped.is_match(name), "{name}");
        }
    }
}
