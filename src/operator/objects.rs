//! MetricsNamespaces, and which of them serves its namespace.
//!
//! Somebody may make thousands in one namespace. A change there must cost no more than it concerns, or all others wait.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};

use crate::api::{MetricsNamespace, MetricsNamespaceStatus};

use super::child_cache::version;
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
    known: HashMap<String, Resident>,
    /// Those that stay, by age and then by name.
    order: BTreeSet<(Option<Timestamp>, String)>,
}

struct Resident {
    known: Known,
    status: StatusKnown,
}

/// What of an object decides whether it has to be looked at again; beside a status that another wrote.
#[derive(Clone, PartialEq)]
struct Known {
    uid: Option<String>,
    generation: Option<i64>,
    created: Option<Timestamp>,
    going: bool,
}

/// What the API server last said of an object's status, and what this operator decided on.
///
/// A watch may be behind the answers to our own writes, so what it shows is not always what is so. Of statuses only
/// hashes are kept, for thousands of objects.
struct StatusKnown {
    /// The newest version that was seen or answered. `None`: in what order its versions came can't be told.
    version: Option<u64>,
    /// The status in that version.
    latest: u64,
    /// The status that was last decided on. `None`: this process has not looked yet.
    wanted: Option<u64>,
    /// Whether a write has no answer: whether it was carried out, or will be, is not known.
    unsure: bool,
    /// Whether another has written since we did.
    written_by_another: bool,
    /// The last answer, where the watch is still behind it.
    answer: Option<Box<Answer>>,
}

#[derive(Clone)]
struct Answer {
    version: u64,
    status: Option<MetricsNamespaceStatus>,
}

impl Answer {
    fn is_newer_than(&self, object: &MetricsNamespace) -> bool {
        version(&object.metadata).is_some_and(|seen| seen < self.version)
    }
}

impl StatusKnown {
    fn new(object: &MetricsNamespace) -> Self {
        Self {
            version: version(&object.metadata),
            latest: hash(object.status.as_ref()),
            wanted: None,
            unsure: false,
            written_by_another: false,
            answer: None,
        }
    }

    /// Takes what a watch saw; true if another wrote a status that is not ours.
    fn saw(&mut self, object: &MetricsNamespace) -> bool {
        self.answer = self.answer.take().filter(|a| a.is_newer_than(object));
        if !self.advance(object) {
            return false;
        }
        let news = self.wanted.is_some_and(|wanted| wanted != self.latest);
        self.written_by_another |= news;
        news
    }

    /// Takes the answer to a write of ours.
    fn answered(&mut self, object: &MetricsNamespace) {
        self.unsure = false;
        if self.advance(object) {
            self.answer = self.version.map(|version| {
                Box::new(Answer {
                    version,
                    status: object.status.clone(),
                })
            });
        }
    }

    /// True if the object is newer than what was known. What can't be ordered is taken for newer.
    fn advance(&mut self, object: &MetricsNamespace) -> bool {
        let version = version(&object.metadata);
        if let (Some(known), Some(version)) = (self.version, version)
            && version <= known
        {
            return false;
        }
        self.version = version;
        self.latest = hash(object.status.as_ref());
        true
    }
}

fn hash(status: Option<&MetricsNamespaceStatus>) -> u64 {
    let mut hasher = DefaultHasher::new();
    // All of its fields, which have no hashes of their own.
    format!("{status:?}").hash(&mut hasher);
    hasher.finish()
}

/// What is to be done about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// It is there already, or the object is gone.
    Needless,
    /// It is to be written.
    Needed {
        /// Over one that another wrote.
        over_another: bool,
    },
}

impl Residents {
    fn serving(&self) -> Option<&String> {
        self.order.first().map(|(_, name)| name)
    }

