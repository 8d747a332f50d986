//! MetricsNamespaces, and which of them serves its namespace.
//!
//! Somebody may make thousands in one namespace. A change there must cost no more than it concerns, or all others wait.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::condition_types::{ConditionStatus, ConditionType};
use crate::api::{MetricsNamespace, MetricsNamespaceStatus};

use super::compact_object::{Common, CompactObject, CompactStatus};
use super::live::version;
use crate::operator::locked::Locked;
use crate::operator::pacing::queue::Rank;

/// Of the objects of one namespace, so many of the oldest are told who serves it; the others would only be told anew each
/// time.
const NEAR: usize = 20;

type Reference = ObjectRef<MetricsNamespace>;

/// All MetricsNamespaces.
#[derive(Default)]
pub struct Objects(Locked<Known>);

#[derive(Default)]
struct Known {
    by_namespace: HashMap<Box<str>, Residents>,
    common: Common,
}

impl Known {
    /// Each that serves its namespace.
    fn serving(&self) -> impl Iterator<Item = (&str, &Resident)> {
        let namespaces = self.by_namespace.iter();
        namespaces.filter_map(|(namespace, all)| Some((&**namespace, all.get(all.serving()?)?)))
    }
}

/// The MetricsNamespaces of one namespace.
#[derive(Default)]
struct Residents {
    all: Vec<Resident>,
    /// Those that stay, by age and then by name.
    order: Vec<(Option<Timestamp>, Box<str>)>,
}

struct Resident {
    object: CompactObject,
    status: StatusKnown,
}

/// What the API server last said of an object's status, and what this operator decided on.
///
/// A watch may be behind the answers to our own writes, so what it shows is not always what is so.
struct StatusKnown {
    /// The newest version that was seen or answered. `None`: in what order its versions came can't be told.
    version: Option<u64>,
    /// The digest of the status in that version.
    latest: Option<u64>,
    /// That of the status that was last decided on. `None`: this process has not looked yet.
    wanted: Option<u64>,
    /// Whether a write has no answer: whether it was carried out, or will be, is not known.
    unsure: bool,
    /// Whether another has written since we did.
    written_by_another: bool,
}

impl Resident {
    fn new(object: CompactObject, seen: &MetricsNamespace, common: &mut Common) -> Self {
        let mut resident = Self {
            object,
            status: StatusKnown {
                version: None,
                latest: None,
                wanted: None,
                unsure: false,
                written_by_another: false,
            },
        };
        resident.advance(seen, common);
        resident
    }

    /// Takes the status that a watch saw; true if another wrote it, and it is not ours.
    fn saw_status(&mut self, seen: &MetricsNamespace, common: &mut Common) -> bool {
        if !self.advance(seen, common) {
            return false;
        }
        let status = &mut self.status;
        let news = status.wanted.is_some() && status.wanted != status.latest;
        status.written_by_another |= news;
        news
    }

    /// Takes a status; true if it is newer than what was known. What can't be ordered is taken for newer.
    fn advance(&mut self, seen: &MetricsNamespace, common: &mut Common) -> bool {
        let version = version(&seen.metadata);
        if let (Some(known), Some(version)) = (self.status.version, version)
            && version <= known
        {
            return false;
        }
        let kept = seen.status.as_ref().map(|s| CompactStatus::new(s, common));
        self.status.version = version;
        self.status.latest = kept.as_ref().map(CompactStatus::digest);
        self.object.set_status(kept);
        true
    }
}

/// What is to be done about a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// It is there already, or the object is gone.
    Needless,
    Needed {
        /// Over one that another wrote.
        over_another: bool,
    },
}

impl Residents {
    fn serving(&self) -> Option<&str> {
        self.order.first().map(|(_, name)| &**name)
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.all.binary_search_by(|r| r.object.name().cmp(name))
    }

    fn get(&self, name: &str) -> Option<&Resident> {
        self.all.get(self.place(name).ok()?)
    }

