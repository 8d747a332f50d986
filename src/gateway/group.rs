//! A push group: the labels under which a Pushgateway keeps what was pushed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::terminal::quoted;

/// The label that every group has.
const JOB: &str = "job";
/// How labels begin that are this program's own.
pub const RESERVED_LABELS: &str = "simplepipe_";

/// A push group: its job, and further labels in the order in which they were given, which makes no difference to the
/// gateway.
#[derive(Clone, Debug, Eq)]
pub struct Group {
    labels: Vec<(String, String)>,
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        // No name is there twice.
        self.labels.len() == other.labels.len()
            && self.labels.iter().all(|label| other.labels.contains(label))
    }
}

/// Why a text is no job.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// The gateway keeps no group without a job.
    #[error("is empty; write a name such as train")]
    Empty,
    /// In a label they break the lines that others read.
    #[error("{} has a control character or line end; write plain text", quoted(.0))]
    Control(String),
}

/// Why a label is none that a group can have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupingLabelError {
    /// No label name.
    #[error("{} is not a label name; write letters, digits and _ only, not starting with a digit or __", quoted(.0))]
    Name(String),
    /// The job is given in another way.
    #[error("\"job\" is the job's own label; name the job itself")]
    Job,
    /// This program's own.
    #[error("{} begins as Simplepipe's own labels do; write another name", quoted(.0))]
    Reserved(String),
    #[error("{} is there twice; write it once", quoted(.0))]
    Twice(String),
    /// For Prometheus no label at all. A gateway takes `instance=""` for another group with the same series, refuses
    /// every push from then on, and can't be scraped.
    #[error("{} is empty; write a value, or leave the label out", quoted(.0))]
    Empty(String),
    /// In a label they break the lines that others read.
    #[error("{} has a control character or line end in its value; write plain text", quoted(.0))]
    Control(String),
}

impl Group {
    /// The group of a job alone.
    ///
    /// # Errors
    /// When the job is empty or has a control character.
    pub fn of_job(job: &str) -> Result<Self, JobError> {
        if job.is_empty() {
            Err(JobError::Empty)
        } else if job.contains(char::is_control) {
            Err(JobError::Control(job.to_owned()))
        } else {
            Ok(Self {
                labels: vec![(JOB.to_owned(), job.to_owned())],
            })
        }
    }

    /// The group with one label more.
    ///
    /// # Errors
    /// When the name is no label name or there already, or the value is empty or has a control character.
    pub fn with(self, name: &str, value: &str) -> Result<Self, GroupingLabelError> {
        if name == JOB {
            return Err(GroupingLabelError::Job);
        }
        if !is_label_name(name) {
            return Err(GroupingLabelError::Name(name.to_owned()));
        }
        if name.starts_with(RESERVED_LABELS) {
            return Err(GroupingLabelError::Reserved(name.to_owned()));
        }
        if self.labels.iter().any(|(other, _)| other == name) {
            return Err(GroupingLabelError::Twice(name.to_owned()));
        }
        if value.is_empty() {
            return Err(GroupingLabelError::Empty(name.to_owned()));
        }
        if value.contains(char::is_control) {
            return Err(GroupingLabelError::Control(name.to_owned()));
        }
        Ok(self.with_own(name, value))
    }

    /// A group of this program's own.
    pub(super) fn own(job: &str) -> Self {
        Self {
            labels: vec![(JOB.to_owned(), job.to_owned())],
        }
    }

