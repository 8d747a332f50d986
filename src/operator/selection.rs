//! Pure: which Prometheus objects use a ServiceMonitor, and why the others do not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::prometheus_operator::PrometheusSelectors;

use super::labels::{Labels, matches};

/// A Prometheus or PrometheusAgent object.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it selects.
    pub selectors: PrometheusSelectors,
}

/// The ServiceMonitor that may be selected.
pub struct Candidate<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Labels of its namespace.
    pub namespace_labels: &'a Labels,
    /// Its own labels.
    pub labels: &'a Labels,
}

/// Who uses a ServiceMonitor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those that do, as `namespace/name`, sorted.
    pub selected_by: Vec<String>,
    /// For each of the others, a sentence that says what it looks for.
    pub ignored_by: Vec<String>,
}

/// Who uses this ServiceMonitor.
pub fn select(all: &[Prometheus], candidate: &Candidate) -> Selection {
    let mut selection = Selection::default();
    for prometheus in all {
        let name = format!("{}/{}", prometheus.namespace, prometheus.name);
        match why_ignored(prometheus, candidate) {
            None => selection.selected_by.push(name),
            Some(why) => selection
                .ignored_by
                .push(format!("Prometheus {name} {why}")),
        }
    }
    selection.selected_by.sort();
    selection.ignored_by.sort();
    selection
}

fn why_ignored(prometheus: &Prometheus, candidate: &Candidate) -> Option<String> {
    let selectors = &prometheus.selectors;
    let Some(by_label) = &selectors.service_monitor_selector else {
        return Some("selects no ServiceMonitor (its serviceMonitorSelector is not set)".into());
    };
    if !matches(by_label, candidate.labels) {
        return Some(format!(
            "selects ServiceMonitors with {}; set such labels in spec.scrape.labels",
            describe(by_label)
        ));
    }
    match &selectors.service_monitor_namespace_selector {
        None => (prometheus.namespace != candidate.namespace).then(|| {
            format!(
                "looks for ServiceMonitors in its own namespace only; its owner can set \
                 serviceMonitorNamespaceSelector to {{}} or to a label of namespace {}",
                candidate.namespace
            )
        }),
        Some(by_namespace) => (!matches(by_namespace, candidate.namespace_labels)).then(|| {
            format!(
                "looks for ServiceMonitors in namespaces with {}; namespace {} has no such label",
                describe(by_namespace),
                candidate.namespace
            )
        }),
    }
}

/// A selector as `kubectl` would take it.
fn describe(selector: &LabelSelector) -> String {
    let equal = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(name, value)| format!("{name}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(|e| {
        let values = e.values.as_deref().unwrap_or_default().join(",");
        match e.operator.as_str() {
            "In" => format!("{} in ({values})", e.key),
            "NotIn" => format!("{} notin ({values})", e.key),
            "Exists" => e.key.clone(),
            "DoesNotExist" => format!("!{}", e.key),
            other => format!("{} {other} ({values})", e.key),
        }
    });
    format!(
        "labels {:?}",
        equal.chain(expressions).collect::<Vec<_>>().join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn prometheus(yaml: &str) -> Prometheus {
        Prometheus {
            namespace: "monitoring".into(),
            name: "k8s".into(),
            selectors: serde_saphyr::from_str(yaml).unwrap(),
        }
    }

    // The rules of the Prometheus Operator: absent selects nothing, empty selects everything; an absent namespace
    // selector means the Prometheus object's own namespace.
    #[rstest]
    #[case("{}", Some("is not set"))]
    #[case("{serviceMonitorSelector: {}}", Some("in its own namespace only"))]
    #[case(
        "{serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {}}",
        None
    )]
    #[case(
        "{serviceMonitorSelector: {matchLabels: {release: m}}, serviceMonitorNamespaceSelector: {}}",
        None
    )]
    #[case(
        "{serviceMonitorSelector: {matchLabels: {release: x}}, serviceMonitorNamespaceSelector: {}}",
        Some("release=x")
    )]
    #[case(
        "{serviceMonitorSelector: {matchExpressions: [{key: release, operator: DoesNotExist}]}, serviceMonitorNamespaceSelector: {}}",
        Some("!release")
    )]
    #[case(
        "{serviceMonitorSelector: {matchExpressions: [{key: release, operator: In, values: [a, m]}]}, serviceMonitorNamespaceSelector: {}}",
        None
    )]
    #[case(
        "{serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {matchLabels: {team: ml}}}",
        None
    )]
    #[case(
        "{serviceMonitorSelector: {}, serviceMonitorNamespaceSelector: {matchLabels: {team: web}}}",
        Some("team=web")
    )]
    fn whether_a_prometheus_uses_it_and_why_not(
        #[case] selectors: &str,
        #[case] why: Option<&str>,
    ) {
        let candidate = Candidate {
            namespace: "alice",
            namespace_labels: &labels(&[("team", "ml")]),
            labels: &labels(&[("release", "m")]),
        };
        let selection = select(&[prometheus(selectors)], &candidate);
        match why {
            None => assert_eq!(selection.selected_by, ["monitoring/k8s"]),
            Some(why) => assert!(selection.ignored_by[0].contains(why), "{selection:?}"),
        }
    }

    #[test]
    fn a_prometheus_without_namespace_selector_uses_what_is_in_its_own_namespace() {
        let candidate = Candidate {
            namespace: "monitoring",
            namespace_labels: &Labels::new(),
            labels: &Labels::new(),
        };
        let selection = select(&[prometheus("{serviceMonitorSelector: {}}")], &candidate);
        assert_eq!(selection.selected_by, ["monitoring/k8s"]);
    }
}
