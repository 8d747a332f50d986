//! Pure: what of a live object is still as this operator wrote it, read from its `metadata.managedFields` alone.
//!
//! The API server keeps, for every writer, the set of fields that it wrote last. Whoever changes a field of ours
//! takes it out of our set, so drift shows in an object's metadata: its other content is neither fetched nor kept.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    ManagedFieldsEntry, ObjectMeta, OwnerReference,
};
use serde_json::{Map, Value, json};

use crate::api::names;

use super::kind::Kind;

/// How far an object's creation and its first writer's entry may lie apart: both are whole seconds.
const CREATION_SLACK_SECONDS: i64 = 1;

/// Owners of a child that are looked at: anybody may invent thousands, and each is asked for.
pub const MOST_OWNERS: usize = 8;

/// Our own entry of an object's managed fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// `fieldsV1`: nested `f:field`, `k:{key}`, `v:value`.
    pub fields: &'a Value,
    /// When we last changed something.
    pub time: Option<Timestamp>,
    /// Whether the entry stems from creating the object, not from an apply.
    pub by_create: bool,
}

/// Our entry, where the object has one: it does exactly if this operator made or took the object.
pub fn entry(metadata: &ObjectMeta) -> Option<Entry<'_>> {
    let ours = |operation: &str| {
        metadata
            .managed_fields
            .iter()
            .flatten()
            .find(|e| is_ours(e) && e.operation.as_deref() == Some(operation))
    };
    let apply = ours("Apply");
    let found = apply.or_else(|| ours("Update"))?;
    Some(Entry {
        fields: &found.fields_v1.as_ref()?.0,
        time: found.time.as_ref().map(|t| t.0),
        by_create: apply.is_none(),
    })
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(names::MANAGER) && entry.subresource.is_none()
}

/// Whether another wrote under our name after creation, which keeps the set of fields and only moves its time.
pub fn written_over_after_creation(metadata: &ObjectMeta, entry: &Entry) -> bool {
    let (Some(created), Some(written)) = (&metadata.creation_timestamp, entry.time) else {
        return false;
    };
    entry.by_create && written.as_second() - created.0.as_second() > CREATION_SLACK_SECONDS
}

/// Maps and lists of each kind's children that are owned as one, by its schema: `[]` is an item of a list. All others
/// are owned key by key and item by item.
const fn atomic(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ServiceAccount | Kind::ConfigMap => &[],
        Kind::Service => &["spec.selector"],
        Kind::Deployment => &[
            "spec.selector",
            "spec.template.spec.nodeSelector",
            "spec.template.spec.tolerations",
            "spec.template.spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution",
            "spec.template.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            "spec.template.spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution",
            "spec.template.spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            "spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution",
            "spec.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution",
            "spec.template.spec.containers.[].args",
            "spec.template.spec.containers.[].securityContext.capabilities.drop",
        ],
        Kind::ServiceMonitor => &[
            "spec.selector",
            "spec.namespaceSelector.matchNames",
            "spec.endpoints",
        ],
        Kind::PodMonitor => &[
            "spec.selector",
            "spec.namespaceSelector.matchNames",
            "spec.podMetricsEndpoints",
        ],
    }
}

/// Whether every field of `wanted` is in the set: at its own place, or in a whole that is owned as one.
///
/// Below an atomic map or list the set is empty, and it is all ours. Of any other an empty set is what is left when
/// others took all that was in it.
pub fn owns(kind: Kind, fields: &Value, wanted: &Value) -> bool {
    owns_at(kind, &Place::Root, fields, wanted)
}

/// [`owns`], of a whole child: of what shows in managed fields, all that is not compared by value.
pub fn owns_child(kind: Kind, fields: &Value, child: &Value) -> bool {
    owns_these(kind, &Place::Root, fields, child, |name| {
        !["apiVersion", "kind", "metadata"].contains(&name)
    }) && owns_these(
        kind,
        &Place::Below(&Place::Root, "metadata"),
        &fields["f:metadata"],
        &child["metadata"],
        |name| ["labels", "annotations"].contains(&name),
    )
}