    /// True if that is news.
    fn put(&mut self, seen: &MetricsNamespace, common: &mut Common) -> bool {
        let now = CompactObject::new(seen, common);
        let place = match self.place(now.name()) {
            Ok(place) => place,
            Err(place) => {
                self.enter(&now);
                let resident = Resident::new(now, seen, common);
                self.all.reserve_exact(1);
                self.all.insert(place, resident);
                return true;
            }
        };
        let resident = &mut self.all[place];
        let is_as_before = resident.object.is_as(&now);
        if !is_as_before {
            let created = resident.object.created();
            leave(&mut self.order, created, now.name());
            self.enter(&now);
        }
        let resident = &mut self.all[place];
        if !resident.object.is(&now) {
            *resident = Resident::new(now, seen, common);
            return true;
        }
        resident.object.advance(now);
        resident.saw_status(seen, common) || !is_as_before
    }

    /// Gives one that stays its place in the order.
    fn enter(&mut self, object: &CompactObject) {
        let entry = (object.created(), object.name().into());
        if !object.is_going()
            && let Err(place) = self.order.binary_search(&entry)
        {
            self.order.reserve_exact(1);
            self.order.insert(place, entry);
        }
    }

    fn remove(&mut self, name: &str) {
        if let Ok(place) = self.place(name) {
            let gone = self.all.remove(place);
            leave(&mut self.order, gone.object.created(), name);
        }
    }

    /// Whose words another order changes: with another that serves those of all that are near, else those of who comes
    /// near or no longer is.
    fn concerned(&self, other_serves: bool) -> impl Iterator<Item = &str> {
        let from = if other_serves { 0 } else { NEAR - 1 };
        let order = self.order.iter().skip(from).take(NEAR + 1 - from);
        order.map(|(_, name)| &**name)
    }

    fn is_near(&self, name: &str) -> bool {
        let mut near = self.order.iter().take(NEAR);
        near.any(|(_, of)| **of == *name)
    }
}

fn leave(order: &mut Vec<(Option<Timestamp>, Box<str>)>, created: Option<Timestamp>, name: &str) {
    if let Ok(place) = order.binary_search_by(|(at, by)| (*at, &**by).cmp(&(created, name))) {
        order.remove(place);
    }
}

impl Objects {
    /// Notes what a watch saw, and says which objects that concerns.
    pub fn saw(&self, object: &MetricsNamespace) -> Vec<Reference> {
        let namespace = object.namespace().unwrap_or_default();
        let mut known = self.0.lock();
        let Known {
            by_namespace,
            common,
        } = &mut *known;
        let residents = by_namespace.entry(namespace.as_str().into()).or_default();
        let name = object.name_any();
        let before = residents.serving().map(ToOwned::to_owned);
        let was_near = residents.is_near(&name);
        let news = residents.put(object, common);
        let other_serves = before.is_some() && before.as_deref() != residents.serving();
        let mut concerned = Vec::new();
        if other_serves || residents.is_near(&name) != was_near {
            concerned.extend(residents.concerned(other_serves).map(ToOwned::to_owned));
        }
        if (news || other_serves) && !concerned.contains(&name) {
            concerned.push(name);
        }
        in_namespace(concerned, &namespace)
    }

    /// Notes that an object is gone, and says which objects that concerns.
    pub fn gone(&self, object: &MetricsNamespace) -> Vec<Reference> {
        self.remove(&object.namespace().unwrap_or_default(), &object.name_any())
    }

    fn remove(&self, namespace: &str, name: &str) -> Vec<Reference> {
        let all = &mut self.0.lock().by_namespace;
        let Some(residents) = all.get_mut(namespace) else {
            return Vec::new();
        };
        let served = residents.serving() == Some(name);
        let was_near = residents.is_near(name);
        residents.remove(name);
        if residents.all.is_empty() {
            all.remove(namespace);
            return Vec::new();
        }
        let concerned = was_near.then(|| residents.concerned(served));
        let concerned = concerned.into_iter().flatten().map(ToOwned::to_owned);
        in_namespace(concerned, namespace)
    }

