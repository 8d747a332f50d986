//! What the cluster holds of each tenant, so that two tenants can be compared.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use simplepipe::api::MetricsNamespace;

use crate::child_names::CHILDREN;
use crate::damage::essence;

/// What every namespace has by itself.
const OF_EVERY_NAMESPACE: [&str; 2] = ["ServiceAccount default", "ConfigMap kube-root-ca.crt"];
const PAGE: u32 = 500;
/// What stands for the namespace's name.
const NAMESPACE: &str = "NAMESPACE";

/// Each object of one namespace by kind and name, without what differs between two equal tenants.
pub type Picture = BTreeMap<String, Value>;

/// Of all namespaces that have anything.
pub type Pictures = BTreeMap<String, Picture>;

/// How a MetricsNamespace's name in a picture begins.
pub const OBJECT: &str = "MetricsNamespace";

/// Pictures of MetricsNamespaces alone, and their UIDs.
pub async fn objects(client: &Client) -> kube::Result<(Pictures, BTreeMap<String, String>)> {
    let (mut pictures, mut uids) = (Pictures::new(), BTreeMap::new());
    let objects: Api<MetricsNamespace> = Api::all(client.clone());
    for object in objects.list(&ListParams::default()).await? {
        let namespace = object.namespace().unwrap_or_default();
        let mut picture = of_object(&object);
        replace_text(&mut picture, &[(&namespace, NAMESPACE)]);
        uids.insert(namespace.clone(), object.uid().unwrap_or_default());
        let name = format!("{OBJECT} {}", object.name_any());
        pictures.entry(namespace).or_default().insert(name, picture);
    }
    Ok((pictures, uids))
}

/// Pictures of everything.
pub async fn pictures(client: &Client) -> kube::Result<Pictures> {
    let (mut pictures, uids) = objects(client).await?;
    let mut kinds = BTreeSet::new();
    for child in &CHILDREN {
        let resource = child.api_resource();
        if !kinds.insert(resource.kind.clone()) {
            continue;
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = api.list(&page).await?;
            page.continue_token = list.metadata.continue_.clone().filter(|c| !c.is_empty());
            for object in list {
                let name = format!("{} {}", resource.kind, object.name_any());
                if !OF_EVERY_NAMESPACE.contains(&&*name) {
                    let namespace = object.namespace().unwrap_or_default();
                    let of_namespace = pictures.entry(namespace).or_default();
                    of_namespace.insert(name, of_child(&object));
                }
            }
            if page.continue_token.is_none() {
                break;
            }
        }
    }
    for (namespace, picture) in &mut pictures {
        let uid = uids.get(namespace).map_or("no uid", |uid| uid);
        for value in picture.values_mut() {
            replace_text(value, &[(namespace, NAMESPACE), (uid, "UID")]);
        }
    }
    Ok(pictures)
}

fn of_object(object: &MetricsNamespace) -> Value {
    let mut status = json!(object.status);
    if status["observedGeneration"] == json!(object.metadata.generation) {
        status["observedGeneration"] = json!("of the newest spec");
    }
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        if condition["observedGeneration"] == json!(object.metadata.generation) {
            condition["observedGeneration"] = json!("of the newest spec");
        }
        condition["lastTransitionTime"] = json!("TIME");
    }
    if status["gateway"]["readySince"].is_string() {
        status["gateway"]["readySince"] = json!("TIME");
    }
    json!({"spec": object.spec, "status": status})
}

fn of_child(object: &DynamicObject) -> Value {
    let mut essence = essence(object);
    // It is made of names and UIDs too.
    if let Some(digest) = essence["annotations"].get_mut("simplepipe.dev/applied-digest") {
        *digest = json!("DIGEST");
    }
    essence
}

fn replace_text(value: &mut Value, words: &[(&str, &str)]) {
    match value {
        Value::String(text) => {
            for (from, to) in words {
                if text.contains(from) {
                    *text = text.replace(from, to);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace_text(item, words)),
        Value::Object(fields) => {
            // A dashboard's key has its namespace in its name.
            for (mut name, mut field) in std::mem::take(fields) {
                for (from, to) in words {
                    name = name.replace(from, to);
                }
                replace_text(&mut field, words);
                fields.insert(name, field);
            }
        }
        _ => {}
    }
}

/// What differs, a line each; empty where nothing does.
pub fn differences(expected: &Picture, found: &Picture) -> Vec<String> {
    let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        match (expected.get(name), found.get(name)) {
            (Some(_), None) => lines.push(format!("{name} is not there")),
            (None, Some(found)) => lines.push(format!("{name} is left over: {found}")),
            (Some(expected), Some(found)) => compare(name, expected, found, &mut lines),
            (None, None) => {}
        }
    }
    lines
}

fn compare(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        _ if expected == found => {}
        (Value::Object(expected), Value::Object(found)) => {
            let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
            for name in names {
                let side = |fields: &serde_json::Map<String, Value>| {
                    fields.get(name).cloned().unwrap_or_default()
                };
                compare(
                    &format!("{path}.{name}"),
                    &side(expected),
                    &side(found),
                    lines,
                );
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (number, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}[{number}]"), expected, found, lines);
            }
        }
        _ => lines.push(format!(
            "{path} is {}, not {}",
            short(found),
            short(expected)
        )),
    }
}

fn short(value: &Value) -> String {
    const LONGEST: usize = 300;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[test]
fn a_difference_is_named_by_its_path() {
    let picture = |of: Value| Picture::from([("Service a".to_owned(), of)]);
    let expected = picture(json!({"data": {"x": [1, {"y": 2}], "same": true}}));
    let found = picture(json!({"data": {"x": [1, {"y": 3}], "same": true}}));
    assert_eq!(
        differences(&expected, &found),
        ["Service a.data.x[1].y is 3, not 2"]
    );
    assert_eq!(differences(&expected, &expected), [""; 0]);
    assert_eq!(
        differences(&expected, &Picture::new()),
        ["Service a is not there"]
    );
    assert!(differences(&Picture::new(), &found)[0].starts_with("Service a is left over"));
}
