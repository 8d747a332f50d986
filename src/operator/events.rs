//! Events: what changed, on the object whose `kubectl describe` a person reads.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Resource, ResourceExt};
use tracing::{info, warn};

use crate::api::condition_types::{ConditionStatus, ConditionType, Reason};
use crate::api::{MetricsNamespace, MetricsNamespaceStatus, names};
use crate::terminal::listed;

use super::cluster::api_error::words;
use super::outcome::{Verb, Written};
use super::pacing::budget::Budgets;
use super::telemetry::lasting_failures::Lasting;

/// An event that nobody waits for is given up after so long.
pub const LONGEST_EVENT: Duration = Duration::from_secs(5);
/// Bytes that an event's note may have.
const LONGEST_NOTE: usize = 1024;

/// Objects of one verb that are named. More than that are only where somebody made what looks surplus.
const NAMED: usize = 10;

/// Events that the objects of one namespace may have at once: more than what happens there in an hour, but in a fight, or
/// where somebody makes MetricsNamespaces without end.
const BURST: u32 = 10;
/// After that, one in this time.
const EVERY: Duration = Duration::from_secs(300);

pub struct Events {
    client: Client,
    reporter: Reporter,
    budgets: Budgets,
    /// What the log says of events that were not taken: of all together, as where the right is missing.
    untaken: Lasting<()>,
}

/// What became of an object.
pub struct News<'a> {
    pub written: &'a [Written],
    /// Whether its spec, as it is now, was served before.
    pub was_served: bool,
    pub before: Option<&'a MetricsNamespaceStatus>,
    pub now: &'a MetricsNamespaceStatus,
}

impl Events {
    /// Events in the name of the operator; `instance` tells which one.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: names::MANAGER.into(),
            instance,
        };
        Self {
            client,
            reporter,
            budgets: Budgets::new(BURST, EVERY),
            untaken: Lasting::default(),
        }
    }

    /// Which operator tells.
    pub fn instance(&self) -> Option<&str> {
        self.reporter.instance.as_deref()
    }

    /// Takes one from the budget of the object's namespace, where there is one.
    fn may_send(&self, object: &MetricsNamespace, now: Instant) -> bool {
        let any = ObjectRef::new("").within(&object.namespace().unwrap_or_default());
        let may = self.budgets.wait(&any, now).is_none();
        if may {
            self.budgets.spend(&any, now);
        }
        may
    }

    /// Tells changes and failures. What a status says of an object that comes up is not said twice, and a lost event is
    /// no reason to try anything again.
    pub async fn publish(&self, object: &MetricsNamespace, news: &News<'_>) {
        for event in told(news) {
            self.send(object, &event).await;
        }
    }

    /// Tells what the status can't tell.
    pub async fn status_not_written(&self, object: &MetricsNamespace, error: &impl Display) {
        let event = event(EventType::Warning, "StatusNotWritten", error.to_string());
        self.send(object, &event).await;
    }

    /// Tells that what an object holds can't be read.
    pub async fn cannot_be_read(&self, object: &MetricsNamespace, error: &str) {
        let note = format!("it can't be read, and goes on as it was before: {error}");
        let event = event(EventType::Warning, Reason::InvalidSpec.as_str(), note);
        self.send(object, &event).await;
    }

    async fn send(&self, object: &MetricsNamespace, event: &Event) {
        if !self.may_send(object, Instant::now()) {
            return;
        }
        // A recorder counts events that differ only in their note as one, and shows the first note for ever, so each
        // event has a recorder of its own; the budget bounds how many there are.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        let published = recorder.publish(event, &object.object_ref(&())).await;
        let published = published.map(drop).map_err(|error| words(&error));
        self.published(object.namespace().as_deref(), published);
    }

    /// Notes how the sending of an event ended. A lost event is no reason to try anything again.
    pub fn published(&self, namespace: Option<&str>, result: Result<(), String>) {
        let now = Instant::now();
        match result {
            Ok(()) if self.untaken.works(&(), now).is_some() => info!("events are taken again"),
            Ok(()) => {}
            Err(error) => {
                if self.untaken.fails(&(), &error, now).is_some() {
                    warn!(namespace, error, "an event was not taken");
                }
            }
        }
    }
}

