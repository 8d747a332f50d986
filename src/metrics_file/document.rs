//! From the text of a JSON file to its metrics, or to all that is wrong with it.

use std::collections::{HashMap, HashSet};

use super::collection::{Collection, Origin};
use super::json::{self, Json, METRICS};
use super::metric::{Metric, label, metric};
use super::{MetricsFile, Place, Problems, Rejection};
use crate::metrics::Labels;
use crate::terminal::quoted;

/// The fields of the long form.
pub(super) const FIELDS: [&str; 4] = [JOB, GROUPING_LABELS, METRICS, "$schema"];
const JOB: &str = "job";
const GROUPING_LABELS: &str = "grouping_labels";
/// They all stand in the path of a push.
pub(super) const MAX_GROUPING_LABELS: usize = 64;

/// Reads a JSON file, which begins with `[` or `{`.
pub(super) fn parse(text: &str) -> Result<MetricsFile, Rejection> {
    let mut check = Check::default();
    let top = json::read(text, |index, json| check.metric(index, json))
        .map_err(|failure| not_json(text, failure))?;
    if let Json::Object(fields) = top {
        check.document(fields);
    }
    check.finish()
}

/// The state of one pass over the file.
#[derive(Default)]
struct Check {
    job: Option<String>,
    grouping_labels: Labels,
    collection: Collection,
    problems: Problems,
    /// Where each label name is used, for those of the group, which may come after the metrics.
    labelled: HashMap<String, Vec<usize>>,
}

impl Check {
    fn metric(&mut self, index: usize, json: Json) {
        let place = Place::Index(index);
        let problems = &mut self.problems;
        let read = metric(json, &mut |field, problem| {
            problems.add(place, field, || problem);
        });
        let Some(metric) = read else { return };
        for (name, _) in &metric.labels {
            let places = self.labelled.entry(name.as_str().to_owned());
            places.or_default().push(index);
        }
        self.collect(place, metric);
    }

    fn collect(&mut self, place: Place, metric: Metric) {
        let origin = Origin {
            place,
            name: metric.written,
            metric_type: metric.declared.word(),
        };
        let family =
            match self
                .collection
                .family(&origin, &metric.name, metric.declared.metric_type())
            {
                Ok(family) => family,
                Err(clash) => return self.problems.add(place, Some("name"), || clash),
            };
        if let Err(other) = self.collection.describe(family, metric.description) {
            let other = quoted(other);
            self.problems.add(place, Some("description"), || {
                format!(
                    "differs from an earlier one of {}, {other}; write the same, or leave it out",
                    quoted(&origin.name)
                )
            });
        }
        let Some(value) = metric.value else { return };
        let field = if metric.labels.is_empty() {
            "name"
        } else {
            "labels"
        };
        if let Err(other) = self.collection.insert(family, place, metric.labels, value) {
            self.problems.add(place, Some(field), || {
                format!(
                    "{} is at {other} already, with the same labels; write it once, or with other labels",
                    quoted(&origin.name)
                )
            });
        }
    }

    /// The fields of the long form.
    fn document(&mut self, fields: Vec<(String, Json)>) {
        let mut seen = HashSet::new();
        for (field, json) in fields {
            let problem = if seen.contains(&field) {
                Err("is there twice; write it once".to_owned())
            } else {
                self.set(&field, json)
            };
            if let Err(problem) = problem {
                self.problems.add(Place::File, Some(&field), || problem);
            }
            seen.insert(field);
        }
        if !seen.contains(METRICS) {
            self.problems.add(Place::File, Some(METRICS), || {
                "is missing; write an array of metrics".to_owned()
            });
        }
        for (name, _) in &self.grouping_labels {
            for index in self.labelled.remove(name.as_str()).unwrap_or_default() {
                let field = format!("labels.{name}");
                self.problems.add(Place::Index(index), Some(&field), || {
                    "is a label of the group, which the gateway writes over it; leave it out, or give it another name"
                        .to_owned()
                });
            }
        }
    }

