//! Pure: which pods are a namespace's model servers, and where their metrics are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::api::seldon::{ModelServer, SeldonSpec, ServingLimits};

use super::label_syntax::{label_name_problem, label_value_problem};
use super::objection::Objection;

/// Metrics of model servers: which pods have them, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelServers {
    pub selector: LabelSelector,
    /// The ports that have metrics. A pod without a port of such a name is left out.
    pub endpoints: Vec<Endpoint>,
    /// Time between two scrapes, in Prometheus' notation.
    pub interval: String,
    /// Time after which a scrape is given up, in Prometheus' notation.
    pub timeout: String,
    /// How much all of them may bring.
    pub limits: ServingLimits,
}

/// A port that has metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name of the container's port.
    pub port: String,
    pub path: String,
}

/// Which pods are scraped, by a spec that enables it.
///
/// # Errors
/// What Prometheus would refuse, which would end the scraping of every tenant: selectors and ports go into its
/// configuration as regular expressions.
pub fn pods(spec: &SeldonSpec) -> Result<LabelSelector, Objection> {
    for (name, value) in &spec.selector {
        for (text, problem) in [
            (name, label_name_problem(name)),
            (value, label_value_problem(value)),
        ] {
            refuse_if("spec.seldon.selector", text, problem)?;
        }
    }
    if spec.selector.is_empty() {
        return Ok(usual_pods(spec.kind));
    }
    Ok(LabelSelector {
        match_labels: Some(spec.selector.clone()),
        ..LabelSelector::default()
    })
}

/// Where the metrics are, by a spec that enables it.
///
/// # Errors
/// As of [`pods`].
pub fn endpoints(spec: &SeldonSpec) -> Result<Vec<Endpoint>, Objection> {
    let (ports, path) = usual_endpoints(spec.kind);
    if let Some(port) = &spec.port {
        let problem =
            (!is_port_name(port)).then_some("a port's name, like metrics, and not its number");
        refuse_if("spec.seldon.port", port, problem)?;
    }
    let ports = spec
        .port
        .as_deref()
        .map_or(ports.to_vec(), |port| vec![port]);
    Ok(ports
        .into_iter()
        .map(|port| Endpoint {
            port: port.to_owned(),
            path: spec.path.clone().unwrap_or_else(|| path.to_owned()),
        })
        .collect())
}

fn usual_pods(kind: ModelServer) -> LabelSelector {
    let label = |name: &str, value: &str| LabelSelector {
        match_labels: Some([(name.to_owned(), value.to_owned())].into()),
        ..LabelSelector::default()
    };
    match kind {
        ModelServer::CoreV1 => label("app.kubernetes.io/managed-by", "seldon-core"),
        ModelServer::CoreV2 => label("app", "seldon-server"),
        // Its value is the name of an InferenceService.
        ModelServer::KServe => LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "serving.kserve.io/inferenceservice".into(),
                operator: "Exists".into(),
                values: None,
            }]),
            ..LabelSelector::default()
        },
    }
}

/// The ports and the path.
fn usual_endpoints(kind: ModelServer) -> (&'static [&'static str], &'static str) {
    match kind {
        // The executor and each model's container have a port of this name.
        ModelServer::CoreV1 => (&["metrics"], "/prometheus"),
        // The agent's, and the inference server's own.
        ModelServer::CoreV2 => (&["metrics", "server-metrics"], "/metrics"),
        // Knative's queue-proxy, which all requests come through.
        ModelServer::KServe => (&["http-usermetric"], "/metrics"),
    }
}

fn is_port_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 15
        && name.starts_with(edge)
        && name.ends_with(edge)
        && name.chars().all(|c| edge(c) || c == '-')
        && name.contains(|c: char| c.is_ascii_lowercase())
        && !name.contains("--")
}

fn refuse_if(
    field: &'static str,
    value: &str,
    problem: Option<&'static str>,
) -> Result<(), Objection> {
    problem.map_or(Ok(()), |expected| {
        Err(Objection::InvalidSpec {
            field,
            value: value.to_owned(),
            expected,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn spec(yaml: &str) -> SeldonSpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[rstest]
    #[case("{}", "app.kubernetes.io/managed-by=seldon-core", &["metrics/prometheus"])]
    #[case("{kind: CoreV1}", "app.kubernetes.io/managed-by=seldon-core", &["metrics/prometheus"])]
    #[case("{kind: CoreV2}", "app=seldon-server", &["metrics/metrics", "server-metrics/metrics"])]
    #[case("{kind: KServe}", "serving.kserve.io/inferenceservice", &["http-usermetric/metrics"])]
    #[case("{kind: KServe, port: aggr-metric}", "serving.kserve.io/inferenceservice", &["aggr-metric/metrics"])]
    #[case("{kind: CoreV2, selector: {app: mine}, port: http, path: /m}", "app=mine", &["http/m"])]
    #[case("{path: /m}", "app.kubernetes.io/managed-by=seldon-core", &["metrics/m"])]
    fn each_kind_knows_its_pods_and_ports_and_what_is_set_wins(
        #[case] yaml: &str,
        #[case] selector: &str,
        #[case] expected: &[&str],
    ) {
        let spec = spec(yaml);
        let pods = pods(&spec).unwrap();
        let labels = pods
            .match_labels
            .into_iter()
            .flatten()
            .map(|(k, v)| format!("{k}={v}"));
        let expressions = pods.match_expressions.into_iter().flatten().map(|e| e.key);
        assert_eq!(labels.chain(expressions).collect::<Vec<_>>(), [selector]);
        let found: Vec<_> = endpoints(&spec)
            .unwrap()
            .iter()
            .map(|e| format!("{}{}", e.port, e.path))
            .collect();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("{port: 'metrics('}", "spec.seldon.port")]
    #[case("{port: ''}", "spec.seldon.port")]
    #[case("{port: '9000'}", "spec.seldon.port")]
    #[case("{port: a--b}", "spec.seldon.port")]
    #[case("{port: a-name-of-16-chr}", "spec.seldon.port")]
    #[case("{selector: {'a b': c}}", "spec.seldon.selector")]
    #[case("{selector: {app: '(x'}}", "spec.seldon.selector")]
    fn what_an_older_schema_let_through_is_refused(#[case] yaml: &str, #[case] at: &str) {
        let spec = spec(yaml);
        let answer = pods(&spec).and_then(|_| endpoints(&spec));
        let Err(Objection::InvalidSpec { field, .. }) = answer else {
            panic!("{yaml} was taken");
        };
        assert_eq!(field, at);
    }
}
