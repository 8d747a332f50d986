//! Taking fields from the operator: what of a child is its own, and the ways in which another can write there.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};
use simplepipe::operator::ownership;

use crate::child_names::ChildName;
use crate::tenant::by;

const OTHER: &str = "other";
/// What a word may become, where it can't be any other.
const WORDS: [&str; 8] = [
    "2",
    "Always",
    "Never",
    "UDP",
    "HTTPS",
    "NodePort",
    "Recreate",
    "Localhost",
];

/// A way to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By merge patch, to another value.
    Patched,
    /// By merge patch, to nothing.
    Removed,
    /// By update, to another value.
    Replaced,
    /// By update, to nothing.
    LeftOut,
    /// By forced apply, to another value.
    Applied,
}

impl Way {
    pub const ALL: [Self; 5] = [
        Self::Patched,
        Self::Removed,
        Self::Replaced,
        Self::LeftOut,
        Self::Applied,
    ];

    fn removes(self) -> bool {
        matches!(self, Self::Removed | Self::LeftOut)
    }
}

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

/// The maps and lists of a child, each with all of these fields that are in it; and each field alone. Only such fields
/// as can be changed, each with a value that the API server takes.
pub async fn takings(api: &Api<DynamicObject>, object: &DynamicObject, fields: &Value) -> Takings {
    let whole = json!(object);
    let mut leaves = Vec::new();
    let mut nodes = Vec::new();
    walk(fields, &whole, "", &mut leaves, &mut nodes);
    let mut changes = BTreeMap::new();
    let mut fixed = Vec::new();
    for leaf in &leaves {
        match other_value(api, object, leaf).await {
            Some(value) => drop(changes.insert(leaf.clone(), value)),
            None => fixed.push(leaf.clone()),
        }
    }
    let all: Vec<BTreeMap<String, Value>> = nodes
        .iter()
        .chain(&leaves)
        .map(|path| {
            let inside = |leaf: &&String| leaf.starts_with(&format!("{path}/")) || *leaf == path;
            let leaves = changes.keys().filter(inside);
            leaves.map(|l| (l.clone(), changes[l].clone())).collect()
        })
        .filter(|changes: &BTreeMap<_, _>| !changes.is_empty())
        .collect();
    Takings { all, fixed }
}

/// What can be taken from a child.
pub struct Takings {
    /// Each: values by path.
    pub all: Vec<BTreeMap<String, Value>>,
    /// Fields that nobody can change.
    pub fixed: Vec<String>,
}

/// Writes these values in this way.
///
/// # Errors
/// The API server's: not every field can be left out, nor changed together with any other.
pub async fn take(
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    child: &ChildName,
    fields: &Value,
    values: &BTreeMap<String, Value>,
    way: Way,
) -> Result<DynamicObject, kube::Error> {
    let name = object.name_any();
    let before = json!(object);
    let mut after = before.clone();
    for (path, value) in values {
        if way.removes() {
            remove(&mut after, path);
        } else {
            *after.pointer_mut(path).unwrap() = value.clone();
        }
    }
    match way {
        Way::Patched | Way::Removed => {
            let patch = Patch::Merge(difference(&before, &after));
            api.patch(&name, &by(OTHER), &patch).await
        }
        Way::Replaced | Way::LeftOut => {
            let parameters = PostParams {
                field_manager: Some(OTHER.into()),
                ..PostParams::default()
            };
            let object = serde_json::from_value(after).unwrap();
            api.replace(&name, &parameters, &object).await
        }
        Way::Applied => {
            let resource = child.api_resource();
            let mut manifest =
                project(fields, &after, "", &|path| values.contains_key(path)).unwrap();
            manifest["apiVersion"] = json!(resource.api_version);
            manifest["kind"] = json!(resource.kind);
            let parameters = PatchParams::apply(OTHER).force();
            api.patch(&name, &parameters, &Patch::Apply(manifest)).await
        }
    }
}

/// The fields in a set, and the maps and lists that have some, by their paths in the object.
fn walk(
    fields: &Value,
    object: &Value,
    at: &str,
    leaves: &mut Vec<String>,
    nodes: &mut Vec<String>,
) {
    let inner: Vec<_> = below(fields, object, at).collect();
    if inner.is_empty() {
        leaves.push(at.to_owned());
        return;
    }
    nodes.push(at.to_owned());
    for (path, fields, object) in inner {
        walk(fields, object, &path, leaves, nodes);
    }
}

/// What stands below a place, in a set and in an object.
fn below<'a>(
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
fn project(
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

fn remove(object: &mut Value, path: &str) {
    let (above, name) = path.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    object
        .pointer_mut(above)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(&name);
}

/// The merge patch from one to another.
fn difference(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return after.clone();
    };
    let changed = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, value)| {
            let before = before.get(name).unwrap_or(&Value::Null);
            (name.clone(), difference(before, value))
        });
    let gone = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| (name.clone(), Value::Null));
    Value::Object(changed.chain(gone).collect())
}

/// Another value for a field that the API server would take.
async fn other_value(
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    path: &str,
) -> Option<Value> {
    let dry_run = PostParams {
        dry_run: true,
        field_manager: Some(OTHER.into()),
    };
    let whole = json!(object);
    for value in others(whole.pointer(path).unwrap()) {
        let mut changed = whole.clone();
        *changed.pointer_mut(path).unwrap() = value.clone();
        let changed = serde_json::from_value(changed).unwrap();
        let answer = api.replace(&object.name_any(), &dry_run, &changed).await;
        if answer.is_ok_and(|a| json!(a).pointer(path) == Some(&value)) {
            return Some(value);
        }
    }
    None
}

fn others(value: &Value) -> Vec<Value> {
    match value {
        Value::Bool(is) => vec![json!(!is)],
        Value::Number(number) => vec![json!(number.as_i64().unwrap() + 1)],
        Value::String(text) => {
            let words = WORDS.iter().filter(|word| *word != text);
            let longer = json!(format!("{text}x"));
            std::iter::once(longer)
                .chain(words.map(|w| json!(w)))
                .collect()
        }
        Value::Array(items) => {
            let inner = items.first().map(others).unwrap_or_default();
            inner
                .into_iter()
                .map(|first| {
                    let mut items = items.clone();
                    items[0] = first;
                    json!(items)
                })
                .collect()
        }
        Value::Object(object) => {
            let inner = object.iter().flat_map(|(name, value)| {
                others(value).into_iter().map(|value| {
                    let mut object = object.clone();
                    object.insert(name.clone(), value);
                    json!(object)
                })
            });
            inner.collect()
        }
        Value::Null => Vec::new(),
    }
}
