//! Namespaces labelled `simplepipe.dev/enroll=true` get a MetricsNamespace; without the label they lose it again,
//! unless a person has made it their own by an edit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::{Client, Error as KubeError, ResourceExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::api::{MetricsNamespace, MetricsNamespaceSpec, names};

use super::caches::{Caches, Namespace};

/// Delay before a namespace whose enrolment failed is tried again.
const RETRY: Duration = Duration::from_secs(3);
/// A request that takes longer is given up and tried again.
const LONGEST: Duration = Duration::from_secs(10);
/// Changes that are taken at once: of one namespace, only its state after the last counts.
const BATCH: usize = 1024;

/// What a namespace's label asks for.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Create,
    Delete(Arc<MetricsNamespace>),
}

/// Follows the namespaces that the watches name, until they end.
pub async fn run(client: Client, caches: Arc<Caches>, mut namespaces: UnboundedReceiver<String>) {
    let mut waiting = Vec::new();
    let mut failed = Vec::new();
    loop {
        tokio::select! {
            received = namespaces.recv_many(&mut waiting, BATCH) => if received == 0 { return },
            () = sleep(RETRY), if !failed.is_empty() => {}
        }
        waiting.append(&mut failed);
        waiting.sort();
        waiting.dedup();
        for name in waiting.drain(..) {
            let objects = caches.objects.in_namespace(&name);
            let Some(step) = step(caches.namespaces.get(&name).as_ref(), &objects) else {
                continue;
            };
            match timeout(LONGEST, carry_out(&client, &name, step)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!(namespace = name, %error, "enrolment failed; it is tried again");
                    failed.push(name);
                }
                Err(_) => {
                    warn!(
                        namespace = name,
                        "enrolment took too long; it is tried again"
                    );
                    failed.push(name);
                }
            }
        }
    }
}

fn step(namespace: Option<&Namespace>, objects: &[Arc<MetricsNamespace>]) -> Option<Step> {
    let namespace = namespace.filter(|n| !n.terminating)?;
    let enrolled = namespace
        .labels
        .get(names::ENROLL_LABEL)
        .is_some_and(|v| v == "true");
    if enrolled {
        return objects.is_empty().then_some(Step::Create);
    }
    objects
        .iter()
        .find(|o| o.metadata.deletion_timestamp.is_none() && is_as_enrolled(o))
        .map(|o| Step::Delete(o.clone()))
}

/// Whether enrolment made it and nobody else wrote to it since. A status is no edit.
fn is_as_enrolled(object: &MetricsNamespace) -> bool {
    object
        .annotations()
        .contains_key(names::ENROLLED_ANNOTATION)
        && object.metadata.generation == Some(1)
        && object
            .managed_fields()
            .iter()
            .filter(|e| e.subresource.as_deref().unwrap_or_default().is_empty())
            .all(|e| e.manager.as_deref() == Some(names::MANAGER))
}

async fn carry_out(client: &Client, namespace: &str, step: Step) -> Result<(), KubeError> {
    let api: Api<MetricsNamespace> = Api::namespaced(client.clone(), namespace);
    match step {
        Step::Create => {
            let parameters = PostParams {
                field_manager: Some(names::MANAGER.into()),
                ..PostParams::default()
            };
            match api.create(&parameters, &enrolled()).await {
                Ok(_) => info!(namespace, "enrolled by label"),
                Err(KubeError::Api(status))
                    if status.is_already_exists() || status.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Step::Delete(object) => {
            let parameters = DeleteParams {
                // An edit that this operator has not seen yet keeps the object.
                preconditions: Some(Preconditions {
                    uid: object.uid(),
                    resource_version: object.resource_version(),
                }),
                ..DeleteParams::default()
            };
            match api.delete(&object.name_any(), &parameters).await {
                Ok(_) => info!(namespace, "no longer enrolled by label"),
                // Somebody wrote to it since: that comes as a change of its own.
                Err(KubeError::Api(status)) if status.is_not_found() || status.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn enrolled() -> MetricsNamespace {
    MetricsNamespace {
        metadata: ObjectMeta {
            name: Some(names::ENROLLED_NAME.into()),
            annotations: Some([(names::ENROLLED_ANNOTATION.to_owned(), "true".to_owned())].into()),
            labels: Some(BTreeMap::from([(
                names::MANAGED_BY_LABEL.to_owned(),
                names::MANAGER.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        spec: MetricsNamespaceSpec::default(),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn namespace(value: Option<&str>) -> Namespace {
        Namespace {
            labels: value
                .map(|v| (names::ENROLL_LABEL.to_owned(), v.to_owned()))
                .into_iter()
                .collect(),
            terminating: false,
        }
    }

    fn object(
        generation: i64,
        annotation: bool,
        managers: &[(&str, &str)],
    ) -> Arc<MetricsNamespace> {
        let entries: Vec<_> = managers
            .iter()
            .map(|(manager, subresource)| json!({"manager": manager, "subresource": subresource, "operation": "Update"}))
            .collect();
        let annotations = if annotation {
            json!({names::ENROLLED_ANNOTATION: "true"})
        } else {
            json!({})
        };
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "spec": {},
                "metadata": {"name": "metrics", "generation": generation, "annotations": annotations, "managedFields": entries},
            }))
            .unwrap(),
        )
    }

    #[rstest]
    #[case::labelled(Some("true"), true)]
    #[case::labelled_otherwise(Some("false"), false)]
    #[case::not_labelled(None, false)]
    fn a_labelled_namespace_without_an_object_gets_one(
        #[case] label: Option<&str>,
        #[case] created: bool,
    ) {
        assert_eq!(
            step(Some(&namespace(label)), &[]) == Some(Step::Create),
            created
        );
    }

    #[test]
    fn a_namespace_that_has_an_object_or_is_going_gets_none() {
        let own = object(1, false, &[("kubectl", "")]);
        assert_eq!(step(Some(&namespace(Some("true"))), &[own]), None);
        let going = Namespace {
            terminating: true,
            ..namespace(Some("true"))
        };
        assert_eq!(step(Some(&going), &[]), None);
        assert_eq!(step(None, &[]), None);
    }

    #[rstest]
    #[case::as_made(object(1, true, &[("simplepipe", ""), ("simplepipe", "status")]), true)]
    #[case::status_of_another(object(1, true, &[("simplepipe", ""), ("kubectl", "status")]), true)]
    #[case::spec_edited(object(2, true, &[("simplepipe", "")]), false)]
    #[case::labels_edited(object(1, true, &[("simplepipe", ""), ("kubectl-label", "")]), false)]
    #[case::made_by_this_operators_name_but_not_by_label(object(1, false, &[("simplepipe", "")]), false)]
    #[case::made_by_a_person(object(1, false, &[("kubectl", "")]), false)]
    fn without_the_label_only_what_enrolment_made_goes(
        #[case] object: Arc<MetricsNamespace>,
        #[case] goes: bool,
    ) {
        assert_eq!(
            step(Some(&namespace(None)), std::slice::from_ref(&object)),
            goes.then_some(Step::Delete(object))
        );
    }
}