    /// After a complete list: forgets what was not in it, and says which objects that concerns. What is gone is among
    /// them: its namespace may be one that gets another by its label.
    pub fn keep(&self, seen: &HashSet<Reference>) -> Vec<Reference> {
        let lost: Vec<Reference> = {
            let mut known = self.0.lock();
            known.common.forget_unused();
            let every = known.by_namespace.iter();
            let every = every.flat_map(|(namespace, residents)| {
                let names = residents.all.iter().map(|r| r.object.name().to_owned());
                in_namespace(names, namespace)
            });
            every.filter(|object| !seen.contains(object)).collect()
        };
        let mut concerned: HashSet<Reference> = HashSet::new();
        for object in lost {
            let namespace = object.namespace.as_deref().unwrap_or_default();
            concerned.extend(self.remove(namespace, &object.name));
            concerned.insert(object);
        }
        concerned.into_iter().collect()
    }

    /// An object as it is now, with the status that was last seen or answered.
    pub fn get(&self, reference: &Reference) -> Option<Arc<MetricsNamespace>> {
        let namespace = reference.namespace.as_deref()?;
        let known = self.0.lock();
        let resident = known.by_namespace.get(namespace)?.get(&reference.name)?;
        Some(Arc::new(resident.object.whole(namespace)))
    }

