//! MetricsNamespaces that can't be read: each is left out, and must not stop the others.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::api::MetricsNamespace;

use crate::operator::events::{Events, LONGEST_EVENT};
use crate::operator::locked::Locked;
use crate::operator::telemetry::lasting_failures::{Lasting, Told};

/// Those that can't be read now. The log and events name each now and then, however often it changes.
#[derive(Default)]
pub struct Unreadable {
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

    pub fn forget(&self, metadata: &ObjectMeta) {
        let key = Self::key(metadata);
        self.now.lock().remove(&key);
        self.lasting.forget(&key);
    }

    /// A list begins. Those that are still there come again.
    pub fn clear(&self) {
        self.now.lock().clear();
    }

    pub fn count(&self) -> usize {
        self.now.lock().len()
    }

    fn key(metadata: &ObjectMeta) -> (String, String) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        (text(&metadata.namespace), text(&metadata.name))
    }

    /// Notes whether an object can be read, and tells of it.
    pub fn tell(&self, metadata: &ObjectMeta, error: Option<&str>, events: &Arc<Events>) {
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
                "an object can't be read and is left alone, like many others; further ones are not named until some of \
                 these can be read"
            ),
            (Some(error), _) => warn!(
                namespace,
                name, error, "an object can't be read and is left alone"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
