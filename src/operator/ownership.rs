//! Pure: what of a live object is still as this operator wrote it, read from its `metadata.managedFields` alone.
//!
//! The API server keeps, for every writer, the set of fields that it wrote last. Whoever changes a field of ours
//! takes it out of our set, so drift shows in an object's metadata: its other content is neither fetched nor kept.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use crate::api::names;

/// How far an object's creation and its first writer's entry may lie apart: both are whole seconds.
const CREATION_SLACK_SECONDS: i64 = 1;

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

/// Whether every field of `wanted` is in the set: at its own place, or in a whole that is owned as one.
pub fn owns(fields: &Value, wanted: &Value) -> bool {
    let Some(fields) = fields.as_object() else {
        return false;
    };
    if fields.is_empty() {
        return true;
    }
    match wanted {
        Value::Object(object) => object.iter().all(|(name, value)| {
            fields
                .get(&format!("f:{name}"))
                .is_some_and(|f| owns(f, value))
        }),
        Value::Array(items) => items.iter().all(|item| owns_item(fields, item)),
        _ => true,
    }
}

/// An item of a list that is merged by key is found by its keys, one of a set by its value.
fn owns_item(fields: &Map<String, Value>, item: &Value) -> bool {
    fields.iter().any(|(path, inner)| {
        if let Some(keys) = path.strip_prefix("k:") {
            serde_json::from_str::<Map<String, Value>>(keys).is_ok_and(|keys| {
                keys.iter()
                    .all(|(name, value)| item.get(name) == Some(value))
            }) && owns(inner, item)
        } else if let Some(value) = path.strip_prefix("v:") {
            serde_json::from_str::<Value>(value).is_ok_and(|v| v == *item)
        } else {
            false
        }
    })
}

/// The managed fields with what we own by having created the object moved to what we own by applying, so that the
/// next apply removes what it no longer names. `None` where there is nothing to move.
///
/// Both can be there: somebody may have applied under our name an object that we had only created.
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
    entries.extend(moved.map(|entry| ManagedFieldsEntry {
        operation: Some("Apply".into()),
        ..entry
    }));
    Some(entries)
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
    #[case::below_an_atomic_whole(json!({"f:a": {}}), json!({"a": {"b": [1]}}), true)]
    #[case::map_whose_keys_were_all_taken(json!({"f:a": {".": {}}}), json!({"a": {"b": 1}}), false)]
    #[case::more_than_wanted(json!({"f:a": {}, "f:b": {}}), json!({"a": 1}), true)]
    #[case::item_by_key(json!({"f:c": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:image": {}}}}), json!({"c": [{"name": "x", "image": "i"}]}), true)]
    #[case::item_of_another_key(json!({"f:c": {"k:{\"name\":\"y\"}": {".": {}, "f:name": {}}}}), json!({"c": [{"name": "x"}]}), false)]
    #[case::field_of_an_item_taken(json!({"f:c": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}}), json!({"c": [{"name": "x", "image": "i"}]}), false)]
    #[case::value_of_a_set(json!({"f:s": {"v:\"a\"": {}}}), json!({"s": ["a"]}), true)]
    #[case::other_value_of_a_set(json!({"f:s": {"v:\"a\"": {}}}), json!({"s": ["b"]}), false)]
    fn a_field_is_ours_at_its_place_or_within_an_owned_whole(
        #[case] fields: Value,
        #[case] wanted: Value,
        #[case] owned: bool,
    ) {
        assert_eq!(owns(&fields, &wanted), owned);
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
}
