//! What of a child is the operator's own, by its managed fields.

use kube::api::DynamicObject;
use serde_json::{Map, Value, json};
use simplepipe::operator::ownership;

/// The fields of a child that are the operator's, as a set of managed fields.
pub fn own_fields(object: &DynamicObject) -> Value {
    let entry = ownership::entry(&object.metadata).unwrap();
    let mut fields = entry.fields.clone();
    if let Some(metadata) = fields["f:metadata"].as_object_mut() {
        metadata.remove("f:ownerReferences");
    }
    fields
}

/// Of an object, what these fields hold; `None` where it has none of them.
pub fn held(fields: &Value, object: &Value) -> Option<Value> {
    project(fields, object, "", &|_| true)
}

/// What stands below a place, in a set and in an object.
pub fn below<'a>(
    fields: &'a Value,
    object: &'a Value,
    at: &'a str,
) -> impl Iterator<Item = (String, &'a Value, &'a Value)> {
    let fields = fields.as_object().into_iter().flatten();
    fields.filter_map(move |(step, inner)| {
        if let Some(name) = step.strip_prefix("f:") {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            Some((format!("{at}/{escaped}"), inner, object.get(name)?))
        } else {
            let keys = keys(step)?;
            let mut items = object.as_array()?.iter();
            let place = items.position(|i| keys.iter().all(|(k, v)| i.get(k) == Some(v)))?;
            Some((format!("{at}/{place}"), inner, &object[place]))
        }
    })
}

fn keys(step: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(step.strip_prefix("k:")?).unwrap()
}

/// The chosen fields of a set with their values, and the keys of list items on the way to them.
pub fn project(
    fields: &Value,
    object: &Value,
    at: &str,
    chosen: &dyn Fn(&str) -> bool,
) -> Option<Value> {
    if below(fields, object, at).next().is_none() {
        let is_leaf = fields
            .as_object()
            .is_some_and(|f| f.keys().all(|k| k == "."));
        return (is_leaf && chosen(at)).then(|| object.clone());
    }
    if object.is_array() {
        let items = fields.as_object().unwrap().iter().filter_map(|(step, _)| {
            let one = json!({step: fields[step]});
            let (path, inner, item) = below(&one, object, at).next()?;
            let mut item = project(inner, item, &path, chosen)?;
            for (name, value) in keys(step)? {
                item.as_object_mut()?.entry(name).or_insert(value);
            }
            Some(item)
        });
        let items: Vec<_> = items.collect();
        return (!items.is_empty()).then(|| json!(items));
    }
    let parts = fields.as_object().unwrap().iter().filter_map(|(step, _)| {
        let one = json!({step: fields[step]});
        let (path, inner, value) = below(&one, object, at).next()?;
        let name = step.strip_prefix("f:")?.to_owned();
        Some((name, project(inner, value, &path, chosen)?))
    });
    let parts: Map<_, _> = parts.collect();
    (!parts.is_empty()).then(|| json!(parts))
}
