//! Pure: from everything that was observed to what the namespace should hold, or why it should hold nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use crate::api::MetricsNamespace;
use crate::api::metrics_namespace::{DashboardSpec, GatewaySpec, ScrapeLimits, ScrapeSpec};
use crate::api::seldon::SeldonSpec;
use crate::duration::with_units;

use super::gateway_image::Older;
use super::model_servers::{self, ModelServers};
use super::objection::Objection;
use super::platform::{Platform, UserIds};

/// Scrape timeout where the object sets none and the interval is not shorter.
const DEFAULT_TIMEOUT_SECONDS: u64 = 10;
/// Largest answer that Prometheus reads, in KiB.
const MOST_KIBIBYTES: u64 = 64 * 1024;

/// Everything that a plan depends on.
pub struct Inputs {
    /// The object to plan for.
    pub object: Arc<MetricsNamespace>,
    /// The name of the MetricsNamespace that serves its namespace.
    pub serving: Option<String>,
    /// Whether the object is among those that are next to serve.
    pub is_near: bool,
    /// Whether the namespace is being deleted, or gone.
    pub namespace_terminating: bool,
    /// What the platform sets for all.
    pub platform: Arc<Platform>,
    /// The gateway, where its image may be another than the platform's.
    pub older_gateway: Option<Older>,
}

/// What the namespace should hold. Builders take this and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The tenant's namespace.
    pub namespace: String,
    /// The MetricsNamespace, as owner of every child.
    pub owner: OwnerReference,
    pub image: String,
    /// When the image is pulled.
    pub image_pull_policy: String,
    /// Who says as which user the gateway runs.
    pub user_ids: UserIds,
    /// The gateway's other settings.
    pub gateway: GatewaySpec,
    /// The ServiceMonitor's settings, and what the PodMonitor has in common with it.
    pub scrape: Scrape,
    /// The PodMonitor's settings, where one is wanted.
    pub model_servers: Option<ModelServers>,
    /// The dashboard, where one is wanted.
    pub dashboard: Option<DashboardSpec>,
}

/// The ServiceMonitor's settings, and what the PodMonitor has in common with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scrape {
    /// Time between two scrapes, in Prometheus' notation.
    pub interval: String,
    /// Time after which a scrape is given up, in Prometheus' notation.
    pub timeout: String,
    /// Labels beside the operator's own.
    pub labels: BTreeMap<String, String>,
    /// What one scrape may bring.
    pub limits: ScrapeLimits,
    /// Patterns of metric names that a tenant may not push.
    pub reserved_metrics: Vec<String>,
    /// Patterns of jobs that a tenant may not push.
    pub reserved_jobs: Vec<String>,
}

/// Why nothing is applied for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It, or its namespace, is being deleted: nobody is left to tell.
    Going,
    /// For a reason that its author can do something about.
    Objection(Objection),
}

/// What should be there, or why nothing is done.
///
/// # Errors
/// The reason why nothing may be applied for this object.
pub fn plan(inputs: &Inputs) -> Result<Plan, Hold> {
    let object = &inputs.object;
    if object.metadata.deletion_timestamp.is_some() || inputs.namespace_terminating {
        return Err(Hold::Going);
    }
    if let Some(by) = inputs
        .serving
        .as_ref()
        .filter(|name| **name != object.name_any())
    {
        let by = inputs.is_near.then(|| by.clone());
        return Err(Hold::Objection(Objection::AlreadyServed { by }));
    }
    let spec = &object.spec;
    let platform = &inputs.platform;
    let mut labels = platform.service_monitor_labels.clone();
    labels.extend(spec.scrape.labels.clone());
    Ok(Plan {
        namespace: object.namespace().unwrap_or_default(),
        owner: OwnerReference {
            api_version: MetricsNamespace::api_version(&()).into_owned(),
            kind: MetricsNamespace::kind(&()).into_owned(),
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        },
        image: spec
            .gateway
            .image
            .clone()
            .unwrap_or_else(|| platform.gateway_image.clone()),
        image_pull_policy: platform.gateway_image_pull_policy.clone(),
        user_ids: platform.gateway_user_ids,
        gateway: spec.gateway.clone(),
        scrape: Scrape {
            interval: spec.scrape.interval.clone(),
            timeout: scrape_timeout(&spec.scrape.interval, spec.scrape.timeout.as_deref())
                .map_err(Hold::Objection)?,
            labels,
            limits: scrape_limits(&spec.scrape.limits)?,
            reserved_metrics: platform.reserved_metrics.clone(),
            reserved_jobs: platform.reserved_jobs.clone(),
        },
        model_servers: spec
            .seldon
            .enabled
            .then(|| model_servers(&spec.seldon, &spec.scrape))
            .transpose()
            .map_err(Hold::Objection)?,
        dashboard: spec.dashboard.enabled.then(|| spec.dashboard.clone()),
    })
}

