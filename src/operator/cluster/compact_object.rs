//! MetricsNamespaces as the cache keeps them: small, because there are thousands, and most say the same.

use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ManagedFieldsEntry, Time};
use kube::api::ObjectMeta;

use crate::api::status::{GatewayStatus, ScrapeStatus};
use crate::api::{MetricsNamespace, MetricsNamespaceSpec, MetricsNamespaceStatus, names};

use super::compact_child::Hex;
use super::interned::Interned;

/// A MetricsNamespace in a quarter of its memory: of its metadata, only what is asked for.
pub struct CompactObject {
    name: Box<str>,
    uid: Option<Hex<16>>,
    version: Option<Box<str>>,
    generation: Option<i64>,
    created: Option<Timestamp>,
    going: Option<Box<Going>>,
    spec: Arc<Spec>,
    status: Option<CompactStatus>,
    enrolled: Option<Box<Enrolled>>,
}

/// What is asked of one that is being deleted.
#[derive(PartialEq)]
struct Going {
    since: Time,
    held_by: Vec<String>,
}

/// What is asked of one that enrolment made.
struct Enrolled {
    /// Its annotation's value.
    value: String,
    /// Who wrote it, and not what.
    writers: Vec<ManagedFieldsEntry>,
}

#[derive(Hash)]
pub struct CompactStatus {
    observed_generation: Option<i64>,
    url: Option<Box<str>>,
    conditions: Box<[(Arc<Words>, Timestamp)]>,
    gateway: Option<CompactGateway>,
    scrape: Option<Arc<Vec<String>>>,
}

#[derive(Hash)]
struct CompactGateway {
    image: Option<Arc<str>>,
    newer_image: Option<Arc<str>>,
    pending_image: Option<Arc<str>>,
    ready_since: Option<Timestamp>,
}

/// A condition without its time.
#[derive(PartialEq, Eq, Hash)]
struct Words {
    type_: String,
    status: String,
    reason: String,
    message: String,
    observed_generation: Option<i64>,
}

#[derive(PartialEq)]
struct Spec(MetricsNamespaceSpec);

impl Eq for Spec {}

impl Hash for Spec {
    fn hash<H: Hasher>(&self, state: &mut H) {
        struct Text<'a, H>(&'a mut H);
        impl<H: Hasher> Write for Text<'_, H> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        // All of its fields, which have no hashes of their own. It can't fail: the writer does not.
        let _ = write!(Text(state), "{:?}", self.0);
    }
}

/// What many objects have in common, each once.
#[derive(Default)]
pub struct Common {
    specs: Interned<Spec>,
    conditions: Interned<Words>,
    images: Interned<str>,
    scrapers: Interned<Vec<String>>,
}

impl Common {
    /// Drops what no object has any more.
    pub fn forget_unused(&mut self) {
        self.specs.forget_unused();
        self.conditions.forget_unused();
        self.images.forget_unused();
        self.scrapers.forget_unused();
    }
}

impl CompactObject {
    /// Keeps an object, but for its status.
    pub fn new(object: &MetricsNamespace, common: &mut Common) -> Self {
        let metadata = &object.metadata;
        Self {
            name: metadata.name.as_deref().unwrap_or_default().into(),
            uid: metadata.uid.as_deref().map(Hex::of),
            version: metadata.resource_version.as_deref().map(Into::into),
            generation: metadata.generation,
            created: metadata.creation_timestamp.as_ref().map(|t| t.0),
            going: Going::of(metadata).map(Box::new),
            spec: common.specs.held(Spec(object.spec.clone())),
            status: None,
            enrolled: Enrolled::of(metadata).map(Box::new),
        }
    }

    /// Puts a newer state of the same object in the place of this one, but for the status.
    pub fn advance(&mut self, newer: Self) {
        let status = self.status.take();
        *self = Self { status, ..newer };
    }

