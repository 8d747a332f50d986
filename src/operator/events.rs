//! Events: what changed, on the object whose `kubectl describe` a person reads.

use std::collections::BTreeMap;
use std::fmt::Display;

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use tracing::warn;

use crate::api::conditions::{ConditionType, Reason};
use crate::api::{MetricsNamespace, MetricsNamespaceStatus, names};

use super::outcome::{Verb, Written};

/// Bytes that an event's note may have.
const LONGEST_NOTE: usize = 1024;

/// Where events go.
pub struct Events {
    client: Client,
    reporter: Reporter,
}

impl Events {
    /// Events in the name of the operator; `instance` tells which one.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: names::MANAGER.into(),
            instance,
        };
        Self { client, reporter }
    }

    /// Tells what was written, and how `Ready` changed. A lost event is no reason to try anything again.
    pub async fn publish(
        &self,
        object: &MetricsNamespace,
        written: &[Written],
        status: &MetricsNamespaceStatus,
    ) {
        for event in written_event(written)
            .into_iter()
            .chain(ready_event(object.status.as_ref(), status))
        {
            self.send(object, &event).await;
        }
    }
}

impl Events {
    /// Tells what the status can't tell.
    pub async fn status_not_written(&self, object: &MetricsNamespace, error: &impl Display) {
        let event = event(EventType::Warning, "StatusNotWritten", error.to_string());
        self.send(object, &event).await;
    }

    async fn send(&self, object: &MetricsNamespace, event: &Event) {
        // A recorder counts events that differ only in their note as one, and shows the first note for ever. Nothing
        // is told twice here, so each event has a recorder of its own.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(event, &object.object_ref(&())).await {
            warn!(namespace = object.namespace(), %error, "an event was not taken");
        }
    }
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
            format!("{verb} {}", objects.join(", "))
        })
        .collect::<Vec<_>>()
        .join("; ")
}

fn written_event(written: &[Written]) -> Option<Event> {
    (!written.is_empty()).then(|| event(EventType::Normal, "Applied", in_words(written)))
}

/// `None` where nothing changed that a person would want to know.
fn ready_event(
    before: Option<&MetricsNamespaceStatus>,
    now: &MetricsNamespaceStatus,
) -> Option<Event> {
    let ready = |status: &MetricsNamespaceStatus| {
        status
            .conditions
            .iter()
            .find(|c| c.type_ == ConditionType::Ready.as_str())
            .cloned()
    };
    let (before, now) = (before.and_then(ready), ready(now)?);
    let same = before.is_some_and(|b| b.status == now.status && b.reason == now.reason);
    if same || now.reason == Reason::GatewayStarting.as_str() {
        return None;
    }
    let all_works = now.reason == Reason::AllWorking.as_str();
    let (type_, reason) = if all_works {
        (EventType::Normal, "Ready")
    } else {
        (EventType::Warning, now.reason.as_str())
    };
    Some(event(type_, reason, now.message.clone()))
}

fn event(type_: EventType, reason: &str, note: String) -> Event {
    Event {
        type_,
        reason: reason.into(),
        note: Some(note[..note.floor_char_boundary(LONGEST_NOTE)].to_owned()),
        action: "Reconcile".into(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::kind::Kind;

    #[test]
    fn what_was_written_is_one_sentence() {
        let written = |verb, kind| Written {
            verb,
            kind,
            name: "pushgateway".into(),
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

    fn status(status: &str, reason: &str) -> MetricsNamespaceStatus {
        serde_json::from_value(serde_json::json!({"conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": "why", "lastTransitionTime": "2026-01-01T00:00:00Z"
        }]}))
        .unwrap()
    }

    #[test]
    fn only_a_change_of_ready_is_told() {
        let good = status("True", "AllWorking");
        assert!(ready_event(Some(&good), &good).is_none());
        assert!(ready_event(None, &status("False", "GatewayStarting")).is_none());
        assert_eq!(ready_event(None, &good).unwrap().reason, "Ready");
        let bad = ready_event(Some(&good), &status("False", "NotSelected")).unwrap();
        assert_eq!(
            (bad.reason.as_str(), bad.note.as_deref()),
            ("NotSelected", Some("why"))
        );
        assert!(matches!(bad.type_, EventType::Warning));
    }
}
