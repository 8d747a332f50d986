//! What an error of the API server means for a child.

use kube::Error as KubeError;
use kube::core::Status;

use crate::terminal::one_line;

use crate::operator::problem::{Cause, Failure};

/// Characters at most: the API server quotes whatever it refuses, and this goes into a log and a status.
const LONGEST_WORDS: usize = 800;

/// An error as a person reads it: the API server's own sentence, or each cause down to the first.
pub fn words(error: &KubeError) -> String {
    match error {
        KubeError::Api(status) => words_of(status),
        other => with_causes(other),
    }
}

fn words_of(status: &Status) -> String {
    let words = one_line(&status.message, LONGEST_WORDS);
    match status.code {
        // The API server says "Unauthorized" and no more.
        401 => {
            format!("{words} (the token is not accepted: it has expired, or is of another cluster)")
        }
        _ => words,
    }
}

/// An error, and each cause down to the first.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}

/// Sorts an API error about a child by what can be done about it.
pub fn cause(error: KubeError) -> Cause {
    match error {
        KubeError::Api(status) if is_unknown_kind(&status) => Cause::KindNotServed,
        other => failure(&other).into(),
    }
}

/// Sorts an API error by whether the API server could decide.
pub fn failure(error: &KubeError) -> Failure {
    match error {
        KubeError::Api(status)
            if (400..500).contains(&status.code) && status.code != 429 && !status.is_conflict() =>
        {
            Failure::Refused(words_of(status))
        }
        other => Failure::Unavailable(words(other)),
    }
}

/// A 404 for the kind has no details of an object that was not found.
pub fn is_unknown_kind(status: &Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|d| d.name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_token_that_is_not_accepted_is_called_so() {
        let status = serde_json::from_value(json!({
            "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
        }));
        let error = KubeError::Api(Box::new(status.unwrap()));
        let says =
            "Unauthorized (the token is not accepted: it has expired, or is of another cluster)";
        assert_eq!(words(&error), says);
        assert_eq!(cause(error), Failure::Refused(says.into()).into());
    }
}
