//! One metric of a JSON file: its fields, each checked on its own, then together.

use std::collections::HashSet;

use super::json::Json;
use crate::metrics::number::{numeric, whole};
use crate::metrics::{Histogram, LabelName, Labels, MetricName, MetricType, Summary, Value};
use crate::terminal::quoted;

/// The fields of a metric.
pub(super) const FIELDS: [&str; 10] = [
    "name",
    "description",
    "metric_type",
    "value",
    "unit",
    "labels",
    "buckets",
    "quantiles",
    "sum",
    "count",
];
/// Added to what is wrong with a text that is an info's value.
const INFO_ADVICE: &str = r#"; text of an info stands in "labels": {"NAME": "TEXT"}"#;
const TYPES: &str = "gauge, counter, summary, histogram or info";

/// A metric whose name and type are known.
pub(super) struct Metric {
    pub written: String,
    pub declared: Declared,
    /// The name with its unit and what the type adds.
    pub name: MetricName,
    pub description: String,
    pub labels: Labels,
    /// None where something about it is wrong, which has been noted.
    pub value: Option<Value>,
}

/// The type as the file names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Gauge,
    Counter,
    Summary,
    Histogram,
    Info,
}

/// The fields that were given, as far as they are right.
#[derive(Default)]
struct Fields {
    given: HashSet<String>,
    name: Option<MetricName>,
    declared: Option<Declared>,
    description: String,
    unit: Option<String>,
    labels: Labels,
    value: Option<Amount>,
    buckets: Option<Vec<Point>>,
    quantiles: Option<Vec<Point>>,
    sum: Option<f64>,
    count: Option<f64>,
}

/// A number, and its text where it becomes a label: of a JSON number the shortest that reads back as the same.
struct Amount {
    number: f64,
    text: String,
}

/// A bucket by its bound, or a quantile.
struct Point {
    key: String,
    at: f64,
    value: f64,
}

/// Reads a metric; `note` takes what is wrong, with its field. None where the name or the type is not known.
pub(super) fn metric(json: Json, note: &mut dyn FnMut(Option<&str>, String)) -> Option<Metric> {
    let Json::Object(given) = json else {
        let kind = json.kind();
        note(
            None,
            format!("is {kind}, not a metric; write an object with name, metric_type and value"),
        );
        return None;
    };
    let mut right = true;
    let mut field_note = |field: &str, problem: String| {
        right = false;
        note(Some(field), problem);
    };
    let mut fields = Fields::read(given, &mut field_note);
    fields.note_missing(&mut field_note);
    let declared = fields.declared?;
    fields.note_out_of_place(declared, &mut field_note);
    let written = fields.name.clone()?;
    let name = full_name(&written, declared, fields.unit.as_deref());
    let name = name.map_err(|problem| field_note("name", problem)).ok()?;
    fields.note_reserved_labels(declared, &mut field_note);
    let value = fields.value(declared, &mut field_note);
    let value = value.filter(|_| right);
    Some(Metric {
        written: written.as_str().to_owned(),
        declared,
        name,
        description: fields.description,
        labels: fields.labels,
        value,
    })
}

type Note<'a> = &'a mut dyn FnMut(&str, String);

impl Fields {
    fn read(given: Vec<(String, Json)>, note: Note) -> Self {
        let mut fields = Self::default();
        // The type may come after the value.
        let is_info = given.iter().any(|(field, json)| {
            field == "metric_type"
                && matches!(json, Json::Text(word) if word == Declared::Info.word())
        });
        for (field, json) in given {
            if fields.has(&field) {
                note(&field, "is there twice; write it once".to_owned());
                continue;
            }
            let is_text_of_info = is_info && field == "value" && matches!(json, Json::Text(_));
            if let Err(mut problem) = fields.set(&field, json, note) {
                if is_text_of_info {
                    problem += INFO_ADVICE;
                }
                note(&field, problem);
            }
            fields.given.insert(field);
        }
        fields
    }

    fn has(&self, field: &str) -> bool {
        self.given.contains(field)
    }

