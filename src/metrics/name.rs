//! Names of metrics and labels: a value of these types has been checked.

use std::fmt;

use crate::terminal::quoted;

/// Names that the Pushgateway writes into each group itself, over whatever is pushed under them.
const GATEWAY_NAMES: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];

/// A metric name in the charset that every Prometheus client and server knows: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetricName(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No character at all.
    #[error("is empty; write a metric name such as run_time_seconds")]
    Empty,
    /// A character that no metric name has.
    #[error("{} is not a metric name; {}", quoted(.0), name_advice(.0))]
    Charset(String),
    /// A name that only the quoted form of the text formats can hold. A gateway takes it, but hands it to a Prometheus
    /// that does not ask for such names with underscores in it: there it may meet another metric of that name.
    #[error("{} is a UTF-8 name, which not every Prometheus gets as it is; {}", quoted(.0), name_advice(.0))]
    Utf8(String),
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

    /// As [`MetricName::new`], for a name that was written in quotes.
    ///
    /// # Errors
    /// As there. What is wrong with a character is said otherwise: quotes are there to allow for it.
    pub fn from_quotes(name: &str) -> Result<Self, NameError> {
        Self::new(name).map_err(|error| match error {
            NameError::Charset(name) => NameError::Utf8(name),
            error => error,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether Prometheus writes metrics of this name itself, recording rules' results among them. Simplepipe's
    /// ServiceMonitor drops a tenant's own.
    pub fn is_prometheus_own(&self) -> bool {
        let name = self.as_str();
        ["up", "ALERTS", "ALERTS_FOR_STATE"].contains(&name)
            || name.starts_with("scrape_")
            || name.contains(':')
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

/// A label name that a user may choose: `[a-zA-Z_][a-zA-Z0-9_]*`, without the two underscores that Prometheus keeps for
/// itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(String);

/// Why a name of a label is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelNameError {
    /// No character at all.
    #[error("is empty; write a label name such as model")]
    Empty,
    /// A character that no label name has.
    #[error("{} is not a label name; write letters, digits and _ only, not starting with a digit", quoted(.0))]
    Charset(String),
    /// A name that only the quoted form of the text formats can hold.
    #[error("{} is a UTF-8 name, which a Pushgateway takes only with --push.enable-utf8-names; write letters, digits and _ only, not starting with a digit", quoted(.0))]
    Utf8(String),
    /// The beginning of Prometheus' own labels.
    #[error("{} begins with __, which Prometheus keeps for itself; write another name", quoted(.0))]
    Reserved(String),
}

impl LabelName {
    /// # Errors
    /// When the name is empty, has a character that no label name has, or begins with two underscores.
    pub fn new(name: &str) -> Result<Self, LabelNameError> {
        let in_charset = |each: char| each.is_ascii_alphanumeric() || each == '_';
        match name.chars().next() {
            None => Err(LabelNameError::Empty),
            Some(first) if first.is_ascii_digit() || !name.chars().all(in_charset) => {
                Err(LabelNameError::Charset(name.to_owned()))
            }
            Some(_) if name.starts_with("__") => Err(LabelNameError::Reserved(name.to_owned())),
            Some(_) => Ok(Self(name.to_owned())),
        }
    }

    /// As [`LabelName::new`], for a name that was written in quotes.
    ///
    /// # Errors
    /// As [`MetricName::from_quotes`].
    pub fn from_quotes(name: &str) -> Result<Self, LabelNameError> {
        Self::new(name).map_err(|error| match error {
            LabelNameError::Charset(name) => LabelNameError::Utf8(name),
            error => error,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LabelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
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

    #[test]
    fn of_a_name_in_quotes_it_is_said_why_its_characters_are_not_taken() {
        assert_eq!(
            MetricName::from_quotes("http.reqs")
                .unwrap_err()
                .to_string(),
            r#""http.reqs" is a UTF-8 name, which not every Prometheus gets as it is; write letters, digits, _ and : only, not starting with a digit, such as "http_reqs""#
        );
        assert_eq!(
            LabelName::from_quotes("http.code").unwrap_err().to_string(),
            r#""http.code" is a UTF-8 name, which a Pushgateway takes only with --push.enable-utf8-names; write letters, digits and _ only, not starting with a digit"#
        );
        assert_eq!(MetricName::from_quotes("a").unwrap().as_str(), "a");
    }

    #[rstest]
    fn label_names_are_accepted(#[values("model", "_", "A9", "job", "_a")] name: &str) {
        assert_eq!(LabelName::new(name).unwrap().as_str(), name);
    }

    #[rstest]
    #[case("", "is empty; write a label name such as model")]
    #[case(
        "a:b",
        r#""a:b" is not a label name; write letters, digits and _ only, not starting with a digit"#
    )]
    #[case(
        "1st",
        r#""1st" is not a label name; write letters, digits and _ only, not starting with a digit"#
    )]
    #[case(
        "__name__",
        r#""__name__" begins with __, which Prometheus keeps for itself; write another name"#
    )]
    fn other_label_names_are_refused(#[case] name: &str, #[case] message: &str) {
        assert_eq!(LabelName::new(name).unwrap_err().to_string(), message);
    }
}
