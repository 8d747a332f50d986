//! From the bytes of a metrics file to a [`MetricsFile`], or to all that is wrong with it.

use std::collections::HashMap;

use super::exposition::names_taken;
use super::json::{self, Json};
use super::{Metric, MetricName, Problems, Sample};
use crate::terminal::quoted;

const FIELDS: &str = "name, description, value and metric_type";
const TYPES: &str = "gauge, summary, histogram or info";

/// The metrics of a file: at least one, each with names of its own. Only [`MetricsFile::parse`] makes it, so having it
/// means that the file was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsFile(Vec<Metric>);

/// Why a file was refused. Each message goes on after the name of the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Nothing in it.
    #[error("is empty; it must be a JSON array of metrics")]
    Empty,
    /// Not text in UTF-8.
    #[error("is not UTF-8 text (byte {0}); write JSON in UTF-8")]
    NotUtf8(usize),
    /// Not JSON.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// JSON, with something else at its top.
    #[error("holds {0}, not an array; write metrics in brackets: [{{\"name\": ...}}]")]
    NotArray(&'static str),
    /// An array without an element.
    #[error("holds no metric; there is nothing to push")]
    NoMetrics,
    /// Something is wrong with the metrics.
    #[error("has {}:\n{problems}", counted(.problems.count()))]
    Problems {
        /// All of them.
        problems: Problems,
    },
}

impl MetricsFile {
    /// Checks a whole file.
    ///
    /// # Errors
    /// When anything in it is wrong; the rejection has all problems, not only the first.
    pub fn parse(content: &[u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(content)
            .map_err(|error| Rejection::NotUtf8(error.valid_up_to()))?;
        // Editors on Windows write a byte order mark, which is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(Rejection::Empty);
        }

        let mut check = Check::default();
        let top = json::read(text, |index, element| check.element(index, element));
        match top.map_err(|failure| not_json(text, failure))? {
            Json::Array if check.problems.count() > 0 => Err(Rejection::Problems {
                problems: check.problems,
            }),
            Json::Array if check.metrics.is_empty() => Err(Rejection::NoMetrics),
            Json::Array => Ok(Self(check.metrics)),
            other => Err(Rejection::NotArray(other.kind())),
        }
    }

    /// The metrics in the file's order.
    pub fn metrics(&self) -> &[Metric] {
        &self.0
    }
}

/// The state of one pass over the elements.
#[derive(Default)]
struct Check {
    metrics: Vec<Metric>,
    problems: Problems,
    taken: HashMap<String, Owner>,
}

/// The metric that takes a name in the exposition.
#[derive(Clone)]
struct Owner {
    index: usize,
    name: String,
    metric_type: &'static str,
}

/// The fields of one element; what is missing or wrong is `None` and has been noted.
#[derive(Default)]
struct Fields {
    name: Option<MetricName>,
    description: Option<String>,
    value: Option<Value>,
    metric_type: Option<MetricType>,
}

struct Value {
    number: f64,
    text: String,
}

#[derive(Clone, Copy)]
enum MetricType {
    Gauge,
    Summary,
    Histogram,
    Info,
}

impl Check {
    fn element(&mut self, index: usize, element: Json) {
        let Json::Object(fields) = element else {
            return self.problems.add(index, None, || {
                format!(
                    "is {}, not a metric; write an object with {FIELDS}",
                    element.kind()
                )
            });
        };
        let Fields {
            name,
            description,
            value,
            metric_type,
        } = self.fields(index, fields);
        let (Some(name), Some(metric_type)) = (name, metric_type) else {
            return;
        };
        // Names are compared even where the value is wrong, so that one run tells everything.
        let value = value.unwrap_or(Value {
            number: 0.0,
            text: String::new(),
        });
        let sample = metric_type.sample(value);
        self.take_names(index, &name, metric_type, &sample);
        // After a problem no file comes of it, and only the names are still of use.
        if self.problems.count() == 0 {
            self.metrics.push(Metric {
                name,
                description: description.unwrap_or_default(),
                sample,
            });
        }
    }

