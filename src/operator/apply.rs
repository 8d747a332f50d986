//! The only writer of children. Creates what is absent by POST, changes what differs by server-side apply, removes
//! what is no longer wanted, and touches nothing that it did not make.

use kube::api::{
    Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::core::{ObjectMeta, Request};
use kube::{Client, Error as KubeError, Resource, ResourceExt};
use serde_json::json;

use crate::api::conditions::ConditionType;
use crate::api::names;

use super::api_error::cause;
use super::child_cache::{ChildCache, Live, Served};
use super::children::Child;
use super::kind::Kind;
use super::outcome::{Cause, Outcome, Problem, Verb, Written};
use super::ownership;
use super::presence::{is_there, may_be_gone};
use super::watched::Watched;

/// Answers to writes carry metadata only: the rest is never looked at.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// Makes the namespace hold these children, and no other that was made for a MetricsNamespace.
pub async fn apply(
    client: &Client,
    cache: &ChildCache,
    namespace: &str,
    owner: &str,
    wanted: &[Child],
) -> Outcome {
    let mut outcome = Outcome::default();
    let live = cache.in_namespace(namespace);
    let writer = Writer {
        client,
        cache,
        namespace,
    };
    for child in wanted {
        let found = live
            .iter()
            .find(|l| l.kind == child.kind && l.name == child.name);
        match writer.ensure(child, found, owner).await {
            Ok(None) => {}
            Ok(Some(verb)) => outcome.written.push(Written {
                verb,
                kind: child.kind,
                name: child.name.clone(),
            }),
            Err(cause) => outcome.problems.push(Problem {
                kind: child.kind,
                name: child.name.clone(),
                serves: child.serves,
                cause,
            }),
        }
    }
    for surplus in live.iter().filter(|l| is_surplus(l, wanted)) {
        match writer.remove(surplus).await {
            Ok(false) => {}
            Ok(true) => outcome.written.push(Written {
                verb: Verb::Removed,
                kind: surplus.kind,
                name: surplus.name.clone(),
            }),
            Err(cause) => outcome.problems.push(Problem {
                kind: surplus.kind,
                name: surplus.name.clone(),
                serves: ConditionType::Ready,
                cause,
            }),
        }
    }
    outcome
}

/// Whether nothing would be written: for what is paused.
pub fn is_converged(live: &[Live], wanted: &[Child], owner: &str) -> bool {
    wanted.iter().all(|child| {
        live.iter()
            .any(|l| l.kind == child.kind && l.name == child.name && l.is_as_wanted(child, owner))
    }) && !live.iter().any(|l| is_surplus(l, wanted))
}

/// What of these children a paused object lacks.
pub fn held_back(live: &[Live], wanted: &[Child]) -> Outcome {
    let is_there = |child: &Child| {
        live.iter()
            .any(|l| l.kind == child.kind && l.name == child.name && l.ours.is_some())
    };
    let lacking = wanted.iter().filter(|child| !is_there(child));
    Outcome {
        written: Vec::new(),
        problems: lacking
            .map(|child| Problem {
                kind: child.kind,
                name: child.name.clone(),
                serves: child.serves,
                cause: Cause::HeldBack,
            })
            .collect(),
    }
}

/// Made by this operator, and in no plan any more.
fn is_surplus(live: &Live, wanted: &[Child]) -> bool {
    live.ours.is_some()
        && !live.owners.is_empty()
        && live.digest.is_some()
        && !wanted
            .iter()
            .any(|w| w.kind == live.kind && w.name == live.name)
}

struct Writer<'a> {
    client: &'a Client,
    cache: &'a ChildCache,
    namespace: &'a str,
}