/// Whether those fields of an object that count are in the set.
fn owns_these(
    kind: Kind,
    place: &Place,
    fields: &Value,
    object: &Value,
    counts: fn(&str) -> bool,
) -> bool {
    let all = object.as_object().into_iter().flatten();
    all.filter(|(name, _)| counts(name)).all(|(name, value)| {
        let below = fields.get(format!("f:{name}"));
        below.is_some_and(|f| owns_at(kind, &Place::Below(place, name), f, value))
    })
}

/// Where in an object a field is.
enum Place<'a> {
    Root,
    Below(&'a Place<'a>, &'a str),
}

impl Place<'_> {
    fn is_atomic(&self, kind: Kind) -> bool {
        atomic(kind).iter().any(|path| {
            let mut place = self;
            path.rsplit('.').all(|step| match place {
                Place::Below(above, name) if *name == step => {
                    place = above;
                    true
                }
                _ => false,
            }) && matches!(place, Place::Root)
        })
    }
}

fn owns_at(kind: Kind, place: &Place, fields: &Value, wanted: &Value) -> bool {
    let Some(fields) = fields.as_object() else {
        return false;
    };
    match wanted {
        Value::Object(object) if !object.is_empty() => match fields.is_empty() {
            true => place.is_atomic(kind),
            false => object.iter().all(|(name, value)| {
                fields
                    .get(&format!("f:{name}"))
                    .is_some_and(|f| owns_at(kind, &Place::Below(place, name), f, value))
            }),
        },
        Value::Array(items) if !items.is_empty() => match fields.is_empty() {
            true => place.is_atomic(kind),
            false => items
                .iter()
                .all(|item| owns_item(kind, &Place::Below(place, "[]"), fields, item)),
        },
        _ => true,
    }
}

/// An item of a list that is merged by key is found by its keys, one of a set by its value.
fn owns_item(kind: Kind, place: &Place, fields: &Map<String, Value>, item: &Value) -> bool {
    fields.iter().any(|(path, inner)| {
        if let Some(keys) = item_keys(path) {
            has_keys(item, &keys) && owns_at(kind, place, inner, item)
        } else if let Some(value) = path.strip_prefix("v:") {
            serde_json::from_str::<Value>(value).is_ok_and(|v| v == *item)
        } else {
            false
        }
    })
}

fn item_keys(path: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(path.strip_prefix("k:")?).ok()
}

fn has_keys(item: &Value, keys: &Map<String, Value>) -> bool {
    keys.iter()
        .all(|(name, value)| item.get(name) == Some(value))
}

/// The managed fields with what we own by having created the object moved to what we own by applying, so that the
/// next apply removes what it no longer names. `None` where there is nothing to move.
///
/// Both can be there: somebody may have applied under our name an object that we had only created. What was moved no
/// longer shows that. So the digest becomes nobody's until the apply: where it never comes, as after a kill, the object
/// is not as wanted, and the next operator applies.
pub fn moved_to_apply(metadata: &ObjectMeta) -> Option<Vec<ManagedFieldsEntry>> {
    let (ours, mut entries): (Vec<_>, Vec<_>) = metadata
        .managed_fields
        .iter()
        .flatten()
        .cloned()
        .partition(is_ours);
    if ours.iter().all(|e| e.operation.as_deref() == Some("Apply")) {
        return None;
    }
    let moved = ours.into_iter().reduce(|mut all, entry| {
        if let (Some(fields), Some(more)) = (&mut all.fields_v1, entry.fields_v1) {
            add_fields(&mut fields.0, more.0);
        }
        all
    });
    entries.extend(moved.map(|mut entry| {
        if let Some(fields) = &mut entry.fields_v1 {
            leave_digest(&mut fields.0);
        }
        ManagedFieldsEntry {
            operation: Some("Apply".into()),
            ..entry
        }
    }));
    Some(entries)
}