fn model_servers(spec: &SeldonSpec, scrape: &ScrapeSpec) -> Result<ModelServers, Objection> {
    let interval = spec.interval.as_ref().unwrap_or(&scrape.interval);
    let interval_seconds = interval_seconds("spec.seldon.interval", interval)?;
    let timeout_seconds = scrape
        .timeout
        .as_deref()
        .and_then(seconds)
        .unwrap_or(DEFAULT_TIMEOUT_SECONDS);
    Ok(ModelServers {
        selector: model_servers::pods(spec)?,
        endpoints: model_servers::endpoints(spec)?,
        interval: interval.clone(),
        timeout: format!("{}s", interval_seconds.min(timeout_seconds)),
        limits: spec.limits.clone(),
    })
}

fn interval_seconds(field: &'static str, interval: &str) -> Result<u64, Objection> {
    seconds(interval).ok_or_else(|| Objection::InvalidSpec {
        field,
        value: interval.to_owned(),
        expected: "hours, minutes and seconds, like 30s",
    })
}

fn scrape_timeout(interval: &str, timeout: Option<&str>) -> Result<String, Objection> {
    let interval_seconds = interval_seconds("spec.scrape.interval", interval)?;
    match timeout {
        None => Ok(format!(
            "{}s",
            interval_seconds.min(DEFAULT_TIMEOUT_SECONDS)
        )),
        // Prometheus refuses its whole configuration, every tenant's, over one timeout that is longer than its interval.
        Some(set) if seconds(set).is_some_and(|s| (1..=interval_seconds).contains(&s)) => {
            Ok(set.to_owned())
        }
        Some(set) => Err(Objection::InvalidSpec {
            field: "spec.scrape.timeout",
            value: set.to_owned(),
            expected: "from 1s to the interval",
        }),
    }
}

/// As the schema has it, which older ones had not: a limit above it lets one tenant fill Prometheus' memory.
fn scrape_limits(limits: &ScrapeLimits) -> Result<ScrapeLimits, Hold> {
    if kibibytes(&limits.body_size).is_some_and(|size| (1..=MOST_KIBIBYTES).contains(&size)) {
        return Ok(limits.clone());
    }
    Err(Hold::Objection(Objection::InvalidSpec {
        field: "spec.scrape.limits.bodySize",
        value: limits.body_size.clone(),
        expected: "a size from 1Ki to 64Mi with the unit Ki or Mi, like 512Ki or 16Mi",
    }))
}

/// Of a size like `16Mi`; `None` where it is none.
fn kibibytes(size: &str) -> Option<u64> {
    let (number, factor) = match size.strip_suffix("Ki") {
        Some(number) => (number, 1),
        None => (size.strip_suffix("Mi")?, 1024),
    };
    let digits = number.chars().all(|c| c.is_ascii_digit());
    digits.then(|| number.parse::<u64>().ok()?.checked_mul(factor))?
}

/// Seconds of a duration like `1h30m10s`; `None` where it is none, or zero.
fn seconds(duration: &str) -> Option<u64> {
    let seconds = with_units(duration)?.as_secs();
    (seconds > 0).then_some(seconds)
}

#[cfg(test)]
pub(crate) mod fixtures {
    //! One tenant, whose namespace, object and platform have names of their own so that a mix-up shows.

    use super::*;

    pub fn object(yaml: &str) -> Arc<MetricsNamespace> {
        Arc::new(serde_saphyr::from_str(yaml).unwrap())
    }

    pub const ALICE: &str = "
apiVersion: simplepipe.dev/v1alpha1
kind: MetricsNamespace
metadata: {name: push, namespace: alice, uid: uid-of-push, creationTimestamp: '2026-01-01T00:00:00Z', generation: 3}
spec: {}
";

    pub fn inputs(object: Arc<MetricsNamespace>) -> Inputs {
        Inputs {
            serving: Some(object.name_any()),
            is_near: true,
            object,
            namespace_terminating: false,
            platform: Arc::new(Platform {
                gateway_image: "registry.example/pushgateway:v1".into(),
                ..Platform::default()
            }),
            older_gateway: None,
        }
    }

    pub fn alice() -> Plan {
        plan(&inputs(object(ALICE))).unwrap()
    }

