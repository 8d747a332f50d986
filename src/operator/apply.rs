//! The only writer of children. Creates what is absent by POST, changes what differs by server-side apply, removes
//! what is no longer wanted, and touches nothing that it did not make.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::header::ACCEPT;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{
    Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::core::{ObjectMeta, Request};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Error as KubeError, Resource, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::condition_types::ConditionType;
use crate::api::{MetricsNamespace, names};

use super::children::Child;
use super::cluster::api_error::cause;
use super::cluster::child_cache::{ChildCache, Served};
use super::cluster::live::Live;
use super::cluster::presence::{is_there, may_be_gone};
use super::cluster::watched_objects::{METADATA_ONLY, Nothing, Part, Watched};
use super::kind::Kind;
use super::locked::Locked;
use super::outcome::{Outcome, Verb, Written};
use super::ownership;
use super::pacing::contests::{self, Contests, Rivalry};
use super::pacing::lanes::Place;
use super::problem::{Cause, Failure, Problem};
use super::telemetry::health::Health;

/// Requests of one tenant that wait side by side: a child that waits holds up no other, and a tenant is no burden.
const SIDE_BY_SIDE: usize = 3;
/// A write that takes longer is given up. An admission webhook may take 30 seconds and the API server a minute; where
/// one hangs, the API server's own words say which.
pub const LONGEST_WRITE: Duration = Duration::from_secs(65);

/// Removals in one reconcile. Anybody may have made thousands of objects that look surplus; who has more comes again, and
/// a budget bounds how often.
const REMOVALS: usize = 50;

/// The writer of one tenant's children.
pub struct Writer<'a> {
    pub client: &'a Client,
    pub cache: &'a ChildCache,
    /// What others keep changing back.
    pub contests: &'a Contests,
    /// Where answers are waited for.
    pub place: &'a Place,
    /// Whom to tell that there was one.
    pub health: &'a Health,
    /// Whose children they are.
    pub object: &'a MetricsNamespace,
    pub namespace: &'a str,
}

/// What has become of a plan so far. It outlives a try that is begun again in a slower lane.
#[derive(Default)]
pub struct Progress(Locked<Steps>);

#[derive(Default)]
struct Steps {
    tries: usize,
    /// By the try, and the order in which children are written.
    written: BTreeMap<(usize, usize), Written>,
    /// Of the last try, by that order, as what is under way.
    problems: BTreeMap<usize, Problem>,
    underway: BTreeMap<usize, Problem>,
    /// Whether more is surplus than the last try removes.
    more: bool,
}

impl Progress {
    fn begins(&self, todo: &[(usize, Step)], more: bool) {
        let mut steps = self.0.lock();
        steps.tries += 1;
        steps.more = more;
        steps.problems.clear();
        steps.underway = todo
            .iter()
            .map(|(number, step)| (*number, step.problem(Failure::Unanswered.into())))
            .collect();
    }

    /// What is there is as others made it, which is another condition's word.
    fn rests(&self, number: usize, step: &Step) {
        let mut steps = self.0.lock();
        steps.underway.remove(&number);
        let problem = step.problem(Cause::Contested);
        if !problem.stays {
            steps.problems.insert(number, problem);
        }
    }

    fn ends(&self, number: usize, step: &Step, result: Result<Option<Done>, Cause>) {
        let mut steps = self.0.lock();
        steps.underway.remove(&number);
        match result {
            Ok(None) => {}
            Ok(Some(done)) => {
                let place = (steps.tries, number);
                steps.written.insert(place, step.written(done));
            }
            Err(cause) => {
                steps.problems.insert(number, step.problem(cause));
            }
        }
    }

    pub fn outcome(&self) -> Outcome {
        let steps = self.0.lock();
        Outcome {
            written: steps.written.values().cloned().collect(),
            problems: steps.problems.values().cloned().collect(),
            more: steps.more,
        }
    }

    /// What is wrong so far; `None` where nobody waits for a child that is not there at all.
    pub fn unanswered(&self) -> Option<Vec<Problem>> {
        let steps = self.0.lock();
        steps.underway.values().any(|p| !p.stays).then(|| {
            let lacking = steps.underway.iter().filter(|(_, p)| !p.stays);
            let problems: BTreeMap<_, _> = steps.problems.iter().chain(lacking).collect();
            problems.into_values().cloned().collect()
        })
    }
}

