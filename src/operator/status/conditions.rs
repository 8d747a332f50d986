//! Pure: the status that says what was applied and seen.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::condition_types::{ConditionStatus, ConditionType, Reason};
use crate::api::status::{GatewayStatus, ScrapeStatus};
use crate::api::{MetricsNamespace, MetricsNamespaceStatus, names};
use crate::terminal::listed;

use crate::operator::cluster::live::Rollout;
use crate::operator::kind::{Kind, Monitor};
use crate::operator::model_servers::ModelServers;
use crate::operator::objection::Objection;
use crate::operator::plan::Plan;
use crate::operator::problem::{Problem, without};
use crate::operator::selection::{Selection, Selections};

/// How many Prometheus objects a message names.
const NAMED: usize = 5;
/// Conditions that must not be false for Ready, in the order in which they are worth mending.
const SUMMED_UP: [ConditionType; 5] = [
    ConditionType::GatewayAvailable,
    ConditionType::ScrapeConfigured,
    ConditionType::ClientSettingsPublished,
    ConditionType::DashboardPublished,
    ConditionType::ServingScrapeConfigured,
];

/// What was applied and seen of one object.
pub struct Seen<'a> {
    /// What was wanted, or why nothing.
    pub decision: Result<&'a Plan, &'a Objection>,
    /// The image that the gateway gets when it restarts.
    pub newer_image: Option<&'a str>,
    /// What could not be written.
    pub problems: &'a [Problem],
    /// What others keep changing back.
    pub contested: Option<String>,
    /// How the gateway's pods are; `None` where there is no Deployment.
    pub rollout: Option<Rollout>,
    /// What keeps the gateway's pod from being ready, in its own words.
    pub pod_problem: Option<String>,
    pub selections: Selections,
    /// Why the gateway can't be seen, where it can't.
    pub unseen: Option<String>,
    /// Why Prometheus objects can't be seen, where they can't.
    pub unseen_prometheuses: Option<String>,
    /// Of a paused object: whether it is as it asks to be.
    pub converged: bool,
    pub now: Timestamp,
}

impl Seen<'_> {
    /// Who scrapes the gateway; `None` where the cluster has no ServiceMonitors.
    fn gateway_selection(&self) -> Option<&Selection> {
        self.selections.get(&Kind::ServiceMonitor)
    }
}

