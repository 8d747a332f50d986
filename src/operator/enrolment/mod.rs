//! Namespaces labelled `simplepipe.dev/enroll=true` get a MetricsNamespace. Without the label, or with `false`, they lose
//! it again, unless a person has made it their own by an edit. Any other value changes nothing, and is told.

pub mod namespace_events;
pub mod turns;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, Error as KubeError, ResourceExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use tracing::{info, warn};

use crate::api::{MetricsNamespace, MetricsNamespaceSpec, names};

use crate::operator::cluster::api_error::words;
use crate::operator::cluster::caches::{Caches, Namespace};
use crate::operator::events::{Events, LONGEST_EVENT};
use crate::operator::pacing::budget::Budgets;
use crate::operator::telemetry::Metrics;
use crate::operator::telemetry::lasting_failures::{Lasting, Told};
use namespace_events::{Note, publish};
use turns::{Ended, Turns};

/// A request that takes longer is given up and tried again. An admission webhook may take 30 seconds, and then the API
/// server says which one it was.
const LONGEST: Duration = Duration::from_secs(35);
/// Changes that are taken at once: of one namespace, only its state after the last counts.
const BATCH: usize = 1024;
/// Objects that are made and deleted for one namespace at once: more than a person asks for who tries the label out.
const BURST: u32 = 10;
/// After that, one in this time: whoever deletes what is made, or makes what is deleted, can do so without end.
const EVERY: Duration = Duration::from_secs(10);

/// What a namespace's label asks for.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Create,
    Delete(Arc<MetricsNamespace>),
    /// The namespace had an object of its own.
    DeleteSurplus(Arc<MetricsNamespace>),
    /// The label has a value that means nothing.
    Tell(String),
}

/// Follows the namespaces that the watches name, until they end.
pub async fn run(
    client: Client,
    events: Arc<Events>,
    caches: Arc<Caches>,
    metrics: Arc<Metrics>,
    mut namespaces: UnboundedReceiver<String>,
) {
    let mut enrolment = Enrolment::new(client, events, caches);
    let mut changed = Vec::new();
    loop {
        enrolment.start();
        metrics.enrolments_fail(enrolment.failing.len());
        let wake = enrolment.turns.wake(Instant::now());
        tokio::select! {
            received = namespaces.recv_many(&mut changed, BATCH) => {
                if received == 0 {
                    return;
                }
                changed.sort();
                changed.dedup();
                changed.drain(..).for_each(|name| enrolment.changed(name));
            }
            Some(done) = enrolment.running.join_next() => {
                // One that lost its slot is known to be tried again.
                if let Ok((name, result)) = done {
                    enrolment.ended(name, result);
                }
            }
            () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
        }
    }
}

struct Enrolment {
    client: Client,
    events: Arc<Events>,
    caches: Arc<Caches>,
    turns: Turns,
    budgets: Budgets,
    running: JoinSet<(String, Result<Done, String>)>,
    handles: HashMap<String, AbortHandle>,
    /// The labels' values that mean nothing and were told, by namespace.
    told: HashMap<String, String>,
    /// Those whose last try was answered with an error.
    failing: HashSet<String>,
    /// Those whose next failure is told by an event again: events are kept for an hour, and the failure may last longer.
    reminded: HashSet<String>,
    /// What the log says of them.
    lasting: Lasting<String>,
}

enum Done {
    Written,
    /// This value of the label was told.
    Told(String),
}

impl Enrolment {
    fn new(client: Client, events: Arc<Events>, caches: Arc<Caches>) -> Self {
        Self {
            client,
            events,
            caches,
            turns: Turns::default(),
            budgets: Budgets::new(BURST, EVERY),
            running: JoinSet::new(),
            handles: HashMap::new(),
            told: HashMap::new(),
            failing: HashSet::new(),
            reminded: HashSet::new(),
            lasting: Lasting::default(),
        }
    }

    fn step(&self, name: &str) -> Option<Step> {
        let objects = self.caches.objects.in_namespace(name);
        let told = self.told.get(name).map(String::as_str);
        step(self.caches.namespaces.get(name).as_ref(), &objects, told)
    }

    fn changed(&mut self, name: String) {
        if !self.is_unclear(&name) {
            self.told.remove(&name);
        }
        if self.step(&name).is_some() {
            self.turns.wanted(name);
        } else {
            self.turns.forget(&name);
            self.forget_failures(&name);
        }
    }

    fn is_unclear(&self, name: &str) -> bool {
        let namespace = self.caches.namespaces.get(name);
        namespace.is_some_and(|n| !n.terminating && matches!(asks(&n), Asks::Unclear(_)))
    }

