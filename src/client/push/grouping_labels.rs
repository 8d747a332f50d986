//! Labels of a push group as one JSON object, the form in which a workflow hands them on.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::terminal::quoted;

/// Labels of a push group, in the order in which they were written.
#[derive(Clone, Debug)]
pub struct GroupingLabels(pub Vec<(String, String)>);

/// Reads a JSON object, or nothing, which is none. Numbers and booleans are taken as they are written:
/// 1.10 is another version than 1.1.
///
/// # Errors
/// When it is none, or a value has no such form.
pub fn grouping_labels(text: &str) -> Result<GroupingLabels, String> {
    if text.trim().is_empty() {
        return Ok(GroupingLabels(Vec::new()));
    }
    serde_json::from_str(text).map_err(|error| {
        format!("{error}; write a JSON object, such as {{\"instance\": \"eu-1\"}}")
    })
}

/// A map of the library's own would be silent about a name that comes twice.
impl<'de> Deserialize<'de> for GroupingLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelVisitor)
    }
}

struct LabelVisitor;

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = GroupingLabels;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GroupingLabels, A::Error> {
        let mut labels = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            let value = value.get();
            let wrong = |kind| {
                let name = quoted(&name);
                A::Error::custom(format!("the value of {name} is {kind}, not a string"))
            };
            let value = match value.as_bytes() {
                [b'"', ..] => serde_json::from_str(value).map_err(A::Error::custom)?,
                [b'n', ..] => return Err(wrong("null")),
                [b'[', ..] => return Err(wrong("an array")),
                [b'{', ..] => return Err(wrong("an object")),
                _ => value.to_owned(),
            };
            labels.push((name, value));
        }
        Ok(GroupingLabels(labels))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", &[])]
    #[case("{}", &[])]
    #[case(r#"{"shard": 3, "region": "eu \"1\"", "dry": true}"#, &[("shard", "3"), ("region", "eu \"1\""), ("dry", "true")])]
    #[case(r#"{"version": 1.10, "build": 12345678901234567890123}"#, &[("version", "1.10"), ("build", "12345678901234567890123")])]
    // Twice is for the group to refuse, which knows the command line's labels too.
    #[case(r#"{"a": "1", "a": "2"}"#, &[("a", "1"), ("a", "2")])]
    fn labels_come_in_their_order(#[case] text: &str, #[case] labels: &[(&str, &str)]) {
        let read = grouping_labels(text).unwrap().0;
        let read: Vec<(&str, &str)> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, labels);
    }

    #[rstest]
    #[case("instance=eu-1", "expected value at line 1 column 1")]
    #[case(
        r#"["a"]"#,
        "invalid type: sequence, expected an object of strings at line 1 column 0"
    )]
    #[case(
        r#"{"a": null}"#,
        r#"the value of "a" is null, not a string at line 1 column 11"#
    )]
    #[case(r#"{"a": "b"} c"#, "trailing characters at line 1 column 12")]
    fn other_text_is_refused(#[case] text: &str, #[case] problem: &str) {
        let advice = r#"; write a JSON object, such as {"instance": "eu-1"}"#;
        assert_eq!(
            grouping_labels(text).unwrap_err(),
            format!("{problem}{advice}")
        );
    }
}
