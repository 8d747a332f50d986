//! What each watch keeps true, and whom a change concerns. Only caches are read and written here.

use std::collections::HashSet;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::DeploymentStatus;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use serde::Deserialize;

use crate::api::MetricsNamespace;
use crate::api::prometheus_operator::PrometheusSelectors;
use crate::terminal::one_line;

use super::caches::{Caches, Namespace};
use super::child_cache::Served;
use super::live::Live;
use super::objects;
use super::unreadable::Unreadable;
use super::watched_objects::{Nothing, Part, Watched, WatchedObject};
use crate::operator::events::Events;
use crate::operator::kind::Kind;
use crate::operator::selection::{Prometheus, Scraper};
use crate::operator::telemetry::health::Health;

/// A parser's words are cut here: they quote what they can't read.
const LONGEST_WORDS: usize = 400;

type Reference = ObjectRef<MetricsNamespace>;

/// Whom a change concerns.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Concerned {
    /// What is to be looked at.
    pub objects: Vec<Reference>,
    pub namespaces: Vec<String>,
}

impl Concerned {
    fn objects(objects: Vec<Reference>) -> Self {
        Self {
            objects,
            namespaces: Vec::new(),
        }
    }

    /// MetricsNamespaces that changed concern enrolment too.
    fn changed(objects: Vec<Reference>) -> Self {
        let namespaces = objects.iter().filter_map(|o| o.namespace.clone()).collect();
        Self {
            objects,
            namespaces,
        }
    }
}

/// What a watch keeps true.
pub trait Seen {
    /// An object as it is watched.
    type Object;
    /// What tells objects apart.
    type Key: Eq + Hash;

    /// `None` for an object that is left out.
    fn key(&self, object: &Self::Object) -> Option<Self::Key>;

    fn begin(&self) {}

    fn listed(&self, object: Self::Object) -> Concerned {
        self.apply(object)
    }

    /// A list is complete, with these objects.
    fn keep(&self, seen: HashSet<Self::Key>) -> Concerned;

    /// An object is new, or changed.
    fn apply(&self, object: Self::Object) -> Concerned;

    fn delete(&self, object: Self::Object) -> Concerned;
}

pub struct Objects {
    pub caches: Arc<Caches>,
    /// Where to say how many can't be read.
    pub health: Arc<Health>,
    /// Where to say which can't be read.
    pub events: Arc<Events>,
    /// Those that can't be read.
    pub unreadable: Unreadable,
}

impl Objects {
    /// `None` where it can't be read. It goes on as it was before.
    fn read(&self, WatchedObject(watched): WatchedObject) -> Option<MetricsNamespace> {
        let error = watched.part.as_ref().err();
        let error = error.map(|error| one_line(error, LONGEST_WORDS));
        (self.unreadable).tell(&watched.metadata, error.as_deref(), &self.events);
        self.health.set_unreadable(self.unreadable.count());
        watched.part.ok()
    }
}

impl Seen for Objects {
    type Object = WatchedObject;
    type Key = Reference;

    fn key(&self, WatchedObject(watched): &WatchedObject) -> Option<Reference> {
        watched.part.as_ref().ok().map(objects::reference)
    }

    fn begin(&self) {
        self.unreadable.clear();
    }

    /// All are told at the list's end: who serves a namespace is known only then.
    fn listed(&self, object: WatchedObject) -> Concerned {
        if let Some(object) = self.read(object) {
            self.caches.objects.saw(&object);
        }
        Concerned::default()
    }

    fn keep(&self, seen: HashSet<Reference>) -> Concerned {
        self.health.set_unreadable(self.unreadable.count());
        let mut objects = self.caches.objects.keep(&seen);
        objects.extend(seen);
        Concerned::changed(objects)
    }

    fn apply(&self, object: WatchedObject) -> Concerned {
        let Some(object) = self.read(object) else {
            return Concerned::default();
        };
        let mut concerned = Concerned::changed(self.caches.objects.saw(&object));
        // Whether it was made by label and edited since shows in more than concerns its children.
        concerned.namespaces.extend(object.namespace());
        concerned
    }

    fn delete(&self, WatchedObject(watched): WatchedObject) -> Concerned {
        self.unreadable.forget(&watched.metadata);
        self.health.set_unreadable(self.unreadable.count());
        let object = MetricsNamespace {
            metadata: watched.metadata,
            ..MetricsNamespace::default()
        };
        let mut concerned = Concerned::changed(self.caches.objects.gone(&object));
        concerned.namespaces.extend(object.namespace());
        concerned
    }
}

