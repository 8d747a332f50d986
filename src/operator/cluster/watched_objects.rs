//! Objects as the watches read them: only what is needed, and nothing that an object may hold stops the others.
//!
//! Who may edit an object may write what he likes into its managed fields: a time that no type here holds, or fields
//! nested deeper than a parser goes. Read as a whole, one such object would end the list of all. And a megabyte of small
//! parts takes ten times its size in memory, so of each object no more is held than one that this operator made has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::HeaderValue;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference, Time};
use kube::Resource;
use kube::api::{ApiResource, ObjectMeta};
use kube::core::DynamicResourceScope;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api::{MetricsNamespace, names};

/// Bytes of managed fields that are read of one object, and bytes of labels: a child of ours has a tenth of that.
const LONGEST: usize = 64 * 1024;
/// Owners that are held of one object.
const MOST_OWNERS: usize = 16;
const MOST_FINALIZERS: usize = 6;

/// What an answer to a write is asked for: all else in it is known.
pub const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// What is read of an object beside its metadata.
pub trait Part: DeserializeOwned + Clone + std::fmt::Debug + Send + 'static {
    /// Whether the API server is asked for metadata only.
    const METADATA_ONLY: bool;
}

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
    pub part: P,
}

impl<'de, P: Part> Deserialize<'de> for Watched<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let WithMetadata { metadata } =
            serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let part = if P::METADATA_ONLY { "{}" } else { raw.get() };
        Ok(Self {
            metadata: read_metadata::<ManagedFieldsEntry>(metadata).map_err(D::Error::custom)?,
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
        let metadata = read_metadata::<Writer>(&raw.metadata).map_err(D::Error::custom)?;
        let read = || -> Result<MetricsNamespace, String> {
            Ok(MetricsNamespace {
                metadata: metadata.clone(),
                spec: read_part("spec", raw.spec.as_deref())?.unwrap_or_default(),
                status: read_part("status", raw.status.as_deref())?,
            })
        };
        let part = read();
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

/// A part of an object, or which field of it can't be read, and why.
fn read_part<T: DeserializeOwned>(name: &str, raw: Option<&RawValue>) -> Result<Option<T>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let mut json = serde_json::Deserializer::from_str(raw.get());
    serde_path_to_error::deserialize(&mut json)
        .map(Some)
        .map_err(|error| match error.path().iter().next() {
            Some(_) => format!("{name}.{}: {}", error.path(), error.inner()),
            None => format!("{name}: {}", error.inner()),
        })
}

/// Of too many, only those of this operator.
fn read_labels(raw: &RawValue) -> Result<BTreeMap<String, String>, serde_json::Error> {
    let mut labels: BTreeMap<String, String> = serde_json::from_str(raw.get())?;
    if raw.get().len() > LONGEST {
        labels.retain(|name, _| is_own(name) || name.starts_with("app.kubernetes.io/"));
    }
    Ok(labels)
}

fn is_own(name: &str) -> bool {
    let prefix = name.split('/').next();
    prefix == Some(names::GROUP)
}

/// Who wrote to an object and when. What was written is left unread: of a MetricsNamespace nobody asks for it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Writer {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    time: Option<Time>,
}

impl From<Writer> for ManagedFieldsEntry {
    fn from(writer: Writer) -> Self {
        Self {
            manager: writer.manager,
            operation: writer.operation,
            subresource: writer.subresource,
            time: writer.time,
            ..Self::default()
        }
    }
}

