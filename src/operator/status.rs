//! The only writer of status. It is computed, purely, from what was applied and seen.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Error as KubeError, Resource, ResourceExt};
use serde_json::json;

use crate::api::conditions::{ConditionType, Reason};
use crate::api::status::{GatewayStatus, ScrapeStatus};
use crate::api::{MetricsNamespace, MetricsNamespaceStatus, names};

use super::apply::{Cause, Problem};
use super::child_cache::Rollout;
use super::plan::{Hold, Plan};
use super::selection::Selection;

/// Conditions that must not be false for Ready, in the order in which they are worth mending.
const SUMMED_UP: [ConditionType; 4] = [
    ConditionType::GatewayAvailable,
    ConditionType::ScrapeConfigured,
    ConditionType::ClientSettingsPublished,
    ConditionType::DashboardPublished,
];

/// What was applied and seen of one object.
pub struct Seen<'a> {
    /// What was wanted, or why nothing.
    pub decision: Result<&'a Plan, &'a Hold>,
    /// What could not be written.
    pub problems: &'a [Problem],
    /// How the gateway's pods are; `None` where there is no Deployment.
    pub rollout: Option<&'a Rollout>,
    /// What keeps the gateway's pod from being ready, in its own words.
    pub pod_problem: Option<&'a str>,
    /// Who scrapes; `None` where the cluster has no ServiceMonitors.
    pub selection: Option<&'a Selection>,
    /// Of a paused object: whether it is as it asks to be.
    pub converged: bool,
    /// The time now.
    pub now: Timestamp,
}

struct Verdict {
    type_: ConditionType,
    status: &'static str,
    reason: Reason,
    message: String,
}

impl Verdict {
    fn new(
        type_: ConditionType,
        status: &'static str,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status,
            reason,
            message: message.into(),
        }
    }
}

/// The status that says what was seen.
pub fn compute(object: &MetricsNamespace, seen: &Seen) -> MetricsNamespaceStatus {
    let mut verdicts = match seen.decision {
        Ok(plan) => working(plan, seen),
        Err(hold) => vec![held(hold)],
    };
    if object.spec.paused {
        let differs = if seen.converged {
            ""
        } else {
            ", and they differ from what this object asks for"
        };
        verdicts.push(Verdict::new(
            ConditionType::Paused,
            "True",
            Reason::PausedBySpec,
            format!("nothing is changed here while spec.paused is true{differs}; set it to false to go on"),
        ));
    }
    let plan = seen.decision.ok();
    let before = object.status.as_ref();
    MetricsNamespaceStatus {
        observed_generation: object.metadata.generation,
        url: plan.map(|p| names::gateway_url(&p.namespace)),
        conditions: verdicts
            .into_iter()
            .map(|v| condition(v, object, seen.now))
            .collect(),
        gateway: plan.map(|p| GatewayStatus {
            image: Some(p.image.clone()),
            ready_since: seen
                .rollout
                .filter(|r| r.available)
                .and_then(|r| r.since.map(Time))
                .or_else(|| {
                    // A Deployment that has lost its condition for a moment does not restart the clock.
                    before
                        .and_then(|s| s.gateway.as_ref()?.ready_since.clone())
                        .filter(|_| seen.rollout.is_some_and(|r| r.available))
                }),
        }),
        scrape: plan.map(|_| ScrapeStatus {
            selected_by: seen
                .selection
                .map(|s| s.selected_by.clone())
                .unwrap_or_default(),
        }),
    }
}

fn condition(verdict: Verdict, object: &MetricsNamespace, now: Timestamp) -> Condition {
    let type_ = verdict.type_.as_str();
    let since = object
        .status
        .iter()
        .flat_map(|s| &s.conditions)
        .find(|c| c.type_ == type_ && c.status == verdict.status)
        .map_or(Time(whole_seconds(now)), |c| c.last_transition_time.clone());
    Condition {
        type_: type_.into(),
        status: verdict.status.into(),
        reason: verdict.reason.as_str().into(),
        message: verdict.message,
        observed_generation: object.metadata.generation,
        last_transition_time: since,
    }
}

