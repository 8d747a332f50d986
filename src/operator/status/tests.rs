//! What status says in each case.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Seen, compute};
use crate::api::condition_types::ConditionType;
use crate::api::{MetricsNamespace, MetricsNamespaceStatus};
use crate::operator::cluster::live::Rollout;
use crate::operator::kind::Kind;
use crate::operator::objection::Objection;
use crate::operator::plan::{Plan, fixtures};
use crate::operator::problem::{Cause, Failure, Problem};
use crate::operator::selection::{Selection, Selections};
use rstest::rstest;

const NOW: &str = "2026-03-03T03:00:00.5Z";

fn rollout(available: bool, problem: Option<&str>) -> Rollout {
    Rollout {
        complete: available,
        available,
        since: Some("2026-03-03T02:00:00Z".parse().unwrap()),
        progressed: None,
        problem: problem.map(Into::into),
        going: None,
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
    plan: Result<Plan, Objection>,
    problems: Vec<Problem>,
    rollout: Option<Rollout>,
    pod_problem: Option<&'static str>,
    selection: Option<Selection>,
    serving: Option<Selection>,
    converged: bool,
    unseen: Option<&'static str>,
    unseen_prometheuses: Option<&'static str>,
    contested: Option<&'static str>,
    newer_image: Option<&'static str>,
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
            serving: Some(selected()),
            converged: true,
            unseen: None,
            unseen_prometheuses: None,
            contested: None,
            newer_image: None,
        }
    }

    /// The same of one who serves models too.
    fn with_model_servers() -> Self {
        Self {
            plan: Ok(fixtures::carol()),
            ..Self::well()
        }
    }

    fn selections(&self) -> Selections {
        [
            (Kind::ServiceMonitor, &self.selection),
            (Kind::PodMonitor, &self.serving),
        ]
        .into_iter()
        .filter_map(|(kind, selection)| Some((kind, selection.clone()?)))
        .collect()
    }

    fn status(&self) -> MetricsNamespaceStatus {
        compute(
            &self.object,
            &Seen {
                decision: self.plan.as_ref(),
                newer_image: self.newer_image,
                problems: &self.problems,
                contested: self.contested.map(Into::into),
                rollout: self.rollout.clone(),
                pod_problem: self.pod_problem.map(Into::into),
                selections: self.selections(),
                unseen: self.unseen.map(Into::into),
                unseen_prometheuses: self.unseen_prometheuses.map(Into::into),
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
        stays: false,
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
fn what_is_so_over_a_limit_is_told_with_the_tenants_own_limit() {
    let mut world = World::well();
    world.plan.as_mut().unwrap().scrape.limits.samples = 150;
    let message = find(&world.status(), "ScrapeConfigured").message;
    assert!(
        message.ends_with(
            "over a limit of spec.scrape.limits, such as 150 samples, Prometheus takes nothing of this namespace"
        ),
        "{message}"
    );
}

#[rstest]
#[case::created("strict decoding error: unknown field \"spec.bodySizeLimit\"")]
#[case::changed(
    "failed to create typed patch object: .spec.bodySizeLimit: field not declared in schema"
)]
fn a_monitor_with_a_field_that_the_cluster_does_not_know_is_told_with_the_version_to_have(
    #[case] why: &str,
) {
    let mut world = World::well();
    let refused = |kind, serves| problem(kind, serves, Failure::Refused(why.into()).into());
    world.problems = vec![refused(
        Kind::ServiceMonitor,
        ConditionType::ScrapeConfigured,
    )];
    let message = find(&world.status(), "ScrapeConfigured").message;
    let advice = "The CRD servicemonitors.monitoring.coreos.com is older than Prometheus Operator 0.73: install the CRDs \
                  of that version or a later one";
    assert!(
        message.contains(why) && message.ends_with(advice),
        "{message}"
    );

    world.problems = vec![refused(Kind::Deployment, ConditionType::GatewayAvailable)];
    let message = find(&world.status(), "GatewayAvailable").message;
    assert!(message.ends_with(why), "{message}");
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

#[test]
fn of_many_prometheus_objects_a_message_names_the_first() {
    let mut world = World::well();
    let many = |word: &str| {
        (100..300)
            .map(|i| format!("monitoring/{i}{word}"))
            .collect()
    };
    world.selection = Some(Selection {
        selected_by: many(""),
        ..Selection::default()
    });
    let message = world.ready().message;
    assert!(message.contains("monitoring/104 and 195 more"), "{message}");
    world.selection = Some(Selection {
        ignored_by: many(" selects others"),
        ..Selection::default()
    });
    let message = world.ready().message;
    assert!(
        message.ends_with("monitoring/104 selects others and 195 more"),
        "{message}"
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
    let ready = world.ready();
    assert_eq!(ready.reason, "GatewayRolloutStuck");
    assert!(
        ready.message.contains("timed out progressing"),
        "{}",
        ready.message
    );
}

#[test]
fn without_any_prometheus_object_who_scrapes_is_unknown_and_ready_stays_true() {
    let mut world = World::well();
    world.selection = Some(Selection::default());
    assert_eq!(find(&world.status(), "ScrapeConfigured").status, "Unknown");
    let ready = world.ready();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("True", "NoPrometheusFound")
    );
    assert!(ready.message.ends_with(
        "this cluster has no Prometheus or PrometheusAgent object that could select it"
    ));
    world.unseen_prometheuses = Some("prometheuses is forbidden");
    let message = world.ready().message;
    assert!(
        message.ends_with("the operator can't see the Prometheus objects that could select it: prometheuses is forbidden"),
        "{message}"
    );
}

#[test]
fn what_cannot_be_seen_is_unknown_and_said() {
    let mut world = World::well();
    world.unseen = Some("deployments is forbidden");
    let ready = world.ready();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("Unknown", "GatewayUnseen")
    );
    assert!(
        ready.message.contains("deployments is forbidden"),
        "{}",
        ready.message
    );
}

#[test]
fn who_would_select_a_service_monitor_that_is_not_there_is_not_told() {
    let mut world = World::well();
    let refused = Failure::Refused("no right".into()).into();
    world.problems = vec![problem(
        Kind::ServiceMonitor,
        ConditionType::ScrapeConfigured,
        refused,
    )];
    assert_eq!(
        world.status().scrape.unwrap().selected_by,
        Vec::<String>::new()
    );
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
#[case(Failure::Refused("quota".into()).into(), "Refused", "quota")]
#[case(Failure::Unavailable("reset".into()).into(), "ApiUnavailable", "reset")]
#[case(Cause::HeldBack, "PausedBySpec", "spec.paused")]
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
        dashboard.message.contains("ConfigMap pushgateway") && dashboard.message.contains(words)
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
        Failure::Refused("no right".into()).into(),
    )];
    assert!(world.ready().message.contains("no right"));
}

