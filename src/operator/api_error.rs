//! What an error of the API server means for a child.

use kube::Error as KubeError;
use kube::core::Status;

use super::outcome::Cause;

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
        other => Cause::Unavailable(other.to_string()),
    }
}

/// A 404 for the kind has no details of an object that was not found.
pub fn is_unknown_kind(status: &Status) -> bool {
    status.code == 404 && status.details.as_ref().is_none_or(|d| d.name.is_empty())
}
