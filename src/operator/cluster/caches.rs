//! What the watches know, held once for all reconciles.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::child_cache::ChildCache;
use super::interned::Interned;
use super::objects::Objects;
use crate::operator::label_syntax::Labels;
use crate::operator::locked::Locked;
use crate::operator::selection::{Prometheus, Scraper};

/// Everything that the watches know.
#[derive(Default)]
pub struct Caches {
    pub objects: Objects,
    pub namespaces: Namespaces,
    /// Prometheus and PrometheusAgent objects.
    pub prometheuses: Prometheuses,
    pub children: ChildCache,
}

/// What is known of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    pub labels: Labels,
    /// Whether it is being deleted.
    pub terminating: bool,
}

#[derive(Default)]
pub struct Namespaces(Locked<KnownNamespaces>);

#[derive(Default)]
struct KnownNamespaces {
    by_name: HashMap<Box<str>, KnownNamespace>,
    /// But for the name, they are the same in most namespaces.
    labels: Interned<Labels>,
}

#[derive(Clone, PartialEq)]
struct KnownNamespace {
    /// Without the one that is the name.
    labels: Arc<Labels>,
    named: bool,
    terminating: bool,
}

/// The API server gives each namespace this label, with its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Namespaces {
    /// What is known of one; `None` where it is gone.
    pub fn get(&self, name: &str) -> Option<Namespace> {
        let known = self.0.lock().by_name.get(name).cloned()?;
        let mut labels = Labels::clone(&known.labels);
        if known.named {
            labels.insert(NAME_LABEL.to_owned(), name.to_owned());
        }
        Some(Namespace {
            labels,
            terminating: known.terminating,
        })
    }

    /// Notes what a watch saw; true if it is news.
    pub fn saw(&self, name: &str, mut namespace: Namespace) -> bool {
        let mut all = self.0.lock();
        let named = namespace.labels.get(NAME_LABEL).is_some_and(|n| n == name);
        if named {
            namespace.labels.remove(NAME_LABEL);
        }
        let known = KnownNamespace {
            labels: all.labels.held(namespace.labels),
            named,
            terminating: namespace.terminating,
        };
        all.by_name.insert(name.into(), known.clone()) != Some(known)
    }

    /// Notes that one is gone.
    pub fn gone(&self, name: &str) {
        self.0.lock().by_name.remove(name);
    }

    /// Drops what a complete list lacks. What that was.
    pub fn keep(&self, names: &HashSet<String>) -> Vec<String> {
        let mut all = self.0.lock();
        let mut dropped = Vec::new();
        all.by_name.retain(|name, _| {
            let stays = names.contains(&**name);
            if !stays {
                dropped.push(name.to_string());
            }
            stays
        });
        dropped
    }
}

/// Prometheus and PrometheusAgent objects, by kind and then by namespace and name.
#[derive(Default)]
pub struct Prometheuses(Locked<BTreeMap<(Scraper, String, String), Prometheus>>);

impl Prometheuses {
    pub fn all(&self) -> Vec<Prometheus> {
        self.0.lock().values().cloned().collect()
    }

    /// Notes what a watch saw; true if it is news.
    pub fn saw(&self, prometheus: Prometheus) -> bool {
        let key = (
            prometheus.kind,
            prometheus.namespace.clone(),
            prometheus.name.clone(),
        );
        self.0.lock().insert(key, prometheus.clone()) != Some(prometheus)
    }

    /// Notes that one is gone; true if it was known.
    pub fn gone(&self, kind: Scraper, namespace: &str, name: &str) -> bool {
        self.0
            .lock()
            .remove(&(kind, namespace.to_owned(), name.to_owned()))
            .is_some()
    }

    /// Drops what a complete list of a kind lacks; true if something was dropped.
    pub fn keep(&self, kind: Scraper, seen: &HashSet<(String, String)>) -> bool {
        let mut known = self.0.lock();
        let before = known.len();
        known.retain(|(k, namespace, name), _| {
            *k != kind || seen.contains(&(namespace.clone(), name.clone()))
        });
        known.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespaces_labels_are_what_was_seen() {
        let namespaces = Namespaces::default();
        let seen = |labels: &[(&str, &str)]| Namespace {
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            terminating: false,
        };
        for labels in [
            seen(&[(NAME_LABEL, "alice"), ("team", "ml")]),
            seen(&[(NAME_LABEL, "alice")]),
            seen(&[(NAME_LABEL, "forged")]),
            seen(&[]),
        ] {
            assert!(namespaces.saw("alice", labels.clone()));
            assert!(!namespaces.saw("alice", labels.clone()), "it is no news");
            assert_eq!(namespaces.get("alice"), Some(labels));
        }
    }
}
