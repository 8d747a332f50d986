//! MetricsNamespaces, and which of them serves its namespace.
//!
//! Somebody may make thousands in one namespace. A change there must cost no more than it concerns, or all others wait.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};

use crate::api::MetricsNamespace;

use super::locked::Locked;

type Reference = ObjectRef<MetricsNamespace>;

/// All MetricsNamespaces.
pub struct Objects {
    store: Store<MetricsNamespace>,
    by_namespace: Locked<HashMap<String, Residents>>,
}

/// The MetricsNamespaces of one namespace.
#[derive(Default)]
struct Residents {
    known: HashMap<String, Known>,
    /// Those that stay, by age and then by name.
    order: BTreeSet<(Option<Timestamp>, String)>,
}

/// What of an object decides whether it has to be looked at again. Its status does not.
#[derive(Clone, PartialEq)]
struct Known {
    uid: Option<String>,
    generation: Option<i64>,
    created: Option<Timestamp>,
    going: bool,
}

impl Residents {
    fn serving(&self) -> Option<&String> {
        self.order.first().map(|(_, name)| name)
    }

    /// True if that is news.
    fn put(&mut self, name: String, now: Known) -> bool {
        let before = self.known.get(&name);
        if before == Some(&now) {
            return false;
        }
        if let Some(before) = before {
            self.order.remove(&(before.created, name.clone()));
        }
        if !now.going {
            self.order.insert((now.created, name.clone()));
        }
        self.known.insert(name, now);
        true
    }

    fn remove(&mut self, name: &str) {
        if let Some(known) = self.known.remove(name) {
            self.order.remove(&(known.created, name.to_owned()));
        }
    }

    fn references(&self, namespace: &str) -> Vec<Reference> {
        let names = self.known.keys();
        names
            .map(|name| ObjectRef::new(name).within(namespace))
            .collect()
    }
}

impl Objects {
    /// Over a store that a watch fills.
    pub fn new(store: Store<MetricsNamespace>) -> Self {
        Self {
            store,
            by_namespace: Locked::default(),
        }
    }

    /// Notes what a watch saw, and says which objects that concerns.
    pub fn saw(&self, object: &MetricsNamespace) -> Vec<Reference> {
        let namespace = object.namespace().unwrap_or_default();
        let mut all = self.by_namespace.lock();
        let residents = all.entry(namespace.clone()).or_default();
        let before = residents.serving().cloned();
        let news = residents.put(
            object.name_any(),
            Known {
                uid: object.uid(),
                generation: object.metadata.generation,
                created: object.creation_timestamp().map(|t| t.0),
                going: object.metadata.deletion_timestamp.is_some(),
            },
        );
        if before.is_some() && before.as_ref() != residents.serving() {
            return residents.references(&namespace);
        }
        match news {
            true => vec![ObjectRef::from_obj(object)],
            false => Vec::new(),
        }
    }

    /// Notes that an object is gone, and says which objects that concerns.
    pub fn gone(&self, object: &MetricsNamespace) -> Vec<Reference> {
        self.remove(&object.namespace().unwrap_or_default(), &object.name_any())
    }

    fn remove(&self, namespace: &str, name: &str) -> Vec<Reference> {
        let mut all = self.by_namespace.lock();
        let Some(residents) = all.get_mut(namespace) else {
            return Vec::new();
        };
        let served = residents.serving().is_some_and(|serving| serving == name);
        residents.remove(name);
        if residents.known.is_empty() {
            all.remove(namespace);
            return Vec::new();
        }
        match served {
            true => residents.references(namespace),
            false => Vec::new(),
        }
    }

    /// After a complete list: forgets what was not in it, and says which objects that concerns. What is gone is among
    /// them: its namespace may be one that gets another by its label.
    pub fn keep_only(&self, seen: &HashSet<Reference>) -> Vec<Reference> {
        let lost: Vec<(String, String)> = {
            let all = self.by_namespace.lock();
            let every = all.iter().flat_map(|(namespace, residents)| {
                residents
                    .known
                    .keys()
                    .map(move |name| (namespace.clone(), name.clone()))
            });
            every
                .filter(|(namespace, name)| !seen.contains(&ObjectRef::new(name).within(namespace)))
                .collect()
        };
        let mut concerned: HashSet<Reference> = HashSet::new();
        for (namespace, name) in &lost {
            concerned.extend(self.remove(namespace, name));
            concerned.insert(ObjectRef::new(name).within(namespace));
        }
        concerned.into_iter().collect()
    }

