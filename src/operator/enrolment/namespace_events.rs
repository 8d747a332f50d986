//! Events about a namespace, in that namespace: `kubectl describe namespace` shows none, `kubectl get events` there does.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, Error as KubeError, ResourceExt};
use sha2::{Digest, Sha256};

use crate::api::{MetricsNamespace, names};
use crate::terminal::one_line;

use crate::operator::events::as_note;

/// Characters of a label's value, or an API server's words, in a note.
const LONGEST_QUOTE: usize = 600;

/// What there is to tell about a namespace.
#[derive(Debug, PartialEq)]
pub struct Note {
    type_: &'static str,
    reason: &'static str,
    text: String,
    /// What else tells it from other notes of this reason.
    about: String,
}

impl Note {
    /// The enrolment label has a value that means nothing.
    pub fn unclear_label(value: &str) -> Self {
        Self {
            type_: "Warning",
            reason: "EnrolmentLabelUnclear",
            text: format!(
                "label {} is \"{}\", which changes nothing: set it to \"true\" to have a MetricsNamespace here, or to \
                 \"false\" to have none",
                names::ENROLL_LABEL,
                one_line(value, LONGEST_QUOTE)
            ),
            about: value.to_owned(),
        }
    }

    /// The label is gone, and with it this object.
    pub fn ended(object: &MetricsNamespace) -> Self {
        Self {
            type_: "Normal",
            reason: "EnrolmentEnded",
            text: format!(
                "label {} is not \"true\" any more, so MetricsNamespace {} was deleted, and with it the gateway and what \
                 was pushed to it",
                names::ENROLL_LABEL,
                object.name_any()
            ),
            // Not which one of this name: who makes and loses them without end is told so once.
            about: object.name_any(),
        }
    }

    /// What the label asks for can't be done; `ending`: the deletion.
    pub fn failed(ending: bool, why: &str) -> Self {
        let what = if ending { "deleted" } else { "created" };
        Self {
            type_: "Warning",
            reason: "EnrolmentFailed",
            text: format!(
                "MetricsNamespace {} can't be {what}, and is tried again: {}",
                names::ENROLLED_NAME,
                one_line(why, LONGEST_QUOTE)
            ),
            about: why.to_owned(),
        }
    }
}

/// Tells it, unless it was told within the hour that the API server keeps events: the name of the event says what it
/// tells, so it is there already, also after a restart of this operator.
///
/// # Errors
/// The API server's.
pub async fn publish(
    client: &Client,
    instance: Option<&str>,
    namespace: &str,
    note: &Note,
) -> Result<(), KubeError> {
    let event = event(instance, namespace, note, Timestamp::now());
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    match api.create(&PostParams::default(), &event).await {
        Ok(_) => Ok(()),
        Err(KubeError::Api(status)) if status.is_already_exists() || status.is_not_found() => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn event(instance: Option<&str>, namespace: &str, note: &Note, now: Timestamp) -> Event {
    let digest = Sha256::digest(format!("{}\0{}", note.reason, note.about));
    let digest: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{namespace}.{digest}")),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        // With a namespace, though a Namespace has none: else its events may only be in `default`.
        regarding: Some(ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Namespace".into()),
            name: Some(namespace.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectReference::default()
        }),
        type_: Some(note.type_.into()),
        reason: Some(note.reason.into()),
        note: Some(as_note(&note.text).to_owned()),
        action: Some("Enrol".into()),
        reporting_controller: Some(names::MANAGER.into()),
        reporting_instance: Some(instance.unwrap_or(names::MANAGER).to_owned()),
        event_time: Some(MicroTime(now)),
        ..Event::default()
    }
}
