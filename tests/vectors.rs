//! `tests/vectors`: what every reader of metrics files makes of the same inputs; the Python package has the same test.
//!
//! `NAME.json`, `NAME.prom` or `NAME.om` is an input. Beside it is what should come of it: `NAME.exposition`, with
//! `NAME.group.json` where the file names its group, or `NAME.errors.json` with the places of all problems: an `index` in
//! the array of metrics or a `line` of text, a `field`, or nothing for the file as a whole.

// clippy.toml allows it in test functions; the helpers beside them are tests just as much.
#![allow(clippy::unwrap_used)]

// What else a gateway can do is for other tests.
#[allow(dead_code)]
#[path = "push/pushgateway.rs"]
mod pushgateway;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pushgateway::Pushgateway;
use serde_json::{Map, Value, json};
use simplepipe::metrics::exposition;
use simplepipe::metrics_file::{MetricsFile, Place, Rejection, schema_json};

/// What should come of an input, or did.
#[derive(Debug, PartialEq)]
enum Outcome {
    Accepted {
        exposition: String,
        group: Value,
    },
    /// Each place once, as JSON.
    Refused(BTreeSet<String>),
}

#[test]
fn every_vector_comes_out_as_it_says() {
    let mut wrong = Vec::new();
    for input in inputs() {
        let (expected, actual) = (expected(&input), actual(&input));
        if expected != actual {
            let name = input.file_name().unwrap().to_string_lossy().into_owned();
            wrong.push(format!(
                "{name}\n  expected {expected:?}\n  got      {actual:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A person reads these: they say where, what, and what would be right.
#[test]
fn every_refusal_is_told_in_words() {
    let mut messages = String::new();
    for input in inputs() {
        if let Err(rejection) = MetricsFile::parse(&fs::read(&input).unwrap()) {
            let name = input.file_name().unwrap().to_string_lossy().into_owned();
            messages.push_str(&format!("{name} {rejection}\n"));
        }
    }
    insta::assert_snapshot!(messages);
}

/// The published schema knows what the program takes, and most of what it doesn't.
#[test]
fn the_schema_agrees_with_the_program() {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    let schema = serde_json::from_str(&schema_json().unwrap()).unwrap();
    compiler.add_resource("schema.json", schema).unwrap();
    let schema = compiler.compile("schema.json", &mut schemas).unwrap();
    let mut taken_though_wrong = Vec::new();
    for input in inputs()
        .iter()
        .filter(|input| input.extension().unwrap() == "json")
    {
        let text = fs::read_to_string(input).unwrap();
        let Ok(document) = serde_json::from_str(text.trim_start_matches('\u{feff}')) else {
            continue;
        };
        let valid = schemas.validate(&document, schema);
        match expected(input) {
            Outcome::Accepted { .. } => assert!(valid.is_ok(), "{input:?}: {}", valid.unwrap_err()),
            Outcome::Refused(_) if valid.is_ok() => {
                let name = input.file_stem().unwrap().to_string_lossy().into_owned();
                taken_though_wrong.push(name);
            }
            Outcome::Refused(_) => {}
        }
    }
    // What a schema can't say: numbers as keys, and what holds between fields, metrics or labels.
    insta::assert_debug_snapshot!(taken_though_wrong);
}

/// Upstream's parser is the gateway's: what it does not take is no exposition.
#[test]
fn upstream_takes_every_exposition() {
    for input in inputs() {
        if let Outcome::Accepted { exposition, .. } = expected(&input) {
            // Each on its own, since two of them may have one name with two types.
            let gateway = Pushgateway::start();
            let status = gateway.put("/metrics/job/vector", &exposition);
            assert!(status.starts_with("HTTP/1.0 200 "), "{input:?}: {status}");
        }
    }
}

fn inputs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut inputs: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            let expected = [".errors.json", ".group.json", ".exposition"];
            !expected.iter().any(|ending| name.ends_with(ending))
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() > 50, "{inputs:?}");
    inputs
}

fn expected(input: &Path) -> Outcome {
    let read = |ending| fs::read_to_string(input.with_extension(ending)).ok();
    match (read("exposition"), read("errors.json")) {
        (Some(exposition), None) => Outcome::Accepted {
            exposition,
            group: read("group.json")
                .map_or(json!({"job": null, "grouping_labels": {}}), |group| {
                    serde_json::from_str(&group).unwrap()
                }),
        },
        (None, Some(errors)) => {
            let errors: Vec<BTreeMap<String, Value>> = serde_json::from_str(&errors).unwrap();
            Outcome::Refused(
                errors
                    .iter()
                    .map(|place| json!(place).to_string())
                    .collect(),
            )
        }
        _ => panic!("{input:?} wants either .exposition or .errors.json beside it"),
    }
}

fn actual(input: &Path) -> Outcome {
    match MetricsFile::parse(&fs::read(input).unwrap()) {
        Ok(file) => {
            let labels: Map<String, Value> = file
                .grouping_labels()
                .iter()
                .map(|(name, value)| (name.to_string(), json!(value)))
                .collect();
            Outcome::Accepted {
                exposition: exposition(file.families()),
                group: json!({"job": file.job(), "grouping_labels": labels}),
            }
        }
        Err(Rejection::Problems { problems }) => {
            assert_eq!(problems.listed().len(), problems.count(), "{input:?}");
            let places = problems.listed().iter().map(|problem| {
                let mut place = match problem.place {
                    Place::File => json!({}),
                    Place::Index(index) => json!({"index": index}),
                    Place::Line(line) => json!({"line": line}),
                };
                if let Some(field) = &problem.field {
                    place["field"] = json!(field);
                }
                place.to_string()
            });
            Outcome::Refused(places.collect())
        }
        Err(_) => Outcome::Refused(["{}".to_owned()].into()),
    }
}
