//! Live children of all namespaces, as the watches and the answers to our own writes show them.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::Value;

use crate::operator::children::is_childs_name;
use crate::operator::kind::Kind;
use crate::operator::locked::Locked;

use super::compact_child::CompactChild;
use super::interned::Interned;
use super::live::{Live, Rollout};

/// Whether a kind of child is there to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Not known yet.
    Unknown,
    Yes,
    /// The cluster does not know this kind.
    No,
}

/// Deletions that are remembered: more than can overtake the answers to the writes under way.
const REMEMBERED_DELETIONS: usize = 1024;

/// Children of other names than those of today that are kept of one namespace: former ones are few. Of more, which somebody
/// has made to look so, the rest is seen at the next start.
const MOST_FORMER: usize = 1000;
/// So many children of a namespace have no room to spare; six are the rule.
const WITHOUT_ROOM: usize = 16;

/// Live children of all namespaces, fed by the watches and by the answers to our own writes.
#[derive(Default)]
pub struct ChildCache {
    state: Locked<State>,
}

#[derive(Default)]
struct State {
    by_namespace: HashMap<Box<str>, Vec<CompactChild>>,
    served: HashMap<Kind, Served>,
    field_sets: Interned<Value>,
    keys: Interned<[Box<str>]>,
    names: Interned<str>,
    /// Namespace, kind and name of what is being created.
    coming: Vec<(Box<str>, Kind, Box<str>)>,
    /// UIDs of children that went last. A watch can tell of an object's end before the answer to our write of it
    /// is here, and that answer must not bring it back.
    deleted: VecDeque<String>,
}

/// While it is there, a child is being created: that it comes is no news.
pub struct Coming<'a> {
    cache: &'a ChildCache,
    child: (Box<str>, Kind, Box<str>),
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let coming = &mut self.cache.state.lock().coming;
        if let Some(place) = coming.iter().position(|child| *child == self.child) {
            coming.swap_remove(place);
        }
    }
}

impl ChildCache {
    /// Notes that a child is about to be created. A watch may show it before the API server has answered, and then
    /// whoever waits for the answer knows what to do.
    pub fn comes(&self, namespace: &str, kind: Kind, name: &str) -> Coming<'_> {
        let child: (Box<str>, _, Box<str>) = (namespace.into(), kind, name.into());
        self.state.lock().coming.push(child.clone());
        Coming { cache: self, child }
    }

    /// The live children of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Live> {
        let state = self.state.lock();
        let children = state.by_namespace.get(namespace);
        children
            .into_iter()
            .flatten()
            .map(CompactChild::live)
            .collect()
    }

    /// Whether a kind is served.
    pub fn served(&self, kind: Kind) -> Served {
        self.state
            .lock()
            .served
            .get(&kind)
            .copied()
            .unwrap_or(Served::Unknown)
    }

    /// Notes whether a kind is served; true if that is news.
    pub fn set_served(&self, kind: Kind, served: Served) -> bool {
        self.state.lock().served.insert(kind, served) != Some(served)
    }

    /// Notes what a watch saw; true if a reconcile should look at it.
    pub fn saw(&self, namespace: &str, mut live: Live) -> bool {
        let mut state = self.state.lock();
        state.intern(&mut live);
        if !live.counts() {
            return state.remove(namespace, live.kind, &live.name, None);
        }
        let Some(mut known) = state.known(namespace, &live) else {
            let expected = state.expects(namespace, &live);
            return state.keep(namespace, live) && !expected;
        };
        if known.uid == live.uid {
            let order = live.version.zip(known.version).map(|(l, k)| l.cmp(&k));
            if order == Some(Ordering::Less) {
                return false;
            }
            if order == Some(Ordering::Equal) {
                // Our own answer came first, and says nothing of the pods.
                let news = live.rollout.is_some() && known.pods() != live.pods();
                known.rollout = live.rollout.or(known.rollout.take());
                state.keep(namespace, known);
                return news;
            }
            // Whoever changes our entry changes the object: to what, the metadata does not say. Its time is in whole
            // seconds, in which another Simplepipe operator may follow us.
            live.touched = known.touched || known.ours != live.ours || known.digest != live.digest;
        }
        let news = !live.is_as(&known);
        state.keep(namespace, live);
        news
    }

    /// Notes the answer to a write of our own.
    pub fn wrote(&self, namespace: &str, mut live: Live) {
        let mut state = self.state.lock();
        if state.deleted.contains(&live.uid) {
            return;
        }
        live.touched = false;
        state.intern(&mut live);
        match state.known(namespace, &live) {
            None => {}
            Some(known) if known.uid != live.uid => {}
            // An answer says nothing of the pods; the event of this very write will.
            Some(known) if known.version <= live.version || live.version.is_none() => {
                live.rollout = known.rollout;
            }
            // The watch is ahead of this answer.
            Some(_) => return,
        }
        state.keep(namespace, live);
    }

    /// Notes that a child is gone; true if it was known.
    pub fn gone(&self, namespace: &str, kind: Kind, name: &str, uid: Option<&str>) -> bool {
        let mut state = self.state.lock();
        if let Some(uid) = uid {
            state.deleted.truncate(REMEMBERED_DELETIONS - 1);
            state.deleted.push_front(uid.to_owned());
        }
        state.remove(namespace, kind, name, uid)
    }

    /// Drops what is known of a child, so that the next try looks at what is there.
    pub fn forget(&self, namespace: &str, kind: Kind, name: &str) {
        self.state.lock().remove(namespace, kind, name, None);
    }

    /// After a complete list of a kind: drops what was not in it, and says which namespaces had such.
    pub fn keep(&self, kind: Kind, seen: &HashSet<(String, String)>) -> Vec<String> {
        let mut state = self.state.lock();
        let mut lost = Vec::new();
        state.by_namespace.retain(|namespace, children| {
            let before = children.len();
            children.retain(|c| {
                !c.is_of(kind) || seen.contains(&(namespace.to_string(), c.name().to_owned()))
            });
            if children.len() < before {
                lost.push(namespace.to_string());
            }
            !children.is_empty()
        });
        state.field_sets.forget_unused();
        state.keys.forget_unused();
        state.names.forget_unused();
        lost
    }
}