    fn fields(&mut self, index: usize, given: Vec<(String, Json)>) -> Fields {
        let mut fields = Fields::default();
        let mut seen: Vec<String> = Vec::new();
        for (field, json) in given {
            let problem = if seen.contains(&field) {
                Some("is there twice; write it once".to_owned())
            } else {
                fields.set(&field, json).err()
            };
            if let Some(problem) = problem {
                self.problems.add(index, Some(&field), || problem);
            }
            // Enough to notice a repetition among fields that nobody knows, however many there are.
            let known = ["name", "description", "value", "metric_type"].contains(&field.as_str());
            if !seen.contains(&field) && (seen.len() < 16 || known) {
                seen.push(field);
            }
        }
        for (field, advice) in [
            (
                "name",
                "write the metric's name, such as \"run_time_seconds\"".to_owned(),
            ),
            ("value", "write a number such as 6 or \"6.5\"".to_owned()),
            ("metric_type", format!("write {TYPES}")),
        ] {
            if !seen.iter().any(|given| given == field) {
                self.problems
                    .add(index, Some(field), || format!("is missing; {advice}"));
            }
        }
        fields
    }

    /// One name stands for one metric in an exposition, and so do the names that a type adds to it.
    fn take_names(
        &mut self,
        index: usize,
        name: &MetricName,
        metric_type: MetricType,
        sample: &Sample,
    ) {
        let name = name.as_str();
        let own = Owner {
            index,
            name: name.to_owned(),
            metric_type: metric_type.word(),
        };
        let names = names_taken(name, sample);
        let clash = names
            .iter()
            .find_map(|taken| Some((taken, self.taken.get(taken)?)));
        if let Some((taken, other)) = clash {
            let message = clash_message(&own, taken, other);
            self.problems.add(index, Some("name"), || message);
        }
        for taken in names {
            self.taken.entry(taken).or_insert_with(|| own.clone());
        }
    }
}

impl Fields {
    fn set(&mut self, field: &str, json: Json) -> Result<(), String> {
        match field {
            "name" => {
                self.name = Some(MetricName::new(&text(json)?).map_err(|error| error.to_string())?)
            }
            "description" => self.description = Some(text(json)?),
            "value" => self.value = Some(value(json)?),
            "metric_type" => self.metric_type = Some(metric_type(&text(json)?)?),
            _ => return Err(format!("is not a field of a metric; those are {FIELDS}")),
        }
        Ok(())
    }
}

impl MetricType {
    fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    fn sample(self, value: Value) -> Sample {
        match self {
            Self::Gauge => Sample::Gauge(value.number),
            Self::Summary => Sample::Summary(value.number),
            Self::Histogram => Sample::Histogram(value.number),
            Self::Info => Sample::Info(value.text),
        }
    }
}

fn text(json: Json) -> Result<String, String> {
    match json {
        Json::Text(text) => Ok(text),
        other => Err(format!("is {}; write a string", other.kind())),
    }
}

fn metric_type(word: &str) -> Result<MetricType, String> {
    match word {
        "gauge" => Ok(MetricType::Gauge),
        "summary" => Ok(MetricType::Summary),
        "histogram" => Ok(MetricType::Histogram),
        "info" => Ok(MetricType::Info),
        _ => Err(format!("{} is not a type; write {TYPES}", quoted(word))),
    }
}

fn value(json: Json) -> Result<Value, String> {
    match json {
        Json::Number {
            value: number,
            text,
        } => Ok(Value { number, text }),
        Json::Text(text) => numeric(text),
        other => Err(format!(
            "is {}; write a number such as 6 or \"6.5\"",
            other.kind()
        )),
    }
}

/// Rust reads just what Prometheus does here, but for numbers beyond the largest, which it takes as infinite.
fn numeric(text: String) -> Result<Value, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_infinite() && text.contains(|each: char| each.is_ascii_digit()) => {
            Err(format!(
                "{} is beyond {:e}, the largest number; write a smaller one, or +Inf",
                quoted(&text),
                f64::MAX
            ))
        }
        Ok(number) => Ok(Value { number, text }),
        Err(_) if text.trim().parse::<f64>().is_ok() => Err(format!(
            "{} has blanks around the number; write {}",
            quoted(&text),
            quoted(text.trim())
        )),
        Err(_) => Err(format!(
            "{} is not a number; write decimal digits such as \"6\", \"6.5\" or \"1e3\", without units or separators",
            quoted(&text)
        )),
    }
}