    /// An object as it is now.
    pub fn get(&self, reference: &Reference) -> Option<Arc<MetricsNamespace>> {
        self.store.get(reference)
    }

    /// The name of the object that serves a namespace: the oldest that stays, by name among those of one second.
    pub fn serving(&self, namespace: &str) -> Option<String> {
        self.by_namespace.lock().get(namespace)?.serving().cloned()
    }

    /// A reference to the object that serves a namespace.
    pub fn serving_reference(&self, namespace: &str) -> Vec<Reference> {
        let serving = self.serving(namespace);
        serving
            .iter()
            .map(|name| ObjectRef::new(name).within(namespace))
            .collect()
    }

    /// References to the objects that serve their namespaces.
    pub fn all_serving(&self) -> Vec<Reference> {
        let all = self.by_namespace.lock();
        let serving = all.iter().filter_map(|(namespace, residents)| {
            Some(ObjectRef::new(residents.serving()?).within(namespace))
        });
        serving.collect()
    }

    /// The objects of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<MetricsNamespace>> {
        let references = match self.by_namespace.lock().get(namespace) {
            Some(residents) => residents.references(namespace),
            None => return Vec::new(),
        };
        references
            .iter()
            .filter_map(|reference| self.store.get(reference))
            .collect()
    }

    /// All objects.
    pub fn state(&self) -> Vec<Arc<MetricsNamespace>> {
        self.store.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::reflector;

    fn object(name: &str, created: &str) -> MetricsNamespace {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "spec": {},
            "metadata": {"name": name, "namespace": "alice", "uid": name, "generation": 1, "creationTimestamp": created},
        }))
        .unwrap()
    }

    fn names(references: Vec<Reference>) -> Vec<String> {
        let mut names: Vec<_> = references.into_iter().map(|r| r.name).collect();
        names.sort();
        names
    }

    const OLD: &str = "2026-01-01T00:00:00Z";
    const YOUNG: &str = "2027-01-01T00:00:00Z";

    #[test]
    fn the_oldest_serves_and_by_name_among_those_of_one_second() {
        let objects = Objects::new(reflector::store().0);
        objects.saw(&object("young", YOUNG));
        objects.saw(&object("b", OLD));
        objects.saw(&object("a", OLD));
        assert_eq!(objects.serving("alice").as_deref(), Some("a"));
        assert_eq!(names(objects.all_serving()), ["a"]);

        let mut going = object("a", OLD);
        going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
        assert_eq!(
            names(objects.saw(&going)),
            ["a", "b", "young"],
            "who serves has changed"
        );
        assert_eq!(objects.serving("alice").as_deref(), Some("b"));
        assert_eq!(names(objects.gone(&object("b", OLD))), ["a", "young"]);
        assert_eq!(objects.serving("alice").as_deref(), Some("young"));
    }

    #[test]
    fn a_change_concerns_only_the_object_itself_while_the_same_one_serves() {
        let objects = Objects::new(reflector::store().0);
        assert_eq!(names(objects.saw(&object("first", OLD))), ["first"]);
        assert_eq!(names(objects.saw(&object("second", YOUNG))), ["second"]);

        let mut status_only = object("first", OLD);
        status_only.status = Some(Default::default());
        assert_eq!(names(objects.saw(&status_only)), [""; 0]);
        let mut changed = object("first", OLD);
        changed.metadata.generation = Some(2);
        assert_eq!(names(objects.saw(&changed)), ["first"]);
        assert_eq!(names(objects.gone(&object("second", YOUNG))), [""; 0]);
    }

    #[test]
    fn what_a_complete_list_lacks_is_gone() {
        let objects = Objects::new(reflector::store().0);
        objects.saw(&object("first", OLD));
        objects.saw(&object("second", YOUNG));
        let seen = [ObjectRef::new("second").within("alice")].into();
        assert_eq!(names(objects.keep_only(&seen)), ["first", "second"]);
        assert_eq!(objects.serving("alice").as_deref(), Some("second"));
        // Nobody else is concerned, but its namespace may be enrolled.
        assert_eq!(names(objects.keep_only(&HashSet::new())), ["second"]);
        assert!(objects.all_serving().is_empty());
    }
}
