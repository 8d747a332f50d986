//! The watches: each keeps one cache true, and says which objects a change concerns.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use futures::{FutureExt, future};
use k8s_openapi::api::apps::v1::DeploymentStatus;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource};
use kube::core::GroupVersionKind;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Client, Error as KubeError, Resource, ResourceExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::api::prometheus_operator::{self, PrometheusSelectors};
use crate::api::{MetricsNamespace, names};
use crate::terminal::one_line;

use super::api_error::{is_unknown_kind, with_causes, words};
use super::backoff::Backoff;
use super::caches::{Caches, Namespace};
use super::child_cache::{Live, Served};
use super::events::{Events, LONGEST_EVENT};
use super::following::{Failure, Following, News};
use super::health::Health;
use super::kind::Kind;
use super::lasting::{Lasting, Told};
use super::locked::Locked;
use super::objects;
use super::queue::Queue;
use super::selection::Prometheus;
use super::watched::{Part, Watched, WatchedObject};

/// A parser's words are cut here: they quote what they can't read.
const LONGEST_WORDS: usize = 400;

/// What every watch works with.
#[derive(Clone)]
pub struct Watches {
    /// Where to watch.
    pub client: Client,
    /// What to keep true.
    pub caches: Arc<Caches>,
    /// Whom to tell which objects a change concerns.
    pub queue: Queue,
    /// Whom to tell which namespaces changed, for enrolment.
    pub namespaces: tokio::sync::mpsc::UnboundedSender<String>,
    /// Whom to tell whether the watch works.
    pub health: Arc<Health>,
    /// Where events go.
    pub events: Arc<Events>,
    /// Whom to tell that the API server's data is older than what was seen.
    pub rewound: Arc<Notify>,
}

/// Why the watches ended.
pub enum Ended {
    /// One of them ended by itself.
    Unexpectedly,
    /// What was seen is no longer so: caches, and the order of versions in them, are worth nothing.
    Rewound,
}

/// Of a Deployment, all but its status is left unread.
#[derive(Clone, Debug, Deserialize)]
struct Status {
    status: Option<DeploymentStatus>,
}

impl Part for Status {
    const METADATA_ONLY: bool = false;
}

/// Of a Prometheus object, all but what it selects is left unread.
#[derive(Clone, Debug, Deserialize)]
struct Selectors {
    #[serde(default)]
    spec: PrometheusSelectors,
}

impl Part for Selectors {
    const METADATA_ONLY: bool = false;
}

impl Watches {
    /// Those without which it is not known what to do.
    pub const NEEDED: &[&str] = &["metricsnamespaces", "namespaces"];
    /// Those for who scrapes.
    pub const PROMETHEUSES: [&str; 2] = ["prometheuses", "prometheusagents"];

