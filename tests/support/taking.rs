//! Taking fields of a child from the operator: which there are, and the ways in which another can write them.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::child_names::ChildName;
use crate::own_fields::{below, project};

const OTHER: &str = "other";
/// Requests at the same time.
pub const AT_ONCE: usize = 16;
/// What a word may become, where it can't be any other.
const WORDS: [&str; 9] = [
    "2",
    "Always",
    "Never",
    "UDP",
    "HTTPS",
    "NodePort",
    "Recreate",
    "Localhost",
    "Unconfined",
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
    /// By forced server-side apply, to another value.
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

/// What can be taken from a child.
pub struct Takings {
    /// Every field that can be changed, and a value that the API server takes for it.
    pub values: BTreeMap<String, Value>,
    /// Fields that nobody can change.
    pub fixed: Vec<String>,
    /// Every map, list and field, the object itself first.
    pub places: Vec<String>,
}

impl Takings {
    /// Those of these fields.
    pub async fn of(api: &Api<DynamicObject>, object: &DynamicObject, fields: &Value) -> Self {
        let (mut leaves, mut nodes) = (Vec::new(), Vec::new());
        walk(fields, &json!(object), "", &mut leaves, &mut nodes);
        let others = stream::iter(&leaves)
            .map(|leaf| async move { (leaf, other_value(api, object, leaf).await) })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let mut takings = Self {
            values: BTreeMap::new(),
            fixed: Vec::new(),
            places: nodes.into_iter().chain(leaves.iter().cloned()).collect(),
        };
        for (leaf, value) in others {
            match value {
                Some(value) => drop(takings.values.insert(leaf.clone(), value)),
                None => takings.fixed.push(leaf.clone()),
            }
        }
        takings
    }

    /// The fields at a place or below it that can be changed.
    pub fn below(&self, place: &str) -> BTreeMap<String, Value> {
        let inner = format!("{place}/");
        let is_in = |leaf: &str| leaf == place || leaf.starts_with(&inner);
        let chosen = self.values.iter().filter(|(leaf, _)| is_in(leaf));
        chosen.map(|(l, v)| (l.clone(), v.clone())).collect()
    }
}

/// Somebody else's write to a child.
pub struct Taking<'a> {
    pub child: &'a ChildName,
    /// The operator's fields in it.
    pub fields: &'a Value,
    pub way: Way,
    /// By place; where they are removed, only the places count.
    pub values: BTreeMap<String, Value>,
}

impl Taking<'_> {
    /// Writes it, or only asks what would come of it.
    ///
    /// # Errors
    /// The API server's: not every field may be left out, nor changed together with any other.
    pub async fn write(
        &self,
        api: &Api<DynamicObject>,
        object: &DynamicObject,
        dry_run: bool,
    ) -> Result<DynamicObject, kube::Error> {
        let name = object.name_any();
        let before = json!(object);
        let mut after = before.clone();
        // From the last, so that an item of a list that goes does not move the others.
        for (place, value) in self.values.iter().rev() {
            if self.way.removes() {
                remove(&mut after, place);
            } else {
                *after.pointer_mut(place).unwrap() = value.clone();
            }
        }
        let mut parameters = PatchParams {
            dry_run,
            field_manager: Some(OTHER.into()),
            ..PatchParams::default()
        };
        match self.way {
            Way::Patched | Way::Removed => {
                let patch = Patch::Merge(difference(&before, &after));
                api.patch(&name, &parameters, &patch).await
            }
            Way::Replaced | Way::LeftOut => {
                let object = serde_json::from_value(after).unwrap();
                api.replace(&name, &update(dry_run), &object).await
            }
            Way::Applied => {
                let resource = self.child.api_resource();
                let chosen = |place: &str| self.values.contains_key(place);
                let Some(mut manifest) = project(self.fields, &after, "", &chosen) else {
                    // The key of a list's item: another item is nobody's loss.
                    return Ok(object.clone());
                };
                manifest["apiVersion"] = json!(resource.api_version);
                manifest["kind"] = json!(resource.kind);
                parameters.force = true;
                api.patch(&name, &parameters, &Patch::Apply(manifest)).await
            }
        }
    }
}

/// All of a place, taken together in this way, and what would come of it; of the whole object the most that the API
/// server lets others take. `None` where it lets nobody.
pub async fn most_of<'a>(
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    (child, fields): (&'a ChildName, &'a Value),
    (takings, place): (&Takings, &str),
    way: Way,
) -> Option<(Taking<'a>, DynamicObject)> {
    let all = takings.below(place);
    let mut taking = Taking {
        child,
        fields,
        way,
        values: all.clone(),
    };
    if way.removes() && !place.is_empty() {
        taking.values = [(place.to_owned(), Value::Null)].into();
        if let Ok(after) = taking.write(api, object, true).await {
            return Some((taking, after));
        }
        taking.values = all.clone();
    }
    if all.is_empty() {
        return None;
    }
    if let Ok(after) = taking.write(api, object, true).await {
        return Some((taking, after));
    }
    if !place.is_empty() {
        return None;
    }
    taking.values.clear();
    let mut most = None;
    for (place, value) in all {
        taking.values.insert(place.clone(), value);
        match taking.write(api, object, true).await {
            Ok(after) => most = Some(after),
            Err(_) => drop(taking.values.remove(&place)),
        }
    }
    most.map(|after| (taking, after))
}

fn update(dry_run: bool) -> PostParams {
    PostParams {
        dry_run,
        field_manager: Some(OTHER.into()),
    }
}

/// The fields in a set, and the maps and lists that have some, by their places in the object.
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
    for (place, fields, object) in inner {
        walk(fields, object, &place, leaves, nodes);
    }
}

fn remove(object: &mut Value, place: &str) {
    let (above, name) = place.rsplit_once('/').unwrap();
    match object.pointer_mut(above) {
        Some(Value::Object(map)) => {
            map.remove(&name.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            items.remove(name.parse().unwrap());
        }
        _ => {}
    }
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
    place: &str,
) -> Option<Value> {
    let whole = json!(object);
    for value in others(whole.pointer(place).unwrap()) {
        let mut changed = whole.clone();
        *changed.pointer_mut(place).unwrap() = value.clone();
        let changed = serde_json::from_value(changed).unwrap();
        let answer = api
            .replace(&object.name_any(), &update(true), &changed)
            .await;
        if answer.is_ok_and(|a| json!(a).pointer(place) == Some(&value)) {
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
            let with = |first| {
                let mut items = items.clone();
                items[0] = first;
                json!(items)
            };
            inner.into_iter().map(with).collect()
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