    /// Takes the status that the object has.
    pub fn set_status(&mut self, status: Option<CompactStatus>) {
        self.status = status;
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// Whether it is being deleted.
    pub fn is_going(&self) -> bool {
        self.going.is_some()
    }

    /// Whether this is an object's UID.
    pub fn has_uid(&self, uid: Option<&str>) -> bool {
        self.uid == uid.map(Hex::of)
    }

    /// Whether both are the same object, be it in two states.
    pub fn is(&self, other: &Self) -> bool {
        self.uid == other.uid
    }

    /// Whether nothing lies between both for which it would have to be looked at, but for its status.
    pub fn is_as(&self, other: &Self) -> bool {
        self.is(other)
            && self.generation == other.generation
            && self.created == other.created
            && self.going == other.going
    }

    /// Whether its status is of what its author wants now.
    pub fn is_observed(&self) -> bool {
        let observed = self.status.as_ref().map(|s| s.observed_generation);
        observed == Some(self.generation)
    }

    /// Type and status of each condition.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &str)> {
        let conditions = self.status.iter().flat_map(|s| &s.conditions);
        conditions.map(|(words, _)| (words.type_.as_str(), words.status.as_str()))
    }

    /// The object without its spec and its status.
    pub fn bare(&self, namespace: &str) -> MetricsNamespace {
        let (enrolled, going) = (self.enrolled.as_deref(), self.going.as_deref());
        let annotation =
            |e: &Enrolled| [(names::ENROLLED_ANNOTATION.to_owned(), e.value.clone())].into();
        MetricsNamespace {
            metadata: ObjectMeta {
                name: Some(self.name.to_string()),
                namespace: Some(namespace.to_owned()),
                uid: self.uid.as_ref().map(Hex::text),
                resource_version: self.version.as_deref().map(ToOwned::to_owned),
                generation: self.generation,
                creation_timestamp: self.created.map(Time),
                deletion_timestamp: going.map(|g| g.since.clone()),
                finalizers: going.map(|g| g.held_by.clone()),
                annotations: enrolled.map(annotation),
                managed_fields: enrolled.map(|e| e.writers.clone()),
                ..ObjectMeta::default()
            },
            ..MetricsNamespace::default()
        }
    }

    pub fn whole(&self, namespace: &str) -> MetricsNamespace {
        MetricsNamespace {
            spec: self.spec.0.clone(),
            status: self.status.as_ref().map(CompactStatus::status),
            ..self.bare(namespace)
        }
    }
}

impl Going {
    fn of(metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            since: metadata.deletion_timestamp.clone()?,
            held_by: metadata.finalizers.clone().unwrap_or_default(),
        })
    }
}

impl Enrolled {
    fn of(metadata: &ObjectMeta) -> Option<Self> {
        let annotations = metadata.annotations.as_ref()?;
        let value = annotations.get(names::ENROLLED_ANNOTATION)?.clone();
        let writers = metadata.managed_fields.clone().unwrap_or_default();
        Some(Self { value, writers })
    }
}

impl CompactStatus {
    pub fn new(status: &MetricsNamespaceStatus, common: &mut Common) -> Self {
        let MetricsNamespaceStatus {
            observed_generation,
            url,
            conditions,
            gateway,
            scrape,
        } = status;
        let mut condition = |condition: &Condition| {
            let words = Words {
                type_: condition.type_.clone(),
                status: condition.status.clone(),
                reason: condition.reason.clone(),
                message: condition.message.clone(),
                observed_generation: condition.observed_generation,
            };
            (
                common.conditions.held(words),
                condition.last_transition_time.0,
            )
        };
        Self {
            observed_generation: *observed_generation,
            url: url.as_deref().map(Into::into),
            conditions: conditions.iter().map(&mut condition).collect(),
            gateway: gateway.as_ref().map(|gateway| {
                let GatewayStatus {
                    image,
                    newer_image,
                    pending_image,
                    ready_since,
                } = gateway;
                let mut held = |image: &Option<String>| Some(common.images.held(image.as_deref()?));
                CompactGateway {
                    image: held(image),
                    newer_image: held(newer_image),
                    pending_image: held(pending_image),
                    ready_since: ready_since.as_ref().map(|t| t.0),
                }
            }),
            scrape: scrape
                .as_ref()
                .map(|ScrapeStatus { selected_by }| common.scrapers.held(selected_by.clone())),
        }
    }