    /// All watches' names, as health shows them.
    pub fn names() -> Vec<&'static str> {
        let mut names = vec![
            "metricsnamespaces",
            "namespaces",
            "prometheuses",
            "prometheusagents",
        ];
        names.extend(Kind::ALL.map(Kind::plural));
        names
    }

    /// Those of which statuses say what can't be seen.
    pub fn of_statuses() -> impl Iterator<Item = &'static str> {
        Self::PROMETHEUSES
            .into_iter()
            .chain([Kind::Deployment.plural()])
    }

    /// Runs all of them; returns only when one ends, which none should, or when what was seen is no longer so.
    pub async fn run(self) -> Ended {
        let rewound = self.rewound.clone();
        let children = Kind::ALL.map(|kind| self.clone().children(kind).boxed());
        let others = [
            self.clone().objects().boxed(),
            self.clone().namespaces().boxed(),
            self.clone()
                .prometheuses("prometheuses", "v1", "Prometheus")
                .boxed(),
            self.clone()
                .prometheuses("prometheusagents", "v1alpha1", "PrometheusAgent")
                .boxed(),
        ];
        tokio::select! {
            _ = future::select_all(others.into_iter().chain(children)) => Ended::Unexpectedly,
            () = rewound.notified() => Ended::Rewound,
        }
    }

    async fn objects(self) {
        let api: Api<WatchedObject> = Api::all(self.client.clone());
        let mut watch = self.steady("metricsnamespaces", false, Following::new(api, None));
        let unreadable = Unreadable::default();
        let mut listed = HashSet::new();
        loop {
            let event = unreadable.parsed(watch.next().await, &self.events);
            self.health.set_unreadable(unreadable.now.lock().len());
            let Some(event) = event else {
                continue;
            };
            match event {
                Event::Init => listed.clear(),
                Event::InitApply(object) => {
                    self.caches.objects.saw(&object);
                    listed.insert(objects::reference(&object));
                }
                Event::InitDone => {
                    let seen = std::mem::take(&mut listed);
                    self.objects_changed(self.caches.objects.keep_only(&seen));
                    self.objects_changed(seen.into_iter().collect());
                    self.health.synced(watch.name);
                }
                Event::Apply(object) => {
                    self.objects_changed(self.caches.objects.saw(&object));
                    // Whether it was made by label and edited since shows in more than concerns its children.
                    self.namespace_changed(&object.namespace().unwrap_or_default());
                }
                Event::Delete(object) => {
                    self.objects_changed(self.caches.objects.gone(&object));
                    self.namespace_changed(&object.namespace().unwrap_or_default());
                }
            }
        }
    }

    fn objects_changed(&self, objects: Vec<ObjectRef<MetricsNamespace>>) {
        for object in &objects {
            self.namespace_changed(object.namespace.as_deref().unwrap_or_default());
        }
        let (serving, others) = self.caches.objects.by_serving(objects);
        self.queue.add_all(serving);
        self.queue.add_last(others);
    }

    /// Tells enrolment.
    fn namespace_changed(&self, namespace: &str) {
        // Fails only when enrolment has ended, and then the process ends too.
        let _ = self.namespaces.send(namespace.to_owned());
    }

    /// What a namespace or a child in it is concerns only the object that serves it.
    fn serving_changed(&self, namespace: &str) {
        self.queue
            .add_all(self.caches.objects.serving_reference(namespace));
    }

    async fn namespaces(self) {
        let resource = ApiResource::erase::<v1::Namespace>(&());
        let api: Api<Watched> = Api::all_with(self.client.clone(), &resource);
        let mut watch = self.steady("namespaces", false, Following::new(api, None));
        let mut listed = BTreeSet::new();
        loop {
            match watch.next().await {
                Event::Init => listed.clear(),
                Event::InitApply(namespace) => {
                    listed.insert(namespace.name_any());
                    self.namespace_seen(&namespace.metadata);
                }
                Event::InitDone => {
                    let gone = self.caches.namespaces.keep(&std::mem::take(&mut listed));
                    gone.iter().for_each(|name| self.namespace_changed(name));
                    self.health.synced(watch.name);
                }
                Event::Apply(namespace) => self.namespace_seen(&namespace.metadata),
                Event::Delete(namespace) => {
                    let name = namespace.name_any();
                    self.caches.namespaces.gone(&name);
                    self.namespace_changed(&name);
                }
            }
        }
    }

    fn namespace_seen(&self, metadata: &ObjectMeta) {
        let name = metadata.name.clone().unwrap_or_default();
        let namespace = Namespace {
            labels: metadata.labels.clone().unwrap_or_default(),
            terminating: metadata.deletion_timestamp.is_some(),
        };
        if self.caches.namespaces.saw(&name, namespace) {
            self.serving_changed(&name);
            self.namespace_changed(&name);
        }
    }

    async fn prometheuses(self, plural: &'static str, version: &'static str, kind: &'static str) {
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk(prometheus_operator::GROUP, version, kind),
            plural,
        );
        let api: Api<Watched<Selectors>> = Api::all_with(self.client.clone(), &resource);
        let mut watch = self.steady(plural, true, Following::new(api, None));
        let mut listed = BTreeSet::new();
        loop {
            let news = match watch.next().await {
                Event::Init => {
                    listed.clear();
                    false
                }
                Event::InitApply(object) => {
                    listed.insert((object.namespace().unwrap_or_default(), object.name_any()));
                    self.caches.prometheuses.saw(kind, prometheus(kind, object))
                }
                Event::InitDone => {
                    let dropped = self
                        .caches
                        .prometheuses
                        .keep(kind, &std::mem::take(&mut listed));
                    // Objects may have been looked at without.
                    self.health.synced(plural) || dropped
                }
                Event::Apply(object) => {
                    self.caches.prometheuses.saw(kind, prometheus(kind, object))
                }
                Event::Delete(object) => self.caches.prometheuses.gone(
                    kind,
                    &object.namespace().unwrap_or_default(),
                    &object.name_any(),
                ),
            };
            if news {
                self.queue.add_all(self.caches.objects.all_serving());
            }
        }
    }

    async fn children(self, kind: Kind) {
        let resource = kind.api_resource();
        let ours = Some(format!("{}={}", names::MANAGED_BY_LABEL, names::MANAGER));
        if kind == Kind::Deployment {
            let api: Api<Watched<Status>> = Api::all_with(self.client.clone(), &resource);
            self.follow(kind, Following::new(api, ours), |deployment| {
                (&deployment.metadata, deployment.part.status.as_ref())
            })
            .await;
        } else {
            let api: Api<Watched> = Api::all_with(self.client.clone(), &resource);
            self.follow(kind, Following::new(api, ours), |object| {
                (&object.metadata, None)
            })
            .await;
        }
    }

    async fn follow<K>(
        &self,
        kind: Kind,
        following: Following<K>,
        parts: impl Fn(&K) -> (&ObjectMeta, Option<&DeploymentStatus>),
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let live = |object: &K| {
            let (metadata, status) = parts(object);
            (
                metadata.namespace.clone().unwrap_or_default(),
                Live::new(kind, metadata, status),
            )
        };
        let mut watch = self.steady(kind.plural(), kind.may_be_missing(), following);
        let children = &self.caches.children;
        let mut listed = HashSet::new();
        loop {
            match watch.next().await {
                Event::Init => listed.clear(),
                Event::InitApply(object) => {
                    let (namespace, live) = live(&object);
                    listed.insert((namespace.clone(), live.name.clone()));
                    if children.saw(&namespace, live) {
                        self.serving_changed(&namespace);
                    }
                }
                Event::InitDone => {
                    children
                        .listed(kind, &std::mem::take(&mut listed))
                        .iter()
                        .for_each(|namespace| self.serving_changed(namespace));
                    if children.set_served(kind, Served::Yes) {
                        self.queue.add_all(self.caches.objects.all_serving());
                    }
                    self.health.synced(watch.name);
                }
                Event::Apply(object) => {
                    let (namespace, live) = live(&object);
                    if children.saw(&namespace, live) {
                        self.serving_changed(&namespace);
                    }
                }
                Event::Delete(object) => {
                    let (namespace, live) = live(&object);
                    if children.gone(&namespace, kind, &live.name, Some(&live.uid)) {
                        self.serving_changed(&namespace);
                    }
                }
            }
        }
    }

    /// `optional`: its kind may be one that the cluster lacks.
    fn steady<K>(
        &self,
        name: &'static str,
        optional: bool,
        following: Following<K>,
    ) -> Steady<'_, K> {
        Steady {
            watches: self,
            name,
            optional,
            following,
            backoff: Backoff::default(),
            listing: false,
            failed: false,
        }
    }

    /// Statuses say what could not be seen. Nothing else would tell them that it can.
    fn seen_again(&self, watch: &'static str) {
        if Self::of_statuses().any(|of_statuses| of_statuses == watch) {
            self.queue.add_all(self.caches.objects.unseen());
        }
    }

    fn failed(&self, watch: &'static str, optional: bool, error: &Failure) {
        if matches!(error, Failure::Rewound) {
            self.rewound.notify_one();
        }
        if optional && is_kind_missing(error) {
            if self.health.kind_missing(watch) {
                info!(
                    watch,
                    "the cluster does not have this kind; it is looked for again by itself"
                );
            }
            if let Some(kind) = Kind::ALL.into_iter().find(|k| k.plural() == watch) {
                self.caches.children.listed(kind, &HashSet::new());
                if self.caches.children.set_served(kind, Served::No) {
                    self.queue.add_all(self.caches.objects.all_serving());
                }
            }
            return;
        }
        let error = words_of(watch, error);
        if let Some(told) = self.health.fails(watch, &error) {
            warn!(watch, error, "watch {told}");
        }
    }
}