fn leave_digest(fields: &mut Value) {
    const ANNOTATIONS: &str = "f:annotations";
    let metadata = fields.get_mut("f:metadata").and_then(Value::as_object_mut);
    let Some(metadata) = metadata else { return };
    let annotations = metadata.get_mut(ANNOTATIONS).and_then(Value::as_object_mut);
    let Some(annotations) = annotations else {
        return;
    };
    annotations.remove(&format!("f:{}", names::DIGEST_ANNOTATION));
    // An empty set would stand for the whole.
    if annotations.is_empty() {
        metadata.remove(ANNOTATIONS);
    }
}

/// The managed fields with all that others added to lists of ours moved to what we own by applying: the next apply
/// removes it. `None` where there is nothing to move.
pub fn with_others_items(metadata: &ObjectMeta, wanted: &Value) -> Option<Vec<ManagedFieldsEntry>> {
    let mut entries = metadata.managed_fields.clone()?;
    let mut moved = json!({});
    for entry in entries.iter_mut().filter(|e| !is_ours(e)) {
        let fields = entry.fields_v1.as_mut().map(|fields| &mut fields.0);
        let others = entry.subresource.is_none().then_some(fields).flatten();
        if let Some(items) = others.and_then(|fields| take_unwanted_items(fields, wanted)) {
            add_fields(&mut moved, items);
        }
    }
    let is_applied =
        |e: &&mut ManagedFieldsEntry| is_ours(e) && e.operation.as_deref() == Some("Apply");
    let ours = entries.iter_mut().find(is_applied)?.fields_v1.as_mut()?;
    (moved != json!({})).then(|| add_fields(&mut ours.0, moved))?;
    Some(entries)
}

/// Takes out of a set the items of wanted lists that are not wanted.
fn take_unwanted_items(fields: &mut Value, wanted: &Value) -> Option<Value> {
    let mut taken = Map::new();
    fields.as_object_mut()?.retain(|path, inner| {
        let wanted = match (path.strip_prefix("f:"), item_keys(path)) {
            (Some(name), _) => wanted.get(name),
            (None, Some(keys)) => {
                let mut items = wanted.as_array().into_iter().flatten();
                let item = items.find(|item| has_keys(item, &keys));
                if item.is_none() && wanted.is_array() {
                    taken.insert(path.clone(), std::mem::take(inner));
                    return false;
                }
                item
            }
            _ => None,
        };
        let Some(items) = wanted.and_then(|wanted| take_unwanted_items(inner, wanted)) else {
            return true;
        };
        taken.insert(path.clone(), items);
        // An empty set would stand for the whole.
        *inner != json!({})
    });
    (!taken.is_empty()).then_some(Value::Object(taken))
}

/// Whether this operator made the object once, and a backup brought it back: it has our labels and our digest, nobody
/// else owns it, and who wrote what is forgotten. One of more owners than a child ever has is none of ours.
pub fn is_restored(metadata: &ObjectMeta) -> bool {
    let has_label = |name: &str, value: &str| {
        let labels = metadata.labels.as_ref();
        labels.and_then(|l| l.get(name)).is_some_and(|v| v == value)
    };
    entry(metadata).is_none()
        && has_label(names::MANAGED_BY_LABEL, names::MANAGER)
        && has_label(names::PART_OF_LABEL, names::MANAGER)
        && metadata
            .annotations
            .as_ref()
            .is_some_and(|a| a.contains_key(names::DIGEST_ANNOTATION))
        && metadata.owner_references.iter().flatten().all(is_our_kind)
        && metadata.owner_references.iter().flatten().count() <= MOST_OWNERS
}

/// Whether an owner is a MetricsNamespace.
pub fn is_our_kind(owner: &OwnerReference) -> bool {
    let group = owner.api_version.split('/').next();
    owner.kind == "MetricsNamespace" && group == Some(names::GROUP)
}

