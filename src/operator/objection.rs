//! What a plan may object to in an object.

/// Why nothing is applied for an object, where its author can do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// An older MetricsNamespace, named here, serves the namespace.
    AlreadyServed {
        /// Its name.
        by: String,
    },
    /// A field of the spec can't be used.
    InvalidSpec {
        /// Path of the field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
}