#[test]
fn no_dashboard_is_no_problem_where_none_is_wanted() {
    let mut world = World::well();
    world.plan.as_mut().unwrap().dashboard = None;
    let conditions = world.status().conditions;
    assert!(
        conditions.iter().all(|c| c.type_ != "DashboardPublished"),
        "{conditions:#?}"
    );
    assert_eq!(world.ready().reason, "AllWorking");
}

#[test]
fn an_object_that_does_not_serve_its_namespace_says_who_does_and_nothing_else() {
    let mut world = World::well();
    let by = Some("first".into());
    world.plan = Err(Objection::AlreadyServed { by });
    let status = world.status();
    assert_eq!(status.conditions.len(), 1);
    assert!(
        find(&status, "Ready")
            .message
            .contains("MetricsNamespace first")
    );
    assert_eq!(status.url, None);

    world.plan = Err(Objection::AlreadyServed { by: None });
    let message = find(&world.status(), "Ready").message.clone();
    assert!(message.contains("kubectl get mns"), "{message}");
}

#[test]
fn nothing_is_said_of_model_servers_where_none_are_asked_for() {
    let conditions = World::well().status().conditions;
    assert!(
        conditions
            .iter()
            .all(|c| c.type_ != "ServingScrapeConfigured")
    );
}

#[test]
fn model_servers_that_are_selected_are_told() {
    let status = World::with_model_servers().status();
    let serving = find(&status, "ServingScrapeConfigured");
    assert_eq!(
        (serving.status.as_str(), serving.reason.as_str()),
        ("True", "Selected")
    );
    assert_eq!(
        serving.message,
        "set to be scraped every 30s by monitoring/k8s; over a limit, such as spec.seldon.limits.samples (5000), \
         Prometheus takes nothing of that port"
    );
    assert_eq!(find(&status, "Ready").reason, "AllWorking");
}

#[test]
fn model_servers_that_nobody_scrapes_are_told_after_the_gateway() {
    let nobody = Some(Selection {
        ignored_by: vec!["Prometheus monitoring/k8s selects others".into()],
        ..Selection::default()
    });
    let mut world = World::with_model_servers();
    world.serving = nobody.clone();
    let serving = find(&world.status(), "ServingScrapeConfigured");
    let ready = world.ready();
    assert_eq!(
        (serving.status.as_str(), serving.reason.as_str()),
        ("False", "NotSelected")
    );
    assert_eq!(
        serving.message,
        "nobody scrapes the model servers: Prometheus monitoring/k8s selects others"
    );
    assert_eq!(ready.message, serving.message);
    world.selection = nobody;
    assert!(
        world
            .ready()
            .message
            .starts_with("nobody scrapes the gateway")
    );
}