fn told(news: &News) -> impl Iterator<Item = Event> {
    written_event(news)
        .into_iter()
        .chain(contested_event(news))
        .chain(stopped_event(news))
        .chain(ready_event(news))
}

/// What was written, in one sentence.
pub fn in_words(written: &[Written]) -> String {
    let mut by_verb: BTreeMap<Verb, Vec<String>> = BTreeMap::new();
    for w in written {
        by_verb
            .entry(w.verb)
            .or_default()
            .push(format!("{} {}", w.kind.as_str(), w.name));
    }
    by_verb
        .into_iter()
        .map(|(verb, objects)| {
            let verb = match verb {
                Verb::Created => "created",
                Verb::Updated => "updated",
                Verb::Removed => "removed",
            };
            format!("{verb} {}", listed(&objects, ", ", NAMED))
        })
        .collect::<Vec<_>>()
        .join("; ")
}

/// What was made for a spec that is new, the status tells; what is set right in a fight, the condition does.
fn written_event(news: &News) -> Option<Event> {
    let fight = condition(news.now, ConditionType::Contested).is_some();
    let told = |w: &&Written| match w.verb {
        _ if w.replaces_gateway => true,
        Verb::Created => news.was_served && !fight,
        Verb::Updated | Verb::Removed => !fight,
    };
    let written: Vec<_> = news.written.iter().filter(told).cloned().collect();
    if written.is_empty() {
        return None;
    }
    let (type_, loss) = match written.iter().any(|w| w.replaces_gateway) {
        true => (
            EventType::Warning,
            "; that replaces the gateway's pod: what was pushed is gone once the new one is ready",
        ),
        false => (EventType::Normal, ""),
    };
    let note = in_words(&written) + loss;
    Some(event(type_, "Applied", note))
}

fn contested_event(news: &News) -> Option<Event> {
    let was = news
        .before
        .and_then(|s| condition(s, ConditionType::Contested));
    let is = condition(news.now, ConditionType::Contested)?;
    was.is_none().then(|| {
        event(
            EventType::Warning,
            ConditionType::Contested.as_str(),
            is.message.clone(),
        )
    })
}

/// A gateway that went by itself, and has not been down for long enough to say why: a crash leaves no other trace.
fn stopped_event(news: &News) -> Option<Event> {
    let gateway = |status| condition(status, ConditionType::GatewayAvailable);
    let (before, now) = (news.before.and_then(gateway)?, gateway(news.now)?);
    let by_itself = news.was_served && news.written.is_empty();
    let stopped = before.status == ConditionStatus::True.as_str()
        && now.reason == Reason::GatewayStarting.as_str();
    (stopped && by_itself).then(|| {
        let note = "the gateway stopped answering; if its pod was replaced or restarted, what was pushed is gone";
        event(EventType::Warning, "GatewayStopped", note.to_owned())
    })
}

/// `None` where nothing changed that a person would want to know: a gateway that comes up is no news.
fn ready_event(news: &News) -> Option<Event> {
    let ready = |status| condition(status, ConditionType::Ready);
    let (before, now) = (news.before.and_then(ready), ready(news.now)?);
    let starting = Reason::GatewayStarting.as_str();
    let was_starting = before.is_none_or(|before| before.reason == starting);
    let same = before.is_some_and(|b| b.status == now.status && b.reason == now.reason);
    let contested = now.reason == Reason::ChangedByOthers.as_str();
    let came_up = was_starting && now.status == ConditionStatus::True.as_str();
    if same || came_up || contested || now.reason == starting {
        return None;
    }
    let (type_, reason) = if now.reason == Reason::AllWorking.as_str() {
        (EventType::Normal, "Ready")
    } else {
        (EventType::Warning, now.reason.as_str())
    };
    Some(event(type_, reason, now.message.clone()))
}

fn condition(status: &MetricsNamespaceStatus, type_: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|c| c.type_ == type_.as_str())
}

