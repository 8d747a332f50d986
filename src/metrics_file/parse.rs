//! From the bytes of a metrics file, in any of its formats, to a [`MetricsFile`], or to all that is wrong with it.

use super::{Problems, document, sample_line, text};
use crate::metrics::{Family, Labels};

/// A file that was checked: only [`MetricsFile::parse`] makes it, so having it means that nothing is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsFile {
    pub(super) job: Option<String>,
    pub(super) grouping_labels: Labels,
    pub(super) families: Vec<Family>,
}

/// Why a file was refused. Each message goes on after the name of the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("is empty; it must hold metrics, in JSON or Prometheus' text format")]
    Empty,
    /// Not text in UTF-8.
    #[error("is not UTF-8 text (byte {0}); write it in UTF-8")]
    NotUtf8(usize),
    /// Not JSON.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// No metric in it.
    #[error("holds no metric; there is nothing to push")]
    NoMetrics,
    /// Something is wrong with the metrics.
    #[error("has {}:\n{problems}", counted(.problems.count()))]
    Problems { problems: Problems },
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
        match text.trim_ascii_start().chars().next() {
            None => Err(Rejection::Empty),
            // No line of the text formats begins so,
            Some('[') => document::parse(text),
            // and with this only one whose name is within the braces.
            Some('{') if !sample_line::begins_with_a_name_in_braces(text) => document::parse(text),
            Some(_) => text::parse(text),
        }
    }

    /// The job that it names.
    pub fn job(&self) -> Option<&str> {
        self.job.as_deref()
    }

    /// The further labels of the push group that it names.
    pub fn grouping_labels(&self) -> &Labels {
        &self.grouping_labels
    }

    /// What it measured, in the file's order; at least one.
    pub fn families(&self) -> &[Family] {
        &self.families
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
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::metrics::exposition;

    fn message(json: &str) -> String {
        MetricsFile::parse(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(
            MetricsFile::parse(b"[{\"name\": \"\xe9\"}]")
                .unwrap_err()
                .to_string(),
            "is not UTF-8 text (byte 11); write it in UTF-8"
        );
    }

    #[rstest]
    fn nesting_however_deep_is_refused_without_harm(
        #[values("[", "[{\"value\":", "{\"a\":", "[{\"labels\":{\"a\":")] open: &str,
    ) {
        let deep = open.repeat(100_000);
        assert!(message(&deep).starts_with("is not JSON"), "{open}");
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
    #[case("[{\"name\": \"a\\u001b[2J\", \"na\\u001bme\": 1}]")]
    #[case("a{b=\"\x1b[2J\"\n\x1b[2J 1\n# TYPE a \x1b[2J\n")]
    #[case("{\"\\u001b[2J\": 1}")]
    #[case("[{\"labels\": {\"\\u001b[2J\": 1}}]")]
    fn no_message_moves_the_cursor(#[case] text: &str) {
        let message = message(text);
        assert!(!message.contains('\x1b'), "{message}");
    }

    proptest! {
        /// What is written for a gateway is a metrics file too, and means the same.
        #[test]
        fn an_exposition_reads_back_as_itself(
            values in prop::collection::vec(
                (prop::sample::select(vec!["gauge", "counter", "summary", "histogram"]), prop::num::f64::ANY,
                 "[^\\p{Cc}]{0,8}[\\\\\n\"]{0,3}[^\\p{Cc}]{0,8}", ".{0,8}[\\\\\n\"]{0,3}"),
                1..8,
            )
        ) {
            let metrics: Vec<_> = values.iter().enumerate().map(|(index, (metric_type, value, description, label))| {
                // Before a HELP text, blanks are nothing, for a gateway too.
                let description = description.trim_start_matches([' ', '\t']);
                let value = if *metric_type == "counter" && value.is_nan() { 0.0 } else { *value };
                let value = if *metric_type == "counter" { value.abs() } else { value };
                serde_json::json!({
                    "name": format!("m{index}"),
                    "description": description,
                    "labels": {"label": label},
                    "value": crate::metrics::number::number(value),
                    "metric_type": metric_type,
                })
            }).collect();
            let file = MetricsFile::parse(&serde_json::to_vec(&metrics).unwrap()).unwrap();
            let text = exposition(file.families());
            let again = MetricsFile::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(exposition(again.families()), text);
        }

        #[test]
        fn no_input_is_a_panic(text in "[\\[{]?([\\[\\]{}\":,#\\\\ \n=a0.+-]|name|metric_type|TYPE|histogram|le|count|sum|null){0,40}") {
            let _ = MetricsFile::parse(text.as_bytes());
        }
    }
}
