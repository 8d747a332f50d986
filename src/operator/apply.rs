//! The only writer of children. Creates what is absent by POST, changes what differs by server-side apply, removes
//! what is no longer wanted, and touches nothing that it did not make.

use kube::api::{
    Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::core::{PartialObjectMeta, Request, Status};
use kube::{Client, Error as KubeError, Resource};
use serde_json::json;

use crate::api::conditions::ConditionType;
use crate::api::names;

use super::child_cache::{ChildCache, Live, Served};
use super::children::Child;
use super::kind::Kind;
use super::ownership;

/// Answers to writes carry metadata only: the rest is never looked at.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// What was done to one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// It was not there.
    Created,
    /// It was not as wanted.
    Updated,
    /// It was there, and is no longer wanted.
    Removed,
}

/// One write that went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What was done.
    pub verb: Verb,
    /// To an object of this kind.
    pub kind: Kind,
    /// And this name.
    pub name: String,
}

/// One child that is not as wanted, and can't be made so now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The condition that it stands for.
    pub serves: ConditionType,
    /// Why.
    pub cause: Cause,
}

/// Why a child can't be made as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An object of its name is there that somebody else made.
    NameTaken,
    /// The cluster does not know its kind.
    KindNotServed,
    /// The API server says no, in these words.
    Refused(String),
    /// The API server can't be asked, for this reason.
    Unavailable(String),
    /// It is not there, and the object is paused.
    HeldBack,
}

/// All that became of a plan.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was written.
    pub written: Vec<Written>,
    /// What could not be.
    pub problems: Vec<Problem>,
}

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
            Ok(()) => outcome.written.push(Written {
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
        && live.owner.is_some()
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

type Meta = PartialObjectMeta<DynamicObject>;

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
        self.change(child).await
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
        let made: Meta = self.client.request(request).await?;
        self.note(child.kind, &made);
        Ok(())
    }

    /// Decides on an object that the cache does not know as ours, by looking at it.
    async fn take_or_leave(&self, child: &Child, owner: &str) -> Result<Option<Verb>, Cause> {
        let Some(metadata) = self
            .api(child.kind)
            .get_metadata_opt(&child.name)
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
            return Err(Cause::NameTaken);
        }
        if live.is_as_wanted(child, owner) {
            self.note(child.kind, &metadata);
            return Ok(None);
        }
        self.change(child).await
    }

    async fn change(&self, child: &Child) -> Result<Option<Verb>, Cause> {
        let api = self.api(child.kind);
        self.own_by_apply(&api, child).await.map_err(cause)?;
        let parameters = PatchParams {
            field_manager: Some(names::MANAGER.into()),
            force: true,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let changed = api
            .patch_metadata(&child.name, &parameters, &Patch::Apply(&child.object))
            .await
            .map_err(cause)?;
        self.note(child.kind, &changed);
        Ok(Some(Verb::Updated))
    }

    /// Fields that we own by having created the object would stay behind when an apply no longer names them.
    async fn own_by_apply(&self, api: &Api<DynamicObject>, child: &Child) -> Result<(), KubeError> {
        let Some(live) = api.get_metadata_opt(&child.name).await? else {
            return Ok(());
        };
        let Some(entries) = ownership::moved_to_apply(&live.metadata) else {
            return Ok(());
        };
        // With the version that was read: whoever wrote since has fields of their own to be kept.
        let patch = json!({"metadata": {
            "resourceVersion": live.metadata.resource_version,
            "managedFields": entries,
        }});
        api.patch_metadata(&child.name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(|_| ())
    }

    async fn remove(&self, live: &Live) -> Result<(), Cause> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(live.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        match self.api(live.kind).delete(&live.name, &parameters).await {
            Ok(_) => {}
            Err(KubeError::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => return Err(cause(error)),
        }
        self.cache
            .gone(self.namespace, live.kind, &live.name, Some(&live.uid));
        Ok(())
    }

    fn note(&self, kind: Kind, object: &Meta) {
        let mut live = Live::new(kind, &object.metadata, None);
        // An answer without status says nothing about the pods; what is known of them stays true.
        live.rollout = self
            .cache
            .in_namespace(self.namespace)
            .into_iter()
            .find(|l| l.kind == kind && l.uid == live.uid)
            .and_then(|l| l.rollout);
        self.cache.wrote(self.namespace, live);
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace, &kind.api_resource())
    }
}

/// Sorts an API error by what can be done about it.
pub fn cause(error: KubeError) -> Cause {
    match error {
        KubeError::Api(status) if is_unknown_kind(&status) => Cause::KindNotServed,
        KubeError::Api(status)
            if (400..500).contains(&status.code) && status.code != 429 && !status.is_conflict() =>
        {
            Cause::Refused(status.message.clone())
        }
        KubeError::Api(status) => Cause::Unavailable(status.message.clone()),
        other => Cause::Unavailable(other.to_string()),
    }
}

/// A 404 for the kind has no details of an object that was not found.
pub fn is_unknown_kind(status: &Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|d| d.name.is_empty())
}