/// One thing to be done.
enum Step<'a> {
    Ensure(&'a Child, Option<&'a Live>),
    Remove(&'a Live),
}

struct Done {
    verb: Verb,
    replaces_gateway: bool,
}

impl From<Verb> for Done {
    fn from(verb: Verb) -> Self {
        Self {
            verb,
            replaces_gateway: false,
        }
    }
}

impl Step<'_> {
    fn child(&self) -> (Kind, &str) {
        match self {
            Self::Ensure(child, _) => (child.kind, &child.name),
            Self::Remove(live) => (live.kind, &live.name),
        }
    }

    fn written(&self, done: Done) -> Written {
        let (kind, name) = self.child();
        Written {
            verb: done.verb,
            kind,
            name: name.to_owned(),
            replaces_gateway: done.replaces_gateway,
        }
    }

    fn problem(&self, cause: Cause) -> Problem {
        let (kind, name) = self.child();
        let (serves, stays) = match self {
            Self::Ensure(child, live) => (child.serves, live.is_some_and(|l| l.ours.is_some())),
            Self::Remove(_) => (ConditionType::Ready, true),
        };
        Problem {
            kind,
            name: name.to_owned(),
            serves,
            // Of an object that is somebody else's, or of a kind that is gone, nothing is left.
            stays: stays && !matches!(cause, Cause::NameTaken | Cause::KindNotServed),
            cause,
        }
    }
}

impl Writer<'_> {
    /// Makes the namespace hold these children, and no other that was made for a MetricsNamespace: one after another,
    /// and side by side where one hangs.
    pub async fn apply(&self, wanted: &[Child], progress: &Progress) -> Outcome {
        let live = self.cache.in_namespace(self.namespace);
        let owner = self.object.uid().unwrap_or_default();
        let (steps, more) = steps(&live, wanted);
        let steps: Vec<_> = steps
            .into_iter()
            .enumerate()
            .filter(|(_, step)| !self.is_done(step, &owner))
            .collect();
        progress.begins(&steps, more);
        let mut steps = steps.into_iter();
        let mut underway = FuturesUnordered::new();
        loop {
            let room = underway.is_empty() || (self.place.hangs() && underway.len() < SIDE_BY_SIDE);
            if room && let Some((number, step)) = steps.next() {
                if self.rests(&step) {
                    progress.rests(number, &step);
                    continue;
                }
                underway.push(async move {
                    let result = self.carry_out(&step).await;
                    (number, step, result)
                });
                continue;
            }
            if underway.is_empty() {
                break;
            }
            tokio::select! {
                Some((number, step, result)) = underway.next() => progress.ends(number, &step, result),
                () = self.place.until_hanging(), if !self.place.hangs() => {}
            }
        }
        progress.outcome()
    }

    /// Whether nothing is to be done.
    fn is_done(&self, step: &Step, owner: &str) -> bool {
        let Step::Ensure(child, Some(live)) = step else {
            return false;
        };
        self.cache.served(child.kind) != Served::No && live.is_as_wanted(child, owner)
    }

    /// Whether a fight has gone on for so long that it is not answered yet.
    fn rests(&self, step: &Step) -> bool {
        let Step::Ensure(child, _) = step else {
            return false;
        };
        let object = ObjectRef::from_obj(self.object);
        self.contests
            .wait(&object, *child, Instant::now())
            .is_some()
    }

    async fn carry_out(&self, step: &Step<'_>) -> Result<Option<Done>, Cause> {
        let done = async {
            match step {
                Step::Ensure(child, live) => self.ensure(child, *live).await,
                Step::Remove(live) => {
                    let removed = self.remove(live).await?;
                    Ok(removed.then_some(Verb::Removed.into()))
                }
            }
        };
        let asked = Some(step.child().0);
        let done = self.place.wait(asked, timeout(LONGEST_WRITE, done)).await;
        self.health.goes_on(&ObjectRef::from_obj(self.object));
        done.unwrap_or_else(|_| Err(no_answer().into()))
    }
}

/// What is said of a request that was given up.
pub fn no_answer() -> Failure {
    Failure::Unavailable(format!(
        "the API server has not answered for {}s",
        LONGEST_WRITE.as_secs()
    ))
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
        problems: lacking
            .map(|child| Problem {
                kind: child.kind,
                name: child.name.clone(),
                serves: child.serves,
                cause: Cause::HeldBack,
                stays: false,
            })
            .collect(),
        ..Outcome::default()
    }
}

