//! Pure: which Prometheus objects use a monitor, and why the others do not.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ApiResource;
use kube::core::GroupVersionKind;

use crate::api::prometheus_operator::{self, PrometheusSelectors};
use crate::terminal::one_line;

use super::kind::{Kind, Monitor};
use super::label_syntax::{Labels, matches};

/// How many of a selector's requirements are shown, and of each how much, in characters: they go into every namespace's
/// status, and whoever may make a Prometheus object writes them.
const REQUIREMENTS: usize = 5;
const LONGEST_REQUIREMENT: usize = 100;

/// A kind of objects that scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scraper {
    /// `monitoring.coreos.com/v1` Prometheus.
    Prometheus,
    /// `monitoring.coreos.com/v1alpha1` PrometheusAgent.
    PrometheusAgent,
}

impl Scraper {
    pub const ALL: [Self; 2] = [Self::Prometheus, Self::PrometheusAgent];

    /// The kind's name, as in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::PrometheusAgent => "PrometheusAgent",
        }
    }

    /// Its name in URLs and rights.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheuses",
            Self::PrometheusAgent => "prometheusagents",
        }
    }

    /// Where the API serves it.
    pub fn api_resource(self) -> ApiResource {
        let version = match self {
            Self::Prometheus => "v1",
            Self::PrometheusAgent => "v1alpha1",
        };
        let kind = GroupVersionKind::gvk(prometheus_operator::GROUP, version, self.as_str());
        ApiResource::from_gvk_with_plural(&kind, self.plural())
    }
}

/// A Prometheus or PrometheusAgent object.
#[derive(Clone, Debug, PartialEq)]
pub struct Prometheus {
    pub kind: Scraper,
    pub namespace: String,
    pub name: String,
    pub selectors: PrometheusSelectors,
}

/// The monitor that may be selected.
pub struct Candidate<'a> {
    pub monitor: Monitor,
    pub namespace: &'a str,
    /// Labels of its namespace.
    pub namespace_labels: &'a Labels,
    pub labels: &'a Labels,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those that do, as `namespace/name`, sorted.
    pub selected_by: Vec<String>,
    /// For each of the others, a sentence that says what it looks for.
    pub ignored_by: Vec<String>,
}

/// Who uses a namespace's monitors, by their kind; without those that the cluster does not have.
pub type Selections = BTreeMap<Kind, Selection>;

/// Who uses this monitor.
pub fn select(all: &[Prometheus], candidate: &Candidate) -> Selection {
    let mut selection = Selection::default();
    for prometheus in all {
        let name = format!("{}/{}", prometheus.namespace, prometheus.name);
        match why_ignored(prometheus, candidate) {
            None => selection.selected_by.push(name),
            Some(why) => selection
                .ignored_by
                .push(format!("{} {name} {why}", prometheus.kind.as_str())),
        }
    }
    selection.selected_by.sort();
    selection.ignored_by.sort();
    selection
}

fn why_ignored(prometheus: &Prometheus, candidate: &Candidate) -> Option<String> {
    let selectors = Selectors::of(&prometheus.selectors, candidate.monitor);
    let (kind, field) = (candidate.monitor.kind().as_str(), selectors.field);
    let Some(by_label) = selectors.by_label else {
        return Some(format!(
            "selects no {kind} (its {field}Selector is not set)"
        ));
    };
    if !matches(by_label, candidate.labels) {
        return Some(format!(
            "selects {kind}s with {}; set such labels in spec.scrape.labels",
            describe(by_label)
        ));
    }
    match selectors.by_namespace {
        None => (prometheus.namespace != candidate.namespace).then(|| {
            format!(
                "looks for {kind}s in its own namespace only; its owner can set \
                 {field}NamespaceSelector to {{}} or to a label of namespace {}",
                candidate.namespace
            )
        }),
        Some(by_namespace) => (!matches(by_namespace, candidate.namespace_labels)).then(|| {
            format!(
                "looks for {kind}s in namespaces with {}; namespace {} has no such label",
                describe(by_namespace),
                candidate.namespace
            )
        }),
    }
}

/// What of a Prometheus object decides on monitors of one kind.
struct Selectors<'a> {
    by_label: Option<&'a LabelSelector>,
    by_namespace: Option<&'a LabelSelector>,
    /// How their fields' names begin.
    field: &'static str,
}