/// The API keeps whole seconds; a finer time would come back changed, and be written again.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn held(hold: &Hold) -> Verdict {
    let (reason, message) = match hold {
        Hold::AlreadyServed { by } => (
            Reason::NamespaceAlreadyServed,
            format!(
                "MetricsNamespace {by} is older and serves this namespace; this one takes over when it is deleted"
            ),
        ),
        Hold::NamespaceTerminating | Hold::Deleting => (
            Reason::NamespaceTerminating,
            "the namespace is being deleted".to_owned(),
        ),
        Hold::InvalidSpec {
            field,
            value,
            expected,
        } => (
            Reason::InvalidSpec,
            format!(
                "{field} is {value:?}; expected {expected}. What was applied before stays as it is"
            ),
        ),
    };
    Verdict::new(ConditionType::Ready, "False", reason, message)
}

fn working(plan: &Plan, seen: &Seen) -> Vec<Verdict> {
    let verdicts = vec![
        gateway(plan, seen),
        scrape(plan, seen),
        published(ConditionType::ClientSettingsPublished, seen, || {
            format!(
                "pods find the gateway by ConfigMap {}",
                names::CLIENT_CONFIG
            )
        }),
        match &plan.dashboard {
            Some(_) => published(ConditionType::DashboardPublished, seen, || {
                format!(
                    "ConfigMap {} is there for Grafana's sidecar",
                    names::DASHBOARD
                )
            }),
            None => Verdict::new(
                ConditionType::DashboardPublished,
                "False",
                Reason::Disabled,
                "spec.dashboard.enabled is false",
            ),
        },
    ];
    let ready = summary(&verdicts, seen);
    std::iter::once(ready).chain(verdicts).collect()
}

fn summary(verdicts: &[Verdict], seen: &Seen) -> Verdict {
    let wrong = SUMMED_UP.iter().find_map(|type_| {
        verdicts
            .iter()
            .find(|v| v.type_ == *type_ && v.status == "False" && v.reason != Reason::Disabled)
    });
    if let Some(wrong) = wrong {
        return Verdict::new(
            ConditionType::Ready,
            "False",
            wrong.reason,
            wrong.message.clone(),
        );
    }
    let leftovers = seen
        .problems
        .iter()
        .find(|p| p.serves == ConditionType::Ready);
    if let Some(problem) = leftovers {
        let (reason, message) = explain(problem);
        return Verdict::new(ConditionType::Ready, "False", reason, message);
    }
    let scraped = match seen.selection {
        Some(s) if !s.selected_by.is_empty() => {
            format!("is scraped by {}", s.selected_by.join(", "))
        }
        _ => "is there to be scraped; no Prometheus object was found, so by whom is not known"
            .to_owned(),
    };
    Verdict::new(
        ConditionType::Ready,
        "True",
        Reason::AllWorking,
        format!(
            "what is pushed to http://{}:{} {scraped}",
            names::GATEWAY,
            names::PORT
        ),
    )
}

fn gateway(plan: &Plan, seen: &Seen) -> Verdict {
    let verdict = |status, reason, message: String| {
        Verdict::new(ConditionType::GatewayAvailable, status, reason, message)
    };
    if let Some(problem) = problem_of(seen, ConditionType::GatewayAvailable) {
        let (reason, message) = explain(problem);
        return verdict("False", reason, message);
    }
    match seen.rollout {
        None => verdict(
            "False",
            Reason::GatewayMissing,
            format!("Deployment {} is not there", names::GATEWAY),
        ),
        Some(rollout) if rollout.available => {
            let mut message = format!(
                "the gateway answers at {}",
                names::gateway_url(&plan.namespace)
            );
            if !rollout.complete {
                let _ = write!(message, "; a changed one is being rolled out");
                if let Some(why) = seen.pod_problem.or(rollout.problem.as_deref()) {
                    let _ = write!(message, " and does not come up: {why}");
                }
            }
            verdict("True", Reason::GatewayAnswers, message)
        }
        Some(rollout) => match seen.pod_problem.or(rollout.problem.as_deref()) {
            None => verdict(
                "False",
                Reason::GatewayStarting,
                "the gateway's pod is not ready yet".to_owned(),
            ),
            Some(why) => verdict(
                "False",
                Reason::GatewayNotReady,
                format!("the gateway's pod is not ready: {why}"),
            ),
        },
    }
}