/// The managed fields of a restored object, with what was restored as ours by applying: the next apply removes of it
/// what it does not name. Labels and annotations stay, since others' may be among them.
pub fn taken_back(metadata: &ObjectMeta) -> Vec<ManagedFieldsEntry> {
    let restored = |entry: &ManagedFieldsEntry| {
        let digest = format!("f:{}", names::DIGEST_ANNOTATION);
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        entry.subresource.is_none()
            && fields.is_some_and(|f| f["f:metadata"]["f:annotations"].get(digest).is_some())
    };
    let mut entries = Vec::new();
    for mut entry in metadata.managed_fields.iter().flatten().cloned() {
        if restored(&entry) {
            let mut ours = entry.clone();
            let of_metadata = ours
                .fields_v1
                .as_mut()
                .and_then(|fields| fields.0.as_object_mut()?.remove("f:metadata"));
            if let (Some(fields), Some(metadata)) = (&mut entry.fields_v1, of_metadata) {
                fields.0 = json!({"f:metadata": metadata});
            }
            entries.push(ManagedFieldsEntry {
                manager: Some(names::MANAGER.into()),
                operation: Some("Apply".into()),
                ..ours
            });
        }
        entries.push(entry);
    }
    entries
}

/// Adds the fields of one set to another.
fn add_fields(fields: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (fields, more) {
        for (path, below) in more {
            add_fields(fields.entry(path).or_insert_with(|| json!({})), below);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn metadata(entries: Value) -> ObjectMeta {
        serde_json::from_value(json!({
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": entries,
        }))
        .unwrap()
    }

    #[rstest]
    #[case::scalar(json!({"f:a": {}}), json!({"a": 1}), true)]
    #[case::taken_by_another(json!({"f:b": {}}), json!({"a": 1}), false)]
    #[case::all_taken(json!({}), json!({"a": 1}), false)]
    #[case::an_atomic_whole(json!({"f:spec": {"f:selector": {}}}), json!({"spec": {"selector": {"b": "1"}}}), true)]
    #[case::of_the_name_of_an_atomic_whole(json!({"f:selector": {}}), json!({"selector": {"b": "1"}}), false)]
    #[case::below_the_name_of_an_atomic_whole(json!({"f:a": {"f:spec": {"f:selector": {}}}}), json!({"a": {"spec": {"selector": {"b": "1"}}}}), false)]
    #[case::map_whose_only_key_was_taken(json!({"f:data": {}}), json!({"data": {"b": "1"}}), false)]
    #[case::list_whose_items_were_all_taken(json!({"f:spec": {"f:ports": {}}}), json!({"spec": {"ports": [{"port": 1}]}}), false)]
    #[case::empty_map_that_is_wanted_empty(json!({"f:a": {}}), json!({"a": {}}), true)]
    #[case::map_whose_keys_were_all_taken(json!({"f:a": {".": {}}}), json!({"a": {"b": 1}}), false)]
    #[case::more_than_wanted(json!({"f:a": {}, "f:b": {}}), json!({"a": 1}), true)]
    #[case::item_by_key(json!({"f:c": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:image": {}}}}), json!({"c": [{"name": "x", "image": "i"}]}), true)]
    #[case::item_of_another_key(json!({"f:c": {"k:{\"name\":\"y\"}": {".": {}, "f:name": {}}}}), json!({"c": [{"name": "x"}]}), false)]
    #[case::field_of_an_item_taken(json!({"f:c": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}}), json!({"c": [{"name": "x", "image": "i"}]}), false)]
    #[case::item_of_which_all_was_taken(json!({"f:c": {"k:{\"name\":\"x\"}": {}}}), json!({"c": [{"name": "x"}]}), false)]
    #[case::value_of_a_set(json!({"f:s": {"v:\"a\"": {}}}), json!({"s": ["a"]}), true)]
    #[case::other_value_of_a_set(json!({"f:s": {"v:\"a\"": {}}}), json!({"s": ["b"]}), false)]
    fn a_field_is_ours_at_its_place_or_within_an_owned_whole(
        #[case] fields: Value,
        #[case] wanted: Value,
        #[case] owned: bool,
    ) {
        assert_eq!(owns(Kind::Service, &fields, &wanted), owned);
    }

    #[test]
    fn of_a_child_its_content_labels_and_annotations_are_ours_and_the_rest_is_compared_otherwise() {
        let child = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "push", "ownerReferences": [{"uid": "u"}], "labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {"type": "ClusterIP"},
        });
        let ours = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:annotations": {"f:c": {}}}, "f:spec": {"f:type": {}},
        });
        assert!(owns_child(Kind::Service, &ours, &child));
        for taken in [
            "/f:metadata/f:labels",
            "/f:metadata/f:annotations",
            "/f:metadata",
            "/f:spec",
            "",
        ] {
            let mut fields = ours.clone();
            *fields.pointer_mut(taken).unwrap() = json!({});
            assert!(!owns_child(Kind::Service, &fields, &child), "{taken}");
        }
    }

    #[test]
    fn our_entry_is_found_by_manager_and_an_apply_counts_before_the_creation() {
        let entries = json!([
            {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:x": {}}},
            {"manager": "simplepipe", "operation": "Update", "fieldsV1": {"f:a": {}}, "time": "2026-01-01T00:00:00Z"},
            {"manager": "simplepipe", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
        ]);
        let mut metadata = metadata(entries);
        assert!(entry(&metadata).unwrap().by_create);
        metadata.managed_fields.as_mut().unwrap()[1].operation = Some("Apply".into());
        assert!(!entry(&metadata).unwrap().by_create);
        metadata.managed_fields.as_mut().unwrap().remove(1);
        assert_eq!(entry(&metadata), None);
    }

    #[test]
    fn a_patch_under_our_name_shows_by_its_time() {
        let at = |time: &str| {
            let metadata = metadata(
                json!([{"manager": "simplepipe", "operation": "Update", "fieldsV1": {}, "time": time}]),
            );
            written_over_after_creation(&metadata, &entry(&metadata).unwrap())
        };
        assert!(!at("2026-01-01T00:00:01Z"));
        assert!(at("2026-01-01T00:00:02Z"));
    }

    #[test]
    fn what_we_own_by_creation_is_moved_also_where_somebody_applied_under_our_name() {
        let both = metadata(json!([
            {"manager": "simplepipe", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}}}},
            {"manager": "simplepipe", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {}}}},
        ]));
        let moved = moved_to_apply(&both).unwrap();
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].operation.as_deref(), Some("Apply"));
        assert_eq!(
            moved[0].fields_v1.as_ref().unwrap().0,
            json!({"f:spec": {"f:a": {}, "f:b": {}}})
        );
        assert_eq!(moved_to_apply(&metadata(json!(moved))), None);
    }

    fn restored(change: &Value) -> ObjectMeta {
        let mut metadata = json!({
            "labels": {"app.kubernetes.io/managed-by": "simplepipe", "app.kubernetes.io/part-of": "simplepipe"},
            "annotations": {"simplepipe.dev/applied-digest": "0123456789abcdef"},
            "ownerReferences": [{"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "name": "m", "uid": "u"}],
            "managedFields": [{"manager": "velero-server", "operation": "Update", "fieldsV1": {}}],
        });
        for (field, value) in change.as_object().unwrap() {
            metadata[field] = value.clone();
        }
        serde_json::from_value(metadata).unwrap()
    }

    // Whatever is taken back is written over, so each sign that it was ours has to be there.
    #[rstest]
    #[case::as_restored(json!({}), true)]
    #[case::without_owner(json!({"ownerReferences": []}), true)]
    #[case::owned_by_another_kind(
        json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u"}]}),
        false
    )]
    #[case::with_invented_owners(json!({"ownerReferences": vec![
        json!({"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "name": "m", "uid": "u"}); 9
    ]}), false)]
    #[case::of_another_part(json!({"labels": {"app.kubernetes.io/managed-by": "simplepipe"}}), false)]
    #[case::managed_by_another(json!({"labels": {"app.kubernetes.io/part-of": "simplepipe"}}), false)]
    #[case::without_digest(json!({"annotations": {}}), false)]
    #[case::ours_as_it_is(
        json!({"managedFields": [{"manager": "simplepipe", "operation": "Update", "fieldsV1": {}}]}),
        false
    )]
    fn only_what_has_every_sign_of_ours_counts_as_restored(
        #[case] change: Value,
        #[case] is: bool,
    ) {
        assert_eq!(is_restored(&restored(&change)), is);
    }

    #[test]
    fn what_was_restored_becomes_ours_but_for_labels_and_what_others_wrote() {
        let of_metadata =
            json!({"f:annotations": {"f:simplepipe.dev/applied-digest": {}}, "f:labels": {}});
        let object = restored(&json!({"managedFields": [
            {"manager": "velero-server", "operation": "Update",
             "fieldsV1": {"f:metadata": of_metadata, "f:spec": {"f:a": {}}}},
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {}}}},
            {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {}},
        ]}));
        let entries = json!(taken_back(&object));
        assert_eq!(
            entries,
            json!([
                {"manager": "simplepipe", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}}}},
                {"manager": "velero-server", "operation": "Update", "fieldsV1": {"f:metadata": of_metadata}},
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {}}}},
                {"manager": "controller", "operation": "Update", "subresource": "status", "fieldsV1": {}},
            ])
        );
    }

    #[test]
    fn what_others_added_to_a_list_of_ours_is_moved_and_nothing_else() {
        let item = |port: u16| format!("k:{{\"port\":{port}}}");
        let of_others = json!({
            "f:metadata": {"f:labels": {"f:team": {}}},
            "f:spec": {"f:ports": {item(1): {"f:name": {}}, item(2): {".": {}, "f:name": {}}}, "f:type": {}},
        });
        let object = metadata(json!([
            {"manager": "simplepipe", "operation": "Apply", "fieldsV1": {"f:spec": {"f:type": {}}}},
            {"manager": "other", "operation": "Update", "fieldsV1": of_others},
            {"manager": "another", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {item(2): {"f:port": {}}}}}},
            {"manager": "other", "operation": "Update", "subresource": "status", "fieldsV1": of_others},
        ]));
        let wanted = json!({"spec": {"ports": [{"port": 1}], "type": "ClusterIP"}});
        let moved = json!(with_others_items(&object, &wanted).unwrap());
        let fields: Vec<_> = moved
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["fieldsV1"])
            .collect();
        assert_eq!(
            json!(fields),
            json!([
                {"f:spec": {"f:type": {}, "f:ports": {item(2): {".": {}, "f:name": {}, "f:port": {}}}}},
                {"f:metadata": {"f:labels": {"f:team": {}}}, "f:spec": {"f:ports": {item(1): {"f:name": {}}}, "f:type": {}}},
                {},
                of_others,
            ])
        );
        let nothing = json!({"spec": {"type": "ClusterIP"}});
        assert_eq!(with_others_items(&object, &nothing), None);
    }

    #[test]
    fn only_our_own_creation_is_moved_to_apply() {
        let created = metadata(json!([
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {}},
            {"manager": "simplepipe", "operation": "Update", "fieldsV1": {}},
        ]));
        let operations: Vec<_> = moved_to_apply(&created)
            .unwrap()
            .into_iter()
            .map(|e| e.operation.unwrap())
            .collect();
        assert_eq!(operations, ["Update", "Apply"]);
        assert_eq!(
            moved_to_apply(&metadata(
                json!([{"manager": "simplepipe", "operation": "Apply", "fieldsV1": {}}])
            )),
            None
        );
    }

    #[rstest]
    #[case::alone(json!({"f:simplepipe.dev/applied-digest": {}}), None)]
    #[case::of_several(
        json!({".": {}, "f:simplepipe.dev/applied-digest": {}}),
        Some(json!({".": {}}))
    )]
    #[case::none(json!({"f:other": {}}), Some(json!({"f:other": {}})))]
    fn until_the_apply_the_digest_is_nobodys(
        #[case] annotations: Value,
        #[case] left: Option<Value>,
    ) {
        let fields = json!({"f:metadata": {"f:annotations": annotations, "f:labels": {}}});
        let created = metadata(json!([
            {"manager": "simplepipe", "operation": "Update", "fieldsV1": fields},
        ]));
        let moved = moved_to_apply(&created).unwrap();
        let fields = &moved[0].fields_v1.as_ref().unwrap().0;
        assert_eq!(fields["f:metadata"].get("f:annotations"), left.as_ref());
        assert_eq!(fields["f:metadata"]["f:labels"], json!({}));
    }
}
