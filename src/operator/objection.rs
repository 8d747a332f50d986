//! What a plan may object to in an object.

use jiff::Timestamp;

/// Why nothing is applied for an object, where its author can do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// An older MetricsNamespace serves the namespace.
    AlreadyServed {
        /// Its name. `None` where so many others would be next that this one is not told who serves.
        by: Option<String>,
    },
    /// It is being deleted, for long already.
    BeingDeleted {
        since: Timestamp,
        /// The finalizers that hold it.
        held_by: Vec<String>,
    },
    /// A field of the spec can't be used.
    InvalidSpec {
        field: &'static str,
        value: String,
        expected: &'static str,
    },
}