    /// True if that is news.
    fn put(&mut self, object: &MetricsNamespace) -> bool {
        let name = object.name_any();
        let now = Known {
            uid: object.uid(),
            generation: object.metadata.generation,
            created: object.creation_timestamp().map(|t| t.0),
            going: object.metadata.deletion_timestamp.is_some(),
        };
        let place = (now.created, name.clone());
        let Some(resident) = self.known.get_mut(&name) else {
            if !now.going {
                self.order.insert(place);
            }
            let status = StatusKnown::new(object);
            self.known.insert(name, Resident { known: now, status });
            return true;
        };
        let status_is_news = match resident.known.uid == now.uid {
            true => resident.status.saw(object),
            false => {
                resident.status = StatusKnown::new(object);
                true
            }
        };
        if resident.known == now {
            return status_is_news;
        }
        self.order.remove(&(resident.known.created, name));
        if !now.going {
            self.order.insert(place);
        }
        resident.known = now;
        true
    }

    fn remove(&mut self, name: &str) {
        if let Some(resident) = self.known.remove(name) {
            let created = resident.known.created;
            self.order.remove(&(created, name.to_owned()));
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
        let news = residents.put(object);
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

    /// An object as it is now, with the status that was last answered where the watch is behind.
    pub fn get(&self, reference: &Reference) -> Option<Arc<MetricsNamespace>> {
        let object = self.store.get(reference)?;
        let answer = self.with_status(&object, |known| known.answer.clone());
        match answer.flatten().filter(|a| a.is_newer_than(&object)) {
            None => Some(object),
            Some(answer) => Some(Arc::new(MetricsNamespace {
                status: answer.status,
                ..MetricsNamespace::clone(&object)
            })),
        }
    }

    /// Notes the status that an object should have, and says whether it has to be written.
    pub fn tell(&self, object: &MetricsNamespace, status: &MetricsNamespaceStatus) -> Telling {
        let wanted = hash(Some(status));
        let telling = self.with_status(object, |known| {
            known.wanted = Some(wanted);
            let over_another = std::mem::take(&mut known.written_by_another);
            if known.latest == wanted && !known.unsure {
                return Telling::Needless;
            }
            known.unsure = true;
            Telling::Needed { over_another }
        });
        telling.unwrap_or(Telling::Needless)
    }

    /// Whether another wrote the status since this operator did.
    pub fn is_written_by_another(&self, object: &MetricsNamespace) -> bool {
        self.with_status(object, |known| known.written_by_another)
            .unwrap_or_default()
    }

    /// Notes the answer to a write of a status.
    pub fn told(&self, answer: &MetricsNamespace) {
        self.with_status(answer, |known| known.answered(answer));
    }

    /// What is known of the status of this very object; `None` where it is gone.
    fn with_status<T>(
        &self,
        object: &MetricsNamespace,
        with: impl FnOnce(&mut StatusKnown) -> T,
    ) -> Option<T> {
        let mut all = self.by_namespace.lock();
        let residents = all.get_mut(object.metadata.namespace.as_deref()?)?;
        let resident = residents.known.get_mut(object.metadata.name.as_deref()?)?;
        (resident.known.uid == object.metadata.uid).then(|| with(&mut resident.status))
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

    fn with_status(version: u64, generation: i64) -> MetricsNamespace {
        let mut object = object("first", OLD);
        object.metadata.resource_version = Some(version.to_string());
        object.status = Some(status(generation));
        object
    }

    fn status(generation: i64) -> MetricsNamespaceStatus {
        MetricsNamespaceStatus {
            observed_generation: Some(generation),
            ..MetricsNamespaceStatus::default()
        }
    }

    const NEEDED: Telling = Telling::Needed {
        over_another: false,
    };

    /// Objects whose `first` has this status, as the watch shows it and as it should be.
    fn told(version: u64, generation: i64) -> Objects {
        let objects = Objects::new(reflector::store().0);
        let object = with_status(version, generation);
        objects.saw(&object);
        assert_eq!(
            objects.tell(&object, &status(generation)),
            Telling::Needless
        );
        objects
    }

    #[test]
    fn our_own_status_is_no_news_whether_its_event_or_its_answer_comes_first() {
        for event_first in [true, false] {
            let objects = told(5, 1);
            let written = with_status(6, 2);
            assert_eq!(objects.tell(&written, &status(2)), NEEDED);
            if event_first {
                assert_eq!(names(objects.saw(&written)), [""; 0]);
                objects.told(&written);
            } else {
                objects.told(&written);
                assert_eq!(names(objects.saw(&written)), [""; 0]);
            }
            assert_eq!(objects.tell(&written, &status(2)), Telling::Needless);
        }
    }

    #[test]
    fn what_was_answered_counts_and_not_what_an_older_event_shows() {
        let objects = told(5, 1);
        let old = with_status(5, 1);
        assert_eq!(objects.tell(&old, &status(2)), NEEDED);
        objects.told(&with_status(6, 2));
        assert_eq!(names(objects.saw(&old)), [""; 0]);
        assert_eq!(objects.tell(&old, &status(1)), NEEDED, "back to the first");
    }

    #[test]
    fn a_status_whose_write_had_no_answer_is_written_again() {
        let objects = told(5, 1);
        let old = with_status(5, 1);
        assert_eq!(objects.tell(&old, &status(2)), NEEDED);
        assert_eq!(objects.tell(&old, &status(1)), NEEDED);
        objects.told(&with_status(7, 1));
        assert_eq!(objects.tell(&old, &status(1)), Telling::Needless);
    }

    #[test]
    fn a_status_that_another_wrote_is_looked_at_again_and_written_over() {
        let objects = told(5, 1);
        let foreign = with_status(6, 9);
        assert_eq!(names(objects.saw(&foreign)), ["first"]);
        let over_another = Telling::Needed { over_another: true };
        assert_eq!(objects.tell(&foreign, &status(1)), over_another);
        objects.told(&with_status(7, 1));
        assert_eq!(names(objects.saw(&with_status(7, 1))), [""; 0]);
        assert_eq!(objects.tell(&foreign, &status(1)), Telling::Needless);
    }

    #[test]
    fn a_status_whose_version_is_no_number_is_looked_at_as_the_newest() {
        let objects = told(5, 1);
        let mut foreign = with_status(4, 9);
        foreign.metadata.resource_version = Some("odd".into());
        assert_eq!(names(objects.saw(&foreign)), ["first"]);
        assert_ne!(objects.tell(&foreign, &status(1)), Telling::Needless);
    }

    #[test]
    fn an_object_that_is_gone_or_made_anew_is_told_nothing() {
        let objects = told(5, 1);
        let mut other = with_status(6, 1);
        other.metadata.uid = Some("other".into());
        assert_eq!(objects.tell(&other, &status(2)), Telling::Needless);
        assert_eq!(names(objects.saw(&other)), ["first"]);
        assert_eq!(objects.tell(&other, &status(2)), NEEDED);
        objects.gone(&other);
        assert_eq!(objects.tell(&other, &status(3)), Telling::Needless);
    }

    #[test]
    fn an_object_is_shown_with_its_last_answer_until_the_watch_has_it() {
        use kube::runtime::watcher::Event;
        let (store, mut writer) = reflector::store();
        let objects = Objects::new(store);
        let shown = |objects: &Objects| {
            let object = objects.get(&ObjectRef::new("first").within("alice"));
            object.unwrap().status.clone()
        };
        let old = with_status(5, 1);
        writer.apply_watcher_event(&Event::Apply(old.clone()));
        objects.saw(&old);
        assert_eq!(shown(&objects), Some(status(1)));
        objects.tell(&old, &status(2));
        objects.told(&with_status(6, 2));
        assert_eq!(shown(&objects), Some(status(2)));
        let written = with_status(6, 2);
        writer.apply_watcher_event(&Event::Apply(written.clone()));
        objects.saw(&written);
        let kept = objects.with_status(&written, |known| known.answer.is_some());
        assert_eq!(
            kept,
            Some(false),
            "an answer that the watch has is not kept"
        );
        let foreign = with_status(7, 3);
        writer.apply_watcher_event(&Event::Apply(foreign.clone()));
        assert_eq!(shown(&objects), Some(status(3)));
        objects.saw(&foreign);
        assert_eq!(shown(&objects), Some(status(3)));
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