/// What may have to be done about each child; and whether more is surplus than is removed now.
fn steps<'a>(live: &'a [Live], wanted: &'a [Child]) -> (Vec<Step<'a>>, bool) {
    let ensured = wanted.iter().map(|child| {
        let is_it = |l: &&Live| l.kind == child.kind && l.name == child.name;
        Step::Ensure(child, live.iter().find(is_it))
    });
    let mut surplus = live.iter().filter(|l| is_surplus(l, wanted));
    let removed = surplus.by_ref().take(REMOVALS).map(Step::Remove);
    let steps = ensured.chain(removed).collect();
    (steps, surplus.next().is_some())
}

/// Made by this operator, and in no plan any more.
fn is_surplus(live: &Live, wanted: &[Child]) -> bool {
    live.was_made_here()
        && !wanted
            .iter()
            .any(|w| w.kind == live.kind && w.name == live.name)
}

impl Writer<'_> {
    async fn ensure(&self, child: &Child, live: Option<&Live>) -> Result<Option<Done>, Cause> {
        if self.cache.served(child.kind) == Served::No {
            return Err(Cause::KindNotServed);
        }
        let Some(live) = live else {
            return match self.create(child).await {
                Ok(()) => {
                    if self.object.was_served() {
                        self.answered(child, Rivalry::Deleted);
                    }
                    Ok(Some(Verb::Created.into()))
                }
                // It is there unseen: made a moment ago, or without our label.
                Err(KubeError::Api(status)) if status.is_already_exists() => {
                    self.take_or_leave(child).await
                }
                Err(error) => Err(cause(error)),
            };
        };
        if live.ours.is_none() {
            return self.take_or_leave(child).await;
        }
        self.change(child, live).await
    }

    fn answered(&self, child: &Child, rivalry: Rivalry) {
        let object = ObjectRef::from_obj(self.object);
        self.contests
            .answered(&object, child, rivalry, Instant::now());
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
        request.headers_mut().insert(ACCEPT, METADATA_ONLY);
        let _coming = self.cache.comes(self.namespace, child.kind, &child.name);
        let made: Watched = self.client.request(request).await?;
        self.note(child.kind, &made.metadata);
        Ok(())
    }

    /// Decides on an object that the cache does not know as ours, by looking at it.
    async fn take_or_leave(&self, child: &Child) -> Result<Option<Done>, Cause> {
        let Some(metadata) = self
            .api(child.kind)
            .get_opt(&child.name)
            .await
            .map_err(cause)?
        else {
            // Gone since. What removed it is an event that brings the next try.
            return Err(Failure::Unavailable(format!(
                "{} {} vanished while it was looked at",
                child.kind.as_str(),
                child.name
            ))
            .into());
        };
        let live = Live::new(child.kind, &metadata.metadata, None);
        if live.ours.is_none() {
            self.take_back(child, &metadata.metadata).await?;
        }
        if live.is_as_wanted(child, &self.object.uid().unwrap_or_default()) {
            self.note(child.kind, &metadata.metadata);
            return Ok(None);
        }
        self.change(child, &live).await
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
    async fn change(&self, child: &Child, live: &Live) -> Result<Option<Done>, Cause> {
        let changed = match child.kind.makes_pods() {
            true => self.apply_over::<PodTemplate>(child, live).await,
            false => self.apply_over::<Nothing>(child, live).await,
        };
        match changed {
            Ok(done) => Ok(done),
            Err(error) => {
                if !self
                    .is_there(child.kind, &child.name, &live.uid, &error)
                    .await
                {
                    // The next try looks at what is there now.
                    self.cache.forget(self.namespace, child.kind, &child.name);
                }
                Err(cause(error))
            }
        }
    }

    /// `None` if the object was so already.
    async fn apply_over<P: Part + PartialEq>(
        &self,
        child: &Child,
        live: &Live,
    ) -> Result<Option<Done>, KubeError> {
        let api: Api<Watched<P>> = Api::namespaced_with(
            self.client.clone(),
            self.namespace,
            &child.kind.api_resource(),
        );
        let before = api.get(&child.name).await?;
        self.own_by_apply(child.kind, &before.metadata).await?;
        let mut object = child.object.clone();
        object["metadata"]["uid"] = json!(live.uid);
        let parameters = PatchParams {
            field_manager: Some(names::MANAGER.into()),
            force: true,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let patch = Patch::Apply(object);
        let after = match api.patch(&child.name, &parameters, &patch).await {
            Err(error)
                if repeats_an_item(&error) && self.own_others_items(child, &live.uid).await? =>
            {
                api.patch(&child.name, &parameters, &patch).await?
            }
            answer => answer?,
        };
        self.note(child.kind, &after.metadata);
        if after.metadata.resource_version == before.metadata.resource_version {
            return Ok(None);
        }
        if live.was_changed_by_others(child) {
            self.answered(child, contests::rivalry(&before.metadata, &child.object));
        }
        let answered = live.rollout.as_ref().is_some_and(|r| r.available);
        Ok(Some(Done {
            verb: Verb::Updated,
            replaces_gateway: answered && after.part != before.part,
        }))
    }

    /// Fields that we own by having created the object would stay behind when an apply no longer names them.
    async fn own_by_apply(&self, kind: Kind, live: &ObjectMeta) -> Result<(), KubeError> {
        let Some(entries) = ownership::moved_to_apply(live) else {
            return Ok(());
        };
        self.move_fields(kind, live, entries).await
    }

    /// Whoever changes the key of an item in a list of ours makes another item of it, which is theirs: beside it, ours
    /// can't come back. True if there was such a one.
    async fn own_others_items(&self, child: &Child, uid: &str) -> Result<bool, KubeError> {
        let found = self.api(child.kind).get(&child.name).await?;
        let same = found.uid().as_deref() == Some(uid);
        let entries = same.then(|| ownership::with_others_items(&found.metadata, &child.object));
        let Some(entries) = entries.flatten() else {
            return Ok(false);
        };
        self.move_fields(child.kind, &found.metadata, entries)
            .await?;
        Ok(true)
    }

    /// With the version that was read: whoever wrote since has fields of their own to be kept.
    async fn move_fields(
        &self,
        kind: Kind,
        read: &ObjectMeta,
        entries: Vec<ManagedFieldsEntry>,
    ) -> Result<(), KubeError> {
        let patch = json!({"metadata": {
            "resourceVersion": read.resource_version,
            "managedFields": entries,
        }});
        let name = read.name.as_deref().unwrap_or_default();
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(drop)
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

    fn note(&self, kind: Kind, metadata: &ObjectMeta) {
        self.cache
            .wrote(self.namespace, Live::new(kind, metadata, None));
    }

    fn api(&self, kind: Kind) -> Api<Watched> {
        Api::namespaced_with(self.client.clone(), self.namespace, &kind.api_resource())
    }
}

/// What the gateway's pods are made from now; `None` where that can't be read.
pub async fn pod_template(client: &Client, namespace: &str) -> Option<Value> {
    let kind = Kind::Deployment.api_resource();
    let api: Api<Watched<PodTemplate>> = Api::namespaced_with(client.clone(), namespace, &kind);
    let gateway = api.get(names::GATEWAY).await.ok()?;
    Some(gateway.part.spec.template)
}

/// Whether the API server refuses two items of a list for what they have in common.
fn repeats_an_item(error: &KubeError) -> bool {
    const REASON: &str = "FieldValueDuplicate";
    let KubeError::Api(status) = error else {
        return false;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 422 && causes.into_iter().any(|cause| cause.reason == REASON)
}

/// Of a Deployment, what its pods are made from: another one is another pod.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct PodTemplate {
    spec: TemplateOnly,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct TemplateOnly {
    template: Value,
}

impl Part for PodTemplate {
    const METADATA_ONLY: bool = false;
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
    fn thousands_of_surplus_objects_are_removed_a_few_at_a_time() {
        let surplus = |number: usize| unwanted(&json!({"name": format!("surplus-{number}")}));
        let wanted = build(&fixtures::alice()).unwrap();
        let few: Vec<_> = (0..REMOVALS).map(surplus).collect();
        let (todo, more) = steps(&few, &wanted);
        assert_eq!((todo.len(), more), (wanted.len() + REMOVALS, false));
        let many: Vec<_> = (0..3000).map(surplus).collect();
        let (todo, more) = steps(&many, &wanted);
        assert_eq!((todo.len(), more), (wanted.len() + REMOVALS, true));
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