pub struct Namespaces(pub Arc<Caches>);

impl Seen for Namespaces {
    type Object = Watched;
    type Key = String;

    fn key(&self, namespace: &Watched) -> Option<String> {
        Some(namespace.name_any())
    }

    fn keep(&self, seen: HashSet<String>) -> Concerned {
        Concerned {
            objects: Vec::new(),
            namespaces: self.0.namespaces.keep(&seen),
        }
    }

    fn apply(&self, watched: Watched) -> Concerned {
        let name = watched.name_any();
        let namespace = Namespace {
            labels: watched.metadata.labels.unwrap_or_default(),
            terminating: watched.metadata.deletion_timestamp.is_some(),
        };
        if !self.0.namespaces.saw(&name, namespace) {
            return Concerned::default();
        }
        Concerned {
            objects: self.0.objects.serving_reference(&name),
            namespaces: vec![name],
        }
    }

    fn delete(&self, namespace: Watched) -> Concerned {
        let name = namespace.name_any();
        self.0.namespaces.gone(&name);
        Concerned {
            objects: Vec::new(),
            namespaces: vec![name],
        }
    }
}

fn namespace_and_name<P: Part>(object: &Watched<P>) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Of a Prometheus object, all but what it selects is left unread.
#[derive(Clone, Debug, Deserialize)]
pub struct Selectors {
    #[serde(default)]
    spec: PrometheusSelectors,
}

impl Part for Selectors {
    const METADATA_ONLY: bool = false;
}

/// Prometheus or PrometheusAgent objects. Whether one scrapes a tenant can be asked of any tenant.
pub struct Scrapers(pub Arc<Caches>, pub Scraper);

impl Scrapers {
    fn all_if(&self, news: bool) -> Concerned {
        Concerned::objects(match news {
            true => self.0.objects.all_serving(),
            false => Vec::new(),
        })
    }

    fn read(&self, object: Watched<Selectors>) -> Prometheus {
        let (namespace, name) = namespace_and_name(&object);
        Prometheus {
            kind: self.1,
            namespace,
            name,
            selectors: object.part.spec,
        }
    }
}

impl Seen for Scrapers {
    type Object = Watched<Selectors>;
    type Key = (String, String);

    fn key(&self, object: &Watched<Selectors>) -> Option<(String, String)> {
        Some(namespace_and_name(object))
    }

    fn keep(&self, seen: HashSet<(String, String)>) -> Concerned {
        self.all_if(self.0.prometheuses.keep(self.1, &seen))
    }

    fn apply(&self, object: Watched<Selectors>) -> Concerned {
        self.all_if(self.0.prometheuses.saw(self.read(object)))
    }

    fn delete(&self, object: Watched<Selectors>) -> Concerned {
        let (namespace, name) = namespace_and_name(&object);
        self.all_if(self.0.prometheuses.gone(self.1, &namespace, &name))
    }
}

/// What of a child is looked at beside its metadata.
pub trait ChildPart: Part {
    /// How a Deployment's pods are.
    fn rollout(&self) -> Option<&DeploymentStatus>;
}

impl ChildPart for Nothing {
    fn rollout(&self) -> Option<&DeploymentStatus> {
        None
    }
}

/// Of a Deployment, all but its status is left unread.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    status: Option<DeploymentStatus>,
}

impl Part for Status {
    const METADATA_ONLY: bool = false;
}

impl ChildPart for Status {
    fn rollout(&self) -> Option<&DeploymentStatus> {
        self.status.as_ref()
    }
}

/// Children of one kind. What becomes of one concerns only the object that serves its namespace.
pub struct Children<P> {
    caches: Arc<Caches>,
    kind: Kind,
    part: PhantomData<P>,
}

impl<P: ChildPart> Children<P> {
    pub fn of(kind: Kind, caches: Arc<Caches>) -> Self {
        Self {
            caches,
            kind,
            part: PhantomData,
        }
    }

    fn live(&self, object: &Watched<P>) -> Live {
        Live::new(self.kind, &object.metadata, object.part.rollout())
    }

    fn serving_if(&self, news: bool, namespace: &str) -> Concerned {
        Concerned::objects(match news {
            true => self.caches.objects.serving_reference(namespace),
            false => Vec::new(),
        })
    }
}

