//! Objects as the watches read them: only what is needed, and nothing that an object may hold stops the others.
//!
//! Who may edit an object may write what he likes into its managed fields: a time that no type here holds, or fields
//! nested deeper than a parser goes. Read as a whole, one such object would end the list of all.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference, Time};
use kube::Resource;
use kube::api::{ApiResource, ObjectMeta};
use kube::core::DynamicResourceScope;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api::MetricsNamespace;

/// What is read of an object beside its metadata.
pub trait Part: DeserializeOwned + Clone + std::fmt::Debug + Send + 'static {
    /// Whether the API server is asked for metadata only.
    const METADATA_ONLY: bool;
}

/// Nothing.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Nothing {}

impl Part for Nothing {
    const METADATA_ONLY: bool = true;
}

/// An object's metadata, and a part of it.
#[derive(Clone, Debug)]
pub struct Watched<P = Nothing> {
    /// Its metadata, without managed fields that can't be read.
    pub metadata: ObjectMeta,
    /// The part.
    pub part: P,
}

impl<'de, P: Part> Deserialize<'de> for Watched<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let WithMetadata { metadata } =
            serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let part = if P::METADATA_ONLY { "{}" } else { raw.get() };
        Ok(Self {
            metadata: read_metadata(metadata).map_err(D::Error::custom)?,
            part: serde_json::from_str(part).map_err(D::Error::custom)?,
        })
    }
}

impl<P: Part> Resource for Watched<P> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn metadata_api() -> bool {
        P::METADATA_ONLY
    }

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A MetricsNamespace, or why it is none. Its metadata is there in any case.
#[derive(Clone, Debug)]
pub struct WatchedObject(pub Watched<Result<MetricsNamespace, String>>);

#[derive(Deserialize)]
struct WithMetadata<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

impl<'de> Deserialize<'de> for WatchedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            metadata: Box<RawValue>,
            spec: Option<Box<RawValue>>,
            status: Option<Box<RawValue>>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let metadata = read_metadata(&raw.metadata).map_err(D::Error::custom)?;
        let read = || -> Result<MetricsNamespace, serde_json::Error> {
            let spec = raw.spec.as_deref().map(|s| serde_json::from_str(s.get()));
            let status = raw.status.as_deref().map(|s| serde_json::from_str(s.get()));
            Ok(MetricsNamespace {
                metadata: metadata.clone(),
                spec: spec.transpose()?.unwrap_or_default(),
                status: status.transpose()?,
            })
        };
        let part = read().map_err(|error| error.to_string());
        Ok(Self(Watched { metadata, part }))
    }
}

impl Resource for WatchedObject {
    type DynamicType = ();
    type Scope = <MetricsNamespace as Resource>::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        MetricsNamespace::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        MetricsNamespace::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        MetricsNamespace::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        MetricsNamespace::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

fn read_metadata(raw: &RawValue) -> Result<ObjectMeta, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata<'a> {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        generation: Option<i64>,
        creation_timestamp: Option<Time>,
        deletion_timestamp: Option<Time>,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
        owner_references: Option<Vec<OwnerReference>>,
        #[serde(borrow)]
        managed_fields: Option<Vec<&'a RawValue>>,
    }
    let read: Metadata = serde_json::from_str(raw.get())?;
    // One that can't be read is not ours: ours was written by the API server.
    let managed_fields = read.managed_fields.map(|entries| {
        let readable = entries
            .iter()
            .filter_map(|entry| serde_json::from_str(entry.get()).ok());
        readable.collect::<Vec<ManagedFieldsEntry>>()
    });
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        labels: read.labels,
        annotations: read.annotations,
        owner_references: read.owner_references,
        managed_fields,
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::{ObjectList, WatchEvent};

    fn object(name: &str, time: &str, fields: &str) -> String {
        format!(
            r#"{{"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "spec": {{"paused": true}},
                "metadata": {{"name": "{name}", "resourceVersion": "1", "managedFields": [
                  {{"manager": "simplepipe", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": {{"f:a": {{}}}}}},
                  {{"manager": "x", "operation": "Update", "time": "{time}", "fieldsV1": {fields}}}
                ]}}}}"#
        )
    }

    fn deep() -> String {
        let (open, close) = (r#"{"f:a":"#.repeat(200), "}".repeat(200));
        format!("{open}{{}}{close}")
    }

    fn poisoned() -> [String; 2] {
        [
            object("time", "9999-12-31T23:59:59Z", "{}"),
            object("depth", "2026-01-01T00:00:00Z", &deep()),
        ]
    }

    #[test]
    fn managed_fields_that_cannot_be_read_are_left_out_and_the_rest_is_read() {
        for text in poisoned() {
            let watched: Watched = serde_json::from_str(&text).unwrap();
            let managers: Vec<_> = watched.metadata.managed_fields.iter().flatten().collect();
            assert_eq!(managers.len(), 1);
            assert_eq!(managers[0].manager.as_deref(), Some("simplepipe"));
            let object: WatchedObject = serde_json::from_str(&text).unwrap();
            assert!(object.0.part.unwrap().spec.paused);
        }
    }

    #[test]
    fn lists_and_events_are_read_with_such_an_object_among_others() {
        let items = poisoned().join(",");
        let list =
            format!(r#"{{"kind": "L", "apiVersion": "v1", "metadata": {{}}, "items": [{items}]}}"#);
        assert_eq!(
            serde_json::from_str::<ObjectList<WatchedObject>>(&list)
                .unwrap()
                .items
                .len(),
            2
        );
        assert_eq!(
            serde_json::from_str::<ObjectList<Watched>>(&list)
                .unwrap()
                .items
                .len(),
            2
        );
        for text in poisoned() {
            let event = format!(r#"{{"type": "ADDED", "object": {text}}}"#);
            assert!(matches!(
                serde_json::from_str(&event).unwrap(),
                WatchEvent::<WatchedObject>::Added(_)
            ));
            assert!(matches!(
                serde_json::from_str(&event).unwrap(),
                WatchEvent::<Watched>::Added(_)
            ));
        }
    }

    #[test]
    fn an_object_whose_spec_is_none_says_why_and_has_its_metadata() {
        let text = object("odd", "2026-01-01T00:00:00Z", "{}").replace("true", "7");
        let odd: WatchedObject = serde_json::from_str(&text).unwrap();
        assert_eq!(odd.meta().name.as_deref(), Some("odd"));
        assert!(odd.0.part.unwrap_err().contains("boolean"));
    }
}