fn scrape(plan: &Plan, seen: &Seen) -> Verdict {
    let verdict = |status, reason, message: String| {
        Verdict::new(ConditionType::ScrapeConfigured, status, reason, message)
    };
    if let Some(problem) = problem_of(seen, ConditionType::ScrapeConfigured) {
        let (reason, message) = explain(problem);
        return verdict("False", reason, message);
    }
    match seen.selection {
        None => {
            let (reason, message) = kind_missing();
            verdict("False", reason, message)
        }
        Some(s) if !s.selected_by.is_empty() => verdict(
            "True",
            Reason::Selected,
            format!(
                "scraped every {} by {}",
                plan.scrape.interval,
                s.selected_by.join(", ")
            ),
        ),
        Some(s) if s.ignored_by.is_empty() => verdict(
            "Unknown",
            Reason::NoPrometheusFound,
            format!(
                "ServiceMonitor {} is there, and this cluster has no Prometheus object that could select it",
                names::GATEWAY
            ),
        ),
        Some(s) => verdict(
            "False",
            Reason::NotSelected,
            format!("nobody scrapes this namespace: {}", s.ignored_by.join("; ")),
        ),
    }
}

fn published(type_: ConditionType, seen: &Seen, message: impl FnOnce() -> String) -> Verdict {
    match problem_of(seen, type_) {
        Some(problem) => {
            let (reason, message) = explain(problem);
            Verdict::new(type_, "False", reason, message)
        }
        None => Verdict::new(type_, "True", Reason::Published, message()),
    }
}

fn problem_of<'a>(seen: &'a Seen, type_: ConditionType) -> Option<&'a Problem> {
    seen.problems.iter().find(|p| p.serves == type_)
}

fn explain(problem: &Problem) -> (Reason, String) {
    let object = format!("{} {}", problem.kind.as_str(), problem.name);
    match &problem.cause {
        Cause::NameTaken => (
            Reason::NameTaken,
            format!(
                "{object} is there and was not made by Simplepipe; rename or delete it, and it will be made"
            ),
        ),
        Cause::KindNotServed => kind_missing(),
        Cause::Refused(why) => (
            Reason::Refused,
            format!("the API server refuses {object}: {why}"),
        ),
        Cause::Unavailable(why) => (
            Reason::ApiUnavailable,
            format!("{object} could not be written and is tried again: {why}"),
        ),
    }
}

fn kind_missing() -> (Reason, String) {
    (
        Reason::ServiceMonitorKindMissing,
        "this cluster has no ServiceMonitors (CRD servicemonitors.monitoring.coreos.com), so nobody scrapes the \
         gateway; install the Prometheus Operator's CRDs, and it is picked up by itself"
            .to_owned(),
    )
}