impl<P: ChildPart> Seen for Children<P> {
    type Object = Watched<P>;
    type Key = (String, String);

    fn key(&self, object: &Watched<P>) -> Option<(String, String)> {
        Some(namespace_and_name(object))
    }

    fn keep(&self, seen: HashSet<(String, String)>) -> Concerned {
        let (objects, children) = (&self.caches.objects, &self.caches.children);
        let lost = children.keep(self.kind, &seen);
        let serving = lost.iter().flat_map(|ns| objects.serving_reference(ns));
        let mut concerned: Vec<_> = serving.collect();
        if children.set_served(self.kind, Served::Yes) {
            concerned.extend(objects.all_serving());
        }
        Concerned::objects(concerned)
    }

    fn apply(&self, object: Watched<P>) -> Concerned {
        let namespace = object.namespace().unwrap_or_default();
        let news = self.caches.children.saw(&namespace, self.live(&object));
        self.serving_if(news, &namespace)
    }

    fn delete(&self, object: Watched<P>) -> Concerned {
        let namespace = object.namespace().unwrap_or_default();
        let live = self.live(&object);
        let children = &self.caches.children;
        let news = children.gone(&namespace, self.kind, &live.name, Some(&live.uid));
        self.serving_if(news, &namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::names;
    use kube::core::ObjectList;
    use serde_json::{Value, json};

    fn reference(name: &str) -> Reference {
        ObjectRef::new(name).within("alice")
    }

    /// One that serves namespace alice.
    fn caches() -> Arc<Caches> {
        let caches: Arc<Caches> = Arc::default();
        let object = json!({"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "spec": {},
            "metadata": {"name": "metrics", "namespace": "alice", "uid": "u", "resourceVersion": "1"}});
        caches.objects.saw(&serde_json::from_value(object).unwrap());
        caches
    }

    fn watched(name: &str, labels: &Value) -> Watched {
        let metadata = json!({"name": name, "namespace": "alice", "uid": "u", "resourceVersion": "7",
            "labels": labels});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    #[test]
    fn a_child_concerns_who_serves_its_namespace_when_it_comes_and_when_it_goes() {
        let children: Children<Nothing> = Children::of(Kind::Service, caches());
        let ours = json!({names::MANAGED_BY_LABEL: names::MANAGER});
        let service = || watched(names::GATEWAY, &ours);
        let concerned = Concerned::objects(vec![reference("metrics")]);
        assert_eq!(children.apply(service()), concerned);
        assert_eq!(children.apply(service()), Concerned::default(), "no news");
        assert_eq!(children.delete(service()), concerned);
        assert_eq!(children.delete(service()), Concerned::default(), "unknown");
    }

    #[test]
    fn what_a_complete_list_lacks_concerns_who_has_lost_it() {
        let children: Children<Nothing> = Children::of(Kind::Service, caches());
        children.keep(HashSet::new());
        let ours = json!({names::MANAGED_BY_LABEL: names::MANAGER});
        let service = || watched(names::GATEWAY, &ours);
        children.apply(service());
        let all = || children.key(&service()).into_iter().collect();
        assert_eq!(children.keep(all()), Concerned::default());
        let concerned = Concerned::objects(vec![reference("metrics")]);
        assert_eq!(children.keep(HashSet::new()), concerned);
    }

    #[test]
    fn a_namespace_concerns_who_serves_it_and_enrolment() {
        let namespaces = Namespaces(caches());
        let alice = |labels: Value| -> Watched {
            serde_json::from_value(json!({"metadata": {"name": "alice", "labels": labels}}))
                .unwrap()
        };
        let concerned = Concerned {
            objects: vec![reference("metrics")],
            namespaces: vec!["alice".into()],
        };
        assert_eq!(namespaces.apply(alice(json!({"team": "a"}))), concerned);
        assert_eq!(
            namespaces.apply(alice(json!({"team": "a"}))),
            Concerned::default()
        );
        assert_eq!(namespaces.apply(alice(json!({"team": "b"}))), concerned);
        let gone = namespaces.keep(HashSet::new());
        assert_eq!(gone.namespaces, ["alice"]);
    }

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
        let scrapers = Scrapers(Arc::default(), Scraper::Prometheus);
        let read = list.items.into_iter().map(|object| scrapers.read(object));
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
}
