//! What an error of the API server means for a child.

use std::error::Error as _;

use kube::Error as KubeError;
use kube::core::Status;

use super::outcome::Cause;

/// An error as a person reads it: the API server's own sentence, or each cause down to the first.
pub fn words(error: &KubeError) -> String {
    if let KubeError::Api(status) = error {
        return status.message.clone();
    }
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

/// Sorts an API error by what can be done about it.
pub fn cause(error: KubeError) -> Cause {
    match error {
        KubeError::Api(status) if is_unknown_kind(&status) => Cause::KindNotServed,
        KubeError::Api(status)
            if (400..500).contains(&status.code) && status.code != 429 && !status.is_conflict() =>
        {
            Cause::Refused(status.message.clone())
        }
        KubeError::Api(status) => Cause::Unavailable(status.message.clone()),
        other => Cause::Unavailable(words(&other)),
    }
}

/// A 404 for the kind has no details of an object that was not found.
pub fn is_unknown_kind(status: &Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|d| d.name.is_empty())
}