/// What of a text fits into an event's note.
pub fn as_note(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_NOTE)]
}

fn event(type_: EventType, reason: &str, note: String) -> Event {
    Event {
        type_,
        reason: reason.into(),
        note: Some(as_note(&note).to_owned()),
        action: "Reconcile".into(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use http::{Request, Response};
    use kube::api::ObjectMeta;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::operator::kind::Kind;

    #[test]
    fn what_was_written_is_one_sentence() {
        let written = |verb, kind| Written {
            verb,
            kind,
            name: "pushgateway".into(),
            replaces_gateway: false,
        };
        let all = [
            written(Verb::Updated, Kind::Service),
            written(Verb::Created, Kind::ServiceAccount),
            written(Verb::Updated, Kind::Deployment),
        ];
        assert_eq!(
            in_words(&all),
            "created ServiceAccount pushgateway; updated Service pushgateway, Deployment pushgateway"
        );
    }

    #[tokio::test]
    async fn objects_without_end_bring_no_events_without_end() {
        let nobody = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let events = Events::new(Client::try_from(nobody).unwrap(), None);
        let now = Instant::now();
        let told = |namespace: &str, number: usize| {
            let mut object = MetricsNamespace::new(&format!("m{number}"), Default::default());
            object.metadata.namespace = Some(namespace.to_owned());
            events.may_send(&object, now)
        };
        let told_of = (0..4000).filter(|number| told("alice", *number)).count();
        assert_eq!(told_of, BURST as usize);
        assert!(told("bob", 0));
    }

    #[test]
    fn of_very_many_objects_the_first_are_named() {
        let removed = |number: usize| Written {
            verb: Verb::Removed,
            kind: Kind::ConfigMap,
            name: format!("surplus-{number}"),
            replaces_gateway: false,
        };
        let words = in_words(&(0..3000).map(removed).collect::<Vec<_>>());
        assert!(
            words.ends_with(", ConfigMap surplus-9 and 2990 more"),
            "{words}"
        );
    }

    fn status(status: &str, reason: &str) -> MetricsNamespaceStatus {
        serde_json::from_value(serde_json::json!({"conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": "why", "lastTransitionTime": "2026-01-01T00:00:00Z"
        }]}))
        .unwrap()
    }

    fn reasons(
        before: Option<&MetricsNamespaceStatus>,
        now: &MetricsNamespaceStatus,
    ) -> Vec<String> {
        reasons_of(&News {
            written: &[],
            was_served: true,
            before,
            now,
        })
    }

    fn reasons_of(news: &News) -> Vec<String> {
        told(news).map(|event| event.reason).collect()
    }

    #[test]
    fn only_a_change_of_ready_is_told() {
        let good = status("True", "AllWorking");
        let starting = status("False", "GatewayStarting");
        let bad = status("False", "NotSelected");
        assert_eq!(reasons(Some(&good), &good), [""; 0]);
        assert_eq!(reasons(Some(&good), &bad), ["NotSelected"]);
        assert_eq!(reasons(None, &bad), ["NotSelected"]);
        assert_eq!(reasons(Some(&bad), &good), ["Ready"]);
        let stuck = status("True", "GatewayRolloutStuck");
        assert_eq!(reasons(Some(&good), &stuck), ["GatewayRolloutStuck"]);
        // A new tenant.
        assert_eq!(reasons(None, &starting), [""; 0]);
        assert_eq!(reasons(Some(&starting), &good), [""; 0]);
        assert_eq!(reasons(None, &status("True", "NoPrometheusFound")), [""; 0]);
        let not_ready = status("False", "GatewayNotReady");
        assert_eq!(reasons(Some(&starting), &not_ready), ["GatewayNotReady"]);
    }

    #[test]
    fn a_new_tenants_children_are_no_event_and_what_is_made_again_is_one() {
        let now = status("False", "GatewayStarting");
        let written = [Written {
            verb: Verb::Created,
            kind: Kind::Service,
            name: "pushgateway".into(),
            replaces_gateway: false,
        }];
        let news = |was_served| News {
            written: &written,
            was_served,
            before: None,
            now: &now,
        };
        assert_eq!(reasons_of(&news(false)), [""; 0]);
        assert_eq!(reasons_of(&news(true)), ["Applied"]);
    }

    #[test]
    fn that_pushes_are_gone_is_said() {
        let now = status("True", "AllWorking");
        let written = [Written {
            verb: Verb::Updated,
            kind: Kind::Deployment,
            name: "pushgateway".into(),
            replaces_gateway: true,
        }];
        let news = News {
            written: &written,
            was_served: false,
            before: Some(&now),
            now: &now,
        };
        let notes: Vec<_> = told(&news).filter_map(|event| event.note).collect();
        let expected = "updated Deployment pushgateway; that replaces the gateway's pod: what was pushed is gone once the new one is ready";
        assert_eq!(notes, [expected]);
    }

    #[test]
    fn a_gateway_that_stops_by_itself_leaves_a_trace() {
        let of_gateway = |status_: &str, reason: &str| {
            let mut all = status(status_, reason);
            let mut gateway = all.conditions[0].clone();
            gateway.type_ = "GatewayAvailable".into();
            all.conditions.push(gateway);
            all
        };
        let up = of_gateway("True", "GatewayAnswers");
        let down = of_gateway("False", "GatewayStarting");
        let made = [Written {
            verb: Verb::Created,
            kind: Kind::Deployment,
            name: "pushgateway".into(),
            replaces_gateway: false,
        }];
        let news = |before, written, was_served| News {
            written,
            was_served,
            before,
            now: &down,
        };
        assert_eq!(reasons_of(&news(Some(&up), &[], true)), ["GatewayStopped"]);
        assert_eq!(reasons_of(&news(Some(&down), &[], true)), [""; 0]);
        assert_eq!(reasons_of(&news(None, &[], true)), [""; 0]);
        assert_eq!(reasons_of(&news(Some(&up), &[], false)), [""; 0]);
        // That it was made anew is told.
        assert_eq!(reasons_of(&news(Some(&up), &made, true)), ["Applied"]);
    }

    #[tokio::test]
    async fn without_the_right_to_events_the_log_says_so_in_a_few_short_lines() {
        const WHY: &str = "events.events.k8s.io is forbidden";
        let forbidden = move |_: Request<Body>| async move {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": WHY, "reason": "Forbidden", "code": 403});
            let answer = Response::builder().status(403);
            let answer = answer.body(Body::from(status.to_string().into_bytes()));
            Ok::<_, Infallible>(answer.unwrap())
        };
        let events = Events::new(Client::new(service_fn(forbidden), "default"), None);
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = tracing_subscriber::fmt().with_writer(Arc::new(file.reopen().unwrap()));
        let _log = tracing::subscriber::set_default(log.finish());
        for tenant in 0..100 {
            let object = MetricsNamespace {
                metadata: ObjectMeta {
                    name: Some("metrics".into()),
                    namespace: Some(format!("tenant-{tenant}")),
                    ..ObjectMeta::default()
                },
                ..MetricsNamespace::default()
            };
            events.status_not_written(&object, &"no right").await;
        }
        events.published(None, Ok(()));
        let said = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert!(lines[0].contains(WHY) && lines[0].len() < 300, "{said}");
        assert!(lines[1].contains("events are taken again"), "{said}");
    }

    #[test]
    fn a_fight_is_told_once_and_its_answers_are_not() {
        let mut fight = status("True", "ChangedByOthers");
        let mut contested = fight.conditions[0].clone();
        contested.type_ = "Contested".into();
        fight.conditions.push(contested);
        let written = [Written {
            verb: Verb::Updated,
            kind: Kind::Service,
            name: "pushgateway".into(),
            replaces_gateway: false,
        }];
        let calm = status("True", "AllWorking");
        let news = |before| News {
            written: &written,
            was_served: true,
            before: Some(before),
            now: &fight,
        };
        assert_eq!(reasons_of(&news(&calm)), ["Contested"]);
        assert_eq!(reasons_of(&news(&fight)), [""; 0]);
    }
}
