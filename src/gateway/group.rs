//! A push group: the labels under which a Pushgateway keeps what was pushed.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::terminal::quoted;

/// A push group named by its job alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    job: String,
}

/// Why a text is no job.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The gateway keeps no group without a job.
    #[error("is empty; write a name such as train")]
    Empty,
    /// In a label they break the lines that others read.
    #[error("{} has a control character or line end; write plain text", quoted(.0))]
    Control(String),
}

impl Group {
    /// The group of a job.
    ///
    /// # Errors
    /// When the job is empty or has a control character.
    pub fn of_job(job: &str) -> Result<Self, GroupError> {
        if job.is_empty() {
            Err(GroupError::Empty)
        } else if job.contains(char::is_control) {
            Err(GroupError::Control(job.to_owned()))
        } else {
            Ok(Self {
                job: job.to_owned(),
            })
        }
    }

    /// The segments of the group's path below the gateway's address, before percent-encoding.
    pub(super) fn path(&self) -> [String; 3] {
        // A slash would end the segment even when percent-encoded, and dots alone would walk up the path.
        let (label, value) = if self.job.contains('/') || [".", ".."].contains(&self.job.as_str()) {
            ("job@base64", URL_SAFE_NO_PAD.encode(&self.job))
        } else {
            ("job", self.job.clone())
        };
        ["metrics".to_owned(), label.to_owned(), value]
    }
}

/// The group in words, for a message.
impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "job {}", quoted(&self.job))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::gateway::Address;

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
    fn any_job_has_a_path_of_its_own(#[case] job: &str, #[case] path: &str) {
        let group = Group::of_job(job).unwrap();
        let url = Address::parse("host:9091")
            .unwrap()
            .join(group.path().iter().map(String::as_str));
        assert_eq!(url.path(), path);
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
}