    /// The group with a label of this program's own.
    pub(super) fn with_own(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn job(&self) -> &str {
        self.labels.first().map_or("", |(_, job)| job)
    }

    /// All its labels, `job` first.
    pub fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    /// The segments of the group's path below the gateway's address, before percent-encoding.
    pub(super) fn path(&self) -> Vec<String> {
        let pairs = self.labels.iter().flat_map(|(name, value)| {
            if needs_base64(value) {
                let encoded = URL_SAFE_NO_PAD.encode(value);
                // Nothing at all would be a segment that is not there.
                let encoded = if encoded.is_empty() { "=" } else { &encoded };
                [format!("{name}@base64"), encoded.to_owned()]
            } else {
                [name.clone(), value.clone()]
            }
        });
        std::iter::once("metrics".to_owned()).chain(pairs).collect()
    }
}

/// A slash would end the segment even when percent-encoded, and dots alone would walk up the path.
fn needs_base64(value: &str) -> bool {
    value.contains('/') || ["", ".", ".."].contains(&value)
}

fn is_label_name(name: &str) -> bool {
    let in_charset = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.starts_with(|first: char| in_charset(first) && !first.is_ascii_digit())
        && name.chars().all(in_charset)
        && !name.starts_with("__")
}

/// The group in words, for a message.
impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.labels.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            write!(formatter, "{before}{name} {}", quoted(value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::gateway::Address;

    fn path(group: &Group) -> String {
        let url = Address::parse("host:9091")
            .unwrap()
            .join(group.path().iter().map(String::as_str));
        url.path().to_owned()
    }

    #[rstest]
    #[case("train", "/metrics/job/train")]
    #[case("nightly run", "/metrics/job/nightly%20run")]
    #[case("a?b#c%2Fd", "/metrics/job/a%3Fb%23c%252Fd")]
    #[case("zug-ß", "/metrics/job/zug-%C3%9F")]
    #[case("a/b", "/metrics/job@base64/YS9i")]
    #[case("/?>", "/metrics/job@base64/Lz8-")]
    #[case("/", "/metrics/job@base64/Lw")]
    #[case(".", "/metrics/job@base64/Lg")]
    #[case("..", "/metrics/job@base64/Li4")]
    #[case("...", "/metrics/job/...")]
    #[case("job@base64", "/metrics/job/job@base64")]
    fn any_job_has_a_path_of_its_own(#[case] job: &str, #[case] expected: &str) {
        assert_eq!(path(&Group::of_job(job).unwrap()), expected);
    }

    #[test]
    fn further_labels_follow_in_their_order() {
        let group = Group::of_job("train")
            .unwrap()
            .with("zone", "eu/1")
            .unwrap()
            .with("model", "churn")
            .unwrap()
            // As somebody else may have made one.
            .with_own("instance", "");
        assert_eq!(
            path(&group),
            "/metrics/job/train/zone@base64/ZXUvMQ/model/churn/instance@base64/="
        );
        assert_eq!(
            group.to_string(),
            r#"job "train", zone "eu/1", model "churn", instance """#
        );
    }

    #[test]
    fn the_order_of_labels_makes_no_other_group() {
        let group = |labels: [(&str, &str); 2]| {
            let job = Group::of_job("train").unwrap();
            let with = |group: Group, (name, value)| group.with(name, value).unwrap();
            labels.into_iter().fold(job, with)
        };
        let one = group([("zone", "eu"), ("model", "a")]);
        assert_eq!(one, group([("model", "a"), ("zone", "eu")]));
        assert_ne!(one, group([("model", "eu"), ("zone", "a")]));
        assert_ne!(one, group([("zone", "eu"), ("shard", "a")]));
        assert_ne!(one, Group::of_job("train").unwrap());
    }

    #[rstest]
    #[case("", "is empty; write a name such as train")]
    #[case(
        "train\n",
        r#""train\n" has a control character or line end; write plain text"#
    )]
    #[case(
        "\x1b[2J",
        r#""\u{1b}[2J" has a control character or line end; write plain text"#
    )]
    fn other_jobs_are_refused(#[case] job: &str, #[case] message: &str) {
        assert_eq!(Group::of_job(job).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case(
        "",
        "a",
        r#""" is not a label name; write letters, digits and _ only, not starting with a digit or __"#
    )]
    #[case(
        "__name__",
        "a",
        r#""__name__" is not a label name; write letters, digits and _ only, not starting with a digit or __"#
    )]
    #[case(
        "1a",
        "a",
        r#""1a" is not a label name; write letters, digits and _ only, not starting with a digit or __"#
    )]
    #[case("job", "a", r#""job" is the job's own label; name the job itself"#)]
    #[case(
        "simplepipe_x",
        "a",
        r#""simplepipe_x" begins as Simplepipe's own labels do; write another name"#
    )]
    #[case("zone", "a", r#""zone" is there twice; write it once"#)]
    #[case(
        "model",
        "",
        r#""model" is empty; write a value, or leave the label out"#
    )]
    #[case(
        "model",
        "a\n",
        r#""model" has a control character or line end in its value; write plain text"#
    )]
    fn other_labels_are_refused(#[case] name: &str, #[case] value: &str, #[case] message: &str) {
        let group = Group::of_job("train").unwrap().with("zone", "eu").unwrap();
        assert_eq!(group.with(name, value).unwrap_err().to_string(), message);
    }
}
