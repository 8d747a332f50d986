//! The JSON Schema of a metrics file, for editors and validators. The types below are the file as its author sees it;
//! reading it is done by hand in the other modules, since a derived reader can't tell all problems with their places.
//! A schema can't say everything either (sums, names that clash): what it refuses is wrong, what it takes may still be.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::document::MAX_GROUPING_LABELS;

/// The whole schema, as pretty JSON with a line end.
///
/// # Errors
/// When it can't be written as JSON, which is a mistake in this program.
pub fn schema_json() -> Result<String, serde_json::Error> {
    let settings = SchemaSettings::default().with_transform(RecursiveTransform(without_null));
    let schema = settings
        .into_generator()
        .into_root_schema_for::<MetricsFile>();
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// Metrics for `simplepipe push`.
#[derive(JsonSchema)]
#[schemars(title = "Simplepipe metrics file", untagged)]
#[allow(dead_code)]
enum MetricsFile {
    /// The metrics alone; the job comes from the command line.
    Short(#[schemars(length(min = 1))] Vec<Metric>),
    /// The metrics, and the push group that they belong to.
    Long(Document),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)]
struct Document {
    /// The JSON Schema, for editors; not looked at.
    #[schemars(rename = "$schema")]
    schema: Option<String>,
    /// The job, where the command line names none.
    #[schemars(length(min = 1))]
    job: Option<String>,
    /// Further labels of the push group; the command line's come on top.
    grouping_labels: Option<GroupingLabels>,
    /// What was measured.
    #[schemars(length(min = 1))]
    metrics: Vec<Metric>,
}

/// A metric, or one series of it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)]
struct Metric {
    /// Its name in Prometheus; unit, `_total` of a counter and `_info` of an info are added where they are missing.
    #[schemars(regex(pattern = "^[a-zA-Z_:][a-zA-Z0-9_:]*$"))]
    name: String,
    /// What kind of metric it is.
    metric_type: MetricType,
    /// The value; one observation in a summary or histogram, a label in an info.
    value: Option<Number>,
    /// What it means: Prometheus' HELP.
    description: Option<String>,
    /// The base unit, such as seconds, bytes or ratio.
    #[schemars(regex(pattern = "^[a-zA-Z0-9_]+$"))]
    unit: Option<String>,
    /// Labels that tell its series apart.
    labels: Option<Labels>,
    /// Of a histogram: upper bounds, each with the number of observations up to it.
    buckets: Option<BTreeMap<String, Number>>,
    /// Of a summary: quantiles from 0 to 1, each with its value.
    quantiles: Option<BTreeMap<String, Number>>,
    /// Of a histogram or summary: the sum of all observations.
    sum: Option<Number>,
    /// Of a histogram or summary: the number of observations.
    count: Option<Number>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[allow(dead_code)]
enum MetricType {
    /// Goes up and down.
    Gauge,
    /// Only goes up.
    Counter,
    /// A sum and a count, with quantiles.
    Summary,
    /// A sum and a count, with buckets.
    Histogram,
    /// Labels that describe something, such as a version.
    Info,
}

/// A number, or a string that holds one: NaN and infinities can only be written so.
struct Number;

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or a string that holds one; NaN, +Inf and -Inf can only be written so.",
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": NUMBER},
            ],
        })
    }
}

const NUMBER: &str = r"^[+-]?([0-9]+\.?[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?|[Ii][Nn][Ff]([Ii][Nn][Ii][Tt][Yy])?|[Nn][Aa][Nn])$";

/// Labels of a metric. An empty value is no label.
struct Labels;

impl JsonSchema for Labels {
    fn schema_name() -> Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        labels(json!({"type": "string"}))
    }
}

/// Labels of a push group, which has no empty ones.
struct GroupingLabels;

impl JsonSchema for GroupingLabels {
    fn schema_name() -> Cow<'static, str> {
        "GroupingLabels".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = labels(json!({"type": "string", "minLength": 1}));
        schema.insert("maxProperties".to_owned(), MAX_GROUPING_LABELS.into());
        schema
    }
}

/// The label `job` is a field of its own.
fn labels(value: Value) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": {"pattern": LABEL_NAME, "not": {"const": "job"}},
        "additionalProperties": value,
    })
}

/// The second character is an underscore only after a letter: two at the beginning are Prometheus' own.
const LABEL_NAME: &str = "^([a-zA-Z][a-zA-Z0-9_]*|_([a-zA-Z0-9][a-zA-Z0-9_]*)?)$";

/// A field that may be left out is an `Option`, for which schemars allows null too; the file doesn't.
fn without_null(schema: &mut Schema) {
    let is_null = |kind: &Value| *kind == "null" || *kind == json!({"type": "null"});
    for key in ["type", "anyOf"] {
        let Some(Value::Array(choices)) = schema.get_mut(key) else {
            continue;
        };
        choices.retain(|choice| !is_null(choice));
        let [only] = choices.as_slice() else { continue };
        let only = only.clone();
        match only {
            Value::Object(only) => {
                schema.remove(key);
                for (key, value) in only {
                    schema.insert(key, value);
                }
            }
            only => _ = schema.insert(key.to_owned(), only),
        }
    }
}