/// Writes a status, unless it is there already. True if it was written.
///
/// # Errors
/// The API server's, except that the object is gone, which is no error here.
pub async fn write(
    client: &Client,
    object: &MetricsNamespace,
    status: &MetricsNamespaceStatus,
) -> Result<bool, KubeError> {
    if object.status.as_ref() == Some(status) {
        return Ok(false);
    }
    let api: Api<MetricsNamespace> =
        Api::namespaced(client.clone(), &object.namespace().unwrap_or_default());
    let body = json!({
        "apiVersion": MetricsNamespace::api_version(&()),
        "kind": MetricsNamespace::kind(&()),
        // With its UID, so that an object that was made anew meanwhile does not get the old one's status.
        "metadata": {"name": object.name_any(), "uid": object.uid()},
        "status": status,
    });
    let parameters = PatchParams::apply(names::MANAGER).force();
    match api
        .patch_status(&object.name_any(), &parameters, &Patch::Apply(body))
        .await
    {
        Ok(_) => Ok(true),
        Err(KubeError::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::kind::Kind;
    use crate::operator::plan::fixtures;
    use rstest::rstest;

    const NOW: &str = "2026-03-03T03:00:00.5Z";

    fn rollout(available: bool, problem: Option<&str>) -> Rollout {
        Rollout {
            complete: available,
            available,
            since: Some("2026-03-03T02:00:00Z".parse().unwrap()),
            problem: problem.map(Into::into),
        }
    }

    fn selected() -> Selection {
        Selection {
            selected_by: vec!["monitoring/k8s".into()],
            ignored_by: vec![],
        }
    }

    /// A tenant where all is well, but for what a test changes.
    struct World {
        object: MetricsNamespace,
        plan: Result<Plan, Hold>,
        problems: Vec<Problem>,
        rollout: Option<Rollout>,
        pod_problem: Option<&'static str>,
        selection: Option<Selection>,
        converged: bool,
    }

    impl World {
        fn well() -> Self {
            Self {
                object: (*fixtures::object(fixtures::ALICE)).clone(),
                plan: Ok(fixtures::alice()),
                problems: vec![],
                rollout: Some(rollout(true, None)),
                pod_problem: None,
                selection: Some(selected()),
                converged: true,
            }
        }

        fn status(&self) -> MetricsNamespaceStatus {
            compute(
                &self.object,
                &Seen {
                    decision: self.plan.as_ref(),
                    problems: &self.problems,
                    rollout: self.rollout.as_ref(),
                    pod_problem: self.pod_problem,
                    selection: self.selection.as_ref(),
                    converged: self.converged,
                    now: NOW.parse().unwrap(),
                },
            )
        }

        fn ready(&self) -> Condition {
            find(&self.status(), "Ready")
        }
    }

    fn find(status: &MetricsNamespaceStatus, type_: &str) -> Condition {
        let found = status.conditions.iter().find(|c| c.type_ == type_).cloned();
        found.unwrap_or_else(|| panic!("no {type_} in {status:#?}"))
    }

    fn problem(kind: Kind, serves: ConditionType, cause: Cause) -> Problem {
        Problem {
            kind,
            name: "pushgateway".into(),
            serves,
            cause,
        }
    }

    #[test]
    fn where_all_is_well_ready_says_who_scrapes() {
        let status = World::well().status();
        let ready = find(&status, "Ready");
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("True", "AllWorking")
        );
        assert!(
            ready.message.contains("monitoring/k8s"),
            "{}",
            ready.message
        );
        assert_eq!(status.observed_generation, Some(3));
        assert_eq!(
            status.url.as_deref(),
            Some("http://pushgateway.alice.svc:9091")
        );
    }

    #[test]
    fn the_first_thing_that_is_wrong_is_what_ready_says() {
        let mut world = World::well();
        world.selection = Some(Selection {
            ignored_by: vec!["Prometheus monitoring/k8s selects others".into()],
            ..Selection::default()
        });
        assert_eq!(world.ready().reason, "NotSelected");
        world.rollout = Some(rollout(false, None));
        world.pod_problem = Some("container pushgateway: ImagePullBackOff");
        let ready = world.ready();
        assert_eq!(ready.reason, "GatewayNotReady");
        assert!(
            ready.message.contains("ImagePullBackOff"),
            "{}",
            ready.message
        );
    }

    #[rstest]
    #[case::no_deployment(None, None, "GatewayMissing")]
    #[case::just_made(Some(rollout(false, None)), None, "GatewayStarting")]
    #[case::by_the_deployments_word(
        Some(rollout(false, Some("exceeded quota"))),
        None,
        "GatewayNotReady"
    )]
    #[case::by_the_pods_word(Some(rollout(false, None)), Some("OOMKilled"), "GatewayNotReady")]
    fn ready_only_after_the_gateway_answers(
        #[case] rollout: Option<Rollout>,
        #[case] pod_problem: Option<&'static str>,
        #[case] reason: &str,
    ) {
        let mut world = World::well();
        (world.rollout, world.pod_problem) = (rollout, pod_problem);
        let ready = world.ready();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("False", reason)
        );
    }

    #[test]
    fn a_changed_gateway_that_does_not_come_up_is_told_while_the_old_one_answers() {
        let mut world = World::well();
        world.rollout = Some(Rollout {
            complete: false,
            ..rollout(true, Some("has timed out progressing"))
        });
        let available = find(&world.status(), "GatewayAvailable");
        assert_eq!(available.status, "True");
        assert!(
            available.message.contains("timed out progressing"),
            "{}",
            available.message
        );
    }

    #[test]
    fn without_any_prometheus_object_who_scrapes_is_unknown_and_ready_stays_true() {
        let mut world = World::well();
        world.selection = Some(Selection::default());
        assert_eq!(find(&world.status(), "ScrapeConfigured").status, "Unknown");
        assert_eq!(world.ready().status, "True");
    }

    #[test]
    fn without_service_monitors_the_rest_is_still_told() {
        let mut world = World::well();
        world.selection = None;
        let status = world.status();
        assert_eq!(
            find(&status, "ScrapeConfigured").reason,
            "ServiceMonitorKindMissing"
        );
        assert_eq!(find(&status, "GatewayAvailable").status, "True");
        assert_eq!(find(&status, "Ready").status, "False");
    }

    #[rstest]
    #[case(Cause::NameTaken, "NameTaken", "was not made by Simplepipe")]
    #[case(Cause::Refused("quota".into()), "Refused", "quota")]
    #[case(Cause::Unavailable("reset".into()), "ApiUnavailable", "reset")]
    fn a_child_that_cannot_be_written_is_named_where_it_belongs(
        #[case] cause: Cause,
        #[case] reason: &str,
        #[case] words: &str,
    ) {
        let mut world = World::well();
        world.problems = vec![problem(
            Kind::ConfigMap,
            ConditionType::DashboardPublished,
            cause,
        )];
        let status = world.status();
        let dashboard = find(&status, "DashboardPublished");
        assert_eq!(dashboard.reason, reason);
        assert!(
            dashboard.message.contains("ConfigMap pushgateway")
                && dashboard.message.contains(words)
        );
        assert_eq!(find(&status, "GatewayAvailable").status, "True");
        assert_eq!(find(&status, "Ready").reason, reason);
    }

    #[test]
    fn a_child_that_cannot_be_removed_is_told_by_ready() {
        let mut world = World::well();
        world.problems = vec![problem(
            Kind::ConfigMap,
            ConditionType::Ready,
            Cause::Refused("no right".into()),
        )];
        assert!(world.ready().message.contains("no right"));
    }

    #[test]
    fn no_dashboard_is_no_problem_where_none_is_wanted() {
        let mut world = World::well();
        world.plan.as_mut().unwrap().dashboard = None;
        assert_eq!(
            find(&world.status(), "DashboardPublished").reason,
            "Disabled"
        );
        assert_eq!(world.ready().status, "True");
    }

    #[test]
    fn an_object_that_does_not_serve_its_namespace_says_who_does_and_nothing_else() {
        let mut world = World::well();
        world.plan = Err(Hold::AlreadyServed { by: "first".into() });
        let status = world.status();
        assert_eq!(status.conditions.len(), 1);
        assert!(
            find(&status, "Ready")
                .message
                .contains("MetricsNamespace first")
        );
        assert_eq!(status.url, None);
    }

    #[test]
    fn paused_is_told_beside_what_is_seen() {
        let mut world = World::well();
        world.object.spec.paused = true;
        assert!(!find(&world.status(), "Paused").message.contains("differ"));
        world.converged = false;
        assert!(find(&world.status(), "Paused").message.contains("differ"));
        assert_eq!(world.ready().status, "True");
    }

    #[test]
    fn since_when_changes_only_with_the_status_of_a_condition() {
        let mut world = World::well();
        let first = world.status();
        assert_eq!(
            find(&first, "Ready").last_transition_time.0.to_string(),
            "2026-03-03T03:00:00Z"
        );

        world.object.status = Some(first.clone());
        let early = |c: &mut Condition| {
            c.last_transition_time = Time("2026-01-01T00:00:00Z".parse().unwrap())
        };
        world
            .object
            .status
            .as_mut()
            .unwrap()
            .conditions
            .iter_mut()
            .for_each(early);
        assert_eq!(
            find(&world.status(), "Ready")
                .last_transition_time
                .0
                .to_string(),
            "2026-01-01T00:00:00Z"
        );

        world.rollout = None;
        assert_eq!(
            find(&world.status(), "Ready")
                .last_transition_time
                .0
                .to_string(),
            "2026-03-03T03:00:00Z"
        );
        assert_eq!(
            find(&world.status(), "ScrapeConfigured")
                .last_transition_time
                .0
                .to_string(),
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn a_status_that_says_the_same_is_equal_so_that_it_is_not_written() {
        let mut world = World::well();
        let status = world.status();
        // As it comes back from the API server.
        world.object.status =
            Some(serde_json::from_value(serde_json::to_value(&status).unwrap()).unwrap());
        assert_eq!(Some(world.status()), world.object.status);
    }
}