/// A watch that goes on after failures, and says so.
struct Steady<'a, K> {
    watches: &'a Watches,
    name: &'static str,
    optional: bool,
    following: Following<K>,
    backoff: Backoff,
    listing: bool,
    /// Whether it has failed since it saw all there is.
    failed: bool,
}

impl<K> Steady<'_, K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    /// Waits for the next event, however often the watch fails before.
    async fn next(&mut self) -> Event<K> {
        let health = &self.watches.health;
        loop {
            let began = Instant::now();
            match self.following.next().await {
                // A list that is about to be tried shows nothing yet.
                Ok(News::Event(Event::Init)) => {
                    self.listing = true;
                    return Event::Init;
                }
                Ok(news) => {
                    if let Some(told) = health.works(self.name) {
                        info!(watch = self.name, "watch {told}");
                    }
                    self.listing &= !matches!(news, News::Event(Event::InitDone));
                    if !self.listing && std::mem::take(&mut self.failed) {
                        self.watches.seen_again(self.name);
                    }
                    if let News::Event(event) = news {
                        return event;
                    }
                }
                Err(failure) => {
                    self.failed = true;
                    self.watches.failed(self.name, self.optional, &failure);
                    let wait = self.backoff.wait(began, Instant::now());
                    sleep(wait.max(failure.retry_after())).await;
                }
            }
        }
    }
}