    fn set(&mut self, field: &str, json: Json) -> Result<(), String> {
        match (field, json) {
            (JOB, Json::Text(job)) => self.job = Some(group_value(job)?),
            (GROUPING_LABELS, Json::Object(labels)) if labels.len() > MAX_GROUPING_LABELS => {
                return Err(format!(
                    "has {} labels; a push group has at most {MAX_GROUPING_LABELS}",
                    labels.len()
                ));
            }
            (GROUPING_LABELS, Json::Object(labels)) => self.group_labels(labels),
            (METRICS, Json::Array) | ("$schema", Json::Text(_)) => {}
            (JOB | "$schema", other) => {
                return Err(format!("is {}; write a string", other.kind()));
            }
            (GROUPING_LABELS, other) => {
                return Err(format!("is {}; write an object of strings", other.kind()));
            }
            (METRICS, other) => {
                return Err(format!("is {}; write an array of metrics", other.kind()));
            }
            _ => {
                return Err(format!(
                    "is not a field of a metrics file; those are {}, and a metric stands in brackets: [{{\"name\": ...}}]",
                    FIELDS.join(", ")
                ));
            }
        }
        Ok(())
    }

    fn group_labels(&mut self, given: Vec<(String, Json)>) {
        for (name, json) in given {
            let known = |(known, _): &(crate::metrics::LabelName, String)| known.as_str() == name;
            let read = if self.grouping_labels.iter().any(known) {
                Err("is there twice; write it once".to_owned())
            } else if name == JOB {
                Err("is a field of its own; write \"job\" beside grouping_labels".to_owned())
            } else {
                label(&name, json).and_then(|(name, value)| Ok((name, group_value(value)?)))
            };
            match read {
                Ok(label) => self.grouping_labels.push(label),
                Err(problem) => {
                    let field = format!("{GROUPING_LABELS}.{name}");
                    self.problems.add(Place::File, Some(&field), || problem);
                }
            }
        }
    }

    fn finish(self) -> Result<MetricsFile, Rejection> {
        if self.problems.count() > 0 {
            return Err(Rejection::Problems {
                problems: self.problems,
            });
        }
        let families = self.collection.into_families();
        if families.is_empty() {
            return Err(Rejection::NoMetrics);
        }
        Ok(MetricsFile {
            job: self.job,
            grouping_labels: self.grouping_labels,
            families,
        })
    }
}

/// A value that can name a push group.
fn group_value(value: String) -> Result<String, String> {
    if value.is_empty() {
        Err("is empty; write a name such as train, or leave it out".to_owned())
    } else if value.contains(char::is_control) {
        Err(format!(
            "{} has a control character or line end; write plain text",
            quoted(&value)
        ))
    } else {
        Ok(value)
    }
}

fn not_json(text: &str, failure: json::Failure) -> Rejection {
    let json::Failure {
        error,
        index,
        field,
    } = failure;
    let place = match (index, field) {
        (Some(index), Some(field)) => format!("index {index}, field {}: ", quoted(&field)),
        (Some(index), None) => format!("index {index}: "),
        (None, _) => String::new(),
    };
    Rejection::NotJson(format!("{place}{error}{}", not_json_advice(text, &error)))
}

/// Programs that know no better write a float that is not finite as a bare word, or Python's own form of a dict.
fn not_json_advice(text: &str, error: &serde_json::Error) -> &'static str {
    let line = text
        .lines()
        .nth(error.line().saturating_sub(1))
        .unwrap_or_default();
    let before = line.as_bytes().get(..error.column()).unwrap_or_default();
    let word = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let rest = line
        .get(error.column() - word.min(error.column())..)
        .unwrap_or_default();
    if error.is_syntax() && (rest.starts_with("NaN") || rest.starts_with("Infinity")) {
        "; write NaN and infinities as strings: \"NaN\", \"+Inf\", \"-Inf\""
    } else if error.is_syntax() && before.last() == Some(&b'\'') {
        "; JSON wants double quotes"
    } else {
        ""
    }
}