/// `Entry`: what is read of an entry of the managed fields.
fn read_metadata<Entry>(raw: &RawValue) -> Result<ObjectMeta, serde_json::Error>
where
    Entry: DeserializeOwned + Into<ManagedFieldsEntry>,
{
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
        #[serde(borrow)]
        labels: Option<&'a RawValue>,
        annotations: Option<BTreeMap<String, String>>,
        owner_references: Option<Vec<OwnerReference>>,
        finalizers: Option<Vec<String>>,
        #[serde(borrow)]
        managed_fields: Option<Vec<&'a RawValue>>,
    }
    let read: Metadata = serde_json::from_str(raw.get())?;
    let mut room = LONGEST;
    // One that can't be read, or is too long, is not ours: ours was written by the API server.
    let managed_fields = read.managed_fields.map(|entries| {
        let readable = entries.iter().filter_map(|entry| {
            let left = room.checked_sub(entry.get().len())?;
            let entry: Entry = serde_json::from_str(entry.get()).ok()?;
            room = left;
            Some(entry.into())
        });
        readable.collect()
    });
    let owner_references = read.owner_references.map(|mut owners| {
        owners.truncate(MOST_OWNERS);
        owners.shrink_to_fit();
        owners
    });
    // They are asked for where they hold something.
    let finalizers = (read.finalizers).filter(|_| read.deletion_timestamp.is_some());
    let finalizers = finalizers.map(|mut finalizers| {
        finalizers.truncate(MOST_FINALIZERS);
        finalizers.shrink_to_fit();
        finalizers
    });
    let annotations = read.annotations.map(|mut annotations| {
        annotations.retain(|name, _| is_own(name));
        annotations
    });
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        labels: read.labels.map(read_labels).transpose()?,
        annotations,
        owner_references,
        finalizers,
        managed_fields,
        ..ObjectMeta::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::{ObjectList, WatchEvent};
    use serde_json::{Map, Value, json};
    use std::ops::Range;

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
    fn what_holds_an_object_is_read_where_it_is_being_deleted() {
        let read = |deleted: &str| {
            let finalizers: Vec<_> = (0..1000).map(|number| format!("a/{number}")).collect();
            let metadata = json!({"name": "a", "finalizers": finalizers});
            let metadata = metadata.to_string().replacen('{', deleted, 1);
            let metadata = RawValue::from_string(metadata).unwrap();
            read_metadata::<Writer>(&metadata).unwrap().finalizers
        };
        let held = read(r#"{"deletionTimestamp": "2026-01-01T00:00:00Z","#);
        assert_eq!(held.map(|all| all.len()), Some(MOST_FINALIZERS));
        assert_eq!(read("{"), None);
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
            // Of who wrote to it, what was written is not read.
            let writers = object.0.metadata.managed_fields.unwrap();
            assert!(writers.iter().all(|writer| writer.fields_v1.is_none()));
            let own = |writer: &ManagedFieldsEntry| writer.manager.as_deref() == Some("simplepipe");
            assert!(writers.iter().any(own));
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

    /// Managed fields, labels, annotations and owners of a megabyte each.
    fn huge() -> Vec<Value> {
        let fields = |range: Range<usize>| {
            let fields: Map<_, _> = range.map(|i| (format!("f:{i}"), json!({}))).collect();
            json!({"manager": "x", "operation": "Update", "fieldsV1": {"f:data": fields}})
        };
        let ours = json!({"manager": "simplepipe", "operation": "Update", "fieldsV1": {"f:a": {}}});
        let texts = |prefix: &str| -> Map<_, _> {
            let names = (0..100_000).map(|i| format!("{prefix}{i}"));
            names.map(|name| (name, json!(""))).collect()
        };
        let (mut labels, mut annotations) = (texts("l"), texts("a"));
        labels.insert(names::MANAGED_BY_LABEL.into(), json!(names::MANAGER));
        annotations.insert(names::DIGEST_ANNOTATION.into(), json!("0123"));
        let owner =
            |i| json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": format!("{i}")});
        let in_parts = (0..100).map(|part| fields(part * 1000..(part + 1) * 1000));
        vec![
            json!({"managedFields": [fields(0..100_000), ours]}),
            json!({"managedFields": std::iter::once(ours).chain(in_parts).collect::<Vec<_>>()}),
            json!({"labels": labels}),
            json!({"annotations": annotations}),
            json!({"ownerReferences": (0..20_000).map(owner).collect::<Vec<_>>()}),
        ]
    }

    #[test]
    fn of_an_object_of_a_megabyte_only_what_this_operator_may_have_written_is_held() {
        for metadata in huge() {
            let text = json!({"metadata": metadata}).to_string();
            assert!(text.len() > 1_000_000, "{}", text.len());
            let held = serde_json::from_str::<Watched>(&text).unwrap().metadata;
            assert!(json!(held).to_string().len() < LONGEST, "{held:?}");
            let parts = [
                (
                    "managedFields",
                    held.managed_fields.map(|all| {
                        all.iter()
                            .any(|e| e.manager.as_deref() == Some("simplepipe"))
                    }),
                ),
                (
                    "labels",
                    held.labels
                        .map(|all| all.contains_key(names::MANAGED_BY_LABEL)),
                ),
                (
                    "annotations",
                    held.annotations
                        .map(|all| all.contains_key(names::DIGEST_ANNOTATION)),
                ),
                (
                    "ownerReferences",
                    held.owner_references.map(|all| all.len() == MOST_OWNERS),
                ),
            ];
            for (name, holds_ours) in parts {
                assert_eq!(holds_ours.is_some(), metadata.get(name).is_some());
                assert_ne!(holds_ours, Some(false), "{name}");
            }
        }
    }

    #[test]
    fn an_object_whose_spec_is_none_says_why_and_has_its_metadata() {
        let text = object("odd", "2026-01-01T00:00:00Z", "{}").replace("true", "7");
        let odd: WatchedObject = serde_json::from_str(&text).unwrap();
        assert_eq!(odd.meta().name.as_deref(), Some("odd"));
        let why = odd.0.part.unwrap_err();
        assert!(
            why.starts_with("spec.paused: ") && why.contains("boolean"),
            "{why}"
        );
    }
}
