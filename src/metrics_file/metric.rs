//! One metric of a metrics file: a value of these types has been checked.

use std::fmt;

use crate::terminal::quoted;

/// Names that the Pushgateway writes into each group itself; it refuses a push that holds them.
const GATEWAY_NAMES: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];

/// One metric: a name, its description and one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Unique in its file.
    pub name: MetricName,
    /// HELP text; empty where there is none.
    pub description: String,
    /// The value, by the type of the metric.
    pub sample: Sample,
}

/// A metric's type, with the one value that it has.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// The value as it is.
    Gauge(f64),
    /// One observation.
    Summary(f64),
    /// One observation.
    Histogram(f64),
    /// The number: a string as it was written, so that a version `"3.10"` stays one.
    Info(String),
}

/// A metric name in the charset that every Prometheus client and server knows: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricName(String);

/// Why a name is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character at all.
    #[error("is empty; write a metric name such as run_time_seconds")]
    Empty,
    /// A character that no metric name has.
    #[error("{} is not a metric name; {}", quoted(.0), name_advice(.0))]
    Charset(String),
    /// One of the names that the gateway keeps for itself.
    #[error("{} is written by the Pushgateway itself; write another name", quoted(.0))]
    Gateway(String),
}

impl MetricName {
    /// # Errors
    /// When the name is empty, has a character that no metric name has, or is one of the gateway's own.
    pub fn new(name: &str) -> Result<Self, NameError> {
        match name.chars().next() {
            None => Err(NameError::Empty),
            Some(first) if first.is_ascii_digit() || !name.chars().all(in_charset) => {
                Err(NameError::Charset(name.to_owned()))
            }
            Some(_) if GATEWAY_NAMES.contains(&name) => Err(NameError::Gateway(name.to_owned())),
            Some(_) => Ok(Self(name.to_owned())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn in_charset(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == ':'
}

/// A near name where there is one. Nothing near can be made of a name without a single ASCII letter.
fn name_advice(wrong: &str) -> String {
    let mut near: String = wrong
        .trim()
        .chars()
        .map(|each| if in_charset(each) { each } else { '_' })
        .collect();
    if near.starts_with(|first: char| first.is_ascii_digit()) {
        near.insert(0, '_');
    }
    if near.contains(|each: char| each.is_ascii_alphabetic()) && MetricName::new(&near).is_ok() {
        format!(
            "write letters, digits, _ and : only, not starting with a digit, such as {}",
            quoted(&near)
        )
    } else {
        "write letters, digits, _ and : only, not starting with a digit".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    fn names_of_the_charset_are_accepted(
        #[values("run_time", "a", "_", ":", "job:loss:min", "A9", "up")] name: &str,
    ) {
        assert_eq!(MetricName::new(name).unwrap().as_str(), name);
    }

    #[rstest]
    #[case("", "is empty; write a metric name such as run_time_seconds")]
    #[case(
        "run-time",
        r#""run-time" is not a metric name; write letters, digits, _ and : only, not starting with a digit, such as "run_time""#
    )]
    #[case(
        "95th",
        r#""95th" is not a metric name; write letters, digits, _ and : only, not starting with a digit, such as "_95th""#
    )]
    #[case(
        "loss\n",
        r#""loss\n" is not a metric name; write letters, digits, _ and : only, not starting with a digit, such as "loss""#
    )]
    #[case("温度", r#""温度" is not a metric name; write letters, digits, _ and : only, not starting with a digit"#)]
    #[case(
        "push_time_seconds",
        r#""push_time_seconds" is written by the Pushgateway itself; write another name"#
    )]
    #[case(
        "push_failure_time_seconds",
        r#""push_failure_time_seconds" is written by the Pushgateway itself; write another name"#
    )]
    fn other_names_are_refused_with_what_would_be_right(#[case] name: &str, #[case] message: &str) {
        assert_eq!(MetricName::new(name).unwrap_err().to_string(), message);
    }
}