#[test]
fn without_pod_monitors_the_gateway_is_still_told() {
    let mut world = World::with_model_servers();
    world.serving = None;
    let status = world.status();
    let serving = find(&status, "ServingScrapeConfigured");
    assert_eq!(serving.reason, "PodMonitorKindMissing");
    assert!(
        serving
            .message
            .contains("CRD podmonitors.monitoring.coreos.com"),
        "{}",
        serving.message
    );
    assert_eq!(find(&status, "ScrapeConfigured").reason, "Selected");
    world.problems = vec![problem(
        Kind::PodMonitor,
        ConditionType::ServingScrapeConfigured,
        Cause::KindNotServed,
    )];
    assert_eq!(
        find(&world.status(), "ServingScrapeConfigured").message,
        serving.message
    );
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
    let early =
        |c: &mut Condition| c.last_transition_time = Time("2026-01-01T00:00:00Z".parse().unwrap());
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

#[test]
fn a_refused_change_says_what_goes_on_and_that_ready_needs_somebody() {
    for (kind, serves) in [
        (Kind::Deployment, ConditionType::GatewayAvailable),
        (Kind::ServiceMonitor, ConditionType::ScrapeConfigured),
        (Kind::ConfigMap, ConditionType::ClientSettingsPublished),
        (Kind::ConfigMap, ConditionType::DashboardPublished),
    ] {
        let mut world = World::well();
        world.problems = vec![Problem {
            stays: true,
            ..problem(kind, serves, Failure::Refused("quota".into()).into())
        }];
        let status = world.status();
        let condition = find(&status, serves.as_str());
        assert_eq!(condition.status, "True", "{condition:?}");
        assert!(
            condition.message.ends_with("which stays as it was: quota"),
            "{condition:?}"
        );
        let ready = find(&status, "Ready");
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("False", "Refused")
        );
        assert_eq!(status.scrape.unwrap().selected_by, ["monitoring/k8s"]);
    }
}

#[test]
fn what_a_refused_change_would_have_brought_is_not_told_as_done() {
    let refused = |kind, serves| Problem {
        stays: true,
        ..problem(kind, serves, Failure::Refused("quota".into()).into())
    };
    let mut world = World::well();
    let mut before = world.status();
    before.gateway.as_mut().unwrap().image = Some("before".into());
    world.object.status = Some(before);
    world.problems = vec![
        refused(Kind::Deployment, ConditionType::GatewayAvailable),
        refused(Kind::ServiceMonitor, ConditionType::ScrapeConfigured),
    ];
    let status = world.status();
    let scraped = &find(&status, "ScrapeConfigured").message;
    assert!(
        scraped.starts_with("set to be scraped by monitoring/k8s; the API server refuses"),
        "{scraped}"
    );
    let gateway = status.gateway.unwrap();
    let wanted = fixtures::alice().image;
    assert_eq!(gateway.image.as_deref(), Some("before"));
    assert_eq!(gateway.pending_image.as_ref(), Some(&wanted));
    world.problems.clear();
    let gateway = world.status().gateway.unwrap();
    assert_eq!((gateway.image, gateway.pending_image), (Some(wanted), None));
}

#[test]
fn a_change_that_does_not_get_through_is_a_sentence_too() {
    let mut world = World::well();
    world.problems = vec![Problem {
        stays: true,
        ..problem(
            Kind::Service,
            ConditionType::GatewayAvailable,
            Failure::Unavailable("503".into()).into(),
        )
    }];
    let says = "a change of Service pushgateway, which stays as it was, could not be written and is tried again: 503";
    assert_eq!(world.ready().message, says);
}

#[test]
fn what_is_being_deleted_for_long_is_not_ready_and_says_what_holds_it() {
    let mut world = World::well();
    world.plan = Err(Objection::BeingDeleted {
        since: "2026-03-03T02:00:00Z".parse().unwrap(),
        held_by: vec!["foregroundDeletion".into(), "a/b".into()],
    });
    let status = world.status();
    assert_eq!((status.conditions.len(), status.url.as_ref()), (1, None));
    let ready = find(&status, "Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "BeingDeleted")
    );
    let says = "its deletion began at 2026-03-03T02:00:00Z, and finalizer foregroundDeletion, a/b holds it; \
        nothing is done for it any more";
    assert_eq!(ready.message, says);
}

#[test]
fn a_child_that_is_waited_for_is_named() {
    let mut world = World::well();
    world.rollout = None;
    world.problems = vec![problem(
        Kind::Deployment,
        ConditionType::GatewayAvailable,
        Failure::Unanswered.into(),
    )];
    let ready = world.ready();
    assert_eq!(ready.reason, "ApiUnavailable");
    assert!(
        ready.message.contains("Deployment pushgateway"),
        "{}",
        ready.message
    );
}

#[test]
fn a_fight_is_a_condition_while_it_lasts_and_shows_in_ready() {
    assert!(
        World::well()
            .status()
            .conditions
            .iter()
            .all(|c| c.type_ != "Contested")
    );
    let mut world = World::well();
    world.contested = Some("somebody keeps changing something");
    let status = world.status();
    let contested = find(&status, "Contested");
    assert_eq!(contested.message, "somebody keeps changing something");
    let ready = find(&status, "Ready");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("True", "ChangedByOthers")
    );
    world.rollout = Some(rollout(false, None));
    let ready = world.ready();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "GatewayStarting")
    );
    assert!(
        ready.message.ends_with("somebody keeps changing something"),
        "{}",
        ready.message
    );
}