    /// The next failure is the first one.
    fn forget_failures(&mut self, name: &String) {
        self.failing.remove(name);
        self.reminded.remove(name);
        self.lasting.forget(name);
    }

    /// Whether the next failure is told by an event.
    fn tells(&mut self, name: &str) -> bool {
        !self.failing.contains(name) || self.reminded.remove(name)
    }

    /// Starts whatever has its turn.
    fn start(&mut self) {
        while let Some(turn) = self.turns.next(Instant::now()) {
            if let Some(displaced) = turn.instead_of.and_then(|name| self.handles.remove(&name)) {
                displaced.abort();
            }
            let name = turn.name;
            let Some(step) = self.step(&name) else {
                self.turns.ended(&name, Ended::Well, Instant::now());
                self.forget_failures(&name);
                continue;
            };
            let now = Instant::now();
            if self.budgets.wait(&made_for(&name), now).is_some() {
                self.turns.ended(&name, Ended::Badly, now);
                continue;
            }
            let (client, events) = (self.client.clone(), self.events.clone());
            let tells = self.tells(&name);
            let handle = self.running.spawn({
                let name = name.clone();
                async move {
                    let result = carry_out(&client, &events, &name, step, tells).await;
                    (name, result)
                }
            });
            self.handles.insert(name, handle);
        }
    }

    fn ended(&mut self, name: String, result: Result<Done, String>) {
        let now = Instant::now();
        self.handles.remove(&name);
        match result {
            Ok(done) => {
                self.turns.ended(&name, Ended::Well, now);
                self.budgets.spend(&made_for(&name), now);
                self.failing.remove(&name);
                self.reminded.remove(&name);
                if let Some(told) = self.lasting.works(&name, now) {
                    info!(namespace = name, "enrolment {told}");
                }
                if let Done::Told(value) = done
                    && self.is_unclear(&name)
                {
                    self.told.insert(name, value);
                }
            }
            // As of a namespace that has gone meanwhile.
            Err(_) if self.step(&name).is_none() => {
                self.turns.ended(&name, Ended::Well, now);
                self.forget_failures(&name);
            }
            Err(error) => {
                self.turns.ended(&name, Ended::Badly, now);
                if let Some(told) = self.lasting.fails(&name, &error, now) {
                    warn!(namespace = name, error, "enrolment {told}");
                    if matches!(told, Told::Lasts(_)) {
                        self.reminded.insert(name.clone());
                    }
                }
                self.failing.insert(name);
            }
        }
    }
}

fn made_for(namespace: &str) -> ObjectRef<MetricsNamespace> {
    ObjectRef::new(names::ENROLLED_NAME).within(namespace)
}

#[derive(Debug, PartialEq)]
enum Asks<'a> {
    Enrolled,
    NotEnrolled,
    Unclear(&'a str),
}

fn asks(namespace: &Namespace) -> Asks<'_> {
    match namespace
        .labels
        .get(names::ENROLL_LABEL)
        .map(String::as_str)
    {
        Some("true") => Asks::Enrolled,
        None | Some("" | "false") => Asks::NotEnrolled,
        Some(other) => Asks::Unclear(other),
    }
}

/// `told`: the value that was told before.
fn step(
    namespace: Option<&Namespace>,
    objects: &[Arc<MetricsNamespace>],
    told: Option<&str>,
) -> Option<Step> {
    let namespace = namespace.filter(|n| !n.terminating)?;
    match asks(namespace) {
        Asks::Enrolled if objects.is_empty() => Some(Step::Create),
        Asks::Enrolled => surplus(objects).map(|o| Step::DeleteSurplus(o.clone())),
        Asks::NotEnrolled => objects
            .iter()
            .find(|o| o.metadata.deletion_timestamp.is_none() && is_as_enrolled(o))
            .map(|o| Step::Delete(o.clone())),
        Asks::Unclear(value) => (told != Some(value)).then(|| Step::Tell(value.to_owned())),
    }
}