    fn set(&mut self, field: &str, json: Json, note: Note) -> Result<(), String> {
        match field {
            "name" => {
                let name = MetricName::new(&text(json)?);
                self.name = Some(name.map_err(|error| error.to_string())?);
            }
            "description" => self.description = text(json)?,
            "metric_type" => self.declared = Some(Declared::new(&text(json)?)?),
            "value" => self.value = Some(amount(json)?),
            "unit" => self.unit = Some(unit(text(json)?)?),
            "labels" => self.labels = labels(json, note)?,
            "buckets" => self.buckets = points(field, json, note)?,
            "quantiles" => self.quantiles = points(field, json, note)?,
            "sum" => self.sum = Some(amount(json)?.number),
            "count" => self.count = Some(whole(amount(json)?.number)?),
            _ => {
                return Err(format!(
                    "is not a field of a metric; those are {}",
                    FIELDS.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// Whether it says more than one value can.
    fn is_structured(&self) -> bool {
        ["buckets", "quantiles", "sum", "count"]
            .iter()
            .any(|field| self.has(field))
    }

    fn note_missing(&self, note: Note) {
        let mut missing = |field, advice: &str| {
            if !self.has(field) {
                note(field, format!("is missing; {advice}"));
            }
        };
        missing(
            "name",
            "write the metric's name, such as \"run_time_seconds\"",
        );
        let structured = match self.declared {
            Some(Declared::Summary | Declared::Histogram) | None => self.is_structured(),
            Some(Declared::Gauge | Declared::Counter) => false,
            Some(Declared::Info) => self.has("labels"),
        };
        if !structured {
            missing("value", "write a number such as 6 or \"6.5\"");
        } else if self.declared == Some(Declared::Histogram) {
            missing("buckets", "write {\"UPPER BOUND\": COUNT, ...}");
            missing("sum", "write the sum of all observations");
            // The bucket of all observations is their count.
            let infinite = |point: &Point| point.at == f64::INFINITY;
            let buckets = self.buckets.as_deref();
            if self.has("buckets") && buckets.is_some_and(|buckets| !buckets.iter().any(infinite)) {
                missing("count", "write the number of observations");
            }
        } else if self.declared == Some(Declared::Summary) {
            missing("sum", "write the sum of all observations");
            missing("count", "write the number of observations");
        }
        missing("metric_type", &format!("write {TYPES}"));
    }

    fn note_out_of_place(&self, declared: Declared, note: Note) {
        let only: [(&str, &[Declared]); 5] = [
            ("buckets", &[Declared::Histogram]),
            ("quantiles", &[Declared::Summary]),
            ("sum", &[Declared::Histogram, Declared::Summary]),
            ("count", &[Declared::Histogram, Declared::Summary]),
            (
                "unit",
                &[
                    Declared::Gauge,
                    Declared::Counter,
                    Declared::Summary,
                    Declared::Histogram,
                ],
            ),
        ];
        for (field, types) in only {
            if self.has(field) && !types.contains(&declared) {
                let words: Vec<&str> = types.iter().map(|each| each.word()).collect();
                let (own, others) = (declared.word(), words.join(" or "));
                note(
                    field,
                    format!("is not for type {own}; leave it out, or write type {others}"),
                );
            }
        }
        let observes = matches!(declared, Declared::Histogram | Declared::Summary);
        if observes && self.has("value") && self.is_structured() {
            let problem = "is one observation, and the other fields are many; write either";
            note("value", problem.to_owned());
        }
    }

    /// Labels that the metric gets from elsewhere.
    fn note_reserved_labels(&self, declared: Declared, note: Note) {
        let reserved: &[(&str, &str)] = match declared {
            Declared::Histogram => &[JOB, ("le", "is the label of the buckets")],
            Declared::Summary => &[JOB, ("quantile", "is the label of the quantiles")],
            Declared::Info if self.has("value") => {
                &[JOB, ("value", "is the label that the value becomes")]
            }
            Declared::Gauge | Declared::Counter | Declared::Info => &[JOB],
        };
        for (name, why) in reserved {
            if self.labels.iter().any(|(label, _)| label.as_str() == *name) {
                note(
                    &format!("labels.{name}"),
                    format!("{why}; give it another name"),
                );
            }
        }
    }

    /// The value by the type. An info's value becomes a label.
    fn value(&mut self, declared: Declared, note: Note) -> Option<Value> {
        let value = self.value.take();
        match declared {
            Declared::Gauge => Some(Value::Number(value?.number)),
            Declared::Counter => {
                let number = value?.number;
                if number.is_nan() || number < 0.0 {
                    let problem = "is not what a counter can have; write a number from 0";
                    note("value", problem.to_owned());
                    return None;
                }
                Some(Value::Number(number))
            }
            Declared::Info => {
                if let Some(Amount { text, .. }) = value {
                    let name = LabelName::new("value").ok()?;
                    self.labels.push((name, text));
                } else if self.labels.is_empty() && self.has("labels") && !self.has("value") {
                    note("labels", "is empty; an info needs a label".to_owned());
                }
                Some(Value::Number(1.0))
            }
            Declared::Summary => Some(Value::Summary(match value {
                Some(Amount { number: sum, .. }) => Summary {
                    sum,
                    count: 1.0,
                    ..Summary::default()
                },
                None => self.summary(note)?,
            })),
            Declared::Histogram => Some(Value::Histogram(match value {
                Some(Amount { number: sum, .. }) => Histogram {
                    sum,
                    count: 1.0,
                    ..Histogram::default()
                },
                None => self.histogram(note)?,
            })),
        }
    }

    fn summary(&mut self, note: Note) -> Option<Summary> {
        let mut quantiles = Vec::new();
        for Point { key, at, value } in self.quantiles.take().unwrap_or_default() {
            if (0.0..=1.0).contains(&at) {
                quantiles.push((at, value));
            } else {
                note(
                    &format!("quantiles.{key}"),
                    "is not a quantile; write one from 0 to 1".to_owned(),
                );
            }
        }
        Some(Summary {
            quantiles,
            sum: self.sum?,
            count: self.count?,
        })
    }

    fn histogram(&mut self, note: Note) -> Option<Histogram> {
        let mut buckets = self.buckets.take()?;
        let mut below = 0.0;
        for Point { key, value, .. } in &buckets {
            let field = format!("buckets.{key}");
            match whole(*value) {
                Err(problem) => note(&field, problem),
                Ok(count) if count < below => {
                    let problem = format!(
                        "has {count} observations, less than the {below} of the bucket below; buckets are cumulative"
                    );
                    note(&field, problem);
                }
                Ok(count) => below = count,
            }
        }
        let all = buckets.pop_if(|last| last.at == f64::INFINITY);
        match (&all, self.count) {
            (Some(all), Some(count)) if all.value != count => note(
                "count",
                format!(
                    "is {count}, and bucket +Inf has {}; both are the number of observations",
                    all.value
                ),
            ),
            (None, Some(count)) if count < below => note(
                "count",
                format!("is {count}, less than the {below} observations in the buckets"),
            ),
            _ => {}
        }
        Some(Histogram {
            buckets: buckets
                .iter()
                .map(|point| (point.at, point.value))
                .collect(),
            sum: self.sum?,
            count: all.map(|all| all.value).or(self.count)?,
        })
    }
}

/// The label that no metric has of its own.
const JOB: (&str, &str) = ("job", "is the push group's label");

impl Declared {
    fn new(word: &str) -> Result<Self, String> {
        match word {
            "gauge" => Ok(Self::Gauge),
            "counter" => Ok(Self::Counter),
            "summary" => Ok(Self::Summary),
            "histogram" => Ok(Self::Histogram),
            "info" => Ok(Self::Info),
            _ => Err(format!("{} is not a type; write {TYPES}", quoted(word))),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// What it becomes in the exposition.
    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Self::Gauge | Self::Info => MetricType::Gauge,
            Self::Counter => MetricType::Counter,
            Self::Summary => MetricType::Summary,
            Self::Histogram => MetricType::Histogram,
        }
    }
}

fn full_name(
    written: &MetricName,
    declared: Declared,
    unit: Option<&str>,
) -> Result<MetricName, String> {
    let end = match declared {
        Declared::Counter => "_total",
        Declared::Info => "_info",
        Declared::Gauge | Declared::Summary | Declared::Histogram => "",
    };
    let written = written.as_str();
    let mut name = written.strip_suffix(end).unwrap_or(written).to_owned();
    if let Some(unit) = unit.filter(|_| declared != Declared::Info)
        && name != unit
        && !name.ends_with(&format!("_{unit}"))
    {
        name = format!("{name}_{unit}");
    }
    MetricName::new(&format!("{name}{end}")).map_err(|error| error.to_string())
}

fn text(json: Json) -> Result<String, String> {
    match json {
        Json::Text(text) => Ok(text),
        other => Err(format!("is {}; write a string", other.kind())),
    }
}

fn amount(json: Json) -> Result<Amount, String> {
    match json {
        Json::Number { value, text } => Ok(Amount {
            number: value,
            text,
        }),
        Json::Text(text) => Ok(Amount {
            number: numeric(&text)?,
            text,
        }),
        other => Err(format!(
            "is {}; write a number such as 6 or \"6.5\"",
            other.kind()
        )),
    }
}

fn unit(unit: String) -> Result<String, String> {
    let in_charset = |each: char| each.is_ascii_alphanumeric() || each == '_';
    if !unit.is_empty() && unit.chars().all(in_charset) {
        Ok(unit)
    } else {
        Err(format!(
            "{} is not a unit; write letters, digits and _ only, such as seconds",
            quoted(&unit)
        ))
    }
}

/// Labels, those with a value; a wrong one is noted and left out.
fn labels(json: Json, note: Note) -> Result<Labels, String> {
    let Json::Object(given) = json else {
        let kind = json.kind();
        return Err(format!(
            "is {kind}; write an object of strings such as {{\"model\": \"churn\"}}"
        ));
    };
    let mut labels = Labels::new();
    let mut seen = HashSet::new();
    for (name, value) in given {
        let label = if seen.insert(name.clone()) {
            label(&name, value)
        } else {
            Err("is there twice; write it once".to_owned())
        };
        match label {
            Err(problem) => note(&format!("labels.{name}"), problem),
            Ok((_, value)) if value.is_empty() => {}
            Ok(label) => labels.push(label),
        }
    }
    Ok(labels)
}

pub(super) fn label(name: &str, value: Json) -> Result<(LabelName, String), String> {
    let name = LabelName::new(name).map_err(|error| error.to_string())?;
    match value {
        Json::Text(value) => Ok((name, value)),
        Json::Number { text, .. } => Err(format!("is a number; write a string: {text:?}")),
        other => Err(format!("is {}; write a string", other.kind())),
    }
}

/// Buckets or quantiles, ascending. None where one of them is wrong, which has been noted.
fn points(field: &str, json: Json, note: Note) -> Result<Option<Vec<Point>>, String> {
    let Json::Object(given) = json else {
        return Err(format!(
            "is {}; write an object such as {{\"0.5\": 3}}",
            json.kind()
        ));
    };
    let mut points: Vec<Point> = Vec::new();
    let count = given.len();
    for (key, json) in given {
        match point(key.clone(), json) {
            Err(problem) => note(&format!("{field}.{key}"), problem),
            Ok(point) => points.push(point),
        }
    }
    let right = points.len() == count;
    points.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut twice = false;
    for pair in points.windows(2) {
        // -0 and 0 are one bound.
        if pair[0].at == pair[1].at {
            twice = true;
            note(
                &format!("{field}.{}", pair[1].key),
                format!(
                    "is there twice, also as {}; write it once",
                    quoted(&pair[0].key)
                ),
            );
        }
    }
    Ok((right && !twice).then_some(points))
}

fn point(key: String, json: Json) -> Result<Point, String> {
    let at = numeric(&key)?;
    if at.is_nan() {
        return Err("is NaN, which is no bound; write a number".to_owned());
    }
    let value = amount(json)?.number;
    Ok(Point { key, at, value })
}
