//! What the watches know, held once for all reconciles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::child_cache::ChildCache;
use super::labels::Labels;
use super::locked::Locked;
use super::objects::Objects;
use super::selection::Prometheus;

/// Everything that the watches know.
pub struct Caches {
    /// MetricsNamespaces.
    pub objects: Objects,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Prometheus and PrometheusAgent objects.
    pub prometheuses: Prometheuses,
    /// Children.
    pub children: ChildCache,
}

/// What is known of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its labels.
    pub labels: Labels,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// Namespaces by name.
#[derive(Default)]
pub struct Namespaces(Locked<HashMap<String, Namespace>>);

impl Namespaces {
    /// What is known of one; `None` where it is gone.
    pub fn get(&self, name: &str) -> Option<Namespace> {
        self.0.lock().get(name).cloned()
    }

    /// Notes what a watch saw; true if it is news.
    pub fn saw(&self, name: &str, namespace: Namespace) -> bool {
        self.0.lock().insert(name.to_owned(), namespace.clone()) != Some(namespace)
    }

    /// Notes that one is gone.
    pub fn gone(&self, name: &str) {
        self.0.lock().remove(name);
    }

    /// Drops what a complete list lacks.
    pub fn keep(&self, names: &BTreeSet<String>) {
        self.0.lock().retain(|name, _| names.contains(name));
    }
}

/// Prometheus and PrometheusAgent objects, by kind and then by namespace and name.
#[derive(Default)]
pub struct Prometheuses(Locked<BTreeMap<(&'static str, String, String), Prometheus>>);

impl Prometheuses {
    /// All of them.
    pub fn all(&self) -> Vec<Prometheus> {
        self.0.lock().values().cloned().collect()
    }

    /// Notes what a watch saw; true if it is news.
    pub fn saw(&self, kind: &'static str, prometheus: Prometheus) -> bool {
        let key = (kind, prometheus.namespace.clone(), prometheus.name.clone());
        self.0.lock().insert(key, prometheus.clone()) != Some(prometheus)
    }

    /// Notes that one is gone; true if it was known.
    pub fn gone(&self, kind: &'static str, namespace: &str, name: &str) -> bool {
        self.0
            .lock()
            .remove(&(kind, namespace.to_owned(), name.to_owned()))
            .is_some()
    }

    /// Drops what a complete list of a kind lacks; true if something was dropped.
    pub fn keep(&self, kind: &'static str, seen: &BTreeSet<(String, String)>) -> bool {
        let mut known = self.0.lock();
        let before = known.len();
        known.retain(|(k, namespace, name), _| {
            *k != kind || seen.contains(&(namespace.clone(), name.clone()))
        });
        known.len() < before
    }
}