/// What enrolment made beside an object that was there before, but not yet seen.
fn surplus(objects: &[Arc<MetricsNamespace>]) -> Option<&Arc<MetricsNamespace>> {
    let age = |o: &MetricsNamespace| o.creation_timestamp();
    objects
        .iter()
        .filter(|o| o.metadata.deletion_timestamp.is_none() && is_as_enrolled(o))
        .find(|made| {
            objects
                .iter()
                .any(|o| !is_as_enrolled(o) && age(o) <= age(made))
        })
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

/// `tells`: whether a failure is told by an event.
async fn carry_out(
    client: &Client,
    events: &Events,
    namespace: &str,
    step: Step,
    tells: bool,
) -> Result<Done, String> {
    let tell = async |note: Note| {
        let told = timeout(
            LONGEST_EVENT,
            publish(client, events.instance(), namespace, &note),
        )
        .await;
        // A lost event is no reason to try anything again.
        let told = told.map_or_else(
            |_| Err("the API server did not answer in time".to_owned()),
            |told| told.map_err(|error| words(&error)),
        );
        events.published(Some(namespace), told);
    };
    let ending = matches!(step, Step::Delete(_) | Step::DeleteSurplus(_));
    let work = async {
        Ok::<_, KubeError>(match &step {
            Step::Tell(value) => Some(Note::unclear_label(value)),
            Step::Create => {
                create(client, namespace).await?;
                None
            }
            Step::Delete(object) => delete(client, namespace, object)
                .await?
                .then(|| Note::ended(object)),
            Step::DeleteSurplus(object) => {
                delete(client, namespace, object).await?;
                None
            }
        })
    };
    let error = match timeout(LONGEST, work).await {
        Ok(Ok(note)) => {
            if let Some(note) = note {
                tell(note).await;
            }
            return Ok(match step {
                Step::Tell(value) => Done::Told(value),
                _ => Done::Written,
            });
        }
        Ok(Err(error)) => words(&error),
        Err(_) => format!(
            "the API server did not answer within {} s",
            LONGEST.as_secs()
        ),
    };
    if tells {
        tell(Note::failed(ending, &error)).await;
    }
    Err(error)
}

async fn create(client: &Client, namespace: &str) -> Result<(), KubeError> {
    let api: Api<MetricsNamespace> = Api::namespaced(client.clone(), namespace);
    let parameters = PostParams {
        field_manager: Some(names::MANAGER.into()),
        ..PostParams::default()
    };
    match api.create(&parameters, &enrolled()).await {
        Ok(_) => info!(namespace, "enrolled by label"),
        Err(KubeError::Api(status)) if status.is_already_exists() || status.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// True if it was there, and is now being deleted.
async fn delete(
    client: &Client,
    namespace: &str,
    object: &MetricsNamespace,
) -> Result<bool, KubeError> {
    let api: Api<MetricsNamespace> = Api::namespaced(client.clone(), namespace);
    let parameters = DeleteParams {
        // An edit that this operator has not seen yet keeps the object.
        preconditions: Some(Preconditions {
            uid: object.uid(),
            resource_version: object.resource_version(),
        }),
        ..DeleteParams::default()
    };
    match api.delete(&object.name_any(), &parameters).await {
        Ok(_) => {
            info!(namespace, "no longer enrolled by label");
            Ok(true)
        }
        // Somebody wrote to it since: that comes as a change of its own.
        Err(KubeError::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use rstest::rstest;
    use serde_json::json;
    use std::convert::Infallible;
    use tower::service_fn;

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
    #[case::labelled_so_that_nobody_knows(Some("True"), false)]
    #[case::labelled_false(Some("false"), false)]
    #[case::labelled_with_nothing(Some(""), false)]
    #[case::not_labelled(None, false)]
    fn a_labelled_namespace_without_an_object_gets_one(
        #[case] label: Option<&str>,
        #[case] created: bool,
    ) {
        assert_eq!(
            step(Some(&namespace(label)), &[], None) == Some(Step::Create),
            created
        );
    }

    #[test]
    fn a_namespace_that_has_an_object_or_is_going_gets_none() {
        let own = object(1, false, &[("kubectl", "")]);
        let own_alone = [own.clone()];
        assert_eq!(step(Some(&namespace(Some("true"))), &own_alone, None), None);
        // Made before that one was seen.
        let made = object(1, true, &[("simplepipe", "")]);
        let younger = |mut object: Arc<MetricsNamespace>, seconds| {
            let created = jiff::Timestamp::from_second(seconds).unwrap();
            Arc::make_mut(&mut object).metadata.creation_timestamp = Some(Time(created));
            object
        };
        for (own_at, made_at, goes) in [(10, 11, true), (11, 11, true), (12, 11, false)] {
            let made = younger(made.clone(), made_at);
            let both = [younger(own.clone(), own_at), made.clone()];
            assert_eq!(
                step(Some(&namespace(Some("true"))), &both, None),
                goes.then_some(Step::DeleteSurplus(made))
            );
        }
        let going = Namespace {
            terminating: true,
            ..namespace(Some("true"))
        };
        assert_eq!(step(Some(&going), &[], None), None);
        assert_eq!(step(None, &[], None), None);
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
        for label in [None, Some(""), Some("false")] {
            assert_eq!(
                step(Some(&namespace(label)), std::slice::from_ref(&object), None),
                goes.then(|| Step::Delete(object.clone())),
                "{label:?}"
            );
        }
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_a_namespace_that_went_while_something_was_tried_for_it() {
        let nobody = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let caches: Arc<Caches> = Arc::default();
        let client = Client::try_from(nobody).unwrap();
        let mut enrolment = Enrolment::new(client.clone(), nobodys(client), caches.clone());
        let alice = || "alice".to_owned();
        let lasting = |enrolment: &Enrolment| {
            let now = Instant::now();
            enrolment.lasting.works(&alice(), now).is_some()
        };
        for (label, result) in [
            ("true", Err("a webhook refused it".to_owned())),
            ("yes", Ok(Done::Told("yes".into()))),
        ] {
            caches.namespaces.saw("alice", namespace(Some(label)));
            enrolment.changed(alice());
            enrolment.start();
            caches.namespaces.gone("alice");
            enrolment.changed(alice());
            enrolment.ended(alice(), result);
            assert!(enrolment.failing.is_empty() && enrolment.told.is_empty());
            assert!(!lasting(&enrolment));
            assert_eq!(enrolment.turns.wake(Instant::now()), None);
        }
        // Also one that went before its next try.
        caches.namespaces.saw("alice", namespace(Some("true")));
        enrolment.changed(alice());
        enrolment.start();
        enrolment.ended(alice(), Err("a webhook refused it".into()));
        assert_eq!(enrolment.failing.len(), 1);
        caches.namespaces.keep(&Default::default());
        enrolment.changed(alice());
        assert!(enrolment.failing.is_empty());
        assert!(!lasting(&enrolment));
    }

    #[tokio::test]
    async fn who_deletes_what_enrolment_makes_without_end_gets_it_again_less_and_less_often() {
        let answer = |request: http::Request<kube::client::Body>| async {
            let object = request.into_body().collect_bytes().await.unwrap();
            Ok::<_, Infallible>(http::Response::new(kube::client::Body::from(object)))
        };
        let caches: Arc<Caches> = Arc::default();
        for name in ["alice", "bob"] {
            caches.namespaces.saw(name, namespace(Some("true")));
        }
        let client = Client::new(service_fn(answer), "default");
        let mut enrolment = Enrolment::new(client.clone(), nobodys(client), caches);
        let mut made = 0;
        for _ in 0..3 * BURST {
            // It is gone as soon as it is made.
            enrolment.changed("alice".into());
            enrolment.start();
            while let Some(done) = enrolment.running.join_next().await {
                let (name, result) = done.unwrap();
                enrolment.ended(name, result);
                made += 1;
            }
        }
        assert_eq!(made, BURST);
        let now = Instant::now();
        let again = enrolment.turns.wake(now).map(|at| at.duration_since(now));
        assert!(again.is_some_and(|wait| wait <= EVERY), "{again:?}");
        enrolment.changed("bob".into());
        enrolment.start();
        assert_eq!(enrolment.running.len(), 1, "others wait for nothing");
    }

    fn nobodys(client: Client) -> Arc<Events> {
        Arc::new(Events::new(client, None))
    }

    #[tokio::test]
    async fn a_failure_that_lasts_is_told_by_an_event_again() {
        const WHY: &str = "a webhook refused it";
        let nobody = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let caches: Arc<Caches> = Arc::default();
        caches.namespaces.saw("alice", namespace(Some("true")));
        let client = Client::try_from(nobody).unwrap();
        let mut enrolment = Enrolment::new(client.clone(), nobodys(client), caches);
        let alice = || "alice".to_owned();
        let fails = |enrolment: &mut Enrolment| {
            enrolment.ended(alice(), Err(WHY.into()));
            !enrolment.reminded.is_empty()
        };
        assert!(!fails(&mut enrolment), "the first is told in any case");
        // As if that had been long ago.
        enrolment.lasting.forget(&alice());
        let long_ago = Instant::now().checked_sub(Duration::from_secs(3600));
        enrolment.lasting.fails(&alice(), WHY, long_ago.unwrap());
        assert!(fails(&mut enrolment));
        assert!(enrolment.tells(&alice()), "its next failure");
        assert!(!enrolment.tells(&alice()), "and no other");
    }

    #[rstest]
    #[case("True")]
    #[case("yes")]
    #[case("flase")]
    fn a_value_that_means_nothing_changes_nothing_and_is_told_once(#[case] value: &str) {
        let made_by_label = object(1, true, &[("simplepipe", "")]);
        for objects in [vec![], vec![made_by_label]] {
            let step = |told| step(Some(&namespace(Some(value))), &objects, told);
            assert_eq!(step(None), Some(Step::Tell(value.into())));
            assert_eq!(step(Some("another")), Some(Step::Tell(value.into())));
            assert_eq!(step(Some(value)), None);
        }
    }
}