impl Writer<'_> {
    async fn ensure(
        &self,
        child: &Child,
        live: Option<&Live>,
        owner: &str,
    ) -> Result<Option<Verb>, Cause> {
        if self.cache.served(child.kind) == Served::No {
            return Err(Cause::KindNotServed);
        }
        let Some(live) = live else {
            return match self.create(child).await {
                Ok(()) => Ok(Some(Verb::Created)),
                // It is there unseen: made a moment ago, or without our label.
                Err(KubeError::Api(status)) if status.is_already_exists() => {
                    self.take_or_leave(child, owner).await
                }
                Err(error) => Err(cause(error)),
            };
        };
        if live.is_as_wanted(child, owner) {
            return Ok(None);
        }
        if live.ours.is_none() {
            return self.take_or_leave(child, owner).await;
        }
        self.change(child, &live.uid).await
    }

    /// POST is the one write that can't take over an object of somebody else's.
    async fn create(&self, child: &Child) -> Result<(), KubeError> {
        let url = DynamicObject::url_path(&child.kind.api_resource(), Some(self.namespace));
        let parameters = PostParams {
            field_manager: Some(names::MANAGER.into()),
            ..PostParams::default()
        };
        let body = serde_json::to_vec(&child.object).map_err(KubeError::SerdeError)?;
        let mut request = Request::new(url)
            .create(&parameters, body)
            .map_err(KubeError::BuildRequest)?;
        // A field that this cluster's version of the kind lacks would silently be dropped otherwise.
        let strict = format!("{}&fieldValidation=Strict", request.uri());
        *request.uri_mut() = strict
            .parse()
            .map_err(|e| KubeError::HttpError(http::Error::from(e)))?;
        request.headers_mut().insert(
            http::header::ACCEPT,
            http::HeaderValue::from_static(METADATA_ONLY),
        );
        let made: Watched = self.client.request(request).await?;
        self.note(child.kind, &made);
        Ok(())
    }

    /// Decides on an object that the cache does not know as ours, by looking at it.
    async fn take_or_leave(&self, child: &Child, owner: &str) -> Result<Option<Verb>, Cause> {
        let Some(metadata) = self
            .api(child.kind)
            .get_opt(&child.name)
            .await
            .map_err(cause)?
        else {
            // Gone since. What removed it is an event that brings the next try.
            return Err(Cause::Unavailable(format!(
                "{} {} vanished while it was looked at",
                child.kind.as_str(),
                child.name
            )));
        };
        let live = Live::new(child.kind, &metadata.metadata, None);
        if live.ours.is_none() {
            self.take_back(child, &metadata.metadata).await?;
        }
        if live.is_as_wanted(child, owner) {
            self.note(child.kind, &metadata);
            return Ok(None);
        }
        self.change(child, &live.uid).await
    }

    /// Makes a child that a backup brought back ours again, and nobody's so far. Any other object is left alone.
    async fn take_back(&self, child: &Child, found: &ObjectMeta) -> Result<(), Cause> {
        if !ownership::is_restored(found) {
            return Err(Cause::NameTaken);
        }
        for owner in found.owner_references.iter().flatten() {
            if is_there(self.client, self.namespace, &owner.name, &owner.uid)
                .await
                .map_err(cause)?
            {
                return Err(Cause::NameTaken);
            }
        }
        // With the version that was looked at: whoever wrote since may have made it theirs.
        let patch = json!({"metadata": {
            "resourceVersion": found.resource_version,
            "managedFields": ownership::taken_back(found),
            "ownerReferences": null,
        }});
        self.api(child.kind)
            .patch(&child.name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(drop)
            .map_err(cause)
    }

    /// Applies to the object of this UID only: another of its name may be somebody else's.
    async fn change(&self, child: &Child, uid: &str) -> Result<Option<Verb>, Cause> {
        match self.apply(child, uid).await {
            Ok(changed) => Ok(changed.then_some(Verb::Updated)),
            Err(error) => {
                if !self.is_there(child.kind, &child.name, uid, &error).await {
                    // The next try looks at what is there now.
                    self.cache.forget(self.namespace, child.kind, &child.name);
                }
                Err(cause(error))
            }
        }
    }

    /// True if the object was not so already.
    async fn apply(&self, child: &Child, uid: &str) -> Result<bool, KubeError> {
        let api = self.api(child.kind);
        let before = api.get(&child.name).await?;
        self.own_by_apply(&api, &before).await?;
        let mut object = child.object.clone();
        object["metadata"]["uid"] = json!(uid);
        let parameters = PatchParams {
            field_manager: Some(names::MANAGER.into()),
            force: true,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let changed = api
            .patch(&child.name, &parameters, &Patch::Apply(object))
            .await?;
        self.note(child.kind, &changed);
        Ok(changed.metadata.resource_version != before.metadata.resource_version)
    }

    /// Fields that we own by having created the object would stay behind when an apply no longer names them.
    async fn own_by_apply(&self, api: &Api<Watched>, live: &Watched) -> Result<(), KubeError> {
        let Some(entries) = ownership::moved_to_apply(&live.metadata) else {
            return Ok(());
        };
        // With the version that was read: whoever wrote since has fields of their own to be kept.
        let patch = json!({"metadata": {
            "resourceVersion": live.metadata.resource_version,
            "managedFields": entries,
        }});
        api.patch(
            &live.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .map(|_| ())
    }

    /// True if it was there.
    async fn remove(&self, live: &Live) -> Result<bool, Cause> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(live.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        let deleted = match self.api(live.kind).delete(&live.name, &parameters).await {
            Ok(_) => true,
            Err(error)
                if self
                    .is_there(live.kind, &live.name, &live.uid, &error)
                    .await =>
            {
                return Err(cause(error));
            }
            Err(_) => false,
        };
        self.cache
            .gone(self.namespace, live.kind, &live.name, Some(&live.uid));
        Ok(deleted)
    }

    /// Whether the object of this name and UID still is there after this error; where that is not known, it is.
    async fn is_there(&self, kind: Kind, name: &str, uid: &str, error: &KubeError) -> bool {
        if !may_be_gone(error) {
            return true;
        }
        let found = self.api(kind).get_opt(name).await;
        found.map_or(true, |found| {
            found.is_some_and(|f| f.uid().as_deref() == Some(uid))
        })
    }

    fn note(&self, kind: Kind, object: &Watched) {
        self.cache
            .wrote(self.namespace, Live::new(kind, &object.metadata, None));
    }

    fn api(&self, kind: Kind) -> Api<Watched> {
        Api::namespaced_with(self.client.clone(), self.namespace, &kind.api_resource())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::children::build;
    use crate::operator::plan::fixtures;
    use rstest::rstest;
    use serde_json::Value;

    /// A Service that this operator made and wants no more, changed so.
    fn unwanted(change: &Value) -> Live {
        let mut metadata = json!({
            "name": "surplus",
            "uid": "uid-of-surplus",
            "annotations": {names::DIGEST_ANNOTATION: "0123456789abcdef"},
            "ownerReferences": [{
                "apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "name": "push", "uid": "uid-of-push",
            }],
            "managedFields": [{"manager": names::MANAGER, "operation": "Update", "fieldsV1": {}}],
        });
        for (field, value) in change.as_object().unwrap() {
            metadata[field] = value.clone();
        }
        Live::new(
            Kind::Service,
            &serde_json::from_value(metadata).unwrap(),
            None,
        )
    }

    // Whatever is pruned is gone, so each sign that it is ours has to be there.
    #[rstest]
    #[case::as_made(json!({}), true)]
    #[case::written_by_another(json!({"managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {}}]}), false)]
    #[case::owned_by_nobody(json!({"ownerReferences": []}), false)]
    #[case::owned_by_another_kind(
        json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u"}]}),
        false
    )]
    #[case::without_digest(json!({"annotations": {}}), false)]
    #[case::of_a_name_that_is_wanted(json!({"name": names::GATEWAY}), false)]
    fn only_what_this_operator_made_is_surplus(#[case] change: Value, #[case] surplus: bool) {
        let live = unwanted(&change);
        let wanted = build(&fixtures::alice()).unwrap();
        assert_eq!(is_surplus(&live, &wanted), surplus);
    }

    #[test]
    fn what_is_surplus_is_not_converged() {
        let surplus = unwanted(&json!({}));
        assert!(is_converged(&[], &[], "uid-of-push"));
        assert!(!is_converged(&[surplus], &[], "uid-of-push"));
    }

    #[test]
    fn a_foreign_object_of_a_childs_name_is_still_lacking_while_paused() {
        let foreign = unwanted(&json!({
            "name": names::GATEWAY,
            "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {}}],
        }));
        let wanted = build(&fixtures::alice()).unwrap();
        let lacking = |live: &[Live]| {
            held_back(live, &wanted)
                .problems
                .iter()
                .any(|p| p.kind == Kind::Service)
        };
        assert!(lacking(&[foreign]));
        assert!(!lacking(&[unwanted(&json!({"name": names::GATEWAY}))]));
    }
}