struct Verdict {
    type_: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl Verdict {
    fn new(
        type_: ConditionType,
        status: ConditionStatus,
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

    fn problem(type_: ConditionType, problem: &Problem) -> Self {
        Self::new(
            type_,
            ConditionStatus::False,
            problem.reason(),
            problem.to_string(),
        )
    }
}

/// The status that says what was seen.
pub fn compute(object: &MetricsNamespace, seen: &Seen) -> MetricsNamespaceStatus {
    let mut verdicts = match seen.decision {
        Ok(plan) => working(plan, seen),
        Err(objection) => vec![held(objection)],
    };
    if object.spec.paused {
        let differs = if seen.converged {
            ""
        } else {
            ", and they differ from what this object asks for"
        };
        verdicts.push(Verdict::new(
            ConditionType::Paused,
            ConditionStatus::True,
            Reason::PausedBySpec,
            format!("nothing is changed here while spec.paused is true{differs}; set it to false to go on"),
        ));
    }
    if let Some(fight) = &seen.contested {
        verdicts.push(Verdict::new(
            ConditionType::Contested,
            ConditionStatus::True,
            Reason::ChangedByOthers,
            fight,
        ));
    }
    let plan = seen.decision.ok();
    let before = object.status.as_ref();
    // A refused change is not there; the image before it was told when it was applied.
    let is_unchanged = stays(seen, Kind::Deployment);
    let image_before = before.and_then(|s| s.gateway.as_ref()?.image.clone());
    MetricsNamespaceStatus {
        observed_generation: object.metadata.generation,
        url: plan.map(|p| names::gateway_url(&p.namespace)),
        conditions: verdicts
            .into_iter()
            .map(|v| condition(v, object, seen.now))
            .collect(),
        gateway: plan.map(|p| GatewayStatus {
            pending_image: (is_unchanged && image_before.as_ref().is_some_and(|i| *i != p.image))
                .then(|| p.image.clone()),
            image: match is_unchanged {
                false => Some(p.image.clone()),
                true => image_before,
            },
            newer_image: seen.newer_image.map(ToOwned::to_owned),
            ready_since: seen
                .rollout
                .as_ref()
                .filter(|r| r.available)
                .and_then(|r| r.since.map(Time))
                .or_else(|| {
                    // A Deployment that has lost its condition for a moment does not restart the clock.
                    before
                        .and_then(|s| s.gateway.as_ref()?.ready_since.clone())
                        .filter(|_| seen.rollout.as_ref().is_some_and(|r| r.available))
                }),
        }),
        scrape: plan.map(|_| ScrapeStatus {
            selected_by: seen
                .gateway_selection()
                // Who would select a ServiceMonitor that is not there scrapes nothing.
                .filter(|_| problem_of(seen, ConditionType::ScrapeConfigured).is_none())
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
        .find(|c| c.type_ == type_ && c.status == verdict.status.as_str())
        .map_or(Time(whole_seconds(now)), |c| c.last_transition_time.clone());
    Condition {
        type_: type_.into(),
        status: verdict.status.as_str().into(),
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

fn held(objection: &Objection) -> Verdict {
    let (reason, message) = match objection {
        Objection::AlreadyServed { by: Some(by) } => (
            Reason::NamespaceAlreadyServed,
            format!(
                "MetricsNamespace {by} is older and serves this namespace; this one takes over when that one is deleted"
            ),
        ),
        // No name, so that this need not be written anew whenever another serves.
        Objection::AlreadyServed { by: None } => (
            Reason::NamespaceAlreadyServed,
            "the oldest MetricsNamespace serves this namespace, and many are older than this one; kubectl get mns shows \
             their ages"
                .to_owned(),
        ),
        Objection::BeingDeleted { since, held_by } => (
            Reason::BeingDeleted,
            format!(
                "its deletion began at {since}, and {} holds it; nothing is done for it any more",
                match held_by.is_empty() {
                    true => "something".to_owned(),
                    false => format!("finalizer {}", listed(held_by, ", ", NAMED)),
                }
            ),
        ),
        Objection::InvalidSpec {
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
    Verdict::new(
        ConditionType::Ready,
        ConditionStatus::False,
        reason,
        message,
    )
}

fn working(plan: &Plan, seen: &Seen) -> Vec<Verdict> {
    let mut verdicts = vec![
        gateway(plan, seen),
        scrape(&Scraped::gateway(plan), seen),
        published(ConditionType::ClientSettingsPublished, seen, || {
            format!(
                "pods find the gateway by ConfigMap {}",
                names::CLIENT_CONFIG
            )
        }),
    ];
    if plan.dashboard.is_some() {
        verdicts.push(published(ConditionType::DashboardPublished, seen, || {
            format!(
                "ConfigMap {} is there for Grafana's sidecar",
                names::DASHBOARD
            )
        }));
    }
    if let Some(servers) = &plan.model_servers {
        verdicts.push(scrape(&Scraped::model_servers(servers), seen));
    }
    for verdict in &mut verdicts {
        let stays = |p: &&Problem| p.stays && p.serves == verdict.type_;
        if let Some(problem) = seen.problems.iter().find(stays) {
            verdict.message = format!("{}; {problem}", verdict.message);
        }
    }
    let ready = summary(&verdicts, seen);
    std::iter::once(ready).chain(verdicts).collect()
}

fn summary(verdicts: &[Verdict], seen: &Seen) -> Verdict {
    let wrong = SUMMED_UP.iter().find_map(|type_| {
        verdicts
            .iter()
            .find(|v| v.type_ == *type_ && v.status == ConditionStatus::False)
    });
    if let Some(wrong) = wrong {
        return Verdict::new(
            ConditionType::Ready,
            ConditionStatus::False,
            wrong.reason,
            match &seen.contested {
                Some(fight) => format!("{}; {fight}", wrong.message),
                None => wrong.message.clone(),
            },
        );
    }
    // Those of children that go on as they were, or belong to no condition shown here, as when one can't be deleted.
    let is_shown = |type_| verdicts.iter().any(|verdict| verdict.type_ == type_);
    let leftovers = seen
        .problems
        .iter()
        .find(|p| p.stays || !is_shown(p.serves));
    if let Some(problem) = leftovers {
        return Verdict::problem(ConditionType::Ready, problem);
    }
    if let Some(unseen) = verdicts.iter().find(|v| v.reason == Reason::GatewayUnseen) {
        return Verdict::new(
            ConditionType::Ready,
            ConditionStatus::Unknown,
            unseen.reason,
            unseen.message.clone(),
        );
    }
    // It works as far as is known, and something about it wants a look.
    let remark = verdicts.iter().find(|v| {
        matches!(
            v.reason,
            Reason::GatewayRolloutStuck | Reason::NoPrometheusFound
        )
    });
    let answers = format!("http://{}:{}", names::GATEWAY, names::PORT);
    if let Some(fight) = &seen.contested {
        return Verdict::new(
            ConditionType::Ready,
            ConditionStatus::True,
            Reason::ChangedByOthers,
            format!("{answers} takes pushes; {fight}"),
        );
    }
    match (remark, seen.gateway_selection()) {
        (Some(remark), _) => Verdict::new(
            ConditionType::Ready,
            ConditionStatus::True,
            remark.reason,
            format!("{answers} takes pushes; {}", remark.message),
        ),
        (None, selection) => Verdict::new(
            ConditionType::Ready,
            ConditionStatus::True,
            Reason::AllWorking,
            format!(
                "{answers} takes pushes; set to be scraped by {}",
                selection
                    .map(|s| listed(&s.selected_by, ", ", NAMED))
                    .unwrap_or_default()
            ),
        ),
    }
}

fn gateway(plan: &Plan, seen: &Seen) -> Verdict {
    let verdict = |status, reason, message: String| {
        Verdict::new(ConditionType::GatewayAvailable, status, reason, message)
    };
    if let Some(problem) = problem_of(seen, ConditionType::GatewayAvailable) {
        return Verdict::problem(ConditionType::GatewayAvailable, problem);
    }
    if let Some(why) = &seen.unseen {
        return verdict(
            ConditionStatus::Unknown,
            Reason::GatewayUnseen,
            format!("the operator can't watch Deployments, so it can't see the gateway: {why}"),
        );
    }
    match &seen.rollout {
        None => verdict(
            ConditionStatus::False,
            Reason::GatewayMissing,
            format!("Deployment {} is not there", names::GATEWAY),
        ),
        Some(rollout) if rollout.available => {
            let answers = format!(
                "the gateway answers at {}",
                names::gateway_url(&plan.namespace)
            );
            let why = seen.pod_problem.as_ref().or(rollout.problem.as_ref());
            match why.filter(|_| !rollout.complete) {
                Some(why) => verdict(
                    ConditionStatus::True,
                    Reason::GatewayRolloutStuck,
                    format!("{answers}, but the changed one does not come up: {why}"),
                ),
                None => verdict(ConditionStatus::True, Reason::GatewayAnswers, answers),
            }
        }
        Some(rollout) => match seen.pod_problem.as_ref().or(rollout.problem.as_ref()) {
            None => verdict(
                ConditionStatus::False,
                Reason::GatewayStarting,
                "the gateway's pod is not ready yet; if this stays for a minute, see whether kube-controller-manager runs"
                    .to_owned(),
            ),
            Some(why) => verdict(
                ConditionStatus::False,
                Reason::GatewayNotReady,
                format!("the gateway's pod is not ready: {why}"),
            ),
        },
    }
}

/// What a Prometheus may be told to scrape.
struct Scraped<'a> {
    /// The condition that says whether one is.
    type_: ConditionType,
    monitor: Monitor,
    name: &'static str,
    interval: &'a str,
    /// What is so over a limit, which no condition shows.
    over_limit: String,
}

impl<'a> Scraped<'a> {
    fn gateway(plan: &'a Plan) -> Self {
        Self {
            type_: ConditionType::ScrapeConfigured,
            monitor: Monitor::Services,
            name: names::GATEWAY,
            interval: &plan.scrape.interval,
            over_limit: format!(
                "over a limit of spec.scrape.limits, such as {} samples, Prometheus takes nothing of this namespace",
                plan.scrape.limits.samples
            ),
        }
    }

    fn model_servers(servers: &'a ModelServers) -> Self {
        Self {
            type_: ConditionType::ServingScrapeConfigured,
            monitor: Monitor::Pods,
            name: names::MODEL_SERVERS,
            interval: &servers.interval,
            over_limit: format!(
                "over a limit, such as spec.seldon.limits.samples ({}), Prometheus takes nothing of that port",
                servers.limits.samples
            ),
        }
    }
}

fn scrape(scraped: &Scraped, seen: &Seen) -> Verdict {
    let verdict =
        |status, reason, message: String| Verdict::new(scraped.type_, status, reason, message);
    if let Some(problem) = problem_of(seen, scraped.type_) {
        return Verdict::problem(scraped.type_, problem);
    }
    let kind = scraped.monitor.kind();
    match seen.selections.get(&kind) {
        None => verdict(
            ConditionStatus::False,
            scraped.monitor.missing(),
            without(scraped.monitor),
        ),
        // What of it is refused is not known, so no interval and no limit is told.
        Some(s) if !s.selected_by.is_empty() && stays(seen, kind) => verdict(
            ConditionStatus::True,
            Reason::Selected,
            format!(
                "set to be scraped by {}",
                listed(&s.selected_by, ", ", NAMED)
            ),
        ),
        Some(s) if !s.selected_by.is_empty() => verdict(
            ConditionStatus::True,
            Reason::Selected,
            format!(
                "set to be scraped every {} by {}; {}",
                scraped.interval,
                listed(&s.selected_by, ", ", NAMED),
                scraped.over_limit
            ),
        ),
        Some(s) if s.ignored_by.is_empty() => verdict(
            ConditionStatus::Unknown,
            Reason::NoPrometheusFound,
            format!(
                "{} {} is there, and {}",
                kind.as_str(),
                scraped.name,
                no_prometheus(seen)
            ),
        ),
        Some(s) => verdict(
            ConditionStatus::False,
            Reason::NotSelected,
            format!(
                "nobody scrapes {}: {}",
                scraped.monitor.whom(),
                listed(&s.ignored_by, "; ", NAMED)
            ),
        ),
    }
}

fn no_prometheus(seen: &Seen) -> String {
    match &seen.unseen_prometheuses {
        None => "this cluster has no Prometheus or PrometheusAgent object that could select it"
            .to_owned(),
        Some(why) => {
            format!("the operator can't see the Prometheus objects that could select it: {why}")
        }
    }
}

fn published(type_: ConditionType, seen: &Seen, message: impl FnOnce() -> String) -> Verdict {
    match problem_of(seen, type_) {
        Some(problem) => Verdict::problem(type_, problem),
        None => Verdict::new(type_, ConditionStatus::True, Reason::Published, message()),
    }
}

/// Why what a condition stands for is not there.
fn problem_of<'a>(seen: &'a Seen, type_: ConditionType) -> Option<&'a Problem> {
    seen.problems.iter().find(|p| p.serves == type_ && !p.stays)
}

/// Whether a child of this kind is there as it was before a change that did not get through.
fn stays(seen: &Seen, kind: Kind) -> bool {
    seen.problems.iter().any(|p| p.kind == kind && p.stays)
}