    /// Notes the status that an object should have, and says whether it has to be written.
    pub fn tell(&self, object: &MetricsNamespace, status: &MetricsNamespaceStatus) -> Telling {
        let telling = self.with_resident(object, |resident, common| {
            let wanted = Some(CompactStatus::new(status, common).digest());
            let known = &mut resident.status;
            known.wanted = wanted;
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
        self.with_resident(object, |resident, _| resident.status.written_by_another)
            .unwrap_or_default()
    }

    /// Notes the answer to a write of a status.
    pub fn told(&self, answer: &MetricsNamespace) {
        self.with_resident(answer, |resident, common| {
            resident.status.unsure = false;
            resident.advance(answer, common);
        });
    }

    /// What is known of this very object; `None` where it is gone.
    fn with_resident<T>(
        &self,
        object: &MetricsNamespace,
        with: impl FnOnce(&mut Resident, &mut Common) -> T,
    ) -> Option<T> {
        let mut known = self.0.lock();
        let Known {
            by_namespace,
            common,
        } = &mut *known;
        let residents = by_namespace.get_mut(object.metadata.namespace.as_deref()?)?;
        let place = residents.place(object.metadata.name.as_deref()?).ok()?;
        let resident = &mut residents.all[place];
        let is_it = resident.object.has_uid(object.metadata.uid.as_deref());
        is_it.then(|| with(resident, common))
    }

    /// The name of the object that serves a namespace: the oldest that stays, by name among those of one second.
    pub fn serving(&self, namespace: &str) -> Option<String> {
        let known = self.0.lock();
        let serving = known.by_namespace.get(namespace)?.serving();
        serving.map(ToOwned::to_owned)
    }

    /// Whether an object is among the oldest of its namespace, who are told who serves it.
    pub fn is_near(&self, object: &MetricsNamespace) -> bool {
        let known = self.0.lock();
        let residents = known
            .by_namespace
            .get(&*object.namespace().unwrap_or_default());
        residents.is_some_and(|residents| residents.is_near(&object.name_any()))
    }

    /// A reference to the object that serves a namespace.
    pub fn serving_reference(&self, namespace: &str) -> Vec<Reference> {
        let serving = self.serving(namespace);
        serving
            .iter()
            .map(|name| ObjectRef::new(name).within(namespace))
            .collect()
    }

    /// The objects, each with its rank.
    pub fn ranked(&self, objects: Vec<Reference>) -> Vec<(Reference, Rank)> {
        let known = self.0.lock();
        let rank = |object: &Reference| {
            let namespace = object.namespace.as_deref().unwrap_or_default();
            let residents = known.by_namespace.get(namespace);
            let served = residents.filter(|r| r.serving() == Some(&*object.name));
            match served.and_then(|residents| residents.get(&object.name)) {
                None => Rank::ServesNobody,
                Some(resident) if resident.object.is_observed() => Rank::GoesOn,
                Some(_) => Rank::New,
            }
        };
        let ranked = objects.into_iter().map(|object| (rank(&object), object));
        ranked.map(|(rank, object)| (object, rank)).collect()
    }

    /// References to the objects that serve their namespaces.
    pub fn all_serving(&self) -> Vec<Reference> {
        let known = self.0.lock();
        let serving = known.serving();
        serving
            .map(|(namespace, resident)| ObjectRef::new(resident.object.name()).within(namespace))
            .collect()
    }

    /// Those of them of which a condition says that something is not known.
    pub fn unseen(&self) -> Vec<Reference> {
        let known = self.0.lock();
        let unseen = known.serving().filter(|(_, resident)| {
            let mut conditions = resident.object.conditions();
            conditions.any(|(_, status)| status == ConditionStatus::Unknown.as_str())
        });
        unseen
            .map(|(namespace, resident)| ObjectRef::new(resident.object.name()).within(namespace))
            .collect()
    }

    /// The objects of a namespace, without spec and status.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<MetricsNamespace>> {
        let known = self.0.lock();
        let residents = known.by_namespace.get(namespace);
        let all = residents.into_iter().flat_map(|residents| &residents.all);
        all.map(|resident| Arc::new(resident.object.bare(namespace)))
            .collect()
    }

    pub fn count(&self) -> usize {
        let known = self.0.lock();
        known.by_namespace.values().map(|r| r.all.len()).sum()
    }

    /// Counts the conditions of all that serve by type and status. `counts`: of which ones. One without `Ready`, as where
    /// no status could be written yet, counts as one of which nothing is known.
    pub fn conditions(&self, counts: impl Fn(&str, &str) -> bool) -> Vec<((String, String), i64)> {
        let known = self.0.lock();
        let mut counted = HashMap::new();
        for (_, resident) in known.serving() {
            let ready = ConditionType::Ready.as_str();
            let conditions = || resident.object.conditions();
            let is_known = conditions().any(|(type_, _)| type_ == ready);
            let unknown = (!is_known).then_some((ready, "Unknown"));
            for condition in conditions().chain(unknown) {
                *counted.entry(condition).or_default() += 1;
            }
        }
        let counted = counted.into_iter().filter(|((t, s), _)| counts(t, s));
        counted
            .map(|((type_, status), count)| ((type_.to_owned(), status.to_owned()), count))
            .collect()
    }
}

fn in_namespace(names: impl IntoIterator<Item = String>, namespace: &str) -> Vec<Reference> {
    let names = names.into_iter();
    names
        .map(|name| ObjectRef::new(&name).within(namespace))
        .collect()
}

/// A reference to an object, with no more than its names: thousands are kept at once.
pub fn reference(object: &MetricsNamespace) -> Reference {
    ObjectRef::new(&object.name_any()).within(&object.namespace().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let objects = Objects::default();
        objects.saw(&object("young", YOUNG));
        objects.saw(&object("b", OLD));
        objects.saw(&object("a", OLD));
        assert_eq!(objects.serving("alice").as_deref(), Some("a"));
        assert_eq!(names(objects.all_serving()), ["a"]);
        let all = ["a", "b", "gone"].map(|name| ObjectRef::new(name).within("alice"));
        let ranks = || {
            objects
                .ranked(all.to_vec())
                .into_iter()
                .map(|(_, rank)| rank)
        };
        let others = Rank::ServesNobody;
        assert!(ranks().eq([Rank::New, others, others]));
        let mut observed = object("a", OLD);
        observed.status = Some(MetricsNamespaceStatus {
            observed_generation: Some(1),
            ..MetricsNamespaceStatus::default()
        });
        objects.saw(&observed);
        assert!(ranks().eq([Rank::GoesOn, others, others]));

        let mut going = object("a", OLD);
        going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
        assert_eq!(
            names(objects.saw(&going)),
            ["a", "b", "young"],
            "who serves has changed"
        );
        assert_eq!(objects.serving("alice").as_deref(), Some("b"));
        assert_eq!(names(objects.gone(&object("b", OLD))), ["young"]);
        assert_eq!(objects.serving("alice").as_deref(), Some("young"));
    }

    #[test]
    fn who_could_not_see_something_is_known_by_his_conditions() {
        let objects = Objects::default();
        for (name, namespace, status) in [
            ("blind", "alice", "Unknown"),
            ("seeing", "bob", "False"),
            ("second", "alice", "Unknown"),
        ] {
            let mut object = object(name, if name == "second" { YOUNG } else { OLD });
            object.metadata.namespace = Some(namespace.into());
            object.metadata.resource_version = Some("1".into());
            object.status = serde_json::from_value(serde_json::json!({"conditions": [
                {"type": "GatewayAvailable", "status": status, "reason": "R", "message": "",
                 "lastTransitionTime": OLD},
            ]}))
            .unwrap();
            objects.saw(&object);
        }
        assert_eq!(names(objects.unseen()), ["blind"]);
    }

    #[test]
    fn a_change_concerns_only_the_object_itself_while_the_same_one_serves() {
        let objects = Objects::default();
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
    fn of_thousands_in_one_namespace_a_change_concerns_few() {
        let objects = Objects::default();
        let name = |number: usize| format!("m{number:04}");
        let concerned = (0..4000).map(|number| objects.saw(&object(&name(number), OLD)).len());
        assert!(concerned.sum::<usize>() <= 4000 + 3);
        let near = |number| objects.is_near(&object(&name(number), OLD));
        assert_eq!((near(NEAR - 1), near(NEAR)), (true, false));
        for number in 0..100 {
            let next: Vec<_> = (number + 1..=number + 1 + NEAR).map(name).collect();
            assert_eq!(names(objects.gone(&object(&name(number), OLD))), next);
        }

        // Who comes near is told who serves; who is no longer near is told that many are older.
        let far = objects.gone(&object(&name(105), OLD));
        assert_eq!(names(far), [name(120), name(121)]);
        assert!(near(120) && !near(121));
        assert_eq!(
            names(objects.saw(&object("m0104b", OLD))),
            ["m0104b", "m0119", "m0120"]
        );
        assert!(near(119) && !near(120));
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
        let objects = Objects::default();
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
        let objects = Objects::default();
        let shown = |objects: &Objects| {
            let object = objects.get(&ObjectRef::new("first").within("alice"));
            object.unwrap().status.clone()
        };
        let old = with_status(5, 1);
        objects.saw(&old);
        assert_eq!(shown(&objects), Some(status(1)));
        objects.tell(&old, &status(2));
        objects.told(&with_status(6, 2));
        assert_eq!(shown(&objects), Some(status(2)));
        objects.saw(&old);
        assert_eq!(shown(&objects), Some(status(2)), "the watch is behind");
        objects.saw(&with_status(6, 2));
        assert_eq!(shown(&objects), Some(status(2)));
        objects.saw(&with_status(7, 3));
        assert_eq!(shown(&objects), Some(status(3)));
    }

    #[test]
    fn conditions_of_those_that_serve_are_counted_by_type_and_status() {
        let objects = Objects::default();
        for (namespace, name, ready) in [
            ("alice", "first", Some("True")),
            // The older one serves.
            ("alice", "second", Some("False")),
            ("bob", "metrics", Some("False")),
            ("carol", "metrics", Some("True")),
            ("dave", "metrics", None),
        ] {
            let mut object = object(name, OLD);
            object.metadata.namespace = Some(namespace.into());
            object.status = ready.map(|ready| serde_json::from_value(serde_json::json!({"conditions": [
                {"type": "Ready", "status": ready, "reason": name, "message": "", "lastTransitionTime": OLD},
                {"type": "Forged", "status": ready, "reason": name, "message": "", "lastTransitionTime": OLD},
            ]}))
            .unwrap());
            objects.saw(&object);
        }
        let mut counted = objects.conditions(|type_, _| type_ == "Ready");
        counted.sort();
        let ready = |status: &str, count| (("Ready".to_owned(), status.to_owned()), count);
        // Of one without a status nothing is known, and that is worth an alert.
        let expected = [ready("False", 1), ready("True", 2), ready("Unknown", 1)];
        assert_eq!(counted, expected);
    }

    #[test]
    fn what_a_complete_list_lacks_is_gone() {
        let objects = Objects::default();
        objects.saw(&object("first", OLD));
        objects.saw(&object("second", YOUNG));
        let seen = [ObjectRef::new("second").within("alice")].into();
        assert_eq!(names(objects.keep(&seen)), ["first", "second"]);
        assert_eq!(objects.serving("alice").as_deref(), Some("second"));
        // Nobody else is concerned, but its namespace may be enrolled.
        assert_eq!(names(objects.keep(&HashSet::new())), ["second"]);
        assert!(objects.all_serving().is_empty());
    }
}