impl State {
    fn remove(&mut self, namespace: &str, kind: Kind, name: &str, uid: Option<&str>) -> bool {
        let Some(children) = self.by_namespace.get_mut(namespace) else {
            return false;
        };
        let before = children.len();
        children.retain(|c| !c.is(kind, name) || uid.is_some_and(|uid| !c.has_uid(uid)));
        let found = children.len() < before;
        if children.is_empty() {
            self.by_namespace.remove(namespace);
        }
        found
    }

    /// Whether this one is being created, as far as can be seen by this operator.
    fn expects(&self, namespace: &str, live: &Live) -> bool {
        let is_it = |(in_namespace, kind, name): &(Box<str>, Kind, Box<str>)| {
            **in_namespace == *namespace && *kind == live.kind && **name == *live.name
        };
        live.ours.is_some() && live.pods() == Rollout::default() && self.coming.iter().any(is_it)
    }

    /// What is known of the child of this kind and name.
    fn known(&self, namespace: &str, child: &Live) -> Option<Live> {
        let children = self.by_namespace.get(namespace)?;
        let known = children.iter().find(|c| c.is(child.kind, &child.name))?;
        Some(known.live())
    }

    /// Puts a child in the place of what is known of its kind and name; false where there is no room for it.
    fn keep(&mut self, namespace: &str, live: Live) -> bool {
        if !self.by_namespace.contains_key(namespace) {
            self.by_namespace.insert(namespace.into(), Vec::new());
        }
        let Some(children) = self.by_namespace.get_mut(namespace) else {
            return false;
        };
        let place = children.iter().position(|c| c.is(live.kind, &live.name));
        if place.is_none() && children.len() >= MOST_FORMER && !is_childs_name(&live.name) {
            return false;
        }
        let kept = CompactChild::new(live, &mut self.names, children);
        match place {
            Some(place) => children[place] = kept,
            None => {
                if children.len() < WITHOUT_ROOM {
                    children.reserve_exact(1);
                }
                children.push(kept);
            }
        }
        true
    }