    /// By it, two of them are told from each other.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn status(&self) -> MetricsNamespaceStatus {
        let condition = |(words, time): &(Arc<Words>, Timestamp)| Condition {
            type_: words.type_.clone(),
            status: words.status.clone(),
            reason: words.reason.clone(),
            message: words.message.clone(),
            observed_generation: words.observed_generation,
            last_transition_time: Time(*time),
        };
        MetricsNamespaceStatus {
            observed_generation: self.observed_generation,
            url: self.url.as_deref().map(ToOwned::to_owned),
            conditions: self.conditions.iter().map(condition).collect(),
            gateway: self.gateway.as_ref().map(|gateway| {
                let text = |image: &Option<Arc<str>>| image.as_deref().map(ToOwned::to_owned);
                GatewayStatus {
                    image: text(&gateway.image),
                    newer_image: text(&gateway.newer_image),
                    pending_image: text(&gateway.pending_image),
                    ready_since: gateway.ready_since.map(Time),
                }
            }),
            scrape: self.scrape.as_ref().map(|scrape| ScrapeStatus {
                selected_by: scrape.to_vec(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> MetricsNamespace {
        serde_saphyr::from_str(
            "{apiVersion: simplepipe.dev/v1alpha1, kind: MetricsNamespace, metadata: {name: push, namespace: alice, \
             uid: 0f3c9a52-1111-4222-8333-00ff00ff00ff, resourceVersion: '12', generation: 3, \
             creationTimestamp: '2026-01-01T00:00:00Z', deletionTimestamp: '2026-01-02T00:00:00Z', finalizers: [a/b]}, \
             spec: {paused: true, gateway: {resources: {limits: {memory: 1Gi}}}, scrape: {interval: 1m, labels: {a: b}}}, \
             status: {observedGeneration: 2, url: 'http://u:9091', conditions: [\
             {type: Ready, status: 'True', reason: R, message: m, observedGeneration: 2, \
             lastTransitionTime: '2026-01-01T00:00:01Z'}, \
             {type: Other, status: 'False', reason: O, message: '', lastTransitionTime: '2026-01-01T00:00:02Z'}], \
             gateway: {image: i, newerImage: n, pendingImage: p, readySince: '2026-01-01T00:00:03Z'}, scrape: {selectedBy: [a/b]}}}",
        )
        .unwrap()
    }

    fn kept(object: &MetricsNamespace, common: &mut Common) -> CompactObject {
        let mut kept = CompactObject::new(object, common);
        kept.set_status(
            object
                .status
                .as_ref()
                .map(|s| CompactStatus::new(s, common)),
        );
        kept
    }

    #[test]
    fn an_object_is_what_it_was() {
        let object = object();
        let kept = kept(&object, &mut Common::default());
        assert_eq!(kept.whole("alice"), object);
    }

    #[test]
    fn of_an_enrolled_object_its_writers_are_known() {
        let mut object = object();
        object.metadata.annotations =
            Some([(names::ENROLLED_ANNOTATION.to_owned(), "true".to_owned())].into());
        object.metadata.managed_fields =
            serde_json::from_str(r#"[{"manager": "kubectl", "operation": "Update"}]"#).unwrap();
        let metadata = kept(&object, &mut Common::default()).bare("alice").metadata;
        assert_eq!(metadata.annotations, object.metadata.annotations);
        let writers = metadata.managed_fields.unwrap();
        assert_eq!(writers[0].manager.as_deref(), Some("kubectl"));
    }

    #[test]
    fn what_two_objects_have_in_common_is_kept_once() {
        let mut common = Common::default();
        let [one, other] = [(); 2].map(|()| kept(&object(), &mut common));
        assert!(Arc::ptr_eq(&one.spec, &other.spec));
        let words = |kept: &CompactObject| kept.status.as_ref().unwrap().conditions[0].0.clone();
        assert!(Arc::ptr_eq(&words(&one), &words(&other)));
    }
}