impl<'a> Selectors<'a> {
    fn of(all: &'a PrometheusSelectors, monitor: Monitor) -> Self {
        let (by_label, by_namespace, field) = match monitor {
            Monitor::Services => (
                &all.service_monitor_selector,
                &all.service_monitor_namespace_selector,
                "serviceMonitor",
            ),
            Monitor::Pods => (
                &all.pod_monitor_selector,
                &all.pod_monitor_namespace_selector,
                "podMonitor",
            ),
        };
        Self {
            by_label: by_label.as_ref(),
            by_namespace: by_namespace.as_ref(),
            field,
        }
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
    let all: Vec<String> = (equal.chain(expressions))
        .map(|requirement| one_line(&requirement, LONGEST_REQUIREMENT))
        .collect();
    let (shown, more) = all.split_at(all.len().min(REQUIREMENTS));
    let labels = format!("labels {:?}", shown.join(","));
    match more.len() {
        0 => labels,
        more => format!("{labels} and {more} more"),
    }
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
            kind: Scraper::Prometheus,
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
            monitor: Monitor::Services,
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

    #[rstest]
    #[case(Monitor::Services, "serviceMonitor", "ServiceMonitors")]
    #[case(Monitor::Pods, "podMonitor", "PodMonitors")]
    fn each_kind_of_monitor_is_selected_by_fields_of_its_own(
        #[case] monitor: Monitor,
        #[case] field: &str,
        #[case] kind: &str,
    ) {
        let candidate = Candidate {
            monitor,
            namespace: "alice",
            namespace_labels: &Labels::new(),
            labels: &labels(&[("release", "m")]),
        };
        let answer = |selectors: String| select(&[prometheus(&selectors)], &candidate);
        let selected = answer(format!(
            "{{{field}Selector: {{}}, {field}NamespaceSelector: {{}}}}"
        ));
        assert_eq!(selected.selected_by, ["monitoring/k8s"]);
        for (selectors, words) in [
            ("{}".to_owned(), format!("(its {field}Selector is not set)")),
            (
                format!("{{{field}Selector: {{matchLabels: {{release: x}}}}}}"),
                format!("selects {kind} with labels \"release=x\""),
            ),
            (
                format!("{{{field}Selector: {{}}}}"),
                format!(
                    "looks for {kind} in its own namespace only; its owner can set {field}NamespaceSelector"
                ),
            ),
        ] {
            let ignored = answer(selectors).ignored_by;
            assert!(ignored[0].contains(&words), "{ignored:?}");
        }
    }

    #[test]
    fn of_a_long_selector_the_beginning_is_shown() {
        let candidate = Candidate {
            monitor: Monitor::Services,
            namespace: "alice",
            namespace_labels: &Labels::new(),
            labels: &Labels::new(),
        };
        let many: Vec<String> = (0..1000).map(|i| format!("l{i:03}: x")).collect();
        let values = "v".repeat(1000);
        for (selector, words) in [
            (
                format!("{{matchLabels: {{{}}}}}", many.join(", ")),
                "with labels \"l000=x,l001=x,l002=x,l003=x,l004=x\" and 995 more; set",
            ),
            (
                format!("{{matchExpressions: [{{key: a, operator: In, values: [{values}]}}]}}"),
                "with labels \"a in (vvv",
            ),
        ] {
            let prometheus = prometheus(&format!("{{serviceMonitorSelector: {selector}}}"));
            let ignored = select(&[prometheus], &candidate).ignored_by;
            assert!(ignored[0].contains(words), "{ignored:?}");
            assert!(ignored[0].len() < 400, "{ignored:?}");
        }
    }

    #[test]
    fn an_agent_is_called_what_it_is() {
        let candidate = Candidate {
            monitor: Monitor::Services,
            namespace: "alice",
            namespace_labels: &Labels::new(),
            labels: &Labels::new(),
        };
        let agent = Prometheus {
            kind: Scraper::PrometheusAgent,
            ..prometheus("{}")
        };
        let ignored = select(&[agent, prometheus("{}")], &candidate).ignored_by;
        assert!(
            ignored[0].starts_with("Prometheus monitoring/k8s selects no ServiceMonitor"),
            "{ignored:?}"
        );
        assert!(
            ignored[1].starts_with("PrometheusAgent monitoring/k8s selects no ServiceMonitor"),
            "{ignored:?}"
        );
    }

    #[test]
    fn a_prometheus_without_namespace_selector_uses_what_is_in_its_own_namespace() {
        let candidate = Candidate {
            monitor: Monitor::Services,
            namespace: "monitoring",
            namespace_labels: &Labels::new(),
            labels: &Labels::new(),
        };
        let selection = select(&[prometheus("{serviceMonitorSelector: {}}")], &candidate);
        assert_eq!(selection.selected_by, ["monitoring/k8s"]);
    }
}