    fn intern(&mut self, live: &mut Live) {
        let is_former = !is_childs_name(&live.name);
        if is_former {
            live.rollout = None;
        }
        if let Some(ours) = &mut live.ours {
            if is_former {
                // That there were any is enough.
                ours.fields = Value::Null.into();
                ours.keys = None;
            }
            ours.fields = self.field_sets.held(ours.fields.clone());
            ours.keys = ours.keys.take().map(|keys| self.keys.held(keys));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn live(version: u64, fields: Value, time: &str) -> Live {
        let metadata = serde_json::from_value(json!({
            "name": "pushgateway",
            "uid": "uid-of-child",
            "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "simplepipe", "operation": "Apply", "fieldsV1": fields, "time": time}],
        }))
        .unwrap();
        Live::new(Kind::Service, &metadata, None)
    }

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T09:00:00Z";

    #[test]
    fn our_own_write_is_no_news_whichever_comes_first() {
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(!cache.saw("alice", live(5, json!({"f:a": {}}), EARLY)));

        cache.saw("alice", live(6, json!({"f:b": {}}), LATE));
        cache.wrote("alice", live(6, json!({"f:b": {}}), LATE));
        assert!(!cache.in_namespace("alice")[0].touched);
    }

    #[test]
    fn a_child_that_is_being_created_is_no_news() {
        let cache = ChildCache::default();
        let ours = |version| live(version, json!({"f:a": {}}), EARLY);
        let coming = cache.comes("alice", ours(5).kind, &ours(5).name);
        assert!(!cache.saw("alice", ours(5)));
        assert!(cache.gone("alice", ours(5).kind, &ours(5).name, None));
        let others = Live {
            ours: None,
            ..ours(6)
        };
        assert!(cache.saw("alice", others));
        assert!(cache.saw("bob", ours(7)), "of another namespace");
        cache.gone("alice", ours(6).kind, &ours(6).name, None);
        drop(coming);
        assert!(cache.saw("alice", ours(8)));
    }

    #[test]
    fn a_write_by_another_that_comes_before_our_answer_is_not_forgotten() {
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(cache.saw("alice", live(7, json!({}), EARLY)));
        cache.wrote("alice", live(6, json!({"f:a": {}}), EARLY));
        assert!(cache.in_namespace("alice")[0].touched);
    }

    #[test]
    fn a_write_under_our_name_is_seen_by_its_time() {
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(cache.saw("alice", live(6, json!({"f:a": {}}), LATE)));
        assert!(cache.in_namespace("alice")[0].touched);
    }

    #[test]
    fn a_write_under_our_name_within_the_same_second_is_seen_by_its_digest() {
        let with_digest = |version, digest: &str| Live {
            digest: Some(digest.to_owned()),
            ..live(version, json!({"f:a": {}}), EARLY)
        };
        let cache = ChildCache::default();
        cache.wrote("alice", with_digest(5, "ours"));
        assert!(cache.saw("alice", with_digest(6, "another operator's")));
        assert!(cache.in_namespace("alice")[0].touched);
    }

    #[test]
    fn a_write_that_touches_nothing_of_ours_is_no_news() {
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(!cache.saw("alice", live(6, json!({"f:a": {}}), EARLY)));
    }

    #[test]
    fn an_old_event_does_not_bring_back_an_old_state() {
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(!cache.saw("alice", live(4, json!({"f:b": {}}), EARLY)));
        assert_eq!(cache.in_namespace("alice")[0].version, Some(5));
    }

    #[test]
    fn what_cannot_be_ordered_is_taken_for_newer() {
        let unordered = |fields| Live {
            version: None,
            ..live(1, fields, EARLY)
        };
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        assert!(cache.saw("alice", unordered(json!({"f:b": {}}))));
        assert!(cache.in_namespace("alice")[0].touched);
        cache.wrote("alice", unordered(json!({"f:a": {}})));
        assert!(!cache.in_namespace("alice")[0].touched);
        assert!(cache.saw("alice", live(4, json!({"f:b": {}}), EARLY)));
    }

    #[test]
    fn an_answer_that_comes_after_the_objects_end_does_not_bring_it_back() {
        let cache = ChildCache::default();
        cache.gone("alice", Kind::Service, "pushgateway", Some("uid-of-child"));
        cache.wrote("alice", live(5, json!({}), EARLY));
        assert!(cache.in_namespace("alice").is_empty());
    }

    #[test]
    fn the_event_of_our_own_write_tells_how_the_pods_are() {
        let with_pods = |available| Live {
            rollout: Some(Rollout {
                complete: available,
                available,
                ..Rollout::default()
            }),
            ..live(5, json!({}), EARLY)
        };
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({}), EARLY));
        assert!(!cache.saw("alice", with_pods(false)), "as it is known");
        assert!(cache.saw("alice", with_pods(true)));
        assert!(!cache.saw("alice", with_pods(true)));

        cache.wrote("alice", live(6, json!({}), EARLY));
        let rollout = cache.in_namespace("alice")[0].rollout.clone();
        assert!(
            rollout.is_some_and(|r| r.available),
            "what is known of the pods is kept"
        );
    }