fn prometheus(kind: &'static str, object: Watched<Selectors>) -> Prometheus {
    Prometheus {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        selectors: object.part.spec,
    }
}

fn words_of(watch: &str, failure: &Failure) -> String {
    if watch == "metricsnamespaces" && is_kind_missing(failure) {
        return "the CRD metricsnamespaces.simplepipe.dev is not installed; apply crds/".into();
    }
    failure.cause().map_or_else(|| with_causes(failure), words)
}

fn is_kind_missing(failure: &Failure) -> bool {
    matches!(failure.cause(), Some(KubeError::Api(status)) if is_unknown_kind(status))
}

/// Objects that can't be read: each is left out, and named in the log now and then, however often it changes.
#[derive(Default)]
struct Unreadable {
    lasting: Lasting<(String, String)>,
    /// How many they are is a metric.
    now: Locked<HashSet<(String, String)>>,
}

impl Unreadable {
    /// What there is to tell of an object, if anything; `error`: why it can't be read.
    fn told(&self, metadata: &ObjectMeta, error: Option<&str>, now: Instant) -> Option<Told> {
        let key = Self::key(metadata);
        match error {
            Some(error) => {
                let told = self.lasting.fails(&key, error, now);
                self.now.lock().insert(key);
                told
            }
            None => {
                self.now.lock().remove(&key);
                self.lasting.works(&key, now)
            }
        }
    }

    fn forget(&self, metadata: &ObjectMeta) {
        let key = Self::key(metadata);
        self.now.lock().remove(&key);
        self.lasting.forget(&key);
    }