    /// Another tenant, who serves models too.
    pub fn carol() -> Plan {
        let spec = "{seldon: {enabled: true, kind: CoreV2}}";
        let carol = ALICE.replace("namespace: alice", "namespace: carol");
        plan(&inputs(object(&carol.replace("{}", spec)))).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::*;
    use super::*;
    use rstest::rstest;

    #[test]
    fn where_another_object_serves_the_namespace_nothing_is_planned() {
        let mut inputs = inputs(object(ALICE));
        inputs.serving = Some("another".into());
        for (is_near, by) in [(true, Some("another".into())), (false, None)] {
            inputs.is_near = is_near;
            assert_eq!(
                plan(&inputs),
                Err(Hold::Objection(Objection::AlreadyServed { by }))
            );
        }
    }

    #[test]
    fn nothing_is_planned_for_what_is_being_deleted() {
        let mut going = inputs(object(
            &ALICE.replace("uid:", "deletionTimestamp: '2026-02-02T00:00:00Z', uid:"),
        ));
        assert_eq!(plan(&going), Err(Hold::Going));
        going = inputs(object(ALICE));
        going.namespace_terminating = true;
        assert_eq!(plan(&going), Err(Hold::Going));
    }

    #[test]
    fn the_tenants_own_image_and_labels_win_over_the_platforms() {
        let mut inputs = inputs(object(&ALICE.replace(
            "spec: {}",
            "spec: {gateway: {image: mine:1}, scrape: {labels: {release: mine}}}",
        )));
        inputs.platform = Arc::new(Platform {
            service_monitor_labels: [("release", "theirs"), ("team", "all")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
            ..Platform::default()
        });
        let plan = plan(&inputs).unwrap();
        assert_eq!(plan.image, "mine:1");
        assert_eq!(plan.scrape.labels["release"], "mine");
        assert_eq!(plan.scrape.labels["team"], "all");
    }

    #[rstest]
    #[case("30s", None, "10s")]
    #[case("5s", None, "5s")]
    #[case("1m30s", None, "10s")]
    #[case("1h", Some("59m"), "59m")]
    fn a_scrape_is_given_up_within_its_interval(
        #[case] interval: &str,
        #[case] timeout: Option<&str>,
        #[case] expected: &str,
    ) {
        assert_eq!(scrape_timeout(interval, timeout).unwrap(), expected);
    }

    #[rstest]
    #[case("{}", "30s", "10s")]
    #[case("{seldon: {interval: 5s}}", "5s", "5s")]
    #[case("{scrape: {interval: 1m, timeout: 40s}}", "1m", "40s")]
    #[case(
        "{scrape: {interval: 1m, timeout: 40s}, seldon: {interval: 20s}}",
        "20s",
        "20s"
    )]
    fn model_servers_are_scraped_as_often_as_the_gateway_unless_set(
        #[case] spec: &str,
        #[case] interval: &str,
        #[case] timeout: &str,
    ) {
        let mut object = (*object(&ALICE.replace("{}", spec))).clone();
        object.spec.seldon.enabled = true;
        let servers = plan(&inputs(Arc::new(object)))
            .unwrap()
            .model_servers
            .unwrap();
        assert_eq!(
            (servers.interval.as_str(), servers.timeout.as_str()),
            (interval, timeout)
        );
    }

    #[test]
    fn an_interval_of_model_servers_that_prometheus_would_refuse_is_refused_here() {
        let spec = "{seldon: {enabled: true, interval: 5}}";
        let Err(Hold::Objection(Objection::InvalidSpec { field, .. })) =
            plan(&inputs(object(&ALICE.replace("{}", spec))))
        else {
            panic!("it was taken");
        };
        assert_eq!(field, "spec.seldon.interval");
    }

    #[rstest]
    #[case("65536Ki", true)]
    #[case("64Mi", true)]
    #[case("1Ki", true)]
    #[case("65537Ki", false)]
    #[case("99999Ki", false)]
    #[case("65Mi", false)]
    #[case("0Ki", false)]
    #[case("+1Ki", false)]
    #[case("Ki", false)]
    #[case("16M", false)]
    fn an_answer_above_64_mebibytes_is_refused_here_too(
        #[case] size: &str,
        #[case] is_taken: bool,
    ) {
        let spec = format!("{{scrape: {{limits: {{bodySize: {size}}}}}}}");
        match plan(&inputs(object(&ALICE.replace("{}", &spec)))) {
            Ok(plan) => assert!(is_taken && plan.scrape.limits.body_size == size),
            Err(Hold::Objection(Objection::InvalidSpec { field, .. })) => {
                assert!(!is_taken);
                assert_eq!(field, "spec.scrape.limits.bodySize");
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case("30s", Some("31s"), "spec.scrape.timeout")]
    #[case("30s", Some("0s"), "spec.scrape.timeout")]
    #[case("0s", None, "spec.scrape.interval")]
    #[case("5", None, "spec.scrape.interval")]
    #[case("s", None, "spec.scrape.interval")]
    #[case("99999999999999999999h", None, "spec.scrape.interval")]
    #[case("30m1h", None, "spec.scrape.interval")]
    #[case("1s1s", None, "spec.scrape.interval")]
    #[case("+5s", None, "spec.scrape.interval")]
    fn a_duration_that_prometheus_would_refuse_is_refused_here(
        #[case] interval: &str,
        #[case] timeout: Option<&str>,
        #[case] at: &str,
    ) {
        let Err(Objection::InvalidSpec { field, .. }) = scrape_timeout(interval, timeout) else {
            panic!("{interval} {timeout:?} was taken");
        };
        assert_eq!(field, at);
    }
}