    #[test]
    fn of_thousands_of_labelled_objects_only_those_that_look_like_children_are_kept_and_news() {
        let named = |number: usize, made_here: bool| {
            let live = live(1, json!({"f:data": {"f:a": {}}}), EARLY);
            Live {
                name: format!("no-child-{number}"),
                uid: number.to_string(),
                owners: vec!["uid-of-push".into()],
                digest: made_here.then(|| "0123".into()),
                ..live
            }
        };
        let cache = ChildCache::default();
        let news = (0..50_000).filter(|number| cache.saw("alice", named(*number, false)));
        assert_eq!(news.count(), 0);
        assert!(cache.in_namespace("alice").is_empty());

        let news = (0..5 * MOST_FORMER).filter(|number| cache.saw("alice", named(*number, true)));
        assert_eq!(news.count(), MOST_FORMER);
        assert!(cache.saw("alice", live(2, json!({}), EARLY)), "a child");
        let kept = cache.in_namespace("alice");
        assert_eq!(kept.len(), MOST_FORMER + 1);
        let fields = kept[0].ours.as_ref().map(|ours| ours.fields().into_owned());
        assert_eq!(fields, Some(Value::Null));

        assert!(
            cache.saw("alice", named(0, false)),
            "no longer as if made here"
        );
        assert_eq!(cache.in_namespace("alice").len(), MOST_FORMER);
    }

    #[test]
    fn what_a_complete_list_lacks_is_gone() {
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({}), EARLY));
        cache.wrote("bob", live(6, json!({}), EARLY));
        let seen = [("bob".to_owned(), "pushgateway".to_owned())].into();
        assert_eq!(cache.keep(Kind::Service, &seen), ["alice"]);
        assert!(cache.in_namespace("alice").is_empty());
        assert_eq!(
            cache.keep(Kind::Deployment, &HashSet::new()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn equal_field_sets_are_kept_once() {
        let cache = ChildCache::default();
        cache.wrote("alice", live(5, json!({"f:a": {}}), EARLY));
        cache.wrote("bob", live(6, json!({"f:a": {}}), EARLY));
        let fields = |namespace| {
            cache.in_namespace(namespace)[0]
                .ours
                .clone()
                .unwrap()
                .fields
        };
        assert!(Arc::ptr_eq(&fields("alice"), &fields("bob")));
    }

    #[test]
    fn a_key_with_the_tenants_name_in_it_costs_no_field_set() {
        let cache = ChildCache::default();
        let sets = |namespace: &str| {
            let key = format!("f:simplepipe-{namespace}.json");
            let fields = json!({"f:data": {".": {}, key: {}}, "f:metadata": {"f:labels": {}}});
            cache.wrote(namespace, live(5, fields.clone(), EARLY));
            let ours = cache.in_namespace(namespace)[0].ours.clone().unwrap();
            assert_eq!(*ours.fields(), fields);
            ours.fields
        };
        assert!(Arc::ptr_eq(&sets("alice"), &sets("bob")));
    }
}