    fn key(metadata: &ObjectMeta) -> (String, String) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (text(&metadata.namespace), text(&metadata.name))
    }

    fn tell(&self, metadata: &ObjectMeta, error: Option<&str>, events: &Arc<Events>) {
        let Some(told) = self.told(metadata, error, Instant::now()) else {
            return;
        };
        if let Some(error) = error {
            let (events, error) = (events.clone(), error.to_owned());
            let object = MetricsNamespace {
                metadata: metadata.clone(),
                ..MetricsNamespace::default()
            };
            // No watch waits for it; how many there are is bounded by what there is to tell.
            tokio::spawn(async move {
                let _ = timeout(LONGEST_EVENT, events.cannot_be_read(&object, &error)).await;
            });
        }
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        match (error, told) {
            (None, _) => info!(namespace, name, "an object can be read again"),
            (Some(error), Told::OneOfMany) => warn!(
                namespace,
                name,
                error,
                "an object can't be read and is left alone, beside many others; further ones are not named before some \
                 of them can be read"
            ),
            (Some(error), _) => warn!(
                namespace,
                name, error, "an object can't be read and is left alone"
            ),
        }
    }

    /// One object that can't be read must not stop the others. Its end still counts, since it may have been readable
    /// before.
    fn parsed(
        &self,
        event: Event<WatchedObject>,
        events: &Arc<Events>,
    ) -> Option<Event<MetricsNamespace>> {
        let usable = |WatchedObject(watched): WatchedObject| {
            let error = watched.part.as_ref().err();
            let error = error.map(|error| one_line(error, LONGEST_WORDS));
            self.tell(&watched.metadata, error.as_deref(), events);
            watched.part.ok()
        };
        Some(match event {
            Event::Init => {
                // Those that are still there come again.
                self.now.lock().clear();
                Event::Init
            }
            Event::InitDone => Event::InitDone,
            Event::Apply(object) => Event::Apply(usable(object)?),
            Event::InitApply(object) => Event::InitApply(usable(object)?),
            Event::Delete(WatchedObject(watched)) => {
                self.forget(&watched.metadata);
                Event::Delete(MetricsNamespace {
                    metadata: watched.metadata,
                    ..MetricsNamespace::default()
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::ObjectList;
    use serde_json::{Value, json};

    #[test]
    fn a_prometheus_object_of_any_managed_fields_hides_no_other() {
        let deep = (0..200).fold(json!({}), |inner, _| json!({"f:a": inner}));
        let entry =
            |time: &str, fields: &Value| json!({"manager": "x", "time": time, "fieldsV1": fields});
        let object = |name: &str, entry: Value| {
            json!({
                "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
                "metadata": {"name": name, "namespace": "monitoring", "managedFields": [entry]},
                "spec": {"serviceMonitorSelector": {"matchLabels": {"team": name}}, "replicas": 2},
            })
        };
        let items = [
            object("late", entry("9999-12-31T23:59:59Z", &json!({}))),
            object("deep", entry("2026-01-01T00:00:00Z", &deep)),
        ];
        let list = json!({"kind": "L", "apiVersion": "v1", "metadata": {}, "items": items});
        let list: ObjectList<Watched<Selectors>> = serde_json::from_str(&list.to_string()).unwrap();
        let read = list
            .items
            .into_iter()
            .map(|object| prometheus("Prometheus", object));
        let selected: Vec<_> = read
            .map(|p| {
                p.selectors
                    .service_monitor_selector
                    .unwrap()
                    .match_labels
                    .unwrap()["team"]
                    .clone()
            })
            .collect();
        assert_eq!(selected, ["late", "deep"]);
    }

    #[test]
    fn an_object_that_cannot_be_read_is_named_once_however_often_it_changes() {
        let (unreadable, now) = (Unreadable::default(), Instant::now());
        let metadata = ObjectMeta {
            name: Some("metrics".into()),
            namespace: Some("alice".into()),
            ..ObjectMeta::default()
        };
        let told = |error| unreadable.told(&metadata, error, now);
        assert_eq!(told(None), None);
        let changes = (0..1000).filter_map(|_| told(Some("no boolean")));
        assert_eq!(changes.collect::<Vec<_>>(), [Told::Begins]);
        assert!(matches!(told(None), Some(Told::Ends(_))));
        unreadable.forget(&metadata);
        assert_eq!(told(Some("no boolean")), Some(Told::Begins));
    }
}