fn clash_message(own: &Owner, taken: &str, other: &Owner) -> String {
    if own.name != other.name {
        format!(
            "{} of type {} and {} of type {} at index {} both become {}; give one another name",
            quoted(&own.name),
            own.metric_type,
            quoted(&other.name),
            other.metric_type,
            other.index,
            quoted(taken)
        )
    } else if own.metric_type == other.metric_type {
        format!(
            "{} is at index {} already; write each metric once",
            quoted(&own.name),
            other.index
        )
    } else {
        format!(
            "{} is a {} here and a {} at index {}; give one another name",
            quoted(&own.name),
            own.metric_type,
            other.metric_type,
            other.index
        )
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

/// Programs that know no better write a float that is not finite as a bare word.
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
    } else {
        ""
    }
}

fn counted(problems: usize) -> String {
    match problems {
        1 => "1 problem".to_owned(),
        more => format!("{more} problems"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(json: &str) -> Result<MetricsFile, Rejection> {
        MetricsFile::parse(json.as_bytes())
    }

    fn message(json: &str) -> String {
        parse(json).unwrap_err().to_string()
    }

    /// A gauge with some fields set otherwise.
    fn metric(changes: &str) -> String {
        let mut fields = vec![
            r#""name": "a""#,
            r#""value": 1"#,
            r#""metric_type": "gauge""#,
        ];
        let changed = changes.split(':').next().unwrap();
        fields.retain(|field| !field.starts_with(changed));
        fields.push(changes);
        format!("[{{{}}}]", fields.join(", "))
    }

    fn sample(json: &str) -> Sample {
        parse(json).unwrap().metrics()[0].sample.clone()
    }

    #[rstest]
    #[case("", "is empty; it must be a JSON array of metrics")]
    #[case(" \n", "is empty; it must be a JSON array of metrics")]
    #[case("\u{feff}", "is empty; it must be a JSON array of metrics")]
    #[case("[]", "holds no metric; there is nothing to push")]
    #[case(
        "{}",
        r#"holds an object, not an array; write metrics in brackets: [{"name": ...}]"#
    )]
    #[case(
        "{\"name\": 1}\n{}",
        r#"holds an object, not an array; write metrics in brackets: [{"name": ...}]"#
    )]
    #[case(
        "null",
        r#"holds null, not an array; write metrics in brackets: [{"name": ...}]"#
    )]
    #[case(
        "6 7",
        r#"holds a number, not an array; write metrics in brackets: [{"name": ...}]"#
    )]
    #[case("run_time 6", "is not JSON: expected value at line 1 column 1")]
    #[case(
        "[{}",
        "is not JSON: index 1: EOF while parsing a list at line 1 column 3"
    )]
    #[case("[{}] []", "is not JSON: trailing characters at line 1 column 6")]
    #[case(
        "[{},\n{\"value\": six}]",
        "is not JSON: index 1, field \"value\": expected value at line 2 column 11"
    )]
    #[case(
        "[{\"value\": 1e400}]",
        "is not JSON: index 0, field \"value\": number out of range at line 1 column 16"
    )]
    #[case(
        "[{\"value\": NaN}]",
        "is not JSON: index 0, field \"value\": expected value at line 1 column 12; write NaN and infinities as strings: \"NaN\", \"+Inf\", \"-Inf\""
    )]
    #[case(
        "[{\"value\": -Infinity}]",
        "is not JSON: index 0, field \"value\": invalid number at line 1 column 13; write NaN and infinities as strings: \"NaN\", \"+Inf\", \"-Inf\""
    )]
    #[case(
        "[{\"value\": 1}, x]",
        "is not JSON: index 1: expected value at line 1 column 16"
    )]
    fn what_is_no_array_of_metrics_is_refused(#[case] json: &str, #[case] expected: &str) {
        assert_eq!(message(json), expected);
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(
            MetricsFile::parse(b"[{\"name\": \"\xe9\"}]")
                .unwrap_err()
                .to_string(),
            "is not UTF-8 text (byte 11); write JSON in UTF-8"
        );
    }

    #[test]
    fn nesting_however_deep_is_refused_without_harm() {
        let deep = format!(
            "[{{\"value\": {}{}}}]",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(message(&deep).contains("is not JSON") || message(&deep).contains("is an array"));
        let deep = "[".repeat(100_000);
        assert!(message(&deep).starts_with("is not JSON"));
    }

    #[rstest]
    #[case(
        "\"name\": \"run-time\"",
        "index 0, field \"name\": \"run-time\" is not a metric name; write letters, digits, _ and : only, not starting with a digit, such as \"run_time\""
    )]
    #[case(
        "\"name\": \"push_time_seconds\"",
        "index 0, field \"name\": \"push_time_seconds\" is written by the Pushgateway itself; write another name"
    )]
    #[case("\"name\": 6", "index 0, field \"name\": is a number; write a string")]
    #[case(
        "\"value\": \"six\"",
        "index 0, field \"value\": \"six\" is not a number; write decimal digits such as \"6\", \"6.5\" or \"1e3\", without units or separators"
    )]
    #[case(
        "\"value\": \"\"",
        "index 0, field \"value\": \"\" is not a number; write decimal digits such as \"6\", \"6.5\" or \"1e3\", without units or separators"
    )]
    #[case(
        "\"value\": \"1_000\"",
        "index 0, field \"value\": \"1_000\" is not a number; write decimal digits such as \"6\", \"6.5\" or \"1e3\", without units or separators"
    )]
    #[case(
        "\"value\": \"0x10\"",
        "index 0, field \"value\": \"0x10\" is not a number; write decimal digits such as \"6\", \"6.5\" or \"1e3\", without units or separators"
    )]
    #[case(
        "\"value\": \"6s\"",
        "index 0, field \"value\": \"6s\" is not a number; write decimal digits such as \"6\", \"6.5\" or \"1e3\", without units or separators"
    )]
    #[case(
        "\"value\": \" 6\\n\"",
        "index 0, field \"value\": \" 6\\n\" has blanks around the number; write \"6\""
    )]
    #[case(
        "\"value\": \"1e400\"",
        "index 0, field \"value\": \"1e400\" is beyond 1.7976931348623157e308, the largest number; write a smaller one, or +Inf"
    )]
    #[case(
        "\"value\": true",
        "index 0, field \"value\": is a boolean; write a number such as 6 or \"6.5\""
    )]
    #[case(
        "\"value\": null",
        "index 0, field \"value\": is null; write a number such as 6 or \"6.5\""
    )]
    #[case(
        "\"value\": [[1]]",
        "index 0, field \"value\": is an array; write a number such as 6 or \"6.5\""
    )]
    #[case(
        "\"value\": {\"a\": {}}",
        "index 0, field \"value\": is an object; write a number such as 6 or \"6.5\""
    )]
    #[case(
        "\"metric_type\": \"counter\"",
        "index 0, field \"metric_type\": \"counter\" is not a type; write gauge, summary, histogram or info"
    )]
    #[case(
        "\"metric_type\": \"Gauge\"",
        "index 0, field \"metric_type\": \"Gauge\" is not a type; write gauge, summary, histogram or info"
    )]
    #[case(
        "\"description\": 6",
        "index 0, field \"description\": is a number; write a string"
    )]
    #[case(
        "\"labels\": {}",
        "index 0, field \"labels\": is not a field of a metric; those are name, description, value and metric_type"
    )]
    #[case(
        "\"na\\u001bme\": 1",
        "index 0, field \"na\\u{1b}me\": is not a field of a metric; those are name, description, value and metric_type"
    )]
    #[case(
        "\"description\": \"a\", \"description\": \"b\"",
        "index 0, field \"description\": is there twice; write it once"
    )]
    fn a_wrong_field_is_told_with_what_would_be_right(
        #[case] changes: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(
            message(&metric(changes)),
            format!("has 1 problem:\n  {expected}")
        );
    }

    #[test]
    fn a_field_under_a_wrong_name_is_unknown_and_missing() {
        insta::assert_snapshot!(message(r#"[{"name": "a", "value": 1, "metrictype": "gauge"}, {}]"#), @r#"
        has 5 problems:
          index 0, field "metrictype": is not a field of a metric; those are name, description, value and metric_type
          index 0, field "metric_type": is missing; write gauge, summary, histogram or info
          index 1, field "name": is missing; write the metric's name, such as "run_time_seconds"
          index 1, field "value": is missing; write a number such as 6 or "6.5"
          index 1, field "metric_type": is missing; write gauge, summary, histogram or info
        "#);
    }

    #[test]
    fn one_run_tells_all_problems() {
        insta::assert_snapshot!(message(
            r#"[
                {"name": "a", "value": "x", "metric_type": "gauge"},
                {"name": "a", "value": 1, "metric_type": "summary"},
                {"name": "b", "value": 1, "metric_type": "gauge"},
                {"name": "b", "value": 2, "metric_type": "gauge"},
                {"name": "c_sum", "value": 1, "metric_type": "gauge"},
                {"name": "c", "value": 1, "metric_type": "histogram"},
                {"name": "d", "value": 1, "metric_type": "info"},
                {"name": "d_info", "value": 1, "metric_type": "info"},
                ["e"]
            ]"#
        ), @r#"
        has 6 problems:
          index 0, field "value": "x" is not a number; write decimal digits such as "6", "6.5" or "1e3", without units or separators
          index 1, field "name": "a" is a summary here and a gauge at index 0; give one another name
          index 3, field "name": "b" is at index 2 already; write each metric once
          index 5, field "name": "c" of type histogram and "c_sum" of type gauge at index 4 both become "c_sum"; give one another name
          index 7, field "name": "d_info" of type info and "d" of type info at index 6 both become "d_info"; give one another name
          index 8: is an array, not a metric; write an object with name, description, value and metric_type
        "#);
    }

    #[rstest]
    fn a_name_that_a_type_adds_is_taken(
        #[values("summary", "histogram")] metric_type: &str,
        #[values("", "_sum", "_count", "_bucket")] suffix: &str,
        #[values(true, false)] first: bool,
    ) {
        let mut metrics = [
            format!(r#"{{"name": "a", "value": 1, "metric_type": "{metric_type}"}}"#),
            format!(r#"{{"name": "a{suffix}", "value": 1, "metric_type": "gauge"}}"#),
        ];
        if first {
            metrics.reverse();
        }
        let outcome = parse(&format!("[{}]", metrics.join(",")));
        assert_eq!(
            outcome.is_ok(),
            (metric_type, suffix) == ("summary", "_bucket"),
            "{outcome:?}"
        );
    }

    #[test]
    fn of_many_problems_the_first_are_shown_and_all_are_counted() {
        let json = format!("[{}]", vec!["0"; 25].join(","));
        let message = message(&json);
        assert!(
            message.starts_with("has 25 problems:\n  index 0: is a number, not a metric;"),
            "{message}"
        );
        assert!(
            message.contains("\n  index 19: ") && !message.contains("index 20"),
            "{message}"
        );
        assert!(message.ends_with("\n  and 5 more"), "{message}");
    }

    #[rstest]
    #[case("6", 6.0)]
    #[case("-6.5e-3", -0.0065)]
    #[case("18446744073709551616", 18446744073709551616.0)]
    #[case("\"6\"", 6.0)]
    #[case("\"+.5\"", 0.5)]
    #[case("\"1E3\"", 1000.0)]
    #[case("\"+Inf\"", f64::INFINITY)]
    #[case("\"-inf\"", f64::NEG_INFINITY)]
    fn numbers_and_numeric_strings_are_values(#[case] value: &str, #[case] expected: f64) {
        assert_eq!(
            sample(&metric(&format!("\"value\": {value}"))),
            Sample::Gauge(expected)
        );
    }

    #[rstest]
    fn a_value_may_be_not_a_number_as_a_diverged_loss_is(#[values("NaN", "nan")] value: &str) {
        let Sample::Gauge(value) = sample(&metric(&format!("\"value\": \"{value}\""))) else {
            panic!("a gauge")
        };
        assert!(value.is_nan());
    }

    #[rstest]
    #[case("\"3.10\"", "3.10")]
    #[case("3.10", "3.1")]
    #[case("18446744073709551615", "18446744073709551615")]
    #[case("-9007199254740993", "-9007199254740993")]
    fn an_info_keeps_its_digits(#[case] value: &str, #[case] text: &str) {
        let json = format!(r#"[{{"name": "a", "value": {value}, "metric_type": "info"}}]"#);
        assert_eq!(sample(&json), Sample::Info(text.to_owned()));
    }

    #[test]
    fn a_byte_order_mark_and_a_missing_description_are_fine() {
        let file = parse("\u{feff}[{\"name\": \"a\", \"value\": 1, \"metric_type\": \"gauge\"}]\n")
            .unwrap();
        assert_eq!(file.metrics().len(), 1);
        assert_eq!(file.metrics()[0].description, "");
    }
}
